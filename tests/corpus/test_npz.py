from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.corpus import read_corpus
from kneighbors.errors import CorpusRefused, KNeighborsError

X = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)


def npy(values: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def refused(path: Path, **options: Any) -> CorpusRefused:
    with pytest.raises(CorpusRefused) as caught:
        read_corpus(path, **options)
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_matrix_ids_and_attributes_come_back(tmp_path: Path, save: Any, order: Any) -> None:
    names = np.array(["Ch\u00e2teau", "", "c", "d", "e", "f", "g"])
    path = tmp_path / "x.npz"
    save(path, vectors=np.array(X, order=order), ids=np.arange(7, 0, -1), name=names, p=X[:, 0])
    corpus = read_corpus(path)
    np.testing.assert_array_equal(corpus.X, X)
    assert corpus.X.dtype == np.float32
    assert corpus.ids is not None
    assert corpus.ids.to_pylist() == [7, 6, 5, 4, 3, 2, 1]
    assert corpus.items is not None
    assert corpus.items.to_pydict() == {"name": names.tolist(), "p": X[:, 0].tolist()}


@pytest.mark.parametrize("name", ["vectors", "X", "arr_0", "anything"])
def test_the_one_matrix_is_found_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "x.npz", {f"{name}.npy": npy(X)})
    np.testing.assert_array_equal(read_corpus(path).X, X)


def test_of_several_matrices_one_is_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.npz", {"a.npy": npy(X), "b.npy": npy(X)})
    error = refused(path)
    assert error.code == "corpus-columns"
    assert "'a' (7, 3), 'b' (7, 3)" in str(error)
    error = refused(path, vector_column="c")
    assert error.code == "corpus-columns"
    # The other matrix is no attribute of one value a row.
    assert refused(path, vector_column="a").code == "corpus-npz"


def test_ids_may_be_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", X, wine=np.array(list("abcdefg")))
    corpus = read_corpus(tmp_path / "x.npz", id_column="wine")
    assert corpus.ids is not None
    assert corpus.ids.to_pylist() == list("abcdefg")
    assert corpus.items is None
    assert refused(tmp_path / "x.npz", id_column="none").code == "corpus-columns"
    assert refused(tmp_path / "x.npz", columns=["a"]).code == "corpus-columns"


def test_doubled_ids_are_refused_when_asked_for_and_kept_when_not(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", X, ids=np.zeros(7, np.int64))
    corpus = read_corpus(tmp_path / "x.npz")
    assert corpus.ids is None
    assert corpus.items is not None
    assert corpus.items.column_names == ["ids"]
    with pytest.raises(KNeighborsError) as caught:
        read_corpus(tmp_path / "x.npz", id_column="ids")
    assert caught.value.code == "ids-doubled"


@pytest.mark.parametrize(
    ("members", "code", "words"),
    [
        ({}, "corpus-npz", "got 0"),
        ({f"m{n}.npy": npy(X) for n in range(65)}, "corpus-npz", "got 65"),
        ({"../x.npy": npy(X)}, "corpus-npz", "without directories"),
        ({"/etc/x.npy": npy(X)}, "corpus-npz", "without directories"),
        ({"a\\x.npy": npy(X)}, "corpus-npz", "without directories"),
        ({"a\nb.npy": npy(X)}, "corpus-npz", "without directories"),
        ({"x.txt": b"text"}, "corpus-npz", "NAME.npy"),
        ({"x.npy": npy(X), "X.npy": npy(X)}, "corpus-npz", "of one name"),
        ({"x.npy": npy(X)[:-1]}, "corpus-truncated", "got 211"),
        ({"x.npy": npy(X) + b"\0"}, "corpus-damaged", "got 213"),
        ({"x.npy": b"nothing like it"}, "corpus-damaged", "begins with"),
        ({"x.npy": npy(X[0])}, "corpus-columns", "'x' (3,)"),
        ({"x.npy": npy(X[:0])}, "corpus-empty", "(0, 3)"),
        ({"x.npy": npy(X), "ids.npy": npy(np.arange(6))}, "corpus-npz", "the 7 rows"),
        ({"x.npy": npy(X), "note.npy": npy(np.float32(1))}, "corpus-npz", "shape ()"),
        ({"x.npy": npy(np.array([["a"]]))}, "corpus-dtype", "texts"),
        ({"x.npy": npy(X.astype(complex))}, "corpus-dtype", "complex"),
    ],
)
def test_members_that_are_not_understood_are_refused(
    tmp_path: Path, members: dict[str, bytes], code: str, words: str
) -> None:
    error = refused(zipped(tmp_path / "x.npz", members))
    assert error.code == code
    assert words in str(error)
    assert "\n" not in str(error)


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", npy(X))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.npy", npy(-X))
    assert refused(tmp_path / "x.npz").code == "corpus-npz"


def test_an_array_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([object] * 7), allow_pickle=True)
    path = zipped(tmp_path / "x.npz", {"x.npy": npy(X), "ids.npy": buffer.getvalue()})
    error = refused(path)
    assert error.code == "corpus-dtype"
    assert "member 'ids.npy'" in str(error)


def test_a_bomb_is_refused_before_it_inflates(tmp_path: Path) -> None:
    header = npy(np.zeros((1, 1024), np.float32))[:128].replace(b"(1, 1024), ", b"(262144, 1024), ")
    header = header[:118] + header[122:]  # four bytes of padding made room for the digits
    header = header[:8] + (len(header) - 10).to_bytes(2, "little") + header[10:]
    path = tmp_path / "x.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w") as member,
    ):
        member.write(header)
        for _ in range(64):
            member.write(bytes(1 << 22))
    assert path.stat().st_size < 2 << 20
    error = refused(path)
    assert error.code == "corpus-too-large"
    assert "bytes that claim to be 268,4" in str(error)


def test_a_small_file_may_compress_well(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", np.zeros((1000, 300)))
    assert read_corpus(tmp_path / "x.npz").X.shape == (1000, 300)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.npz", {"x.npy": npy(X)}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag in the header of the member
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(data)
    error = refused(path)
    assert error.code == "corpus-npz"
    assert "encrypted" in str(error)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(tmp_path: Path, method: int) -> None:
    error = refused(zipped(tmp_path / "x.npz", {"x.npy": npy(X)}, method))
    assert "stored or deflated" in str(error)


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "whole.npz", {"x.npy": npy(X)}).read_bytes()
    for length in range(1, len(whole), 7):
        (tmp_path / "x.npz").write_bytes(whole[:length])
        assert refused(tmp_path / "x.npz").code == "corpus-damaged"


def test_a_changed_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "whole.npz", {"x.npy": npy(X)}).read_bytes()
    path = tmp_path / "x.npz"
    n_refused = 0
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x10
        path.write_bytes(changed)
        try:
            np.testing.assert_array_equal(read_corpus(path).X, X)
        except KNeighborsError:
            n_refused += 1
    assert n_refused > len(whole) * 3 // 4


def test_a_member_that_is_shorter_than_it_says_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.npz", {"x.npy": npy(X)}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    start = data.index(b"\x93NUMPY")
    del data[start + 150 : start + 160]
    path.write_bytes(data)
    assert refused(path).code == "corpus-damaged"


def test_text_that_is_no_unicode_is_refused(tmp_path: Path) -> None:
    names = np.array(["abcdefgh"] * 7)
    raw = bytearray(npy(names))
    raw[-4:] = (0xD800).to_bytes(4, "little")
    error = refused(zipped(tmp_path / "x.npz", {"x.npy": npy(X), "n.npy": bytes(raw)}))
    assert error.code == "corpus-encoding"
