from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kneighbors import __version__
from kneighbors.cli import app
from kneighbors.cli.app import COMMANDS
from kneighbors.cli.failures import Terminated
from kneighbors.errors import KNeighborsError
from support.cli_run import COMMAND, Runner, clean_environment, run_process


def test_the_version_is_shown(cli: Runner) -> None:
    assert cli("--version").out == f"kneighbors {__version__}\n"


def test_help_names_every_command_and_the_exit_codes(cli: Runner) -> None:
    done = cli("--help")
    assert done.code == 0
    for words in (*COMMANDS, *COMMANDS.values(), "Exit codes"):
        assert words in " ".join(done.out.split()).replace("- ", "-")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples_and_exit_codes(cli: Runner, name: str) -> None:
    for flag in ("--help", "-h"):
        done = cli(name, flag)
        assert done.code == 0
        assert "Examples:" in done.out
        assert "Exit codes:" in done.out
        assert max(map(len, done.out.splitlines())) <= 100


def test_an_unknown_command_is_refused_with_the_nearest(cli: Runner) -> None:
    done = cli("quary")
    assert done.code == 2
    assert "Did you mean 'query'?" in done.err


def test_no_command_shows_the_help(cli: Runner) -> None:
    done = cli()
    assert (done.code, done.out) == (2, "")
    assert done.err == cli("--help").out


def test_an_unknown_option_is_refused(cli: Runner) -> None:
    done = cli("inspect", "x", "--verifi")
    assert done.code == 2
    assert "error: [usage]" in done.err
    assert "--verify" in done.err


def test_wrong_usage_is_json_where_json_is_asked_for(cli: Runner) -> None:
    done = cli("inspect", "--json")
    assert (done.code, done.err) == (2, "")
    assert done.json["error"]["code"] == "usage"


def test_a_fault_of_the_program_is_one_line(cli: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(arguments: list[str]) -> int:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(app, "_invoke", fail)
    done = cli("inspect", "x")
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert line.startswith("error: [internal] ZeroDivisionError: by zero.")
    monkeypatch.setenv("KNEIGHBORS_DEBUG", "1")
    assert "Traceback" in cli("inspect", "x").err


def test_a_name_with_ends_of_lines_stays_on_one_line(
    cli: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(arguments: list[str]) -> int:
        raise KNeighborsError("some-code", "Text.", where="a\nb\x1b[2J\udc80é")

    monkeypatch.setattr(app, "_invoke", fail)
    assert cli("inspect").err == "error: [some-code] Text. At a\\nb\\x1b[2J\\udc80é.\n"


@pytest.mark.parametrize(
    ("end", "code", "word"),
    [(KeyboardInterrupt, 130, "interrupted"), (Terminated, 143, "terminated")],
)
def test_what_goes_on_after_an_interruption_is_said(
    cli: Runner,
    monkeypatch: pytest.MonkeyPatch,
    end: type[BaseException],
    code: int,
    word: str,
) -> None:
    def stop(arguments: list[str]) -> int:
        error = end()
        error.add_note("The job goes on.")
        raise error

    monkeypatch.setattr(app, "_invoke", stop)
    done = cli("inspect")
    assert (code, f"The job goes on.\n{word}\n") == (done.code, done.err)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError("Unable to allocate 8 TiB"), "memory-exhausted"),
        (PermissionError(13, "Permission denied", "/x"), "system-error"),
        (KNeighborsError("some-code", "Text.", where="here", hint="Do this."), "some-code"),
    ],
)
def test_errors_have_a_code_and_a_place(
    cli: Runner, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    def fail(arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr(app, "_invoke", fail)
    assert cli("inspect").err.startswith(f"error: [{code}] ")
    found = cli("inspect", "--json").json["error"]
    assert found["code"] == code
    assert set(found) == {"code", "message", "where", "hint"}


def imported_by(*arguments: str) -> set[str]:
    """Return the packages that a command has loaded when it ends."""
    program = (
        "import sys\n"
        "from kneighbors.cli.app import run\n"
        f"run({list(arguments)!r})\n"
        "sys.stderr.write('\\n'.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, env=clean_environment()
    )
    return set(done.stderr.decode().split())


def test_help_loads_no_command() -> None:
    assert {"click", "kneighbors"} <= (found := imported_by("--help"))
    assert not found & {"rich", "pyarrow", "sklearn", "urllib3", "starlette", "uvicorn", "scipy"}


def test_the_help_of_serve_loads_nothing_that_serving_does_not_need() -> None:
    assert not imported_by("serve", "--help") & {"rich", "pyarrow", "sklearn", "urllib3", "scipy"}


def test_json_needs_no_rich(wines: Path) -> None:
    assert "rich" not in imported_by("query", str(wines), "--row", "1", "--json")
    assert "rich" not in imported_by("inspect", str(wines), "--json")


def hidden(package: str, folder: Path) -> dict[str, str]:
    """Return an environment in which a package cannot be imported."""
    (folder / "sitecustomize.py").write_text(
        f"import sys\nsys.modules[{package!r}] = None\n", encoding="utf-8"
    )
    environ = clean_environment()
    return {**environ, "PYTHONPATH": os.pathsep.join([str(folder), environ["PYTHONPATH"]])}


def test_without_click_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    done = run_process("--help", environ=hidden("click", tmp_path))
    assert done.code == 1
    assert done.err == (
        "error: [extra-missing] The package 'click' is not installed. "
        "Install it with: pip install 'kneighbors[cli]'\n"
    )


def test_without_rich_one_line_says_how_to_get_it(tmp_path: Path, wines: Path) -> None:
    environ = hidden("rich", tmp_path)
    done = run_process("inspect", wines, environ=environ)
    assert done.code == 1
    assert done.err.startswith("error: [extra-missing] The package 'rich' is not installed.")
    assert run_process("inspect", wines, "--json", environ=environ).code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "{wines}"],
        ["inspect", "{wines}", "--json"],
        ["query", "{wines}", "--row", "1"],
        ["query", "{wines}", "--row", "99", "--json"],
        ["query", "--json"],
        ["--help"],
    ],
)
def test_a_closed_pipe_is_no_error(wines: Path, arguments: list[str]) -> None:
    # The reader closes before anything is written, as `| head -0` would.
    process = subprocess.Popen(
        [*COMMAND, *(argument.format(wines=wines) for argument in arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 141
    assert err == b""
