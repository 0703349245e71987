"""What a load run amounts to while it goes on: its seconds, bounded however long it takes, and its sums."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from checks.events import LoadFinished, LoadSecond, LoadStarted
from checks.load.model import LoadRun, Sample, Scenario, Second

N = TypeVar("N", int, float)
MOST_POINTS = 600
"""Seconds held; a longer run holds its older ones in pairs, in fours, and so on."""


@dataclass(frozen=True, slots=True)
class Point:
    """One second, or several of a long run together: counts added, of everything else the greatest."""

    second: Second
    seconds: int = 1

    @property
    def at_s(self) -> float:
        """Its end, in seconds since the schedule began."""
        return self.second.at_s + self.seconds


@dataclass(frozen=True, slots=True)
class Sums:
    """Counts since the start."""

    sent: int = 0
    ok: int = 0
    throttled: int = 0
    failed: int = 0
    p50_s: float | None = None
    """The worst second, as the four below."""
    p95_s: float | None = None
    p99_s: float | None = None
    max_s: float | None = None
    lag_p99_s: float | None = None

    @property
    def error_percent(self) -> float | None:
        """Throttled and failed, of all that were sent; None before the first."""
        return 100 * (self.throttled + self.failed) / self.sent if self.sent else None


@dataclass(frozen=True, slots=True)
class LoadView:
    """A load run, under way or over, as the tab shows it."""

    id: str = ""
    """Empty where there is none."""
    check: str = ""
    """The check that makes it."""
    scenario: Scenario | None = None
    legs_s: float = 0.0
    """Length of its schedule; of a capacity search, the longest that it may take."""
    since: float = 0.0
    """When it began, by the monotonic clock."""
    points: tuple[Point, ...] = ()
    sums: Sums = Sums()
    newest: Second | None = None
    is_running: bool = False
    result: LoadRun | None = None
    """None until it is judged, and where it never was."""

    @property
    def done_s(self) -> int:
        """Complete seconds."""
        return self.newest.at_s + 1 if self.newest is not None else 0

    @property
    def left_s(self) -> float:
        """What is left of the schedule."""
        return max(0.0, self.legs_s - self.done_s)

    @property
    def done_percent(self) -> int | None:
        """How much of the schedule is done; 99 at most while it is not judged, None where its length is unknown."""
        return min(99, int(100 * self.done_s / self.legs_s)) if self.legs_s > 0 else None


NO_LOAD = LoadView()


def load_followed(
    view: LoadView, event: LoadStarted | LoadSecond | LoadFinished, now: float, check: str
) -> LoadView:
    """The view after `event`; `check` is the one that is being made, `now` the monotonic clock."""
    if isinstance(event, LoadStarted):
        return LoadView(event.id, check, event.scenario, event.legs_s, now, is_running=True)
    if isinstance(event, LoadFinished):
        is_known = event.load.id == view.id
        known = view if is_known else LoadView(event.load.id, check, event.load.scenario)
        return replace(known, is_running=False, result=event.load)
    if event.id != view.id:
        return view
    second, sums = event.second, view.sums
    return replace(
        view,
        newest=second,
        points=bounded((*view.points, Point(second))),
        sums=Sums(
            sums.sent + second.sent,
            sums.ok + second.ok,
            sums.throttled + second.throttled,
            sums.failed + second.failed,
            greatest(sums.p50_s, second.p50_s),
            greatest(sums.p95_s, second.p95_s),
            greatest(sums.p99_s, second.p99_s),
            greatest(sums.max_s, second.max_s),
            greatest(sums.lag_p99_s, second.lag_p99_s),
        ),
    )


def bounded(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """At most `MOST_POINTS`: where there are more, each two that follow one another become one."""
    if len(points) <= MOST_POINTS:
        return points
    pairs = zip(points[::2], points[1::2], strict=False)
    odd = points[-1:] if len(points) % 2 else ()
    return (*(merged(first, second) for first, second in pairs), *odd)


def merged(first: Point, second: Point) -> Point:
    """Two points as one, at the place of the first; labels and part are those of the second."""
    a, b = first.second, second.second
    return Point(
        replace(
            b,
            at_s=a.at_s,
            users=max(a.users, b.users),
            due=a.due + b.due,
            sent=a.sent + b.sent,
            answered=a.answered + b.answered,
            ok=a.ok + b.ok,
            throttled=a.throttled + b.throttled,
            failed=a.failed + b.failed,
            in_flight=max(a.in_flight, b.in_flight),
            p50_s=greatest(a.p50_s, b.p50_s),
            p95_s=greatest(a.p95_s, b.p95_s),
            p99_s=greatest(a.p99_s, b.p99_s),
            max_s=greatest(a.max_s, b.max_s),
            service_p95_s=greatest(a.service_p95_s, b.service_p95_s),
            lag_p99_s=greatest(a.lag_p99_s, b.lag_p99_s),
            generator_cpu_percent=max(a.generator_cpu_percent, b.generator_cpu_percent),
            sample=_sampled(a.sample, b.sample),
        ),
        first.seconds + second.seconds,
    )


def greatest(*values: N | None) -> N | None:
    """The greatest of those that are known; None where none is."""
    return max((value for value in values if value is not None), default=None)


def _sampled(first: Sample, second: Sample) -> Sample:
    names: Iterable[str] = (entry.name for entry in fields(Sample))
    return Sample(**{name: greatest(getattr(first, name), getattr(second, name)) for name in names})
