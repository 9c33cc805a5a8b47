"""Signatures: who made an artifact, checked before anything of it is believed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kneighbors import load
from kneighbors.artifact import canonical, open_artifact, pack, save, sign, signing, unpack
from kneighbors.artifact import verify as verify_parts
from kneighbors.artifact.names import SIGNATURE
from kneighbors.artifact.signing import PUBLIC, PublicKeys, new_key
from kneighbors.errors import ArtifactError, KNeighborsError, ParameterRefused, StorageError
from support import artifact_making as making


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with two pairs of keys."""
    folder = tmp_path / "keys"
    folder.mkdir()
    for name in ("one", "two"):
        new_key(folder / name)
    return folder


@pytest.fixture
def signed(tmp_path: Path, keys: Path) -> Path:
    making.save_small(tmp_path / "a")
    sign(tmp_path / "a", keys / "one")
    return tmp_path / "a"


def public(keys: Path, name: str = "one") -> Path:
    return keys / (name + PUBLIC)


def code_of(path: Path, trusted: Path) -> str:
    with pytest.raises(KNeighborsError) as caught:
        open_artifact(path, require_signature=trusted)
    return caught.value.code


def test_a_private_key_is_its_owners_alone(keys: Path) -> None:
    assert 0o600 == stat.S_IMODE((keys / "one").stat().st_mode)
    assert b"PRIVATE" not in public(keys).read_bytes()
    with pytest.raises(StorageError) as caught:
        new_key(keys / "one")
    assert "storage-exists" == caught.value.code


def test_who_signed_is_known_wherever_the_artifact_goes(
    signed: Path, keys: Path, tmp_path: Path
) -> None:
    name = signing.verify(signed, public(keys))[0]
    pack(signed, tmp_path / "a.tar.gz")
    unpack(tmp_path / "a.tar.gz", tmp_path / "b", require_signature=public(keys))
    for path in (signed, tmp_path / "a.tar.gz", tmp_path / "b"):
        with open_artifact(path, require_signature=public(keys)) as artifact:
            assert name == artifact.signed_by
        key, manifest = signing.verify(path, public(keys))
        assert (name, 200) == (key, manifest.n_samples)
        assert all(report.is_whole for report in verify_parts(path))
    assert 200 == load(signed, require_signature=public(keys)).n_samples_fit_


def test_nobody_need_ask_for_a_signature(signed: Path) -> None:
    with open_artifact(signed) as artifact:
        assert artifact.signed_by is None


def test_an_unsigned_artifact_is_refused_where_a_signature_is_required(
    tmp_path: Path, keys: Path
) -> None:
    making.save_small(tmp_path / "a")
    pack(tmp_path / "a", tmp_path / "a.tar.gz")
    for path in (tmp_path / "a", tmp_path / "a.tar.gz"):
        assert "signature-missing" == code_of(path, public(keys))


def test_a_signature_by_another_key_is_refused(signed: Path, keys: Path) -> None:
    assert "signature-untrusted" == code_of(signed, public(keys, "two"))


def test_several_keys_may_be_believed_at_once(signed: Path, keys: Path) -> None:
    both = keys / "both"
    both.write_bytes(
        b"old\n" + public(keys).read_bytes() + b"new\n" + public(keys, "two").read_bytes()
    )
    assert 2 == len(PublicKeys.read(both).names)
    for name in ("one", "two"):
        sign(signed, keys / name)
        with open_artifact(signed, require_signature=both):
            pass


def test_a_signature_of_another_manifest_is_refused(
    signed: Path, keys: Path, tmp_path: Path
) -> None:
    making.forge(signed, lambda fields: fields["source"].update(by="somebody else"))
    assert "signature-mismatch" == code_of(signed, public(keys))
    with pytest.raises(ArtifactError):
        pack(signed, tmp_path / "a.tar.gz")
    assert ["signature"] == [r.name for r in verify_parts(signed) if not r.is_whole]
    sign(signed, keys / "one")
    with open_artifact(signed, require_signature=public(keys)):
        pass


