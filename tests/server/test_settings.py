"""Every setting has a type, bounds and a variable, and keeps to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from kneighbors.errors import ParameterRefused
from kneighbors.server.defences import GUARDS
from kneighbors.server.settings import Settings

NUMBERS = [one for one in fields(Settings) if one.type in ("int", "float")]
TEXTS = [one for one in fields(Settings) if one.type == "str"]
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "http-server.md"


def refusal(**given: Any) -> str:
    with pytest.raises(ParameterRefused) as refused:
        Settings(**given)
    return refused.value.code


def test_every_field_is_a_number_or_text() -> None:
    assert len(fields(Settings)) == len(NUMBERS) + len(TEXTS)


@pytest.mark.parametrize("one", NUMBERS, ids=lambda one: one.name)
def test_a_number_keeps_to_its_type_and_its_bounds(one: Any) -> None:
    least, most = one.metadata["least"], one.metadata["most"]
    for value in (least, most, one.default):
        assert value == getattr(Settings(**{one.name: value}), one.name)
    beyond = (least - 1, most + 1, float("nan"), float("inf"))
    for value in beyond if one.type == "float" else beyond[:2]:
        assert "setting-range" == refusal(**{one.name: value})
    for value in ("8", True, None, *((1.0,) if one.type == "int" else ())):
        assert "setting-type" == refusal(**{one.name: value})


@pytest.mark.parametrize("one", TEXTS, ids=lambda one: one.name)
def test_text_is_not_empty_and_one_of_what_is_known(one: Any) -> None:
    if one.default:
        assert "setting-type" == refusal(**{one.name: ""})
    assert "setting-type" == refusal(**{one.name: 7})
    if one.metadata["one_of"]:
        assert "setting-choice" == refusal(**{one.name: "nonsense"})


@pytest.mark.parametrize("one", fields(Settings), ids=lambda one: one.name)
def test_every_setting_is_read_from_its_variable(one: Any) -> None:
    about = one.metadata
    value = about["most"] if about["most"] is not None else (about["one_of"] or ("x",))[-1]
    environment = {about["variable"]: f" {value} "}
    if one.name == "tls_key":
        environment["KNEIGHBORS_TLS_CERTIFICATE"] = "x"
    assert value == getattr(Settings.from_environment(environment), one.name)
    if one.name not in GUARDS:
        blank = Settings.from_environment({about["variable"]: " "})
        assert one.default == getattr(blank, one.name)


def test_what_is_given_goes_before_the_environment() -> None:
    environment = {"SAGEMAKER_BIND_TO_PORT": "9000", "KNEIGHBORS_HOST": "::1"}
    settings = Settings.from_environment(environment, port=7000, host=None)
    assert (7000, "::1") == (settings.port, settings.host)


@pytest.mark.parametrize("text", ["eight", "8.5", "0x10", "", "8080\n9090"])
def test_a_variable_that_is_no_number_is_refused_by_its_name(text: str) -> None:
    if not text:
        assert 8080 == Settings.from_environment({"SAGEMAKER_BIND_TO_PORT": text}).port
        return
    with pytest.raises(ParameterRefused, match="SAGEMAKER_BIND_TO_PORT") as refused:
        Settings.from_environment({"SAGEMAKER_BIND_TO_PORT": text})
    assert "setting-type" == refused.value.code


def test_a_key_without_a_certificate_is_refused() -> None:
    assert "setting-conflict" == refusal(tls_key="key.pem")


@pytest.mark.parametrize("name", sorted(GUARDS))
@pytest.mark.parametrize("blank", ["", "  "])
def test_a_guard_that_is_given_and_empty_is_not_taken_for_none(name: str, blank: str) -> None:
    variable = {one.name: one for one in fields(Settings)}[name].metadata["variable"]
    with pytest.raises(ParameterRefused, match=name) as refused:
        Settings.from_environment({}, **{name: blank})
    assert refused.value.code == "setting-empty"
    with pytest.raises(ParameterRefused, match=variable):
        Settings.from_environment({variable: blank})


def test_a_token_is_in_no_representation_and_no_message() -> None:
    secret = "s" * 40
    assert secret not in repr(Settings(auth_token=secret))
    with pytest.raises(ParameterRefused) as refused:
        Settings(auth_token=[secret])  # type: ignore[arg-type]
    assert secret not in str(refused.value)


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ParameterRefused) as refused:
        Settings.from_environment({}, prot=80)
    assert "setting-unknown" == refused.value.code


def test_the_variables_are_all_different() -> None:
    assert len(fields(Settings)) == len({one.metadata["variable"] for one in fields(Settings)})


def test_cores_are_shared_out_and_a_bound_of_the_users_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kneighbors.server.settings.available_cores", lambda: 8)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert (8, 1) == (Settings().worker_count, Settings().blas_thread_count)
    assert 4 == Settings(workers=2).blas_thread_count
    assert 1 == Settings(workers=100).blas_thread_count
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert 2 == Settings(workers=2).blas_thread_count
    assert 3 == Settings(workers=2, blas_threads=3).blas_thread_count


def test_the_reference_lists_every_setting_as_it_is() -> None:
    rows = {
        cells[0].strip("`"): cells[1:]
        for line in REFERENCE.read_text().splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 5
    }
    for one in fields(Settings):
        about = one.metadata
        assert rows[one.name] == [
            f"`{one.default:g}`" if isinstance(one.default, float) else _shown(one.default),
            _bounds(about),
            f"`{about['variable']}`",
            about["help"],
        ]


def _shown(default: object) -> str:
    return f"`{default}`" if default != "" else ""


def _bounds(about: Mapping[str, Any]) -> str:
    if about["one_of"]:
        return ", ".join(f"`{value}`" for value in about["one_of"])
    if about["least"] is None:
        return ""
    return f"{about['least']:,} to {about['most']:,} {about['unit']}".strip()
