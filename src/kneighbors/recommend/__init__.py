"""From likes, ids, terms and filters to answers."""
