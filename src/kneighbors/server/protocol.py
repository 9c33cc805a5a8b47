"""HTTP/1.1 on one connection, strictly, and with a deadline for everything that a client does.

uvicorn's protocol, with the gate of `kneighbors.server.framing` before its parser. What changes:
only bytes that can be read in one way reach the parser, one message at a time; heads, bodies,
answers and idle connections have deadlines; refusals are JSON; and a connection is closed so that
the client can read what was said last.
"""

from __future__ import annotations

from typing import Any, ClassVar

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kneighbors.server.bodies import CONNECTION
from kneighbors.server.deadlines import Pace, Timer
from kneighbors.server.framing import Bounds, Gate, Head, is_kept_by, malformed, may_be_shed
from kneighbors.server.pressure import Pressure
from kneighbors.server.refusals import HTTPRefused, overloaded, refusal
from kneighbors.server.settings import Settings
from kneighbors.server.telemetry import Telemetry
from kneighbors.server.wire import Wire, last_words

#: Methods that the parser is told as they are; any other goes through it as PUT, whose framing is
#: the same, and reaches the application by its own name.
_PARSED_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH"})

_CLOSE = (b"connection", b"close")

_HELD_BYTES = 65_536  # of requests that were sent before the one at hand was answered
_LINGER_S = 2.0  # how long a connection is read on after the last word, so that it is not lost
_DRAIN_IDLE_S = 0.25  # what has been sent to an idle connection may still be on its way


