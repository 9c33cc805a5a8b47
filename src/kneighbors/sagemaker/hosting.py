"""What a server hosts: a plain model, or a user's script around one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from kneighbors.errors import ArtifactError
from kneighbors.formats import JSON, Limits
from kneighbors.sagemaker.functions import Functions
from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.packaged import OWN_SCRIPT
from kneighbors.sagemaker.query import Reply
from kneighbors.sagemaker.script import Script, find_script
from kneighbors.sagemaker.script_model import ScriptModel

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
    require_signature: str | None = None,
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
    require_signature : str, optional
        File of public keys, of which one must have signed the artifact. Then no script is run: a
        signature does not cover one.

    Returns
    -------
    Hosted
        A plain `Model` where there is no script, or none of its functions is the user's.

    Raises
    ------
    ScriptError
        With code ``script-missing`` or ``script-invalid``; ``script-failed``, if it raises while
        it loads the model.
    StorageError, ArtifactError
        Where the artifact, or the code, cannot be had.
    """
    model_dir = Path(model_dir)
    default_accept = environ.get(DEFAULT_ACCEPT_VARIABLE, "").strip() or None
    script = find_script(model_dir, environ, room)
    if script is not None and require_signature:
        raise ArtifactError(
            "signature-uncovered",
            "Expected a signed artifact alone, got a script beside it, which no signature covers.",
            where=str(script.path),
            hint="Take the script away, or do not require a signature.",
        )
    if script is not None and not _is_unchanged(script):
        functions = Functions(script.load())
        if functions:
            return ScriptModel(
                functions,
                model_dir,
                limits=limits,
                default_n_neighbors=default_n_neighbors,
                default_accept=default_accept or JSON,
            )
    return Model.open(
        model_dir,
        limits=limits,
        default_n_neighbors=default_n_neighbors,
        default_accept=default_accept,
        require_signature=require_signature,
    )


def _is_unchanged(script: Script) -> bool:
    """Return whether a script is the one that this package hands out, which changes nothing."""
    own = files("kneighbors.sagemaker") / "entry_point" / OWN_SCRIPT
    return own.read_bytes() == script.path.read_bytes()
