"""Which wine a row is: its variety, country, points, price and the terms that a taster noted.

Everything is drawn row by row (`draws`), so any set of rows can be made alone. A few rows in a
hundred are another vintage of an earlier wine, with the same terms or all but one of them: tasting
data hold such doubles, and a search has to get them right.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kneighbors.datasets.draws import Choice, bell, below, bits
from kneighbors.datasets.varieties import COLOURS, STYLES, VARIETIES
from kneighbors.datasets.vocabulary import GROUPS, TERMS

Numbers = NDArray[np.int64]

NO_TERM: Final = len(TERMS)
"""Fills a list of terms up to the width of the longest."""

COUNTRIES: Final[tuple[str, ...]] = tuple(
    sorted({country for variety in VARIETIES for country in variety.countries})
)

# Of a thousand rows, so many repeat an earlier wine's terms, all of them or all but one.
_REPEATS: Final = 30
_NEAR_REPEATS: Final = 50

# How many wines have so many terms: short notes are common, long ones rare.
_LENGTHS: Final = {4: 8, 5: 15, 6: 18, 7: 17, 8: 14, 9: 11, 10: 7, 11: 5, 12: 3, 13: 1, 14: 1}
_LONGEST: Final = max(_LENGTHS)
_MEAN_LENGTH: Final = 7
# Terms are drawn with repetition and the first distinct ones kept. The few lists for which these
# do not suffice stay shorter.
_CANDIDATES: Final = 2 * _LONGEST

# A group's weight in a recipe, when it is neither the colour's nor the variety's: a rare surprise.
_STRAY: Final = 1
# What a leaning of one weighs against that.
_LEANING: Final = 6

_FIRST_VINTAGE: Final = 2008
_VINTAGES: Final = 14

# Prices rise by an eighth or so from rung to rung and are whole numbers, as on a shelf.
_CHEAPEST: Final = 5.0
_RUNG: Final = 1.12
_RUNGS: Final = 60
_MIDDLE_RUNG: Final = 9.0
_PRICES_UNKNOWN_PERCENT: Final = 7


class Tasted(NamedTuple):
    """Wines as numbers; each field is an array with one entry a row."""

    variety: Numbers
    """Places in `varieties.VARIETIES`."""

    country: Numbers
    """Places in `COUNTRIES`."""

    house: Numbers
    """Any numbers below 2**31, to be reduced to the count of names."""

    vineyard: Numbers
    """As `house`."""

    vintage: Numbers
    """Years."""

    points: Numbers
    """From 80 to 100."""

    price: NDArray[np.float64]
    """NaN where unknown."""

    terms: Numbers
    """Of shape (n, width): places in `vocabulary.TERMS`, then `NO_TERM` up to the width."""


def taste(seed: int, rows: Numbers) -> Tasted:
    """Draw the wines of the given rows.

    Parameters
    ----------
    seed : int
        Which wines there are.
    rows : ndarray of shape (n,), dtype int64
        Numbers of rows, in any order.

    Returns
    -------
    Tasted

    Notes
    -----
    O(n): some 50 draws a row, and about 2 kB a row while it is at work.
    """
    first, changes = _first_vintages(seed, rows)
    origin = _origins().pick(bits(seed, "origin", first))
    variety, country = (column[origin] for column in _origin_columns())
    style = _styles().pick(bits(seed, "style", first))
    recipe = variety * len(STYLES) + style

    terms = _terms(seed, first, recipe)
    _change_one_term(seed, rows, changes, recipe, terms)

    # Quality stays in the family: a vintage differs a little from the first.
    quality = bell(bits(seed, "quality", first)) + 0.3 * bell(bits(seed, "vintage quality", rows))
    return Tasted(
        variety=variety,
        country=country,
        house=below(bits(seed, "house", first), 1 << 31),
        vineyard=below(bits(seed, "vineyard", first), 1 << 31),
        vintage=_vintage(seed, rows, first),
        points=_points(quality, style),
        price=_prices(seed, rows, quality, variety, style),
        terms=terms,
    )


def term_frequencies() -> NDArray[np.float64]:
    """Return the share of wines that each term is expected in.

    Returns
    -------
    ndarray of shape (n_terms,), dtype float64
        In closed form, so it depends neither on how many wines are made nor on their seed.
    """
    recipes = np.asarray(_recipe_weights(), np.float64)
    chances = recipes / recipes.sum(axis=1, keepdims=True)
    absent = np.ones_like(chances)
    for _ in range(_MEAN_LENGTH):
        absent *= 1.0 - chances
    shares = np.zeros(len(TERMS))
    weights = [variety.weight * style.weight for variety in VARIETIES for style in STYLES]
    for weight, row in zip(weights, 1.0 - absent, strict=True):
        shares += weight / sum(weights) * row
    return shares


@cache
def _origins() -> Choice:
    """Weigh every variety in every country."""
    # A variety's countries share its weight, whatever their own numbers add up to.
    weights = [
        1000 * variety.weight * weight // sum(variety.countries.values())
        for variety in VARIETIES
        for weight in variety.countries.values()
    ]
    return Choice([weights])


@cache
def _origin_columns() -> tuple[Numbers, Numbers]:
    pairs = [
        (place, COUNTRIES.index(country))
        for place, variety in enumerate(VARIETIES)
        for country in variety.countries
    ]
    varieties, countries = np.array(pairs, np.int64).T
    return varieties, countries


@cache
def _styles() -> Choice:
    return Choice([[style.weight for style in STYLES]])


@cache
def _lengths() -> Choice:
    return Choice([list(_LENGTHS.values())])


@cache
def _recipes() -> Choice:
    return Choice(_recipe_weights())


def _recipe_weights() -> list[list[int]]:
    """Weigh every term, for each variety made in each style, in the order of both."""
    recipes = []
    for variety in VARIETIES:
        colour = COLOURS[variety.colour]
        for style in STYLES:
            row = []
            for name, group in GROUPS.items():
                leaning = colour.get(name, 0) + variety.leanings.get(name, 0)
                weight = _STRAY + _LEANING * leaning * style.emphasis.get(name, 1)
                # Within a group a term is the rarer, the later it stands.
                shares = [
                    10_000 // ((place + 1) * (place + 4)) for place in range(len(group.terms))
                ]
                row += [weight * 1000 * share // sum(shares) for share in shares]
            recipes.append(row)
    return recipes


def _first_vintages(seed: int, rows: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
    """Return the rows whose wines these are vintages of, and which of them taste a bit different.

    Most rows are their own first vintage. Another's is an earlier row, hence the same whatever the
    number of rows.
    """
    first = rows.copy()
    fate = below(bits(seed, "fate", rows), 1000)
    changes = (fate >= _REPEATS) & (fate < _REPEATS + _NEAR_REPEATS)
    later = (fate < _REPEATS + _NEAR_REPEATS) & (rows > 0)
    while later.any():
        first[later] = below(bits(seed, "first vintage", first[later]), first[later])
        fate = below(bits(seed, "fate", first), 1000)
        later = (fate < _REPEATS + _NEAR_REPEATS) & (first > 0)
    return first, changes & (first != rows)


def _candidates(seed: int, stream: str, rows: Numbers, recipe: Numbers, count: int) -> Numbers:
    """Draw terms by the recipe, of shape (n, count), with repetition."""
    numbers = rows[:, None] * count + np.arange(count)
    return _recipes().pick(bits(seed, stream, numbers), recipe[:, None])


def _terms(seed: int, rows: Numbers, recipe: Numbers) -> Numbers:
    """Draw each row's distinct terms."""
    drawn = _candidates(seed, "terms", rows, recipe, _CANDIDATES)
    length = min(_LENGTHS) + _lengths().pick(bits(seed, "length", rows))
    terms = np.full((len(rows), _LONGEST), NO_TERM)
    filled = np.zeros(len(rows), np.int64)
    for candidate in drawn.T:
        new = (terms != candidate[:, None]).all(axis=1) & (filled < length)
        terms[new, filled[new]] = candidate[new]
        filled += new
    return terms


