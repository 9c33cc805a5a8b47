"""``kneighbors inspect``: what an artifact holds, and whether every byte is what was saved."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from kneighbors.cli.console import progress_bars, stdout_console, write_json
from kneighbors.cli.failures import EXIT_FAULT, Ended
from kneighbors.cli.trade_off import trade_off_table

if TYPE_CHECKING:
    from rich.table import Table

    from kneighbors.artifact import Artifact, PartReport

_EPILOG = """\b
Examples:
  kneighbors inspect M
  kneighbors inspect model.tar.gz --verify
  kneighbors inspect M --json | jq .plan

Without --verify the manifest and all parts but the vectors are checked, since
opening does that; with it, every byte.

\b
Exit codes: 0 whole; 1 damaged or no artifact; 2 wrong usage; 130 interrupted.
"""

#: Rows whose attributes are shown as examples.
_EXAMPLES = 3


@click.command(name="inspect", epilog=_EPILOG)
@click.argument("path", metavar="M")
@click.option("--verify", is_flag=True, help="Read and check every byte.")
@click.option(
    "--require-signature", metavar="KEYFILE", help="Public keys, of which one must have signed it."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(path: str, verify: bool, require_signature: str | None, as_json: bool) -> None:
    """Show what an artifact holds: a directory or a .tar.gz.

    Of a place, to which artifacts are published, it is the current generation.
    """
    from kneighbors.generations.loading import located

    path = os.fspath(located(path))
    document: dict[str, Any] = {"path": path}
    reports = _verified(path) if verify else None
    faulty = [report for report in reports or () if not report.is_whole]
    if not faulty:
        from kneighbors.shards import open_saved

        with open_saved(path, require_signature=require_signature) as artifact:
            document |= describe(artifact)
            if artifact.signed_by is not None:
                document["signed_by"] = artifact.signed_by
    if reports is not None:
        document["verified"] = not faulty
        document["faults"] = [
            {"part": report.name, "file": report.file, "faults": list(report.faults)}
            for report in faulty
        ]
    if as_json:
        write_json(document)
    elif faulty:
        _show_faults(path, faulty)
    else:
        _show(document)
    if faulty:
        raise Ended(EXIT_FAULT)


def describe(artifact: Artifact) -> dict[str, Any]:
    """Return what an artifact holds, as JSON-able values."""
    manifest = artifact.manifest
    fields = manifest.fields()
    return {
        "format": fields["format"],
        "format_version": fields["format_version"],
        "digest": manifest.digest,
        "created": manifest.created,
        "writer": dict(manifest.writer),
        "metric": manifest.metric,
        "n_samples": manifest.n_samples,
        "n_features": manifest.n_features,
        "dtype": manifest.dtype,
        "id_type": manifest.id_type,
        "bytes": manifest.total_bytes,
        "parts": {name: part.fields() for name, part in manifest.parts.items()},
        "plan": fields["plan"],
        "items": _items_of(artifact),
        "source": fields["source"],
    }


def _items_of(artifact: Artifact) -> list[dict[str, Any]]:
    catalog = artifact.catalog
    if catalog.schema is None:
        return []
    rows = range(min(_EXAMPLES, catalog.n_samples))
    examples = catalog.attributes_of(list(rows))
    return [
        {
            "name": field.name,
            "type": str(field.type),
            "examples": [one[field.name] for one in examples],
        }
        for field in catalog.schema
    ]


def _verified(path: str) -> list[PartReport]:
    from kneighbors.shards import verify_saved

    with progress_bars(wanted=True) as progress:
        return verify_saved(path, progress=progress)


def _show_faults(path: str, faulty: Sequence[PartReport]) -> None:
    from kneighbors.cli.tables import plain

    console = stdout_console()
    for report in faulty:
        for fault in report.faults:
            where = f"{plain(report.name)} ({report.file})"
            console.print(f"[red]damaged[/red] {where}: {plain(fault)}", soft_wrap=True)
    parts = "part is" if len(faulty) == 1 else "parts are"
    count = f"{len(faulty)} {parts} not what was saved to {plain(path)}."
    console.print(rf"error: \[artifact-damaged] {count}", soft_wrap=True)


def _show(document: dict[str, Any]) -> None:
    from kneighbors.cli.tables import new_table, plain

    console = stdout_console()
    facts = _facts(document)
    widest = max(len(name) for name, _ in facts)
    for name, value in facts:
        # Never wrapped, so that a digest or a path can be taken from the output.
        console.print(f"[bold]{name:{widest}}[/bold]  {plain(value)}", soft_wrap=True)

    parts = new_table("Parts")
    for heading in ("part", "role", "type"):
        parts.add_column(heading)
    for heading in ("shape", "bytes"):
        parts.add_column(heading, justify="right")
    for name, part in sorted(document["parts"].items()):
        shape = " x ".join(f"{length:,}" for length in part["shape"])
        parts.add_row(name, part["role"], part["dtype"], shape, f"{part['bytes']:,}")
    parts.add_section()
    parts.add_row("all", "", "", "", f"{document['bytes']:,}")
    console.print(parts)

    tuning = document["plan"].get("tuning") or {}
    if tuning.get("settings"):
        chosen = tuning.get("chosen")
        console.print(trade_off_table(tuning["settings"], tuning["n_neighbors"], chosen))
    if document["items"]:
        console.print(_items_table(document["items"], console.width))


def _items_table(items: Sequence[dict[str, Any]], width: int) -> Table:
    from kneighbors.cli.tables import new_table, plain, shown_value

    table = new_table("Items")
    left = width - 4
    for heading, key in (("attribute", "name"), ("type", "type")):
        table.add_column(heading, overflow="fold")
        left -= max(len(heading), *(len(item[key]) for item in items)) + 3
    table.add_column("first rows", overflow="fold")
    for item in items:
        examples = " | ".join(shown_value(one) for one in item["examples"])
        # A line for each attribute, cut here: the table would rather cut the names.
        cut = examples if len(examples) <= left else examples[: max(10, left - 3)] + "..."
        table.add_row(plain(item["name"]), plain(item["type"]), plain(cut))
    return table


def _search_facts(plan: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return what was measured when the search was chosen, if anything was."""
    facts: list[tuple[str, Any]] = []
    if plan.get("engine") == "hnsw":
        names = ("M", "ef_construction", "ef_search", "codes")
        facts.append(("graph", ", ".join(f"{name} {plan[name]}" for name in names)))
        facts.append(("answers", "approximate: nearer rows may be missed, distances are exact"))
    if "choice" in plan:
        facts.append(("choice", plan["choice"]))
    tuning = plan.get("tuning")
    if tuning:
        measured = f"recall {tuning['target_recall']:g} with {tuning['confidence']:.0%} confidence"
        queries = f"{tuning['n_queries']:,} queries {tuning.get('queries', '')}".rstrip()
        facts.append(("wanted", f"{measured}, {queries}"))
        if "reason" in tuning:
            facts.append(("taken", tuning["reason"]))
    return facts


def _facts(document: dict[str, Any]) -> list[tuple[str, Any]]:
    plan, source = document["plan"], document["source"]
    facts = [
        ("artifact", document["path"]),
        ("format", f"{document['format']} {document['format_version']}"),
        ("corpus", f"{document['n_samples']:,} x {document['n_features']:,} {document['dtype']}"),
        ("metric", document["metric"]),
        ("ids", {"row": "row numbers"}.get(document["id_type"], document["id_type"])),
        ("search", f"{plan.get('engine', 'unknown')}: {plan.get('reason', 'no reason given')}"),
        *_search_facts(plan),
        ("made", f"{document['created']} by kneighbors {document['writer'].get('kneighbors')}"),
    ]
    facts += [(f"source {name}", value) for name, value in source.items() if name != "files"]
    facts += [
        ("source file", " ".join(f"{key}={value}" for key, value in file.items()))
        for file in source.get("files") or ()
        if isinstance(file, dict)
    ]
    facts.append(("digest", document["digest"]))
    if "signed_by" in document:
        facts.append(("signed by", document["signed_by"]))
    if "verified" in document:
        facts.append(("verified", "every byte is what was saved"))
    return facts
