"""The limits of hosting, out of variables."""

from __future__ import annotations

import pytest

from kneighbors.errors import ParameterRefused
from kneighbors.local.hosting_settings import HostingSettings


def test_without_variables_the_limits_are_those_of_aws() -> None:
    settings = HostingSettings.from_environment({"KNEIGHBORS_LOCAL_ROOT": "/somewhere"})
    assert (60.0, None) == (settings.invocation_timeout_s, settings.startup_timeout_s)


@pytest.mark.parametrize(
    ("text", "code"), [("soon", "setting-type"), ("0", "setting-range"), ("nan", "setting-range")]
)
def test_what_is_no_number_of_seconds_is_refused_by_name(text: str, code: str) -> None:
    with pytest.raises(ParameterRefused, match="KNEIGHBORS_LOCAL_DRAIN_S") as caught:
        HostingSettings.from_environment({"KNEIGHBORS_LOCAL_DRAIN_S": text})
    assert code == caught.value.code
