"""The vocabulary and the lists of a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kneighbors.artifact import open_artifact
from kneighbors.errors import CorpusRefused, ItemsRefused, KNeighborsError, StorageError
from kneighbors.items import Catalog
from kneighbors.sagemaker.settings import TrainingSettings
from kneighbors.sagemaker.training import train
from kneighbors.sagemaker.words import read_lists, read_vocabulary

TERMS = ["lime", "wet stone"]
VECTORS = np.array([[1.0, 2.0, 3.0], [0.5, 0.0, -1.0]], dtype=np.float32)


def npz(folder: Path) -> Path:
    path = folder / "terms.npz"
    np.savez(path, terms=np.array(TERMS), vectors=VECTORS.astype(np.float16), idf=[2.0, 3.0])
    return path


def parquet(folder: Path) -> Path:
    columns = {
        "word": TERMS,
        "vector": pa.array(VECTORS.tolist(), pa.list_(pa.float32())),
        "weight": [2.0, 3.0],
        "synonyms": [["limes"], None],
    }
    pq.write_table(pa.table(columns), folder / "terms.parquet")
    return folder / "terms.parquet"


def csv(folder: Path) -> Path:
    path = folder / "terms.csv"
    path.write_text(
        "term,d0,d1,d2,idf,synonyms\nlime,1,2,3,2,limes | limey\nwet stone,0.5,0,-1,3,\n"
    )
    return path


@pytest.mark.parametrize("write", [npz, parquet, csv])
def test_a_vocabulary_is_read_from_every_kind_of_file(write: Any, tmp_path: Path) -> None:
    vocabulary = read_vocabulary(str(write(tmp_path)))
    expected = (2.0 * VECTORS[0] + 3.0 * VECTORS[1].astype(np.float64)) / 5.0
    assert vocabulary.terms == tuple(TERMS)
    assert vocabulary.vector_of(TERMS).tolist() == expected.tolist()
    synonyms: dict[Any, dict[str, str]] = {
        npz: {}, parquet: {"limes": "lime"}, csv: {"limes": "lime", "limey": "lime"}
    }  # fmt: skip
    assert vocabulary.synonyms == synonyms[write]


def test_a_file_without_terms_is_refused_with_its_columns(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", names=np.array(TERMS), vectors=VECTORS)
    with pytest.raises(ItemsRefused) as caught:
        read_vocabulary(str(tmp_path / "t.npz"))
    assert caught.value.code == "vocabulary-file"
    assert "'names'" in caught.value.message


def test_a_synonym_of_two_terms_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("term,d0,d1,synonyms\na,1,2,x\nb,3,4,y|x\n")
    with pytest.raises(ItemsRefused, match="'x' for 'a' and 'b'"):
        read_vocabulary(str(tmp_path / "t.csv"))


def test_what_is_wrong_with_a_vocabulary_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("term,d0,d1,weight\na,1,2,1\nb,3,4,-1\n")
    with pytest.raises(ItemsRefused) as caught:
        read_vocabulary(str(tmp_path / "t.csv"))
    assert caught.value.code == "vocabulary-weights"
    assert caught.value.where == f"{tmp_path / 't.csv'}, term 1"


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.npz").write_bytes(b"PK no more")
    with pytest.raises(CorpusRefused):
        read_vocabulary(str(tmp_path / "t.npz"))
    with pytest.raises(StorageError):
        read_vocabulary(str(tmp_path / "gone.npz"))


@pytest.mark.parametrize(
    ("ids", "lines", "rows"),
    [
        (["a", "b", "c"], "c\na\n", [0, 2]),
        (["10", "20", "30"], "30\n10\n", [0, 2]),
        ([10, 20, 30], "30\n10\n", [0, 2]),
        (None, "2\n", [2]),
    ],
)
def test_a_list_is_read_by_the_ids_of_the_catalogue(
    ids: Any, lines: str, rows: list[int], tmp_path: Path
) -> None:
    for name in ("seen.txt", "seen.csv"):
        (tmp_path / name).write_text(lines if name == "seen.txt" else "id\n" + lines)
        lists = read_lists([("seen", str(tmp_path / name))], Catalog(3, ids=ids))
        assert lists.rows("seen").tolist() == rows


def run(folder: Path, **options: Any) -> Any:
    rng = np.random.default_rng(0)
    table = {"id": ["a", "b", "c", "d"], "vector": rng.normal(size=(4, 3)).tolist()}
    pq.write_table(pa.table(table), folder / "corpus.parquet")
    given = {"train": str(folder / "corpus.parquet"), "model_dir": str(folder / "M"), **options}
    train(TrainingSettings.resolve(given, {}))
    return open_artifact(folder / "M")


def test_a_run_saves_the_vocabulary_and_the_lists(tmp_path: Path) -> None:
    (tmp_path / "seen.txt").write_text("d\nb\n")
    (tmp_path / "none.txt").write_text("")
    lists = f"seen={tmp_path / 'seen.txt'},never={tmp_path / 'none.txt'}"
    with run(tmp_path, vocabulary=str(npz(tmp_path)), lists=lists) as artifact:
        assert artifact.vocabulary.terms == tuple(TERMS)
        assert artifact.vocabulary.vector_of(["lime"]).tolist() == [1.0, 2.0, 3.0]
        assert artifact.lists.names == ("seen", "never")
        assert artifact.lists.rows("seen").tolist() == [1, 3]
        assert artifact.lists.rows("never").tolist() == []


def test_a_run_without_them_has_none(tmp_path: Path) -> None:
    with run(tmp_path) as artifact:
        assert artifact.vocabulary is None
        assert artifact.lists.names == ()


@pytest.mark.parametrize(
    ("lists", "code"),
    [
        ("seen", "parameter-type"),
        ("seen=", "parameter-type"),
        ("=x.txt", "parameter-type"),
        ("seen=x.txt,seen=y.txt", "parameter-type"),
        ("seen=gone.txt", "storage-missing"),
    ],
)
def test_lists_that_cannot_be_read_are_refused(lists: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(KNeighborsError) as caught:
        run(tmp_path, lists=lists)
    assert caught.value.code == code
    assert not (tmp_path / "M").exists()


def test_a_vocabulary_of_another_width_is_refused_before_the_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", terms=np.array(TERMS), vectors=VECTORS[:, :2])
    with pytest.raises(ItemsRefused) as caught:
        run(tmp_path, vocabulary=str(tmp_path / "t.npz"))
    assert caught.value.code == "vocabulary-width"
