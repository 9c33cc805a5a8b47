"""``kneighbors query``: neighbours from an artifact or a server, as tables or as JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from kneighbors.cli.console import stdout_console, write_json

if TYPE_CHECKING:
    from kneighbors.cli.questions import Question

_EPILOG = """\b
Examples:
  kneighbors query M query.npy -k 5
  kneighbors query M --row 7 --exclude-self --columns name,price
  kneighbors query M --id wine-0000042 --id wine-0000043 --json
  kneighbors query http://127.0.0.1:8080 --vector '0.1,0.2,0.3'
  kneighbors query M --like ID --dislike ID --diversity 0.3 --group-by winery
  kneighbors query M --term fresh --term lime --filter '{"price": {"lt": 30}}'
  echo '[[0.1, 0.2, 0.3]]' | kneighbors query M - --radius 0.25

On a terminal the answer is a table for each query with all attributes, unless
--columns or --no-items says otherwise; elsewhere, or with --json, it is the
JSON that a server answers, with attributes if --items or --columns asks for
them.

\b
Exit codes: 0 answered; 1 the query, the artifact or the service is at fault;
2 wrong usage; 130 interrupted.
"""


@click.command(name="query", epilog=_EPILOG)
@click.argument("target", metavar="M_OR_URL")
@click.argument("source", metavar="[VECTORFILE|-]", required=False)
@click.option("--like", multiple=True, metavar="ID", help="Ask for what is like an id.")
@click.option("--dislike", multiple=True, metavar="ID", help="And not like an id.")
@click.option("--term", "terms", multiple=True, metavar="TERM", help="Ask for a term.")
@click.option("--row", "rows", type=int, multiple=True, metavar="N", help="Ask for a row's own.")
@click.option("--id", "ids", multiple=True, metavar="ID", help="Ask for an id's own.")
@click.option("--vector", metavar="NUMBERS", help="Ask for a vector: '0.1,0.2,...'.")
@click.option("-k", "--n-neighbors", type=int, metavar="N", help="Neighbours of each query.")
@click.option("--radius", type=float, metavar="R", help="Largest distance of a neighbour.")
@click.option("--min-distance", type=float, metavar="R", help="Smallest distance of a neighbour.")
@click.option("--filter", metavar="JSON", help="What the attributes have to be.")
@click.option("--diversity", type=float, metavar="T", help="From 0, the nearest, to 1.")
@click.option("--group-by", metavar="COLUMN", help="Answer each value of an attribute once.")
@click.option("--max-per-group", type=int, metavar="N", help="Or so many times.")
@click.option(
    "--fold-within", type=float, metavar="R", help="Leave out what is so close to another."
)
@click.option("--strategy", type=click.Choice(["mean", "best_score"]), help="Of likes; mean.")
@click.option("--skip-unknown-terms", is_flag=True, help="Leave out terms that nobody knows.")
@click.option(
    "--exclude-self/--include-self",
    default=None,
    help="Leave out the rows asked for. By default those liked and disliked are.",
)
@click.option("--exclude-id", "exclude_ids", multiple=True, metavar="ID", help="Leave out an id.")
@click.option("--include-id", "include_ids", multiple=True, metavar="ID", help="Allow only ids.")
@click.option("--exclude-list", multiple=True, metavar="NAME", help="Leave out a list's rows.")
@click.option("--include-list", multiple=True, metavar="NAME", help="Allow only a list's rows.")
@click.option("--explain", is_flag=True, help="Say which like each is nearest to.")
@click.option(
    "--allow-partial",
    is_flag=True,
    default=None,
    help="Take what can be searched while machines of a cluster are lost.",
)
@click.option("--items/--no-items", default=None, help="Show the attributes, or do not.")
@click.option("--columns", metavar="NAMES", help="Which attributes, with commas between.")
@click.option(
    "--token",
    metavar="TEXT",
    help="What a server with tokens wants; KNEIGHBORS_TOKEN hides it from others.",
)
@click.option(
    "--require-signature", metavar="KEYFILE", help="Public keys, of which one must have signed M."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    target: str,
    source: str | None,
    rows: tuple[int, ...],
    ids: tuple[str, ...],
    vector: str | None,
    like: tuple[str, ...],
    dislike: tuple[str, ...],
    terms: tuple[str, ...],
    token: str | None,
    as_json: bool,
    require_signature: str | None,
    **parameters: Any,
) -> None:
    """Find the nearest neighbours of vectors, rows or ids, or what is liked.

    M_OR_URL is an artifact (a directory or .tar.gz), a place to which artifacts
    are published, or the address of a server. Vectors come from a .npy, .csv,
    .json, .jsonl or .txt file, or from stdin.
    """
    from kneighbors.cli.questions import Question, Taste, ask_artifact, ask_server

    tables = sys.stdout.isatty() and not as_json
    if parameters["items"] is None and not tables:
        parameters["items"] = False
    elif parameters["items"] is False and parameters["columns"]:
        raise click.UsageError("Expected either --no-items or --columns, got both.")
    given = [
        name
        for name, value in (
            ("VECTORFILE", source),
            ("--row", rows),
            ("--id", ids),
            ("--vector", vector),
            ("--like, --dislike or --term", like + dislike + terms),
        )
        if value not in (None, ())
    ]
    if not given and not sys.stdin.isatty():
        source, given = "-", ["VECTORFILE"]
    if len(given) != 1:
        raise click.UsageError(
            "Expected one of VECTORFILE, --row, --id, --vector and --like, got "
            f"{' and '.join(given) or 'none'}."
        )
    is_url = target.lower().startswith(("http://", "https://"))
    if is_url and require_signature:
        raise click.UsageError("A server is told itself to --require-signature.")
    if is_url and rows:
        raise click.UsageError("A server knows ids, not rows: use --id.")
    taste = Taste(like, dislike, terms) if like + dislike + terms else None
    question = Question.of(
        source=source, rows=rows, ids=ids, vector=vector, taste=taste, **parameters
    )
    if is_url:
        predictions = ask_server(target, question, token)
    else:
        predictions = ask_artifact(target, question, require_signature)
    if tables:
        _show(question, predictions)
    else:
        write_json({"predictions": predictions})


def _show(question: Question, predictions: list[dict[str, Any]]) -> None:
    from kneighbors.cli.tables import answer_table

    console = stdout_console()
    for number, prediction in enumerate(predictions):
        title = question.title(number) if len(predictions) > 1 else None
        console.print(answer_table(prediction, console.width, title))
