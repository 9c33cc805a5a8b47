"""A user's script: where it is, and the module that it becomes."""

from __future__ import annotations

import ast
import atexit
import fcntl
import importlib.util
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path, PurePosixPath
from types import ModuleType

from kneighbors.errors import ScriptError
from kneighbors.sagemaker.archives import fetched, unpack_tree
from kneighbors.storage import translated

#: Every function that a script may define.
HANDLER_NAMES = (
    *("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn"),
    *("pre_model_fn", "model_warmup_fn", "execution_parameters_fn"),
)

_BASE_DIR = PurePosixPath("/opt/ml")
_USUAL_NAME = "inference.py"
_MOST_CODE_BYTES = 1 << 30

#: Modules that `Script.load` made; another script may take their names.
_LOADED: set[str] = set()


@dataclass(frozen=True, slots=True)
class Script:
    """A file of Python with handlers.

    Parameters
    ----------
    path : Path
    folder : Path
        The code that it belongs to.
    """

    path: Path
    folder: Path

    def load(self) -> ModuleType:
        """Run the file as a module, with its folder on ``sys.path``.

        The module is known by the file's name, as under AWS's toolkits.

        Raises
        ------
        ScriptError
            With code ``script-invalid``, if another module has the name, or the file raises.
        """
        name = self.path.stem
        if name in sys.modules and name not in _LOADED:
            raise ScriptError(
                "script-invalid",
                f"Expected a script with a name of its own, got {self.path.name}, and {name!r} is "
                "a module already.",
                hint="Rename it.",
            )
        for folder in (self.folder, self.path.parent):
            if str(folder) not in sys.path:
                sys.path.insert(0, str(folder))
        spec = importlib.util.spec_from_file_location(name, self.path)
        if spec is None or spec.loader is None:
            raise ScriptError(
                "script-invalid", "Expected a file that ends in .py.", where=str(self.path)
            )
        module = importlib.util.module_from_spec(spec)
        _LOADED.add(name)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            del sys.modules[name]
            if is_signal(error):
                raise
            raise ScriptError(
                "script-invalid",
                f"Expected a script that can be imported, got {described(error)}.",
                where=str(self.path),
                hint=self._hint(error),
            ) from error
        return module

    def _hint(self, error: BaseException) -> str | None:
        if isinstance(error, ModuleNotFoundError):
            has_list = (self.folder / "requirements.txt").is_file()
            what = "requirements.txt is not installed" if has_list else "nothing is installed"
            return f"At the start {what}: put the module beside the script, or into the image."
        if isinstance(error, SystemExit):
            return 'Put what is a program under: if __name__ == "__main__".'
        return None


def find_script(
    model_dir: Path, environ: Mapping[str, str], room: Path | None = None
) -> Script | None:
    """Return the script that a container is to serve, None if there is none.

    Parameters
    ----------
    model_dir : Path
        ``/opt/ml/model``, wherever it is.
    environ : mapping of str to str
        ``SAGEMAKER_SUBMIT_DIRECTORY`` says where the code is: a directory below ``/opt/ml``, or
        an archive, also on S3; otherwise it is in ``code/`` of the model. ``SAGEMAKER_PROGRAM``
        names the script; otherwise it is ``inference.py``, or the only file with handlers.
        ``SAGEMAKER_BASE_DIR`` stands in for ``/opt/ml``.
    room : Path, optional
        Directory for code that has to be fetched. It is fetched once. By default one is made then.

    Raises
    ------
    ScriptError
        With code ``script-missing``, where what the variables name is not there;
        ``script-invalid``, where several files have handlers.
    StorageError
        Where an archive cannot be had or unpacked.
    """
    program = environ.get("SAGEMAKER_PROGRAM", "").strip()
    folder = _code_folder(model_dir, environ, program, room)
    if not folder.is_dir():
        if program or environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "").strip():
            raise ScriptError(
                "script-missing", "Expected a directory of code, found none.", where=str(folder)
            )
        return None
    path = _named(folder, program) if program else _usual(folder)
    return None if path is None else Script(path, folder)


def _code_folder(
    model_dir: Path, environ: Mapping[str, str], program: str, room: Path | None
) -> Path:
    given = environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "").strip()
    base = Path(environ.get("SAGEMAKER_BASE_DIR", "").strip() or _BASE_DIR)
    if not given:
        return model_dir / "code"
    if given.lower().startswith("s3://"):
        # AWS's own start-up may have fetched it.
        return (
            base / "code" if program and (base / "code" / program).is_file() else _got(given, room)
        )
    path = _rerooted(PurePosixPath(given.removeprefix("file://")), base, model_dir)
    return _got(str(path), room) if path.is_file() else path


@cache
def _own_room() -> Path:
    """Return a directory of this process, removed at its end."""
    holder = tempfile.mkdtemp(prefix="kneighbors-code-")
    atexit.register(shutil.rmtree, holder, ignore_errors=True)
    return Path(holder)


def _rerooted(path: PurePosixPath, base: Path, model_dir: Path) -> Path:
    if path.is_relative_to(_BASE_DIR / "model"):
        return model_dir / path.relative_to(_BASE_DIR / "model")
    return base / path.relative_to(_BASE_DIR) if path.is_relative_to(_BASE_DIR) else Path(path)


def _got(address: str, room: Path | None) -> Path:
    """Return the directory that an archive was unpacked to, by this process or another."""
    room = _own_room() if room is None else room
    name = "code-" + sha256(address.encode()).hexdigest()[:16]
    target = room / name
    with translated(room), (room / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            archive = fetched(address, room)
            unpack_tree(archive, target, max_bytes=_MOST_CODE_BYTES)
    return target


def _named(folder: Path, program: str) -> Path:
    path = folder / (program if program.endswith(".py") else program + ".py")
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise ScriptError(
            "script-missing",
            f"Expected the script that SAGEMAKER_PROGRAM names, {program!r}, found none.",
            where=str(folder),
        )
    return path


def _usual(folder: Path) -> Path | None:
    if (folder / _USUAL_NAME).is_file():
        return folder / _USUAL_NAME
    found = [path for path in sorted(folder.glob("*.py")) if _defined_in(path)]
    if len(found) > 1:
        raise ScriptError(
            "script-invalid",
            f"Expected one script with handlers, got {', '.join(path.name for path in found)}.",
            where=str(folder),
            hint="Name the one that is meant in SAGEMAKER_PROGRAM.",
        )
    return found[0] if found else None


def _defined_in(path: Path) -> bool:
    """Return whether a file defines a handler at its top, as far as reading it tells."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return False
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
    return not names.isdisjoint(HANDLER_NAMES)


def is_signal(error: BaseException) -> bool:
    """Tell whether an exception may be what a signal became, rather than what a script raised.

    Signals come to the main thread alone. A script may call ``sys.exit`` there, too.
    """
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and not isinstance(error, Exception | SystemExit)


def described(error: BaseException) -> str:
    """Return an exception's type and message on one line, of bounded length.

    Examples
    --------
    >>> described(KeyError("wine"))
    "KeyError: 'wine'"
    """
    name = type(error).__name__
    try:
        text = " ".join(str(error).split())
    except Exception:  # a script's own class of exceptions may be at fault as well
        return name
    return f"{name}: {text[:500]}" if text else name