def test_a_forged_subject_does_not_make_a_signature(signed: Path, keys: Path) -> None:
    from hashlib import sha256

    from kneighbors.artifact.signature import Signature

    making.forge(signed, lambda fields: fields["source"].update(by="somebody else"))
    old = Signature.from_bytes((signed / "manifest.sig").read_bytes())
    manifest = sha256((signed / "manifest.json").read_bytes()).hexdigest()
    forged = Signature(old.key, manifest, old.signature)
    (signed / "manifest.sig").write_bytes(forged.to_bytes())
    assert "signature-mismatch" == code_of(signed, public(keys))


def test_nothing_of_a_manifest_is_understood_before_its_signature_is_right(
    signed: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (signed / "manifest.json").write_bytes(b"[" * 100_000)
    monkeypatch.setattr("kneighbors.artifact.opened.Manifest", None)
    assert "signature-mismatch" == code_of(signed, public(keys))


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff" * 100, b"x" * 5000])
def test_what_is_no_signature_is_refused(signed: Path, keys: Path, text: bytes) -> None:
    (signed / "manifest.sig").write_bytes(text)
    assert "signature-malformed" == code_of(signed, public(keys))
    (signed / "manifest.sig").unlink()
    (signed / "manifest.sig").symlink_to(signed / "manifest.json")
    assert "artifact-unsafe" == code_of(signed, public(keys))


def test_saving_over_an_artifact_takes_the_signature_away(signed: Path, keys: Path) -> None:
    save(signed, making.index(seed=1), making.catalog(), overwrite=True)
    assert "signature-missing" == code_of(signed, public(keys))


def test_a_key_of_the_wrong_kind_is_refused(signed: Path, keys: Path, tmp_path: Path) -> None:
    elliptic = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    files = {
        "other": elliptic.public_key().public_bytes(
            pem, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "private": (keys / "one").read_bytes(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        assert "key-kind" == code_of(signed, tmp_path / name)
    for data in (b"", b"no key", public(keys).read_bytes()[:-30]):
        (tmp_path / "none").write_bytes(data)
        assert "key-malformed" == code_of(signed, tmp_path / "none")
    for path in (public(keys), tmp_path / "other"):
        with pytest.raises(ParameterRefused) as caught:
            sign(signed, path)
        assert "key-kind" == caught.value.code
    assert "storage-missing" == code_of(signed, tmp_path / "nowhere")


def test_what_is_damaged_is_not_signed(tmp_path: Path, keys: Path) -> None:
    making.save_small(tmp_path / "a")
    pack(tmp_path / "a", tmp_path / "a.tar.gz")
    with (tmp_path / "a" / "vectors.npy").open("r+b") as file:
        file.seek(500)
        file.write(b"\x55")
    with pytest.raises(ArtifactError):
        sign(tmp_path / "a", keys / "one")
    assert not (tmp_path / "a" / "manifest.sig").exists()
    with pytest.raises(ParameterRefused) as caught:
        sign(tmp_path / "a.tar.gz", keys / "one")
    assert "sign-archive" == caught.value.code


def test_the_private_key_goes_nowhere(signed: Path, keys: Path, tmp_path: Path) -> None:
    pack(signed, tmp_path / "a.tar.gz", level=0)
    secret = b"".join((keys / "one").read_bytes().splitlines()[1:-1])
    key = serialization.load_pem_private_key((keys / "one").read_bytes(), None)
    raw = key.private_bytes_raw()  # type: ignore[union-attr]
    for file in [*signed.iterdir(), tmp_path / "a.tar.gz"]:
        data = file.read_bytes()
        assert not any(one in data for one in (secret, raw, raw.hex().encode()))
    assert {"manifest.sig"} == {f.name for f in signed.iterdir() if f.suffix == ".sig"}


@pytest.mark.parametrize(
    "change",
    [{"algorithm": "none"}, {"key": 3}, {"signature": "xyz"}, {"comment": "more"}],
    ids=lambda change: next(iter(change)),
)
def test_a_signature_of_other_fields_is_malformed(
    signed: Path, keys: Path, change: dict[str, object]
) -> None:
    path = signed / SIGNATURE
    fields = canonical.from_bytes(path.read_bytes(), "here")
    del fields["digest"]
    path.chmod(0o600)
    path.write_bytes(canonical.to_bytes({**fields, **change}))
    assert "signature-malformed" == code_of(signed, public(keys))
