"""``kneighbors explore``: a server for one person, and a browser that shows its page."""

from __future__ import annotations

import sys
import threading
import webbrowser

import click

from kneighbors.cli.failures import Ended

_EPILOG = """\b
Examples:
  kneighbors explore M
  kneighbors explore model.tar.gz --port 9000 --no-browser

The page needs no network but this machine's, and is for this machine alone. For
others, start kneighbors serve M --explorer where they reach it. Ctrl+C ends it.

\b
Exit codes: 0 ended by a signal; 1 the artifact is at fault; 2 wrong usage, or
a port that cannot be had.
"""


@click.command(name="explore", epilog=_EPILOG)
@click.argument("model", metavar="M")
@click.option("--port", type=int, default=0, metavar="N", help="Port; 0 takes a free one. [0]")
@click.option("--no-browser", is_flag=True, help="Only say where the page is.")
def command(model: str, *, port: int, no_browser: bool) -> None:
    """Open a page to explore an artifact in.

    Type a name and see its neighbours, say what is liked and what is not, filter,
    and see where all that lies on a map. M is a directory or a .tar.gz, as
    kneighbors train saves it.
    """
    from kneighbors.server.run import serve
    from kneighbors.server.settings import Settings

    def announce(line: str) -> None:
        url = next(word for word in line.split() if word.startswith("http://")) + "/explorer"
        sys.stdout.write(f"The explorer is at {url} (stop with Ctrl+C).\n")
        sys.stdout.flush()
        if not no_browser:
            # In a thread: some browsers make their starter wait for their end.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    settings = Settings.from_environment(
        model=model, host="127.0.0.1", port=port, workers=1, explorer="true"
    )
    raise Ended(serve(settings=settings, announce=announce))
