"""Put last on the path of a container's Python: what its image once had, if nothing else has it."""
