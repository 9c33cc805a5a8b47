"""Log streams on the disk, as CloudWatch names them: groups, and in them one stream a container.

A stream is a file of lines, each the time in milliseconds since the epoch, a space, and the text.
"""

from __future__ import annotations

import heapq
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

#: The longest line, in bytes of UTF-8; the rest is cut off.
LINE_BYTES = 256 << 10
#: The longest stream; what comes after is dropped, and the stream's last line says so.
STREAM_BYTES = 256 << 20

Line = tuple[int, str, str]
_NAME = re.compile(r"[\w\-./#$@\[\]]{1,240}", re.ASCII)
_SUFFIX = ".log"


class Logs:
    """The streams under one directory; safe to use from several threads.

    Parameters
    ----------
    folder : Path
        It is made if there is none.

    Examples
    --------
    >>> logs = Logs(getfixture("tmp_path") / "logs")
    >>> with logs.writer("/aws/sagemaker/TrainingJobs", "wines/algo-1") as writer:
    ...     writer.write_line("fitted", at_ms=5)
    >>> list(logs.lines("/aws/sagemaker/TrainingJobs"))
    [(5, 'wines/algo-1', 'fitted')]
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        #: Called with the group and the stream when a stream begins.
        self.watcher: Callable[[str, str], None] | None = None

    def writer(self, group: str, stream: str) -> LogWriter:
        """Open a stream; what it holds already stays."""
        path = self.path(group, stream)
        path.parent.mkdir(exist_ok=True)
        writer = LogWriter(path)
        if self.watcher is not None:
            self.watcher(group, stream)
        return writer

    def groups(self) -> list[str]:
        """Return the names of the groups that have a stream."""
        return sorted(_name(path.name) for path in self._folder.iterdir())

    def streams(self, group: str, prefix: str = "") -> list[str]:
        """Return the names of a group's streams, the oldest first."""
        found = []
        for path in (self._folder / _file(group)).glob("*" + _SUFFIX):
            stream = _name(path.name.removesuffix(_SUFFIX))
            if stream.startswith(prefix):
                found.append((path.stat().st_ctime_ns, stream))
        # By name where several began in the same instant: hosts of one job.
        return [stream for _, stream in sorted(found, key=lambda pair: pair[1])]

    def lines(self, group: str, stream_prefix: str = "") -> Iterator[Line]:
        """Yield time in milliseconds, stream and text, in the order of time."""
        streams = self.streams(group, stream_prefix)
        return heapq.merge(
            *(self.stream_lines(group, stream) for stream in streams), key=lambda line: line[0]
        )

    def stream_lines(self, group: str, stream: str, offset: int = 0) -> Iterator[Line]:
        """Yield the whole lines of one stream, from a place in its file on."""
        for _, at_ms, text in read_lines(self.path(group, stream), offset):
            yield at_ms, stream, text

    def tail(self, group: str, n: int, stream_prefix: str = "") -> list[str]:
        """Return the texts of the newest lines."""
        return [text for _, _, text in deque(self.lines(group, stream_prefix), maxlen=n)]

    def remove(self, group: str, stream_prefix: str) -> None:
        """Remove streams, of an endpoint that was deleted say; there need be none."""
        for stream in self.streams(group, stream_prefix):
            self.path(group, stream).unlink(missing_ok=True)

    def path(self, group: str, stream: str) -> Path:
        """Return the file of a stream."""
        return self._folder / _file(group) / (_file(stream) + _SUFFIX)


class LogWriter:
    """An open stream; safe to use from several threads.

    Parameters
    ----------
    path : Path
        Its file.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o644)
        self._left = STREAM_BYTES - os.fstat(self._descriptor).st_size

    def write_line(self, text: str | bytes, at_ms: int | None = None) -> None:
        """Append a line; text with several becomes as many.

        Parameters
        ----------
        text : str or bytes
            Bytes that are no UTF-8 are replaced.
        at_ms : int, optional
            Milliseconds since the epoch; by default now.
        """
        at_ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
        data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
        for line in data.rstrip(b"\r\n").split(b"\n"):
            self._append(b"%d %s\n" % (at_ms, line[:LINE_BYTES]))

    def close(self) -> None:
        """Close the stream; what is written afterwards is dropped."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _append(self, record: bytes) -> None:
        with self._lock:
            if self._descriptor < 0 or self._left <= 0:
                return
            self._left -= len(record)
            if self._left <= 0:
                stamp = record.split(b" ", 1)[0]
                record = stamp + b" [the log ends here: it is as long as a log may be]\n"
            try:
                os.write(self._descriptor, record)
            except OSError:
                # A full disk must not end what is being logged.
                return


def read_lines(path: Path, offset: int = 0) -> Iterator[tuple[int, int, str]]:
    """Yield the place after a line, its time and its text; an unfinished last line is left out."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        for record in file:
            if not record.endswith(b"\n"):
                return
            offset += len(record)
            stamp, _, text = record[:-1].partition(b" ")
            if stamp.isdigit():  # another program's hands, or a write cut short by a full disk
                yield offset, int(stamp), text.decode("utf-8", "replace")


def _file(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"Expected the name of a log group or stream, got {name!r}.")
    return name.replace("/", "+")  # which no name of CloudWatch has


def _name(file: str) -> str:
    return file.replace("+", "/")
