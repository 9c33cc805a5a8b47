"""How good the answers are: against exact search, and against what people chose."""
