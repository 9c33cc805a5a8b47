"""What is not collected here."""

from __future__ import annotations

#: Runs in an environment of its own.
collect_ignore = ["peers"]
