"""The control plane's errors, with the codes and words of AWS: its SDKs match on both."""

from __future__ import annotations


class Fault(Exception):
    """An answer of the control plane that is an error.

    Not a `kneighbors.errors.KNeighborsError`: it goes to a client of AWS's protocol, which knows
    AWS's codes only.

    Parameters
    ----------
    code : str
        Name of the exception in AWS's service model, such as ``"ValidationException"``.
    message : str
    status : int, default=400
        HTTP status.
    facts : mapping, optional
        Further members of the error's shape, such as ``OriginalStatusCode`` of a ModelError.
    """

    def __init__(
        self, code: str, message: str, status: int = 400, facts: dict[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.facts = facts or {}


def invalid(message: str) -> Fault:
    """Return the error of a request that breaks a rule."""
    return Fault("ValidationException", message)


def missing(kind: str, arn: str) -> Fault:
    """Return the error of a name that nothing has, in the words that SDKs look for.

    Examples
    --------
    >>> print(missing("model", "arn:aws:sagemaker:us-east-1:123456789012:model/wines"))
    Could not find model "arn:aws:sagemaker:us-east-1:123456789012:model/wines".
    """
    return Fault("ValidationException", f'Could not find {kind} "{arn}".')


def exists(kind: str, arn: str) -> Fault:
    """Return the error of a name that is taken already."""
    return Fault("ValidationException", f'Cannot create already existing {kind} "{arn}".')


def in_use(message: str) -> Fault:
    """Return the error of a thing that is busy with something else."""
    return Fault("ResourceInUse", message)
