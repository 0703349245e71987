"""The vocabulary of a load run, as frozen types: what is to be sent, what was measured, how it was judged.

Durations are seconds (float), latencies within histograms microseconds (int), memory bytes, CPU per cent of one core.
The types that cross the pipe between console and generator are in `checks/load/wire.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from checks.model import Verdict
from checks.text import Clean


class Arrival(StrEnum):
    """How messages come (Schroeder, Wierman, Harchol-Balter, "Open versus closed", NSDI 2006)."""

    CLOSED = "closed"
    """Each user sends, waits for the reply, thinks, and sends again."""
    CONSTANT = "constant"
    """Open: at even distances, whatever the target does."""
    POISSON = "poisson"
    """Open: at random with the same mean, whatever the target does."""


class Channel(StrEnum):
    """The way that messages take."""

    WEBSOCKET = "websocket"
    REST = "rest"
    BOTH = "both"
    """Users take one or the other by turns."""


class Part(StrEnum):
    """The stretches of a run; criteria are judged over the hold."""

    RAMP = "ramp"
    HOLD = "hold"
    RAMP_DOWN = "ramp-down"


class Failure(StrEnum):
    """Kinds of failed messages; each message that was sent ends as a good reply or as exactly one of these."""

    THROTTLED = "throttled"
    """The rate limiter refused it: 429, or a frame that says so."""
    REFUSED = "refused"
    """`success: false`, an error frame, or another 4xx."""
    SERVER_ERROR = "server-error"
    """5xx."""
    NO_REPLY = "no-reply"
    """Nothing came within the time for a reply."""
    UNREACHABLE = "unreachable"
    """No connection could be made."""
    CLOSED = "closed"
    """The connection ended, or was reset, before the reply was whole."""
    PROTOCOL = "protocol"
    """What came is no HTTP answer, no WebSocket frame, or no JSON."""
    TOO_LARGE = "too-large"
    """The reply was longer than a reply may be."""
    WRONG_MESSAGE = "wrong-message"
    """A reply came that answers another message, or the text is not that of this message."""
    WRONG_BOT = "wrong-bot"
    """The reply names another bot: it crossed over."""
    DOUBLED = "doubled"
    """A second reply to the same message came. Counted beside the first reply, not in place of it."""
    UNSENT = "unsent"
    """It was due and could not be sent before its part ended: no connection was free."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a run has to keep; 0 leaves a criterion out."""

    p95_s: float = 1.0
    p99_s: float = 2.5
    error_percent: float = 1.0
    memory_percent: float = 80.0
    """Memory of the target, of what it may use (control group, else host)."""
    host_cpu_percent: float = 0.0
    pool_percent: float = 80.0
    """Database connections in use at peak, of pool and overflow."""
    leak_percent_per_hour: float = 0.0
    """Growth of the target's memory in an hour, of what it had at the start of the hold."""
    throttled_percent: float = 1.0
    """More refusals of the rate limiter make the run INCONCLUSIVE: the limiter is what was measured."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One load run as data. The shipped ones are in `checks/load/scenarios.toml`; a profile overrides single values."""

    name: str
    title: str
    arrival: Arrival = Arrival.CLOSED
    channel: Channel = Channel.WEBSOCKET
    users: int = 10
    """Closed: concurrent users. Open: clients that the messages are spread over (one message under way each)."""
    rate_per_s: float = 0.0
    """Open: messages a second."""
    think_min_s: float = 1.0
    think_max_s: float = 3.0
    ramp_s: float = 5.0
    hold_s: float = 30.0
    ramp_down_s: float = 2.0
    bots: int = 2
    """Bots that are launched for it; users are spread over them."""
    message_bytes: int = 120
    reply_within_s: float = 10.0
    window_s: float = 10.0
    """Length of the sliding windows over the hold."""
    criteria: Criteria = Criteria()
    is_capacity: bool = False
    """Search for the greatest rate that keeps the criteria, from `rate_per_s` up to `most_rate_per_s`."""
    most_rate_per_s: float = 0.0
    step_s: float = 6.0
    """Capacity: length of one step."""
    confirm_s: float = 20.0
    """Capacity: length of the confirming hold."""
    is_soak: bool = False
    """Only run when it is asked for by name; `leak_percent_per_hour` is what it is about."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the host and the target's processes used in one second; None where it could not be seen."""

    cpu_percent: float | None = None
    """Controller and bots together, per cent of one core."""
    memory_bytes: int | None = None
    """Resident memory (RSS) of controller and bots."""
    pss_bytes: int | None = None
    memory_percent: float | None = None
    """`pss_bytes`, else `memory_bytes`, of what the target may use (control group, else host)."""
    descriptors: int | None = None
    threads: int | None = None
    switches_per_s: float | None = None
    """Context switches, voluntary and not."""
    processes: int | None = None
    host_cpu_percent: float | None = None
    """Of all cores: 100 is all of them."""
    host_memory_percent: float | None = None
    memory_pressure: float | None = None
    """`some avg10` of /proc/pressure/memory (PSI)."""
    database_connections: int | None = None
    database_waiting: int | None = None
    """Sessions of the target's database that wait for a lock or a connection."""
    console_cpu_percent: float | None = None
    """gonogo itself without the generator."""