class StrictProtocol(HttpToolsProtocol):
    """One connection; see the module. What a worker has for all of them is set in a subclass."""

    settings: ClassVar[Settings]
    telemetry: ClassVar[Telemetry]
    pressure: ClassVar[Pressure]

    # Connection

    def connection_made(self, transport: Any) -> None:
        """Begin, unless there are too many connections already."""
        super().connection_made(Wire(transport, self))  # type: ignore[arg-type]
        settings = self.settings
        self.telemetry.connections(len(self.connections))
        self._real = transport
        self._gate = Gate(
            Bounds(
                settings.max_url_bytes,
                settings.max_header_bytes,
                settings.max_headers,
                settings.max_body_bytes,
            )
        )
        self._timer = Timer(self.loop)
        self._write_timer = Timer(self.loop)
        self._held = b""
        self._in_body = False
        self.is_ending = False  # nothing is read any more
        self._is_last = False  # the client sends nothing more
        self._is_draining = False
        if len(self.connections) > settings.max_connections:
            self._refuse(
                HTTPRefused(
                    "connections-exhausted",
                    f"Expected at most {settings.max_connections} connections, got one more.",
                )
            )
            return
        self._timer.start(settings.header_timeout_s, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything; the application learns that nobody listens."""
        self._timer.stop()
        self._write_timer.stop()
        self.is_ending = True
        super().connection_lost(exc)
        self.telemetry.connections(len(self.connections))

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what has come completely; a client may end its half of the connection early."""
        if self.is_ending or self._in_body or not (self._is_busy or self._held):
            return False
        self._is_last = True
        self._decide_on_keeping()
        return bool(self._real.can_write_eof())

    @property
    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    # Requests

    def data_received(self, data: bytes) -> None:
        """Take bytes apart, and hand them on message by message."""
        if self.is_ending:
            return
        self._unset_keepalive_if_required()
        try:
            self._advance(data)
            self._decide_on_keeping()
        except HTTPRefused as refused:
            self._refuse(refused)
        except HttpParserError:
            self._refuse(malformed())

    def _advance(self, data: bytes) -> None:
        while data and not self.is_ending:
            if self._in_body:
                data = self._take_body(data)
            elif self._is_busy:
                # The next request waits until this one is answered.
                self._held += data
                if len(self._held) > _HELD_BYTES:
                    self.flow.pause_reading()
                return
            else:
                data = self._take_head(data)

    def _decide_on_keeping(self) -> None:
        """Announce the end of the connection with the answer to the last request on it."""
        if self._is_busy and (self._is_draining or self._is_last):
            self._keep(self._may_be_kept and bool(self._held))

    def _keep(self, is_kept: bool) -> None:
        self.cycle.keep_alive = is_kept
        # uvicorn before 0.53 says "connection: close" only to those who have said so themselves.
        self.headers[:] = [one for one in self.headers if one != _CLOSE]
        if not is_kept:
            self.headers.append(_CLOSE)

    def _take_head(self, data: bytes) -> bytes:
        head, rest = self._gate.head(data)
        if head is None:
            if not self._timer.is_running or self._timer.callback == self._idle_is_over:
                self._timer.start(self.settings.header_timeout_s, self._head_is_late)
            return rest
        self._timer.stop()
        if self.pressure.is_high and may_be_shed(head):
            return self._shed(head, rest)
        self._method = head.method
        text = head.text
        if head.method not in _PARSED_METHODS:
            text = b"PUT" + text[len(head.method) :]
        self._in_body = head.has_body
        self.parser.feed_data(text)
        if self._in_body:
            self._pace = Pace(
                self.loop.time(), self.settings.body_timeout_s, self.settings.min_body_rate
            )
            if not rest:
                self._watch_body()
        return rest

    def _shed(self, head: Head, rest: bytes) -> bytes:
        """Refuse a request without the application; its connection stays, if all of it is here."""
        refused = overloaded()
        if not (head.has_body and is_kept_by(head)):
            raise refused
        _, rest, is_complete = self._gate.body(rest)
        if not is_complete:
            raise refused
        answer = refusal(refused)
        self.telemetry.error(answer.code)
        self.telemetry.request("other", answer.status, 0.0)
        self._real.write(last_words(answer, self.server_state.default_headers, is_last=False))
        if not rest:
            self._next()
        return rest

    def _take_body(self, data: bytes) -> bytes:
        piece, rest, is_complete = self._gate.body(data)
        self._pace.count += len(piece)
        if is_complete:
            self._timer.stop()
            self._in_body = False
        self.parser.feed_data(piece)
        if is_complete and not self._is_busy:
            # It was answered before it was complete.
            self._next()
        elif not is_complete and not self._timer.is_running:
            self._watch_body()
        return rest

    # The parser's callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; one that comes after the body is no header."""
        if not self._has_headers:
            super().on_header(name, value)

    def on_message_begin(self) -> None:
        """Begin with a request."""
        self._has_headers = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the application."""
        self._has_headers = True
        super().on_headers_complete()
        self.scope["method"] = self._method.decode("ascii")
        self.scope["extensions"] = {
            CONNECTION: {"cycle": self.cycle, "tasks": self.server_state.tasks}
        }
        connection = b",".join(v for n, v in self.headers if n == b"connection").lower()
        if b"close" in [token.strip(b" \t") for token in connection.split(b",")]:
            self.cycle.keep_alive = False
        self._may_be_kept = self.cycle.keep_alive
        if not self._may_be_kept:
            self._keep(False)

    # Answers

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for one."""
        self.server_state.total_requests += 1
        if self.is_ending or self._real.is_closing():
            return
        self.flow.resume_reading()
        if not self._in_body:
            self._next()

    def _next(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self.data_received(held)
        if self.is_ending or self._is_busy or self._in_body:
            return
        if self._is_last:
            self.end()
        elif self._is_draining:
            self._timer.start(_DRAIN_IDLE_S, self._idle_is_over)
        elif not self._gate.has_begun:
            self._timer.start(self.settings.keep_alive_s, self._idle_is_over)

    def send_400_response(self, msg: str) -> None:
        """Refuse as everything else is refused."""
        self._refuse(malformed())

    def _refuse(self, refused: HTTPRefused) -> None:
        """Say no and close, or just close if the answer to this request has begun."""
        if self.is_ending:
            return
        is_mid_answer = self._is_busy and self.cycle.response_started
        if self._is_busy:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not is_mid_answer:
            answer = refusal(refused)
            self.telemetry.error(answer.code)
            self.telemetry.request("other", answer.status, 0.0)
            self._real.write(last_words(answer, self.server_state.default_headers))
        self._in_body = True  # whatever comes is not understood
        self.end()

    def shutdown(self) -> None:
        """Answer what has been sent, then close; the server calls this when it stops."""
        self._is_draining = True
        if self.is_ending:
            return
        if self._is_busy:
            self._decide_on_keeping()
        elif not self._in_body and not self._gate.has_begun:
            self._timer.start(_DRAIN_IDLE_S, self._idle_is_over)

    # The end

    def end(self) -> None:
        """Close so that the client can read what was written.

        A socket that is closed while bytes wait to be read resets the connection, and the last
        answer may be lost. So where more may come, only our half is closed (TLS cannot; there a
        client goes by the length of the answer), and for a moment what comes is read and thrown
        away.
        """
        if self.is_ending:
            return
        self.is_ending = True
        self._timer.stop()
        may_come = not self._is_last and bool(self._in_body or self._held)
        if may_come:
            self._held = b""
            self.flow.resume_reading()
            if self._real.can_write_eof():
                self._real.write_eof()
            self._timer.start(_LINGER_S, self._real.abort)
            return
        self._real.close()
        if self._real.get_write_buffer_size() and not self._write_timer.is_running:
            self._begin_to_watch_reader()

    # Deadlines

    def _head_is_late(self) -> None:
        if not self._gate.has_begun:
            self.end()  # nothing was asked, so nothing is answered
            return
        limit = self.settings.header_timeout_s
        self._refuse(HTTPRefused("header-timeout", f"Expected all headers within {limit:g} s."))

    def _idle_is_over(self) -> None:
        self.end()

    def _watch_body(self) -> None:
        self._timer.start(self._pace.left_s(self.loop.time()), self._body_may_be_late)

    def _body_may_be_late(self) -> None:
        if self._pace.left_s(self.loop.time()) > 0:
            self._watch_body()
            return
        grace, rate = self.settings.body_timeout_s, self.settings.min_body_rate
        message = f"Expected the body within {grace:g} s and a second for each {rate} bytes."
        self._refuse(HTTPRefused("body-timeout", message))

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        super().pause_writing()
        self._begin_to_watch_reader()

    def resume_writing(self) -> None:
        """Go on: the client has read most of it."""
        super().resume_writing()
        self._write_timer.stop()

    def _begin_to_watch_reader(self) -> None:
        self._written = Pace(
            self.loop.time(), self.settings.write_timeout_s, self.settings.min_body_rate
        )
        self._unread = self._real.get_write_buffer_size()
        self._watch_reader()

    def _watch_reader(self) -> None:
        self._write_timer.start(self._written.left_s(self.loop.time()), self._reader_may_be_late)

    def _reader_may_be_late(self) -> None:
        self._written.count = max(0, self._unread - self._real.get_write_buffer_size())
        if self._written.left_s(self.loop.time()) > 0:
            self._watch_reader()
        else:
            self._real.abort()
