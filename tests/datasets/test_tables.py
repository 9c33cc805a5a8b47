"""The hand-written tables agree with each other."""

from __future__ import annotations

import pytest

from kneighbors.datasets.names import LANGUAGE_OF, LANGUAGES
from kneighbors.datasets.tasting import COUNTRIES
from kneighbors.datasets.varieties import COLOURS, STYLES, VARIETIES
from kneighbors.datasets.vocabulary import GROUPS, TERMS


def test_there_are_some_four_hundred_terms_and_each_stands_once() -> None:
    assert 400 <= len(TERMS) <= 450
    assert len(set(TERMS)) == len(TERMS)


def test_terms_are_plain_lower_case_text() -> None:
    assert [term for term in TERMS if term != term.strip().lower()] == []
    assert [term for term in TERMS if not term.replace(" ", "").replace("-", "").isalpha()] == []


def test_all_leanings_name_groups() -> None:
    tables = [*COLOURS.values(), *(v.leanings for v in VARIETIES), *(s.emphasis for s in STYLES)]
    assert {name for table in tables for name in table} <= set(GROUPS)


def test_each_variety_has_a_known_colour_and_grows_somewhere() -> None:
    assert {variety.colour for variety in VARIETIES} == set(COLOURS)
    assert len({variety.name for variety in VARIETIES}) == len(VARIETIES)
    for variety in VARIETIES:
        assert variety.weight > 0
        assert variety.countries
        assert min(variety.countries.values()) > 0


def test_each_country_speaks_a_language() -> None:
    assert set(COUNTRIES) == set(LANGUAGE_OF)
    assert set(LANGUAGE_OF.values()) == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_are_many_and_distinct(language: str) -> None:
    for names in (LANGUAGES[language].houses, LANGUAGES[language].vineyards):
        assert len(names) > 1000
        assert len(set(names)) == len(names)
        assert all(name.strip() == name and "{" not in name for name in names)