@dataclass(frozen=True, slots=True)
class Second:
    """One complete second of a run: what the screen draws and the journal keeps."""

    at_s: int
    """Seconds since the schedule began; 0 is the first one."""
    part: Part
    label: str
    """Step of a capacity search (`17/s`), else empty."""
    users: int
    """Closed: users at work. Open: 0."""
    due: int
    """Open: messages that the schedule meant for this second. Closed: the same as `sent`."""
    sent: int
    answered: int
    """Replies of any kind."""
    ok: int
    throttled: int
    failed: int
    """Everything else that went wrong."""
    in_flight: int
    p50_s: float | None
    """From the intended send to the whole reply; None where nothing was answered."""
    p95_s: float | None
    p99_s: float | None
    max_s: float | None
    service_p95_s: float | None
    """From the real send."""
    lag_p99_s: float | None
    """How late messages were sent; None where none was."""
    generator_cpu_percent: float
    sample: Sample = Sample()


@dataclass(frozen=True, slots=True)
class Latencies:
    """Quantiles of one histogram, in seconds; all 0 where `count` is 0."""

    count: int = 0
    mean_s: float = 0.0
    p50_s: float = 0.0
    p90_s: float = 0.0
    p95_s: float = 0.0
    p99_s: float = 0.0
    p999_s: float = 0.0
    max_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Bounded:
    """A figure with its two-sided confidence interval; None where there is too little to say."""

    point: float
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion and how it was judged."""

    name: str
    """`p95`, `p99`, `errors`, `lost`, `doubled`, `swapped`, `memory`, `pool`, `leak`, `limiter`, `generator`, ..."""
    title: str
    verdict: Verdict
    observed: Clean
    limit: Clean
    sentence: Clean
    """What it means, without a full stop: `95 % of the replies took up to 1.31 s (at least 1.28 s), limit 1 s`."""


@dataclass(frozen=True, slots=True)
class Accounting:
    """Message by message: what became of them."""

    sent: int = 0
    answered_ok: int = 0
    stored: int | None = None
    """Commands of this run in the database; None where it could not be read."""
    replies_stored: int | None = None
    in_history: int | None = None
    """Commands of this run that the history operation gives back."""
    history_asked: int | None = None
    """How many it was asked for: it may give the newest ones alone."""
    lost: int = 0
    """Answered as a success and not stored, or sent without ever a reply and not stored."""
    lost_in_history: int = 0
    doubled: int = 0
    """Commands or replies stored more than once, and second replies."""
    swapped: int = 0
    """Stored with another bot, or answered by another one."""
    unstored_replies: int = 0
    examples: tuple[Clean, ...] = ()
    """One line for each kind of loss, with the text of one message."""
    problem: Clean = Clean("")  # noqa: RUF009
    """Why it could not be counted; empty where it was."""


@dataclass(frozen=True, slots=True)
class FailureCount:
    """Failed messages of one kind."""

    kind: Failure
    count: int
    example: Clean


@dataclass(frozen=True, slots=True)
class GeneratorHealth:
    """Whether the generator itself kept up."""

    lag: Latencies = Latencies()
    cpu_percent: float = 0.0
    """Of its core, mean over the run."""
    worst_cpu_percent: float = 0.0
    """Of the busiest five seconds in a row."""
    waited: int = 0
    """Messages that were due while every connection was busy."""
    problem: Clean = Clean("")  # noqa: RUF009
    """Why its figures cannot be trusted; empty where they can."""


@dataclass(frozen=True, slots=True)
class CapacityStep:
    """One step of a capacity search."""

    rate_per_s: float
    achieved_per_s: float
    """Good replies a second."""
    p95_s: float
    p99_s: float
    error_percent: float
    is_good: bool
    broke: str = ""
    """Name of the criterion that broke; empty where none did."""
    cpu_percent: float | None = None
    kind: str = "step"
    """`step`, `bisection` or `confirmation`."""
    in_flight: float | None = None
    """Messages under way at once, by Little's law: good replies a second times their mean latency."""


