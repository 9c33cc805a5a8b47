"""The vocabulary and the named lists of a training run, from their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kneighbors.corpus import read_corpus
from kneighbors.errors import ItemsRefused
from kneighbors.items import Catalog
from kneighbors.items.lists import Lists
from kneighbors.items.quoting import names_listed, quoted
from kneighbors.items.vocabulary import Vocabulary
from kneighbors.sagemaker.labels import read_ids

if TYPE_CHECKING:
    import pyarrow as pa

_TERMS = ("term", "terms", "word", "words", "token")
_WEIGHTS = ("weight", "weights", "idf")
_SYNONYMS = ("synonym", "synonyms")
#: What stands between synonyms in a cell of text.
_BETWEEN = "|"


def read_vocabulary(address: str) -> Vocabulary:
    """Return the vocabulary in a file.

    Parameters
    ----------
    address : str
        A path or ``s3://`` of a ``.npz``, ``.csv``, ``.parquet`` or ``.arrow`` file with a row for
        each term, as `kneighbors.corpus.read_corpus` reads it: a column ``term`` (or ``terms``,
        ``word``, ``words``, ``token``), the vector in one column or in many, and if there are such
        a column ``weight`` (or ``weights``, ``idf``), and ``synonym`` or ``synonyms``, lists of
        text or text with ``|`` between.

    Raises
    ------
    ItemsRefused
        ``vocabulary-file`` without a column of terms, or if a word is a synonym of two terms; or
        what `Vocabulary` refuses.
    CorpusRefused, StorageError
        If the file cannot be read.
    """
    corpus = read_corpus(address)
    table = corpus.items
    names = [] if table is None else table.column_names
    terms = _column(table, _TERMS)
    if terms is None and corpus.ids is not None:
        terms = corpus.ids.to_pylist()
    if terms is None:
        raise ItemsRefused(
            "vocabulary-file",
            f"Expected a column called {' or '.join(_TERMS)}, "
            f"got {names_listed(names) or 'no column'} beside the vectors.",
            where=address,
        )
    weights = _column(table, _WEIGHTS)
    synonyms = _synonyms(terms, _column(table, _SYNONYMS) or [], address)
    try:
        return Vocabulary(terms, corpus.X, weights, synonyms)
    except ItemsRefused as error:
        where = f"{address}, {error.where}" if error.where else address
        raise ItemsRefused(error.code, error.message, where=where, hint=error.hint) from error


def read_lists(files: Sequence[tuple[str, str]], catalog: Catalog) -> Lists:
    """Return lists of ids, each from a file that `read_ids` reads.

    Parameters
    ----------
    files : sequence of (str, str)
        Names, and paths.
    catalog : Catalog
        Whose ids they are.

    Raises
    ------
    ItemsRefused
        ``ids-file``, or what `Lists.of_ids` refuses.
    StorageError
        If a file cannot be opened.
    """
    lists: dict[str, list[Any]] = {}
    for name, path in files:
        ids = read_ids(path)
        ids = ids.to_pylist() if hasattr(ids, "to_pylist") else list(ids)
        # A file of text whose every line is a number gives numbers; the ids may be texts all the
        # same, and none of them was changed by it.
        is_text = Path(path).suffix.lower() in (".txt", ".csv") and catalog.id_type == "string"
        lists[name] = [str(one) if is_text and isinstance(one, int) else one for one in ids]
    return Lists.of_ids(catalog, lists)


def _column(table: pa.Table | None, names: Sequence[str]) -> list[Any] | None:
    for name in names:
        if table is not None and name in table.column_names:
            values: list[Any] = table.column(name).to_pylist()
            return values
    return None


def _synonyms(terms: Sequence[Any], column: Sequence[Any], where: str) -> Mapping[str, str]:
    synonyms: dict[str, str] = {}
    for term, cell in zip(terms, column, strict=False):
        words = cell.split(_BETWEEN) if isinstance(cell, str) else cell or []
        for word in words:
            word = word.strip() if isinstance(word, str) else word
            if word and synonyms.setdefault(word, term) != term:
                raise ItemsRefused(
                    "vocabulary-file",
                    f"Expected a synonym of one term, got {quoted(word)} for "
                    f"{quoted(synonyms[word])} and {quoted(term)}.",
                    where=where,
                )
    return synonyms
