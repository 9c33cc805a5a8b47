from __future__ import annotations

from typing import Any

import pytest

from kneighbors.errors import ParameterRefused
from kneighbors.formats import Limits


def test_the_default_body_is_what_sagemaker_lets_through() -> None:
    assert Limits().max_body_bytes == 6_291_456


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "10", None])
@pytest.mark.parametrize("name", ["max_body_bytes", "max_rows", "max_answers"])
def test_a_limit_is_a_positive_integer(name: str, value: Any) -> None:
    with pytest.raises(ParameterRefused, match=name) as caught:
        Limits(**{name: value})
    assert caught.value.code == "limit-range"