@dataclass(frozen=True, slots=True)
class Scalability:
    """Gunther's Universal Scalability Law fitted to the steps: X(N) = gamma N / (1 + alpha (N-1) + beta N (N-1))."""

    gamma: float
    alpha: float
    beta: float
    error_percent: float
    """Root mean square of the relative residuals."""
    peak_n: float | None
    """Concurrency of the greatest throughput; None where the law has no peak."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a capacity search found; rates in messages a second, None where no figure can be given."""

    safe_per_s: float | None = None
    """Confirmed by a hold."""
    degraded_per_s: float | None = None
    """Lowest rate at which a criterion broke."""
    breaking_per_s: float | None = None
    """Where throughput no longer followed the rate, or more than half of a step failed."""
    broke_first: str = ""
    """Criterion or resource: `p95`, `errors`, `cpu`, `pool`, `limiter`, `generator`, `ceiling`."""
    sentence: Clean = Clean("")  # noqa: RUF009
    steps: tuple[CapacityStep, ...] = ()
    scalability: Scalability | None = None
    peak_per_s: float = 0.0
    """The declared peak of the profile."""
    headroom: float | None = None
    """`safe_per_s` over `peak_per_s`."""
    problem: Clean = Clean("")  # noqa: RUF009
    """Why there is no figure; empty where there is."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure beside that of the run before."""

    name: str
    before: float
    now: float
    noise: float
    """Half the width of both confidence intervals together: less than that says nothing."""

    @property
    def is_real(self) -> bool:
        """Whether it is more than noise."""
        return abs(self.now - self.before) > self.noise


@dataclass(frozen=True, slots=True)
class LoadRun:
    """Everything that one run of one scenario found; the body of its journal entry."""

    id: str
    """`RUN/SCENARIO`: the subject of its seconds in the journal."""
    run: str
    scenario: Scenario
    nonce: str
    started_at: datetime
    duration_s: float
    verdict: Verdict
    criteria: tuple[Criterion, ...]
    latency: Latencies
    """Over the hold, from the intended send."""
    p95: Bounded
    p99: Bounded
    service: Latencies
    """Over the hold, from the real send: what a tool would report that leaves waiting out."""
    errors: Bounded
    """Per cent of the messages of the hold that failed (Wilson)."""
    throughput_per_s: float
    """Good replies a second over the hold."""
    due: int
    sent: int
    answered: int
    ok: int
    throttled: int
    failures: tuple[FailureCount, ...]
    accounting: Accounting
    generator: GeneratorHealth
    peak: Sample
    """The greatest value of each figure."""
    capacity: Capacity | None = None
    before: tuple[Difference, ...] = ()
    before_id: str = ""
    histogram: Mapping[int, int] = field(default_factory=dict)
    """Bins of the hold (`checks/load/histogram.py`): bin -> count."""
    stopped: Clean = Clean("")  # noqa: RUF009
    """Why it ended early; empty where it did not."""
    notes: tuple[Clean, ...] = ()
    """What the numbers do not show."""
    seed: int | None = None
    """Of pauses, texts and arrivals; None where it was not kept."""
    clients: int = 0
    """Connections that the messages were spread over; 0 where it was not kept."""
    addresses: Clean = Clean("")  # noqa: RUF009
    """Where they came from: `127.18.80.1 to 127.18.80.60`; empty where it was not kept."""
