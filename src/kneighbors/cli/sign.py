"""``kneighbors sign``: who made an artifact, said so that others can check it."""

from __future__ import annotations

import click

from kneighbors.cli.console import progress_bars, write_json, write_line

_EPILOG = """\b
Examples:
  kneighbors sign --new-key release.key
  kneighbors sign M --key release.key
  kneighbors sign M --check release.key.pub
  kneighbors serve M --require-signature release.key.pub

--new-key writes the private key, which only its owner can read, and beside it
the public one, FILE.pub, for everybody who is to check. Several public keys
may stand in one file, one after the other.

\b
Exit codes: 0 done; 1 the artifact, or its signature, is at fault; 2 wrong
usage, or a file that holds no such key; 130 interrupted.
"""


@click.command(name="sign", epilog=_EPILOG)
@click.argument("path", metavar="[M]", required=False)
@click.option("--key", metavar="FILE", help="Sign with this private key, in PEM.")
@click.option("--check", metavar="FILE", help="Check the signature by these public keys.")
@click.option("--new-key", metavar="FILE", help="Make a pair of keys; no file may be there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    path: str | None, key: str | None, check: str | None, new_key: str | None, as_json: bool
) -> None:
    """Sign an artifact, by Ed25519, or check who has.

    M is a directory; with --check also a .tar.gz. Every byte is read before it
    is signed. The signature is manifest.sig in it, and goes along when M is
    packed or published.
    """
    from kneighbors.artifact import signing

    if [key, check, new_key].count(None) != 2 or (path is None) != (new_key is not None):
        raise click.UsageError("Expected M with --key or --check, or --new-key alone.")
    if new_key is not None:
        name = signing.new_key(new_key)
        _say({"key": name, "private": new_key, "public": new_key + signing.PUBLIC}, as_json)
    elif key is not None and path is not None:
        with progress_bars(wanted=not as_json) as progress:
            name = signing.sign(path, key, progress=progress)
        _say({"key": name, "path": path}, as_json)
    elif check is not None and path is not None:
        name, manifest = signing.verify(path, check)
        _say({"key": name, "path": path, "digest": manifest.digest}, as_json)


def _say(facts: dict[str, str], as_json: bool) -> None:
    if as_json:
        write_json(facts)
    else:
        write_line("  ".join(f"{name} {value}" for name, value in facts.items()))
