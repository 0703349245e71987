"""What crosses the pipe between the console and a generator: length-prefixed MessagePack, one message a frame.

A frame is four bytes of length (big-endian), then one message of `Order` (console to generator, on its standard
input) or `Report` (back, on its standard output). Its input ending means that the console is gone: the generator ends
at once.
"""

from __future__ import annotations

import msgspec

from checks.load.model import Arrival, Channel, Part

MOST_FRAME_BYTES = 64 << 20


class User(msgspec.Struct, frozen=True, kw_only=True):
    """One virtual user (closed), or one client that carries messages (open): it has one connection."""

    name: str
    """`u001`: part of the text of its messages."""
    channel: Channel
    """WEBSOCKET or REST."""
    bot_id: str
    token: str = ""
    local_address: str = ""
    """Where its connection comes from; empty: as the host chooses."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """How a message is sent over one channel, and what a reply to it looks like (the contract's operation)."""

    method: str = "POST"
    """REST alone."""
    path: str = ""
    """May hold `{bot_id}` and `{token}`."""
    body: dict[str, str | int | bool] = {}
    """Strings may hold `{bot_id}` and `{text}`."""
    success: str = ""
    """Field that must be true; empty where the status code alone tells."""
    errors: tuple[str, ...] = ()
    """Fields that may carry the error text."""
    kind: str = ""
    """WebSocket: dotted path of the frame's kind."""
    answer_kinds: tuple[str, ...] = ()
    """WebSocket: kinds that are answers; empty: every frame is one."""
    text: str = ""
    """Dotted path of the reply's text."""
    bot: str = ""
    """Dotted path of the bot that replies; empty where it is not told."""


class Setup(msgspec.Struct, frozen=True, kw_only=True, tag="setup"):
    """The first order: the target, the users and how messages look. Answered with `Ready` or `Failed`."""

    url: str
    ca_file: str = ""
    users: tuple[User, ...] = ()
    rest: Exchange = Exchange()
    websocket: Exchange = Exchange()
    marker: str = "gonogo load"
    """What every message begins with: `{marker} {user} {number}`, as in `gonogo load 3f9a u001 17`, then padding."""
    message_bytes: int = 120
    is_echo: bool = False
    """Whether a good reply holds the beginning of its message (marker, user and number)."""
    think_min_s: float = 0.0
    think_max_s: float = 0.0
    reply_within_s: float = 10.0
    connect_within_s: float = 10.0
    drain_s: float = 10.0
    """How long replies are waited for after the last part."""
    most_reply_bytes: int = 1 << 20
    most_connections: int = 2000
    connects_per_s: float = 50.0
    """How fast connections are opened before the first part, so that opening them is not the load."""
    seed: int = 1
    core: int = -1
    """CPU that the generator keeps to; -1: as the host schedules it."""
    most_per_s: float = 20_000.0
    """Hard ceiling on messages a second, whatever a leg asks for."""
    is_plain: bool = False
    """Benchmarks: any 2xx answer whose `success` field is true is good; no ids are kept."""


class Leg(msgspec.Struct, frozen=True, kw_only=True, tag="leg"):
    """A stretch of the schedule, begun when the one before has ended, without a gap."""

    part: Part
    seconds: float
    arrival: Arrival
    users_from: int = 0
    """Closed: users at work at its beginning and end; in between they come or go evenly."""
    users_to: int = 0
    rate_from: float = 0.0
    """Open: messages a second at its beginning and end; in between linear."""
    rate_to: float = 0.0
    label: str = ""


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """No leg will follow: after the last one, wait for replies, close and end with `Done`."""


class Halt(msgspec.Struct, frozen=True, tag="halt"):
    """Send nothing more from now on; wait `drain_s` for replies, then `Done`."""

    drain_s: float = 1.0


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """Every user is connected, or as many as could be."""

    pid: int
    connected: int
    problems: dict[str, int] = {}
    """Why others are not -> how many."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The generator cannot go on; one sentence."""

    sentence: str


class Tick(msgspec.Struct, frozen=True, kw_only=True, tag="tick"):
    """One complete second; counts and histograms are those of this second alone."""

    second: int
    """0 is the first second of the schedule."""
    started_at: float
    """Begin of that second by CLOCK_MONOTONIC, in seconds: what the target's samples are matched to."""
    part: Part
    label: str
    users: int
    due: int
    sent: int
    answered: int
    ok: int
    failures: dict[str, int]
    """Failure -> count."""
    in_flight: int
    waited: int
    """Messages that were due while every connection was busy."""
    latency: dict[int, int]
    """From the intended send: bin -> count (`checks/load/histogram.py`), microseconds; of every reply, good or not."""
    service: dict[int, int]
    """From the real send."""
    lag: dict[int, int]
    """Real send less intended send."""
    cpu_s: float
    """CPU time of the generator in this second."""
    wall_s: float


class LegDone(msgspec.Struct, frozen=True, kw_only=True, tag="leg-done"):
    """One leg is over and all its messages have ended: what belongs to messages that were *due* within it.

    Counts of `failures` include UNSENT. `latency` counts a message that never got a reply with the time that was
    waited for it.
    """

    place: int
    """0 is the first leg."""
    seconds: float
    """How long it really was."""
    due: int
    sent: int
    answered: int
    ok: int
    failures: dict[str, int]
    latency: bytes
    """`array('q')` of microseconds where they were all kept, else empty."""
    latency_bins: dict[int, int]
    service_bins: dict[int, int]
    lag_bins: dict[int, int]
    waited: int
    cpu_s: float


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The last report."""

    sent: dict[str, int]
    """User -> how many messages it sent: their numbers are 1 to that."""
    unanswered: dict[str, list[int]]
    """User -> numbers of its messages that were sent and did not end with a good reply (bounded, see `is_cut`)."""
    examples: dict[str, str]
    """Failure -> what was seen, once."""
    doubled: int = 0
    is_cut: bool = False
    """Whether `unanswered` was too long to be kept."""
    problem: str = ""


Order = Setup | Leg | Finish | Halt
Report = Ready | Failed | Tick | LegDone | Done


def framed(message: Order | Report) -> bytes:
    """The frame of one message."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(4, "big") + body


class Unframer:
    """Makes messages of the bytes of a pipe, however they are cut."""

    def __init__(self, kind: object) -> None:
        """`kind` is `Order` or `Report`."""
        self._decoder: msgspec.msgpack.Decoder[object] = msgspec.msgpack.Decoder(kind)
        self._kept = bytearray()

    def feed(self, data: bytes) -> list[object]:
        """The messages that are complete now. Raises ValueError for what is no message."""
        self._kept += data
        found: list[object] = []
        while len(self._kept) >= 4:
            size = int.from_bytes(self._kept[:4], "big")
            if size > MOST_FRAME_BYTES:
                raise ValueError(f"a frame of {size} bytes")
            if len(self._kept) < 4 + size:
                break
            found.append(self._decoder.decode(bytes(self._kept[4 : 4 + size])))
            del self._kept[: 4 + size]
        return found
