"""Faults that monitoring finds: they begin and end while the demo runs, and what they break is seen over time.

Each of them really happens; none is only told by `/metrics`, but for those that are about `/metrics` itself.
"""

from __future__ import annotations

from typing import Literal

from console.demo.faults.fault import Fault

ERRORS, BURN = "error-rate", ("burn-fast", "burn-slow")
FROM_METRICS = (ERRORS, "response-time", *BURN, "pool-use", "pool-waiting", "slow-queries")
"""Thresholds whose values the demo tells in `/metrics`."""


def _fault(name: str, about: str, *fires: str, only_on: Literal["", "sqlite", "postgresql"] = "") -> Fault:
    return Fault(name, about, (), only_on=only_on, fires=fires, is_switchable=True)


FAULTS: tuple[Fault, ...] = (
    _fault("errors-2-percent", "every 50th request to an operation is answered 500", ERRORS),
    _fault(
        "errors-10-percent",
        "every 10th request to an operation is answered 500",
        ERRORS,
        *BURN,
        "log-errors",
    ),
    _fault("answers-slow", "every operation takes 1.5 s longer", "response-time"),
    _fault("killed", "the process of the controller is killed", "target-up", "websocket-up", *FROM_METRICS),
    _fault("database-locked", "the database is locked by another program", "database-up", only_on="sqlite"),
    _fault("pool-held", "all connections of the database pool but two are held", "pool-use"),
    _fault(
        "pool-exhausted",
        "every connection of the database pool is held, and requests wait for one",
        "pool-use",
        "pool-waiting",
    ),
    _fault("slow-query", "a job runs a query of two seconds every five seconds", "slow-queries"),
    _fault("memory-ballast", "the controller holds 64 MiB more", "target-memory"),
    _fault("cpu-busy", "a process of the controller keeps one core busy", "host-cpu"),
    _fault(
        "descriptors-open",
        "the controller may open 512 files at once, and has 86 % of them open",
        "descriptors",
    ),
    _fault("log-noisy", "20 lines of level ERROR a minute, of nothing that a user asked for", "log-errors"),
    _fault("metrics-down", "/metrics is answered 503", *FROM_METRICS, "log-errors"),
    _fault("metrics-garbage", "/metrics is answered with bytes that are no metrics", *FROM_METRICS),
    _fault("metrics-half", "half of the answer of /metrics comes, the rest never", *FROM_METRICS),
    _fault("metrics-nan", "every value of /metrics is NaN", *FROM_METRICS),
    _fault("metrics-reset", "the counters of /metrics begin again at 0, once"),
    _fault("pager-down", "the pager takes no messages", "notifier"),
)
