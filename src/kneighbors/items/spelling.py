"""Which known words are spelled like an unknown one, at a cost that the words do not decide.

A catalogue may hold ten million ids, so they cannot all be compared. Two bounded searches stand in
for it: every word one edit away is made and looked up, which finds a slip of the finger in a
catalogue of any size; and a sample of the ids is compared by `difflib`, which finds looser likeness
in a small one.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches

#: How many known words are compared by difflib: about 10 ms for words of 64 characters.
SAMPLE = 500

_LONGEST = 64
_LONGEST_EDITED = 24
_ALPHABET = 30

Find = Callable[[Sequence[str]], Sequence[str]]


def nearest(word: str, find: Find, sample: Sequence[str], most: int = 3) -> list[str]:
    """Return known words that are spelled like an unknown one, the likeliest first.

    Parameters
    ----------
    word : str
        The unknown word; of one longer than 64 characters only the first 64 are compared.
    find : callable
        Returns those of the given words that are known, in their order.
    sample : sequence of str
        Some known words, or all of them; the first 500 are compared.
    most : int, default 3
        How many words to return at most.

    Returns
    -------
    list of str
        Possibly empty.

    Notes
    -----
    At most 1,600 words are looked up and 500 compared.

    Examples
    --------
    >>> known = ["wine-17", "wine-18", "cider-1"]
    >>> nearest("wien-17", lambda words: [w for w in words if w in known], known)
    ['wine-17', 'wine-18']
    """
    short = [known for known in sample[:SAMPLE] if len(known) <= 2 * _LONGEST]
    found = list(find(list(_variants(word[: 2 * _LONGEST]))))
    if len(word) <= _LONGEST_EDITED:
        found += find(list(edits(word, letters_of(short))))
    if len(found) < most:
        found += get_close_matches(word[:_LONGEST], short, n=most)
    return list(dict.fromkeys(found))[:most]


def _variants(word: str) -> Iterator[str]:
    """Write the word in other letters: case, blanks, composed or decomposed accents."""
    yield from (word.strip(), word.lower(), word.upper(), word.title(), word.casefold())
    for form in ("NFC", "NFD", "NFKC"):
        yield unicodedata.normalize(form, word)


def letters_of(words: Sequence[str]) -> str:
    """Return the 30 characters that known words are made of, the most frequent first."""
    counts = Counter(letter for word in words for letter in word)
    return "".join(letter for letter, _ in counts.most_common(_ALPHABET))


def edits(word: str, letters: str) -> Iterator[str]:
    """Make every word one exchange, deletion, replacement or insertion away."""
    halves = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    for head, tail in halves:
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
    for head, tail in halves:
        if tail:
            yield head + tail[1:]
    for head, tail in halves:
        for letter in letters:
            if tail:
                yield head + letter + tail[1:]
            yield head + letter + tail
