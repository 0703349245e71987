"""Faults of how the demo is watched: they are in the profile that it writes, as a careless team would have it."""

from __future__ import annotations

from collections.abc import Mapping

from console.demo.faults.fault import Fault

Value = str | int | float | list[str]

FAULTS: tuple[Fault, ...] = (
    Fault("errors-told-late", "the error rate is told at 5 % only", ("MON-01",)),
    Fault("slowness-told-late", "the response time has to be bad for half an hour", ("MON-02",)),
    Fault("database-unwatched", "nobody watches the database pool", ("MON-03",)),
    Fault("memory-unwatched", "nobody watches the memory of the host", ("MON-04",)),
    Fault("silence-untold", "a database that cannot be asked is told after ten minutes only", ("MON-05",)),
    Fault("ladder-of-one", "nobody is told but the one on call", ("MON-07",)),
    Fault("budget-unwatched", "nobody watches how fast the error budget is used up", ("MON-09",)),
    Fault("beyond-limit", "the memory of the host is beyond its limit, a tenth of a per cent", ("MON-10",)),
    Fault("runbooks-missing", "the folder of the runbooks is empty", ("MON-11",)),
)

THRESHOLDS: Mapping[str, tuple[str, Mapping[str, Value]]] = {
    "errors-told-late": ("error-rate", {"limit": 5.0}),
    "slowness-told-late": ("response-time", {"for_s": 1800.0}),
    "database-unwatched": ("pool-use", {"is_on": False}),
    "memory-unwatched": ("host-memory", {"is_on": False}),
    "silence-untold": ("database-up", {"no_data_s": 600.0}),
    "budget-unwatched": ("burn-slow", {"is_on": False}),
    "beyond-limit": ("host-memory", {"limit": 0.1}),
}
"""Fault -> the threshold that it changes, and its values."""
