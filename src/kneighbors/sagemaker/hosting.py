"""What a server hosts: a plain model, or a user's script around one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from kneighbors.formats import Limits
from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.query import Reply

#: Media type of the answer to a request that accepts anything.
DEFAULT_ACCEPT_VARIABLE = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"


class Hosted(Protocol):
    """What answers requests, whoever wrote it. Safe to use from several threads."""

    @property
    def facts(self) -> dict[str, str]:
        """What is served, as labels: ``generation``, ``metric``, ``n_samples``, ``n_features``.

        Of a script's own model nothing is known, and each is the empty string.
        """

    @property
    def has_items(self) -> bool:
        """Whether ``warm_up(items=True)`` touches more than ``warm_up(items=False)``."""

    def invoke(
        self,
        body: bytes,
        content_type: str | None = None,
        accept: str | None = None,
        custom_attributes: str | None = None,
    ) -> Reply:
        """Answer a request; parameters and errors as of `Model.invoke`.

        Raises
        ------
        ScriptError
            With code ``script-failed``, where a user's script raised.
        """

    def warm_up(self, *, items: bool = True) -> None:
        """Answer a first query, as far as one is known."""

    def execution_parameters(self) -> Mapping[str, Any] | None:
        """Return what a script wants batch transform to do, None to leave it to the server."""


def open_hosted(
    model_dir: str | Path,
    environ: Mapping[str, str],
    *,
    limits: Limits | None = None,
    default_n_neighbors: int | None = None,
    room: Path | None = None,
) -> Hosted:
    """Open what a container is to host.

    This runs the code that it finds in the model's directory, as SageMaker's containers do.
    `kneighbors.sagemaker.model.Model.open` never does.

    Parameters
    ----------
    model_dir : str or Path
        ``/opt/ml/model``: an artifact, or whatever a user's script reads.
    environ : mapping of str to str
        Usually ``os.environ``.
    limits : Limits, optional
    default_n_neighbors : int, optional
        As in `Model.open`.
    room : Path, optional
        Directory for code that is downloaded, once for all the processes that are given the same
        one; by default each process has its own, which it removes.

    Returns
    -------
    Hosted
        A plain `Model` where no script says otherwise.
    """
    return Model.open(
        model_dir,
        limits=limits,
        default_n_neighbors=default_n_neighbors,
        default_accept=environ.get(DEFAULT_ACCEPT_VARIABLE, "").strip() or None,
    )
