"""Which generations go once a newer one counts."""

from __future__ import annotations

import time

from kneighbors.generations.generation import number_of
from kneighbors.generations.place import Place

#: Seconds after its completion in which a generation is not removed: a reader that saw the pointer
#: on it may still be opening it.
GRACE_S = 60.0


def remove_old(place: Place, keep: int, grace_s: float, left: str | None) -> list[str]:
    """Remove older generations.

    Parameters
    ----------
    place : Place
    keep : int
        How many stay, the current one included.
    grace_s : float
        Younger ones stay as well.
    left : str or None
        The generation that the pointer has just left, which stays until the next time: readers
        may be about to open it.

    Returns
    -------
    list of str
        Those that were removed. Those with higher numbers than the current one are never among
        them: their publishers are about to move the pointer.
    """
    current = place.pointer().generation
    older = [one for one in place.ids() if number_of(one) < number_of(current)]
    stay = set(older[len(older) - (keep - 1) :]) if keep > 1 else set()
    gone = []
    for generation in older:
        age_s = time.time() - place.published_s(generation)
        if generation not in stay and generation != left and age_s >= grace_s:
            place.remove(generation)
            gone.append(generation)
    return gone