def _change_one_term(
    seed: int, rows: Numbers, changes: NDArray[np.bool_], recipe: Numbers, terms: Numbers
) -> None:
    """Put another term in the place of one, in place, where that makes no term double."""
    at = np.flatnonzero(changes)
    lengths = (terms[at] != NO_TERM).sum(axis=1)
    place = below(bits(seed, "changed place", rows[at]), lengths)
    other = _candidates(seed, "changed term", rows[at], recipe[at], 1)[:, 0]
    new = (terms[at] != other[:, None]).all(axis=1)
    terms[at[new], place[new]] = other[new]


def _vintage(seed: int, rows: Numbers, first: Numbers) -> Numbers:
    """Draw years; a later row's is not that of its first vintage."""
    years = below(bits(seed, "vintage", first), _VINTAGES)
    apart = 1 + below(bits(seed, "years apart", rows), _VINTAGES - 1)
    return _FIRST_VINTAGE + np.where(rows == first, years, (years + apart) % _VINTAGES)


def _points(quality: NDArray[np.float64], style: Numbers) -> Numbers:
    shift = np.array([style.points for style in STYLES])[style]
    points: Numbers = np.clip(np.rint(88.3 + 2.7 * quality + shift), 80, 100).astype(np.int64)
    return points


def _prices(
    seed: int, rows: Numbers, quality: NDArray[np.float64], variety: Numbers, style: Numbers
) -> NDArray[np.float64]:
    rung = _MIDDLE_RUNG + 3.4 * quality + 3.0 * bell(bits(seed, "price", rows))
    rung += np.array([float(variety.cost) for variety in VARIETIES])[variety]
    rung += np.array([style.rungs for style in STYLES])[style]
    prices = _ladder()[np.clip(np.rint(rung), 0, _RUNGS - 1).astype(np.int64)]
    prices[below(bits(seed, "price unknown", rows), 100) < _PRICES_UNKNOWN_PERCENT] = np.nan
    return prices


@cache
def _ladder() -> NDArray[np.float64]:
    steps = [_CHEAPEST]
    for _ in range(_RUNGS - 1):
        steps.append(steps[-1] * _RUNG)
    return np.rint(steps)
