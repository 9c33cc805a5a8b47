"""What a control plane holds, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_UNITS = ("B", "KB", "MB", "GB", "TB")


def show_status(status: dict[str, Any], console: Console) -> None:
    """Print what ``/_kneighbors/status`` told."""
    from rich.markup import escape
    from rich.table import Table

    console.print(f"SageMaker on this machine: {status['url']}, process {status['pid']}")
    console.print(f"State in {escape(status['root'])}", soft_wrap=True)
    rows = [
        (kind.replace("-", " "), one["name"], one["status"] or "")
        for kind, found in status["resources"].items()
        for one in found
    ]
    if rows:
        table = Table("kind", "name", "status", box=None, pad_edge=False)
        for row in rows:
            table.add_row(*map(escape, row))
        console.print()
        console.print(table)
    if status["buckets"]:
        table = Table("bucket", box=None, pad_edge=False)
        table.add_column("objects", justify="right")
        table.add_column("size", justify="right")
        for bucket in status["buckets"]:
            size = shown_bytes(bucket["bytes"])
            table.add_row(escape(bucket["name"]), f"{bucket['objects']:,}", size)
        console.print()
        console.print(table)
    console.print("\nIn memory only, and lost by a restart:")
    for line in status["in_memory_only"]:
        console.print(f"- {line}")


def shown_bytes(size: int) -> str:
    """Return a size as people read it.

    Examples
    --------
    >>> shown_bytes(999), shown_bytes(215_999_999)
    ('999 B', '216.0 MB')
    """
    number, unit = float(size), 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{size} B" if unit == 0 else f"{number:.1f} {_UNITS[unit]}"
