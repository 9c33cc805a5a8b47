"""What a request to load a model may name, and where that leads."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

from kneighbors.server.refusals import HTTPRefused
from kneighbors.server.variables import BASE_DIR

#: Bytes of a model's name in UTF-8.
LONGEST_NAME = 1024
_LONGEST_URL = 4096
_ROOT = f"{BASE_DIR}/models/"


def check_name(name: object) -> str:
    """Return a model's name, which may be any text of sensible length.

    Raises
    ------
    HTTPRefused
        With code ``model-name``.

    Examples
    --------
    >>> check_name("../wines")
    '../wines'
    """
    if isinstance(name, str):
        try:
            size = len(name.encode())
        except UnicodeEncodeError:  # half of a surrogate pair
            size = 0
        if 1 <= size <= LONGEST_NAME:
            return name
    raise HTTPRefused(
        "model-name", f"Expected a model's name of 1 to {LONGEST_NAME} bytes in UTF-8."
    )


def name_in_path(written: str) -> str:
    """Return the name that a part of a path says, percent-encoded.

    Raises
    ------
    HTTPRefused
        With code ``model-name``.

    Examples
    --------
    >>> name_in_path("a%2Fb")
    'a/b'
    """
    try:
        name = unquote_to_bytes(written.encode("latin-1")).decode()
    except UnicodeError:
        name = ""
    return check_name(name)


def checked_path(url: object, root: str) -> Path:
    """Return the directory that a model is to be loaded from.

    Parameters
    ----------
    url : object
        A path below the models' directory, or what SageMaker calls it: ``/opt/ml/models/…``.
    root : str
        The models' directory.

    Raises
    ------
    HTTPRefused
        With code ``model-url``, if it is none or leads out of the directory, by links as well;
        ``model-missing``, if nothing is there.
    """
    if not isinstance(url, str) or len(url) > _LONGEST_URL or "\0" in url:
        raise _refused()
    if url.startswith(_ROOT):
        url = os.path.join(root, url.removeprefix(_ROOT))  # noqa: PTH118 - a Path would tidy it
    if not os.path.isabs(url):  # noqa: PTH117
        raise _refused()
    try:
        inside = Path(root).resolve()
        path = Path(url).resolve()
    except (OSError, RuntimeError, UnicodeError) as error:
        raise _refused() from error
    if path == inside or not path.is_relative_to(inside):
        raise _refused()
    if not path.is_dir():
        raise HTTPRefused(
            "model-missing", "Expected a directory at the url, found none.", where="url"
        )
    for folder, folders, files in os.walk(path):
        for one in (*folders, *files):
            entry = Path(folder, one)
            if entry.is_symlink() and not entry.resolve().is_relative_to(inside):
                raise _refused()
    return path


def _refused() -> HTTPRefused:
    return HTTPRefused(
        "model-url",
        "Expected the path of a directory below the models' directory, which no link leads out of.",
        where="url",
    )
