"""What stands in for a container image: a command of this machine."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from fnmatch import fnmatchcase

from kneighbors.errors import ParameterRefused

#: Run by the container's own Python.
_OURS = ["python", "-m", "kneighbors.cli.container"]
_DEFAULTS = {"*scikit-learn*": _OURS, "*kneighbors*": _OURS}


class UnknownImage(LookupError):
    """No pattern fits an image; the message names it and what to do."""


class Images:
    """Commands by image.

    Parameters
    ----------
    patterns : mapping of str to str, optional
        Commands by pattern, which a shell would take: ``*``, ``?`` and ``[...]`` match as in file
        names. They go before what is known anyhow, the first that fits first.

    Examples
    --------
    >>> images = Images({"*xgboost*": "/envs/xgboost/bin/toolkit --quiet"})
    >>> images.command("1.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1", "train")
    ['/envs/xgboost/bin/toolkit', '--quiet', 'train']
    >>> images.command("1.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0", "serve")
    ['python', '-m', 'kneighbors.cli.container', 'serve']
    """

    def __init__(self, patterns: Mapping[str, str] | None = None) -> None:
        given = {pattern: _words(pattern, text) for pattern, text in (patterns or {}).items()}
        self._commands = given | {
            pattern: words for pattern, words in _DEFAULTS.items() if pattern not in given
        }

    def command(self, image_uri: str, verb: str) -> list[str]:
        """Return what ``docker run IMAGE VERB`` is here.

        Parameters
        ----------
        image_uri : str
        verb : {"train", "serve"}

        Raises
        ------
        UnknownImage
            If no pattern fits.
        """
        return [*self._found(image_uri), verb]

    def check(self, image_uri: str) -> None:
        """Refuse an image that nothing stands in for.

        Raises
        ------
        UnknownImage
        """
        self._found(image_uri)

    def _found(self, image_uri: str) -> list[str]:
        for pattern, words in self._commands.items():
            if fnmatchcase(image_uri, pattern):
                return words
        known = ", ".join(self._commands)
        raise UnknownImage(
            f"Nothing on this machine stands in for the image {image_uri}. It has commands for: "
            f"{known}. Start the control plane with --image 'PATTERN=COMMAND' to add one."
        )


def parse_images(options: list[str]) -> Images:
    """Return the images that options like ``PATTERN=COMMAND`` give.

    Raises
    ------
    ParameterRefused
        ``image-not-a-pair`` for what is no such option.
    """
    patterns = {}
    for option in options:
        pattern, mark, command = option.partition("=")
        if not mark or not pattern.strip():
            raise _no_pair(option)
        patterns[pattern.strip()] = command
    return Images(patterns)


def _words(pattern: str, command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise _no_pair(f"{pattern}={command}") from error
    if not words:
        raise _no_pair(f"{pattern}={command}")
    return words


def _no_pair(option: str) -> ParameterRefused:
    return ParameterRefused(
        "image-not-a-pair",
        f"Expected PATTERN=COMMAND, the command quoted as for a shell, got {option!r}.",
        where="--image",
        hint="Give a command that takes 'train' or 'serve' as its last argument.",
    )
