"""CloudWatch Logs of moto, reading the streams on the disk whenever it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kneighbors.local.logs import Logs, LogWriter, read_lines
from kneighbors.local.moto_inside import Inside


@dataclass(frozen=True, slots=True)
class Event:
    """A line, as moto's streams hold them."""

    event_id: int
    timestamp: int
    message: str

    @property
    def ingestion_time(self) -> int:
        """When it was written, in milliseconds since the epoch."""
        return self.timestamp

    def to_response_dict(self) -> dict[str, Any]:
        """Return the line as GetLogEvents has it."""
        return {
            "ingestionTime": self.timestamp,
            "message": self.message,
            "timestamp": self.timestamp,
        }

    def to_filter_dict(self) -> dict[str, Any]:
        """Return the line as FilterLogEvents has it."""
        return {"eventId": str(self.event_id), **self.to_response_dict()}


class MotoLogs:
    """The view that moto has of `Logs`.

    Parameters
    ----------
    inside : Inside
        moto.
    logs : Logs
        What is there is shown from the start, and each new stream when it begins.
    account, region : str
    """

    def __init__(self, inside: Inside, logs: Logs, account: str, region: str) -> None:
        self._inside = inside
        self._logs = logs
        self._place = (account, region)
        self._make_stream = _disk_stream(inside)
        for group in logs.groups():
            for stream in logs.streams(group):
                self.began(group, stream)

    def began(self, group: str, stream: str) -> None:
        """Show a stream."""
        groups = self._inside.logs.groups
        if group not in groups:
            groups[group] = self._inside.log_group(*self._place, group)
        if stream not in groups[group].streams:
            path = self._logs.path(group, stream)
            groups[group].streams[stream] = self._make_stream(groups[group], stream, path)


def _disk_stream(inside: Inside) -> Any:
    class DiskStream(inside.log_stream):  # type: ignore[misc, name-defined]
        """A stream whose events are lines of a file."""

        def __init__(self, group: Any, name: str, path: Path) -> None:
            self._path = path
            super().__init__(group, name)
            self.creation_time = _moto_time(path.stat().st_ctime)

        @property
        def events(self) -> list[Event]:
            return [Event(place, at_ms, text) for place, at_ms, text in read_lines(self._path)]

        @events.setter
        def events(self, value: list[Any]) -> None:
            pass  # moto's first, empty list; the file is what counts

        @property
        def last_ingestion_time(self) -> datetime:
            return _moto_time(self._path.stat().st_mtime)

        @last_ingestion_time.setter
        def last_ingestion_time(self, value: object) -> None:
            pass

        @property
        def stored_bytes(self) -> int:
            return self._path.stat().st_size

        @stored_bytes.setter
        def stored_bytes(self, value: int) -> None:
            pass

        def put_log_events(self, log_events: list[dict[str, Any]]) -> str:
            with LogWriter(self._path) as writer:
                for event in log_events:
                    writer.write_line(event["message"], event["timestamp"])
            self.upload_sequence_token += 1
            return f"{self.upload_sequence_token:056d}"

    return DiskStream


def _moto_time(seconds: float) -> datetime:
    """Return a time as moto has them: of UTC, without saying so."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def _as_moto(at: float) -> datetime:
    """Return a time as moto has times: in UTC, and not saying so."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None)
