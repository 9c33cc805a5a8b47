"""The manifest: every change is noticed, every rule has a refusal, and it is what it was."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kneighbors.artifact import Manifest, canonical, open_artifact
from kneighbors.artifact.manifest import MAX_MANIFEST_BYTES
from kneighbors.errors import ArtifactError
from support import artifact_making as making


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("manifest") / "a"
    making.save_small(path, source={"from": "here"})
    return (path / "manifest.json").read_bytes()


def refusal(data: bytes) -> ArtifactError:
    with pytest.raises(ArtifactError) as caught:
        Manifest.from_bytes(data, "m.json")
    assert "m.json" in str(caught.value)
    assert len(str(caught.value)) < 1000
    return caught.value


def signed(text: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    fields = json.loads(text)
    fields.pop("digest")
    change(fields)
    return canonical.to_bytes(fields)


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80, 0xFF])
def test_every_changed_byte_is_detected(text: bytes, flip: int) -> None:
    for place in range(len(text)):
        damaged = bytearray(text)
        damaged[place] ^= flip
        assert refusal(bytes(damaged)).code in {
            "artifact-damaged", "artifact-unknown", "artifact-newer",
        }  # fmt: skip


def test_every_lost_or_added_byte_is_detected(text: bytes) -> None:
    for place in range(len(text)):
        refusal(text[:place] + text[place + 1 :])
        refusal(text[:place] + b" " + text[place:])
        refusal(text[:place])
    refusal(text + b"\n")
    refusal(b"\xef\xbb\xbf" + text)


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"not json",
        b'{"name": "a web app", "icons": []}',
        b"\x80\x04\x95",
        b"[" * 100_000,
        b'{"format_version": ' + b"9" * 5000 + b"}",
    ],
    ids=["empty", "object", "list", "null", "text", "web", "pickle", "deep", "digits"],
)
def test_another_file_of_that_name_is_not_taken_for_an_artifact(other: bytes) -> None:
    assert refusal(other).code == "artifact-unknown"


def test_another_format_is_not_taken_for_ours(text: bytes) -> None:
    assert refusal(signed(text, lambda m: m.update(format="other"))).code == "artifact-unknown"


@pytest.mark.parametrize("sign", [True, False])
def test_a_newer_version_says_what_to_do(text: bytes, sign: bool) -> None:
    data = signed(text, lambda m: m.update(format_version=2))
    if not sign:
        # A later version may sign itself in a way that this one does not know.
        data = data.replace(b'"digest"', b'"digest2"')
    error = refusal(data)
    assert error.code == "artifact-newer"
    assert "version 1, got 2" in str(error)
    assert "Install a newer version of kneighbors" in str(error)


def test_a_requirement_that_is_not_known_is_refused(text: bytes) -> None:
    error = refusal(signed(text, lambda m: m.update(requires=["graph"])))
    assert error.code == "artifact-newer"
    assert "'graph'" in str(error)


@pytest.mark.parametrize("version", [0, -1, "1", 1.0, None, True, [1]])
def test_a_version_that_never_was_is_refused(text: bytes, version: Any) -> None:
    error = refusal(signed(text, lambda m: m.update(format_version=version)))
    assert error.code == "artifact-invalid"


def test_fields_that_are_not_known_are_ignored_but_signed(text: bytes) -> None:
    data = signed(text, lambda m: m.update(remark="hello"))
    manifest = Manifest.from_bytes(data)
    assert manifest.digest == json.loads(data)["digest"]
    refusal(data.replace(b"hello", b"hallo"))


def test_parts_of_a_role_that_is_not_known_are_ignored(tmp_path: Path) -> None:
    making.save_small(tmp_path / "a")
    (tmp_path / "a" / "later.npy").write_bytes((tmp_path / "a" / "factors.npy").read_bytes())

    def change(fields: dict[str, Any]) -> None:
        later = {**fields["parts"]["factors"], "file": "later.npy", "role": "graph"}
        fields["parts"]["later"] = later

    making.forge(tmp_path / "a", change)
    with open_artifact(tmp_path / "a") as artifact:
        assert "later" in artifact.manifest.parts
        assert "later" not in artifact.index.parts()


@pytest.mark.parametrize(
    ("respell", "what"),
    [
        (lambda m: json.dumps(m, indent=4, sort_keys=True) + "\n", "no digest line"),
        (lambda m: json.dumps(m, indent=2, sort_keys=True), "no line break at the end"),
        (lambda m: json.dumps(dict(reversed(m.items())), indent=2) + "\n", "unsorted"),
        (lambda m: json.dumps(m, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "ü"),
    ],
)
def test_another_spelling_is_refused(
    text: bytes, respell: Callable[[dict[str, Any]], str], what: str
) -> None:
    fields = json.loads(signed(text, lambda m: m["source"].update(name="ü")))
    zeroed = respell({**fields, "digest": "0" * 64}).encode()
    data = zeroed.replace(b"0" * 64, sha256(zeroed).hexdigest().encode(), 1)
    assert refusal(data).code in {"artifact-invalid", "artifact-damaged"}, what


def test_a_doubled_key_is_refused(text: bytes) -> None:
    line = b'  "metric": "cosine",\n'
    zeroed = text.replace(json.loads(text)["digest"].encode(), b"0" * 64)
    zeroed = zeroed.replace(line, line + line)
    data = zeroed.replace(b"0" * 64, sha256(zeroed).hexdigest().encode(), 1)
    error = refusal(data)
    assert (error.code, "twice" in str(error)) == ("artifact-invalid", True)


def test_a_manifest_beyond_its_limit_is_not_parsed(text: bytes, tmp_path: Path) -> None:
    assert refusal(b" " * (MAX_MANIFEST_BYTES + 1)).code == "artifact-too-large"
    making.save_small(tmp_path / "a")
    with (tmp_path / "a" / "manifest.json").open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(ArtifactError) as caught:
        open_artifact(tmp_path / "a")
    assert caught.value.code == "artifact-too-large"


WRONG: dict[str, list[Any]] = {
    "block_bytes": [0, 4095, 5000, 1 << 25, "65536", 65536.0, None],
    "created": ["yesterday", "2026-01-02T03:04:05", "2026-01-02T03:04:05Z\n", 7],
    "dtype": ["float16", "<f4", "int8", 4],
    "id_type": ["uuid", "", None, ["row"]],
    "metric": ["manhattan", "", None, {}],
    "n_features": [0, -1, 15, 17, 1.5, True, 2**63, "16"],
    "n_samples": [0, -1, 199, 201, 200.0, True, 2**63, 10**30],
    "parts": [{}, [], None, {"x": 1}, {"X": {}}],
    "plan": [None, [], "head"],
    "requires": [None, "x", {}],
    "source": [None, [], "x"],
    "writer": [None, [], {"kneighbors": 1}],
}


@pytest.mark.parametrize("key", WRONG)
def test_a_field_of_another_kind_is_refused_by_name(text: bytes, key: str) -> None:
    for value in WRONG[key]:
        error = refusal(signed(text, lambda m, value=value: m.update({key: value})))  # type: ignore[misc]
        assert error.code == "artifact-invalid", value
    error = refusal(signed(text, lambda m: m.pop(key)))
    assert (error.code, error.where) == ("artifact-invalid", f"m.json, {key}")


WRONG_IN_PART: dict[str, list[Any]] = {
    "bytes": [0, -1, 12927, 12929, 64, 1.5, True, None, 10**30],
    "dtype": ["<f8", ">f4", "|O", "arrow", "object", None],
    "file": [
        "", "/etc/passwd", "../x.npy", "a/b.npy", "x.npy\0", "x.npy\n", "X.npy", "x.pkl", "x",
        ".npy", "manifest.json", "head.npy/", "x.12.npy", "ids-text.npy", "a" * 65 + ".npy",
        "items.arrow", 7,
    ],
    "role": ["index", "ids", "graph", "", 7, None],
    "sha256": ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, None],
    "shape": [[], [200], [16, 200], [200, 16, 1], [-200, 16], [200.0, 16], [True, 16], None, "x",
              [2**60, 2**60]],
}  # fmt: skip


@pytest.mark.parametrize("key", WRONG_IN_PART)
def test_a_field_of_a_part_of_another_kind_is_refused(text: bytes, key: str) -> None:
    assert json.loads(text)["parts"]["vectors"]["bytes"] == 12928
    for value in WRONG_IN_PART[key]:
        error = refusal(
            signed(text, lambda m, value=value: m["parts"]["vectors"].update({key: value}))  # type: ignore[misc]
        )
        assert error.code == "artifact-invalid", value
    error = refusal(signed(text, lambda m: m["parts"]["vectors"].pop(key)))
    assert error.where == f"m.json, parts.vectors.{key}"


@pytest.mark.parametrize(
    "name",
    ["vectors", "vectors-blocks", "ids-text", "ids-offsets", "ids-hashes", "ids-order"],
)
def test_a_part_that_must_be_there_is_missed(text: bytes, name: str) -> None:
    error = refusal(signed(text, lambda m: m["parts"].pop(name)))
    assert error.code == "artifact-invalid"
    assert repr(name) in str(error)


@pytest.mark.parametrize("name", ["../x", "", "X", "a" * 65, "a\n"])
def test_parts_have_plain_names(text: bytes, name: str) -> None:
    error = refusal(signed(text, lambda m: m["parts"].update({name: m["parts"]["factors"]})))
    assert error.code == "artifact-invalid"


@pytest.mark.parametrize("role", ["vectors", "checksums", "ids", "items"])
def test_a_second_part_of_a_closed_role_is_refused(text: bytes, role: str) -> None:
    def change(fields: dict[str, Any]) -> None:
        template = "items" if role == "items" else "factors"
        extra = {**fields["parts"][template], "role": role}
        fields["parts"]["extra"] = {**extra, "file": "extra.arrow" if role == "items" else "e.npy"}

    error = refusal(signed(text, change))
    assert error.code == "artifact-invalid"
    assert "'extra'" in str(error)


def test_too_many_parts_are_refused(text: bytes) -> None:
    def change(fields: dict[str, Any]) -> None:
        for count in range(64):
            fields["parts"][f"p{count}"] = {**fields["parts"]["factors"], "file": f"p{count}.npy"}

    assert refusal(signed(text, change)).code == "artifact-invalid"


def test_two_parts_in_one_file_are_refused(text: bytes) -> None:
    def change(fields: dict[str, Any]) -> None:
        fields["parts"]["twin"] = fields["parts"]["factors"]

    assert "one file twice" in str(refusal(signed(text, change)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@settings(deadline=None)
@given(st.dictionaries(st.text(), json_values), st.dictionaries(st.text(), json_values))
def test_a_manifest_comes_back_as_it_was(source: dict[str, Any], plan: dict[str, Any]) -> None:
    manifest = dataclasses.replace(TEMPLATE, source=source, plan=plan)
    data = manifest.to_bytes()
    found = Manifest.from_bytes(data)
    assert found == manifest
    assert found.digest == manifest.digest
    assert found.to_bytes() == data


def template() -> Manifest:
    parts = {
        "vectors": ("vectors", "vectors.npy", 128 + 8, "<f4", [1, 2]),
        "vectors-blocks": ("checksums", "vectors-blocks.npy", 128 + 32, "|u1", [1, 32]),
    }
    fields = {
        "block_bytes": 4096, "created": "2026-01-02T03:04:05Z", "dtype": "float32",
        "format": "kneighbors-artifact", "format_version": 1, "id_type": "row",
        "metric": "cosine", "n_features": 2, "n_samples": 1, "plan": {}, "requires": [],
        "source": {}, "writer": {},
        "parts": {
            name: {"role": role, "file": file, "bytes": length, "dtype": dtype, "shape": shape,
                   "sha256": "0" * 64}
            for name, (role, file, length, dtype, shape) in parts.items()
        },
    }  # fmt: skip
    return Manifest.from_bytes(canonical.to_bytes(fields))


TEMPLATE = template()


@settings(deadline=None, max_examples=300)
@given(
    st.binary(max_size=200)
    | st.text().map(str.encode)
    | json_values.map(json.dumps).map(str.encode)
)
def test_no_bytes_cause_any_other_error(data: bytes) -> None:
    refusal(data)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_no_signed_fields_cause_any_other_error(text: bytes, data: st.DataObject) -> None:
    fields = json.loads(text)
    fields.pop("digest")
    holder = fields
    while True:
        key = data.draw(st.sampled_from(sorted(holder)))
        if isinstance(holder[key], dict) and holder[key] and data.draw(st.booleans()):
            holder = holder[key]
            continue
        holder[key] = data.draw(json_values)
        break
    with suppress(ArtifactError):
        Manifest.from_bytes(canonical.to_bytes(fields))
