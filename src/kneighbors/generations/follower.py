"""A reader's view of a place: what the pointer names now, ready to be opened."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from kneighbors.errors import ArtifactError
from kneighbors.generations.finding import open_place
from kneighbors.generations.generation import Generation
from kneighbors.generations.pointer import Pointer
from kneighbors.search.progress import Progress, ignore


class Follower:
    """Tells when the pointer has moved, and gets what it names to this machine.

    Parameters
    ----------
    place : str or path
        A directory or ``s3://bucket/prefix``.
    cache_dir : str or path, optional
        Where generations of a place on S3 are copied to; by default
        `kneighbors.generations.cache.default_cache`. Not used for a directory.
    progress : callable, optional
        Called as ``progress("downloading", done, total)`` in bytes.
    vectors : bool, default=True
        False for whoever needs the ids and attributes of shards alone: of a place on S3, no more
        is copied, and the copy says where the shards are.

    Notes
    -----
    Belongs to one thread.
    """

    def __init__(
        self,
        place: str | os.PathLike[str],
        cache_dir: str | os.PathLike[str] | None = None,
        *,
        progress: Progress | None = None,
        vectors: bool = True,
    ) -> None:
        from kneighbors.generations.s3_place import S3Place

        self._place = open_place(place)
        self._progress = progress or ignore
        self._seen: str | None = None
        self._cache = None
        self._was_fetched = False
        self._vectors = vectors
        if isinstance(self._place, S3Place):
            from kneighbors.generations.cache import Cache, default_cache

            self._cache = Cache(cache_dir or default_cache(), self._place)

    def poll(self) -> Generation | None:
        """Return the generation that the pointer names, if the pointer has moved since last time.

        Returns
        -------
        Generation or None
            With a `path` that can be opened. Nothing if the pointer is what it was, whether or not
            what it names was of any use.

        Raises
        ------
        ArtifactError
            If the pointer or what it names is at fault; not again until the pointer moves.
        StorageError
            If the place cannot be read or the copy not be made; the next call tries again.
            ``place-unknown`` if there is no pointer.

        Notes
        -----
        One small file, or one request, if nothing has moved. A generation in a directory is
        returned after a look at its manifest; one on S3 is fetched, and compared with its
        checksums on the way.
        """
        data, tag = self._place.read()
        if data is not None and tag == self._seen:
            return None
        try:
            pointer = self._place.parsed(data)
            found = self._found(pointer)
        except ArtifactError:
            self._seen = tag
            raise
        self._seen = tag
        return found

    def mend(self, generation: Generation) -> bool:
        """Discard the copy of a generation that could not be opened, if it is an old copy.

        Returns
        -------
        bool
            Whether the next `poll` returns it again, from a new copy.
        """
        if self._cache is None or self._was_fetched:
            return False
        self._cache.discard(generation.id)
        self._seen = None
        return True

    def forget(self) -> None:
        """Let the next `poll` return what the pointer names, whether or not it has moved."""
        self._seen = None

    def tidy(self, *generations: Generation) -> None:
        """Remove copies of all generations but these."""
        if self._cache is not None:
            self._cache.keep_only({one.id for one in generations})

    def _found(self, pointer: Pointer) -> Generation:
        place, generation = self._place, pointer.generation
        path: Path | None
        if self._cache is None:
            place.top_of(generation).check_is(pointer)
            path = place.path_of(generation)
        else:
            fetch = self._cache.fetch if self._vectors else self._cache.fetch_items
            path, self._was_fetched = fetch(pointer, self._progress)
        return replace(place.known(generation, is_current=True), path=path)
