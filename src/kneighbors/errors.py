"""Every refusal of the package.

::

    KNeighborsError
    ├── Refused (ValueError)       what was handed in is at fault, and whoever did can mend it
    │   ├── ArrayRefused           a corpus or a query: shape, width, dtype, NaN, zero norm
    │   ├── ParameterRefused       n_neighbors, radius, metric, an option of a command
    │   ├── ItemsRefused           ids and attributes: missing, doubled, unknown, of another type
    │   ├── InteractionsRefused    a file of who liked what: columns, times, items that are unknown
    │   ├── CorpusRefused          a file of a corpus: ragged, truncated, of an unknown kind
    │   └── BodyRefused            a request: its body, its content type, what it accepts, its size
    ├── ArtifactError (ValueError) a saved index: damaged, incomplete, of a newer format
    ├── StorageError (OSError)     an address: missing, forbidden, full, already there
    ├── ScriptError (RuntimeError) a user's script: missing, of no use, or raising
    ├── ServiceError (RuntimeError) what a server answered instead of neighbours
    ├── LocalError (RuntimeError)   SageMaker on this machine cannot start, or is not up
    ├── ClusterError (RuntimeError) a cluster that is not there, or has no copy of what is asked for
    └── MissingExtra (ImportError) an optional dependency that is not installed

A message says what was expected, what came and where, and what to do. ``code`` is stable: programs
may rely on it, and `docs/reference/errors.md` explains each one. All may import this module; it
imports nothing of the package.
"""

from __future__ import annotations


class KNeighborsError(Exception):
    """Base of every error that this package raises on purpose.

    Parameters
    ----------
    code : str
        Stable name of the refusal, in kebab case, such as ``"array-not-finite"``.
    message : str
        What was expected and what came.
    where : str, optional
        Place of the fault: a JSON path, a row and column, a byte offset, a file.
    hint : str, optional
        What to do about it, as an imperative.

    Examples
    --------
    >>> error = ArrayRefused("array-not-finite", "Input contains NaN.", where="row 3, column 7")
    >>> print(error)
    Input contains NaN. At row 3, column 7.
    >>> error.code
    'array-not-finite'
    """

    def __init__(
        self, code: str, message: str, *, where: str | None = None, hint: str | None = None
    ) -> None:
        text = message
        if where is not None:
            text += f" At {where}."
        if hint is not None:
            text += f" {hint}"
        super().__init__(text)
        self.code = code
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        # OSError and ImportError format themselves from their arguments; all of ours read alike.
        return str(self.args[0])

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (a pool, a test runner), so they must survive pickling.
        return _rebuild, (type(self), self.code, self.message, self.where, self.hint)


def _rebuild(
    kind: type[KNeighborsError], code: str, message: str, where: str | None, hint: str | None
) -> KNeighborsError:
    return kind(code, message, where=where, hint=hint)


class Refused(KNeighborsError, ValueError):
    """What was handed in is at fault; the caller can mend it."""


class ArrayRefused(Refused):
    """A corpus or a query is no matrix of finite numbers of the right shape."""


class ParameterRefused(Refused):
    """A parameter is out of its bounds or of the wrong type."""


class ItemsRefused(Refused):
    """Ids or attributes are missing, doubled, unknown or of the wrong type."""


class InteractionsRefused(Refused):
    """Who liked what cannot be read, or does not go with the corpus, or is too little."""


class CorpusRefused(Refused):
    """A file of a corpus cannot be read as vectors."""


class BodyRefused(Refused):
    """A request cannot be understood, or its answer cannot be given in the form asked for."""


class ArtifactError(KNeighborsError, ValueError):
    """A saved index is damaged, incomplete or of a format that this version does not read."""


class StorageError(KNeighborsError, OSError):
    """An address cannot be read from or written to."""


class ScriptError(KNeighborsError, RuntimeError):
    """A user's script is missing, is of no use as one, or raised."""


class ServiceError(KNeighborsError, RuntimeError):
    """A server answered with an error instead of neighbours."""


class LocalError(KNeighborsError, RuntimeError):
    """SageMaker on this machine cannot start, is not up, or is up already."""


class ClusterError(KNeighborsError, RuntimeError):
    """A cluster cannot be reached, or holds no copy of what is asked for at the moment."""


class MissingExtra(KNeighborsError, ImportError):
    """An optional dependency is not installed."""


def missing_extra(package: str, extra: str) -> MissingExtra:
    """Return the error that names the one line which installs what is missing.

    Examples
    --------
    >>> print(missing_extra("obstore", "s3"))
    The package 'obstore' is not installed. Install it with: pip install 'kneighbors[s3]'
    """
    return MissingExtra(
        "extra-missing",
        f"The package {package!r} is not installed.",
        hint=f"Install it with: pip install 'kneighbors[{extra}]'",
    )
