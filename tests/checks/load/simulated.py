"""Servers of known capacity in simulated time, measured as the generator would: by second and by message."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from checks.load.capacity import Search, Step, judge_step
from checks.load.histogram import Histogram
from checks.load.model import Capacity, Failure, Part, Scenario, Second
from checks.load.wire import LegDone


@dataclass
class Server:
    """One server, first come first served, each message the same time; frozen for `frozen_s` in every `period_s`."""

    per_s: float
    frozen_s: float = 0.0
    period_s: float = 5.0
    base_s: float = 0.002
    """What a message takes beside the queue."""
    error_rate: float = 0.0
    throttled_above: float = 0.0
    """Messages a second beyond which it refuses; 0: never."""
    now: float = 0.0
    free_at: float = 0.0
    rng: random.Random = field(default_factory=random.Random)

    @property
    def capacity(self) -> float:
        """Messages a second that it can answer on end."""
        return self.per_s * (1 - self.frozen_s / self.period_s)

    def done_at(self, arrival: float) -> float:
        """When a message that arrives then is answered."""
        at, left = max(arrival, self.free_at), 1 / self.per_s
        while True:
            phase = at % self.period_s
            if phase < self.frozen_s - 1e-9:
                at += self.frozen_s - phase
                phase = self.frozen_s
            until = self.period_s - phase if self.frozen_s else left
            if left <= until:
                self.free_at = at + left
                return self.free_at + self.base_s
            at, left = at + until, left - until


def arrivals(rate: float, seconds: float, rng: random.Random, *, is_random: bool) -> list[float]:
    """When messages are due, from the beginning of a step."""
    if not is_random:
        return [place / rate for place in range(round(rate * seconds))]
    found, at = [], rng.expovariate(rate)
    while at < seconds:
        found.append(at)
        at += rng.expovariate(rate)
    return found


def send(
    server: Server, step: Step, *, is_random: bool, lag_us: int = 50
) -> tuple[tuple[Second, ...], LegDone]:
    """Send one step and wait for its last reply; seconds are those of the run's clock, not of the step's."""
    began = server.now
    due: dict[int, int] = {}
    ended: dict[int, list[float]] = {}
    good: dict[int, int] = {}
    failures: dict[str, int] = {}
    samples, lag = array("q"), Histogram()
    last = began + step.seconds
    for offset in arrivals(step.rate_per_s, step.seconds, server.rng, is_random=is_random):
        at = began + offset
        is_throttled = server.throttled_above and due.get(int(at), 0) >= server.throttled_above
        done = at + server.base_s if is_throttled else server.done_at(at)
        due[int(at)] = due.get(int(at), 0) + 1
        ended.setdefault(int(done), []).append(done - at)
        kind = Failure.THROTTLED if is_throttled else Failure.SERVER_ERROR
        if is_throttled or server.rng.random() < server.error_rate:
            failures[kind] = failures.get(kind, 0) + 1
        else:
            good[int(done)] = good.get(int(done), 0) + 1
        samples.append(round((done - at) * 1e6))
        lag.record(lag_us)
        last = max(last, done)
    server.now = last + server.rng.uniform(0.05, 0.5)
    seconds = tuple(
        second_of(at, due.get(at, 0), ended.get(at, []), good.get(at, 0))
        for at in range(int(began), int(last) + 1)
    )
    sent = len(samples)
    return seconds, LegDone(
        place=0,
        seconds=step.seconds,
        due=sent,
        sent=sent,
        answered=sent,
        ok=sent - sum(failures.values()),
        failures=failures,
        latency=samples.tobytes(),
        latency_bins={},
        service_bins=_binned(samples),
        lag_bins=lag.counted(),
        waited=0,
        cpu_s=0.1,
    )


def second_of(at: int, due: int, ended: list[float], good: int) -> Second:
    """One second as the console makes it of what the generator reports."""
    latency = Histogram()
    latency.record_all(round(one * 1e6) for one in ended)
    p50, p95, p99 = (one / 1e6 if ended else None for one in latency.quantiles(0.5, 0.95, 0.99))
    return Second(
        at_s=at,
        part=Part.HOLD,
        label="",
        users=0,
        due=due,
        sent=due,
        answered=len(ended),
        ok=good,
        throttled=0,
        failed=len(ended) - good,
        in_flight=0,
        p50_s=p50,
        p95_s=p95,
        p99_s=p99,
        max_s=max(ended) if ended else None,
        service_p95_s=p95,
        lag_p99_s=0.00005,
        generator_cpu_percent=5.0,
    )


def search(
    server: Server,
    scenario: Scenario,
    *,
    is_random: bool,
    watch: Callable[[Step], None] = lambda step: None,
    peak_per_s: float = 17.0,
) -> Capacity:
    """Drive a whole search against the server."""
    found = Search(scenario)
    while (step := found.next()) is not None:
        watch(step)
        seconds, done = send(server, step, is_random=is_random)
        found.learn(judge_step(step, scenario.criteria, seconds, done))
    return found.result(peak_per_s)


def _binned(samples: array[int]) -> dict[int, int]:
    found = Histogram()
    found.record_all(samples)
    return found.counted()
