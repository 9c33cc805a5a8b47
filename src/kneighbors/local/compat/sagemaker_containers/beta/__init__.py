"""Where ``framework`` is."""
