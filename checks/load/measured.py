"""What a run measured over its hold, as it is handed to the judges, and whether the generator itself kept up. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from checks.load.histogram import Histogram
from checks.load.model import Accounting, Failure, GeneratorHealth, Part, Second
from checks.text import Clean, clean, duration

MOST_LAG_S = 0.010
"""99 % of the messages have to be sent within that time after they were due."""
MOST_CPU_PERCENT = 85.0
"""Of its core: a fuller one adds its own waiting to what it measures."""
BUSIEST_S = 5


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured over the hold; `seconds` and `generator` are those of the whole run."""

    latency: Histogram
    """From the intended send, of every message that ended."""
    service: Histogram
    """From the real send."""
    due: int
    sent: int
    answered: int
    ok: int
    failures: Mapping[Failure, int]
    seconds: tuple[Second, ...] = ()
    accounting: Accounting = field(default_factory=Accounting)
    generator: GeneratorHealth = field(default_factory=GeneratorHealth)
    pool_size: int | None = None
    """Database connections that the target may open: pool and overflow; None where it is not declared."""
    stopped: str = ""
    """Why it ended early; empty where it did not."""
    unseen: tuple[str, ...] = ()
    """What of the target could not be seen, and what would help."""

    @property
    def hold(self) -> tuple[Second, ...]:
        """The seconds of the hold."""
        return tuple(second for second in self.seconds if second.part is Part.HOLD)

    @property
    def failed(self) -> int:
        """Messages of the hold that failed."""
        return failed_of(self.failures)


def failed_of(failures: Mapping[Failure, int]) -> int:
    """Failed messages. A second reply is counted beside the first one, which was good: it is no failed message."""
    return sum(count for kind, count in failures.items() if kind is not Failure.DOUBLED)


def own_lag_s(lag: Histogram, waited: int = 0, fraction: float = 0.99) -> float:
    """How late the generator itself was, in seconds: a quantile of the messages that found a connection at once.

    A message that had to wait for a free connection is late because of the target; those are the latest ones.
    """
    punctual = lag.count - min(waited, lag.count)
    if not punctual:
        return 0.0
    return lag.value_at_rank(max(1, math.ceil(fraction * punctual - 1e-9))) / 1e6


def health(lag: Histogram, seconds: Sequence[Second], waited: int = 0) -> GeneratorHealth:
    """Whether the generator kept up over the whole run; `waited`: messages that found no connection free."""
    cpu = [second.generator_cpu_percent for second in seconds]
    mean = fmean(cpu) if cpu else 0.0
    stretches = [cpu[at : at + BUSIEST_S] for at in range(max(1, len(cpu) - BUSIEST_S + 1))] if cpu else []
    worst = max((fmean(stretch) for stretch in stretches), default=0.0)
    problem = ""
    late_s = own_lag_s(lag, waited)
    if late_s > MOST_LAG_S:
        problem = f"it sent 1 % of the messages more than {duration(late_s)} late"
    elif worst > MOST_CPU_PERCENT:
        problem = f"its core was {worst:.0f} % busy over {min(BUSIEST_S, len(cpu))} s"
    return GeneratorHealth(lag.latencies(), round(mean, 1), round(worst, 1), waited, clean(problem))


def too_slow(generator: GeneratorHealth) -> Clean:
    """Why its figures cannot be trusted, without a full stop; empty where they can. Judged anew from the figures."""
    if generator.problem:
        return generator.problem
    if not generator.lag.count:
        return clean("it did not tell how late it sent")
    # With waiting messages among them, the lag's p99 says nothing about the generator: `health` looked at the others.
    if not generator.waited and generator.lag.p99_s > MOST_LAG_S:
        return clean(f"it sent 1 % of the messages more than {duration(generator.lag.p99_s)} late")
    if max(generator.cpu_percent, generator.worst_cpu_percent) > MOST_CPU_PERCENT:
        return clean(f"its core was {max(generator.cpu_percent, generator.worst_cpu_percent):.0f} % busy")
    return clean("")
