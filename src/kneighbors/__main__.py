"""Run the command line as ``python -m kneighbors``."""

from __future__ import annotations

from kneighbors.cli import main

if __name__ == "__main__":
    main()
