"""How much is tried: a little while one works, more in a check, a lot in a soak.

``KNEIGHBORS_PROFILE`` chooses ``dev``, ``ci`` or ``soak``; ``CI=true`` without it means ``ci``.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

#: Examples of a property, by profile.
EXAMPLES = {"dev": 25, "ci": 200, "soak": 20_000}
#: Bodies that the fuzz tests try in all, by profile. They are run by `make test-faults` alone, so
#: that only who asks for fewer gets fewer.
BODIES = {"dev": 5_000, "ci": 100_000, "soak": 1_000_000}


def chosen() -> str:
    """Return the name of the profile that the environment asks for."""
    name = os.environ.get("KNEIGHBORS_PROFILE", "")
    if name:
        if name not in EXAMPLES:
            raise ValueError(
                f"Expected KNEIGHBORS_PROFILE to be {' or '.join(EXAMPLES)}, got {name!r}."
            )
        return name
    return "ci" if os.environ.get("CI") == "true" else "dev"


def share(bodies_of_ci: int) -> int:
    """Return how many to try of what a check tries `bodies_of_ci` of."""
    name = os.environ.get("KNEIGHBORS_PROFILE") or "ci"
    return max(1, bodies_of_ci * BODIES[name] // BODIES["ci"])


def load() -> None:
    """Register the profiles with hypothesis, and load the one that was chosen."""
    for name, examples in EXAMPLES.items():
        settings.register_profile(
            name,
            max_examples=examples,
            deadline=None,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
    settings.load_profile(chosen())
