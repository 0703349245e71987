"""The signals that a threshold can be set on: what each measures, in which unit, and how Prometheus computes it.

A new signal is one entry here, and one method of the same name (with underscores) in `checks/monitoring/sources/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that is measured look after look."""

    name: str
    title: str
    unit: str
    """`%`, `s`, `/min`, `days`, `x` (times the budget); empty for a plain count; `up` for 1 (it answers) or 0."""
    about: str
    """What is measured, and how, in one sentence."""
    needs_window: bool = False
    """Whether it is computed over a window: rates and quantiles."""
    counts_events: bool = False
    """Whether a reading tells on how many events it rests."""
    metrics: tuple[str, ...] = ()
    """Our names of the target's metrics (`[contract] metric`) that Prometheus can compute it from, all of them."""
    expression: str = ""
    """PromQL over those metrics, by `{name}` in braces, `{window}` for the window; empty: `gonogo watch` exports it."""
    events: str = ""
    """PromQL for the number of events in the window."""


_ALL = (
    Signal(
        "error-rate",
        "Error rate",
        "%",
        "Failed requests (5xx, timeouts) of all, from the target's counters, else from gonogo's own probes",
        needs_window=True,
        counts_events=True,
        metrics=("requests", "errors"),
        expression="100 * (sum(increase({errors}[{window}])) or vector(0)) / sum(increase({requests}[{window}]))",
        events="sum(increase({requests}[{window}]))",
    ),
    Signal(
        "response-time",
        "Response time p95",
        "s",
        "95 % of the requests were answered within this, from the target's histogram, else from gonogo's own probes",
        needs_window=True,
        counts_events=True,
        metrics=("duration", "requests"),
        expression="histogram_quantile(0.95, sum by (le) (increase({duration}[{window}])))",
        events="sum(increase({requests}[{window}]))",
    ),
    Signal(
        "budget-burn",
        "Error budget burn",
        "x",
        "How many times faster than allowed the error budget of the availability objective is used up",
        needs_window=True,
        counts_events=True,
        metrics=("requests", "errors"),
        expression="(sum(increase({errors}[{window}])) or vector(0)) / sum(increase({requests}[{window}])) / {budget}",
        events="sum(increase({requests}[{window}]))",
    ),
    Signal(
        "pool-use",
        "Database pool in use",
        "%",
        "Connections of the database pool that are in use, of those that it may open",
        metrics=("pool_in_use", "pool_size"),
        expression="100 * sum({pool_in_use}) / sum({pool_size})",
    ),
    Signal(
        "pool-waiting",
        "Waiting for the database",
        "",
        "Requests that wait for a connection of the pool, or sessions that wait for a lock",
        metrics=("pool_waiting",),
        expression="sum({pool_waiting})",
    ),
    Signal(
        "slow-queries",
        "Slow queries",
        "/min",
        "Queries a minute that took longer than a second, or that run for so long at the moment",
        needs_window=True,
        metrics=("slow_queries",),
        expression="60 * sum(rate({slow_queries}[{window}]))",
    ),
    Signal("database-up", "Database answers", "up", "A trivial query to the target's database is answered"),
    Signal(
        "host-memory", "Host memory", "%", "Memory in use on the host, of all (what may be reclaimed is free)"
    ),
    Signal(
        "target-memory",
        "Target memory",
        "%",
        "Memory of the controller and its bots, of what they may use: their control group's limit, else the host's",
    ),
    Signal("host-cpu", "Host CPU", "%", "CPU of the host in use, of all cores"),
    Signal(
        "target-cpu", "Target CPU", "%", "CPU of the controller and its bots, of all cores that they may use"
    ),
    Signal(
        "disk-use", "Disk in use", "%", "The fullest of the file systems that hold the database and the log"
    ),
    Signal(
        "descriptors",
        "Descriptors in use",
        "%",
        "Open descriptors of the controller, of its limit (RLIMIT_NOFILE)",
    ),
    Signal(
        "target-up",
        "Controller answers",
        "up",
        "The health operation is answered as healthy within five seconds",
    ),
    Signal("websocket-up", "WebSocket answers", "up", "A WebSocket handshake succeeds within five seconds"),
    Signal(
        "restarts",
        "Restarts",
        "",
        "How often the controller's process was replaced by another one within the window",
        needs_window=True,
        metrics=("start_time",),
        expression="sum(changes({start_time}[{window}]))",
    ),
    Signal(
        "certificate-days", "Certificate valid", "days", "Days until the certificate that clients see expires"
    ),
    Signal(
        "log-errors",
        "Error lines in the log",
        "/min",
        "Lines of level ERROR or above that the controller's log gained, a minute",
        needs_window=True,
        metrics=("log_errors",),
        expression="60 * sum(rate({log_errors}[{window}]))",
    ),
    Signal(
        "notifier-failures",
        "Messages not delivered",
        "",
        "Messages that a channel did not take and that still wait to be delivered",
    ),
    Signal(
        "go-standing",
        "The GO stands",
        "up",
        "A recorded GO is still borne out by the evidence and has not lapsed",
    ),
)

SIGNALS: Mapping[str, Signal] = {signal.name: signal for signal in _ALL}
"""By name, in the order in which they are shown."""
