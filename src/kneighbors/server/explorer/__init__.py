"""A page to explore a corpus in, and what it asks the server for."""
