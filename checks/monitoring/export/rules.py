"""The rules as values: per threshold what is recorded, when it alerts, and how its ladder is climbed by time alone.

What differs from the console, for Prometheus cannot do it:

- A series that appears with a value is not counted from 0: the first errors after a restart may be missed.
- What fires resolves when its data goes missing; the alert NO DATA of the same threshold fires instead.
- Nobody can acknowledge: a silence in Alertmanager by the label `threshold` is what stops a ladder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from checks.monitoring.export.common import Jobs, literal, number, period, plain, shown, unit_of, watched
from checks.monitoring.model import AlertKind, AlertSeverity, Rung, Threshold
from checks.monitoring.signals import SIGNALS, Signal
from checks.monitoring.sources.asking import fresh_s
from checks.monitoring.sources.exposition import Selector
from checks.target import Target

ROUNDED_TO = "1e-06"
"""Sums of extrapolated counters differ from the true share in the last bits: 1.0000000000000002 % is not above 1 %."""
NOBODY = "0"
"""Label `rung` of an alert that is shown and tells nobody yet: the first rung of its ladder comes later, or is none."""
WATCH = "watch"
"""Label `threshold` of the alert on the watch itself."""
WATCHDOG = "Watchdog"
WATCH_DOWN = "GonogoWatchDown"
WATCH_AGE = "gonogo:watch:age_seconds"
WATCH_DOWN_S = 60.0
_UNITS = {
    "%": "percent",
    "s": "seconds",
    "/min": "per_minute",
    "days": "days",
    "x": "burn",
    "up": "up",
    "": "count",
}


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording rule."""

    record: str
    expr: str


@dataclass(frozen=True, slots=True)
class Alerting:
    """One alerting rule."""

    alert: str
    expr: str
    for_s: float
    keep_firing_s: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    """Templates of Prometheus."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What one threshold becomes."""

    threshold: Threshold
    recordings: tuple[Recording, ...]
    alerts: tuple[Alerting, ...]
    """The alert and its further rungs, then NO DATA and its further rungs."""


def selected(selector: str, job: str) -> str:
    """A selector of the profile, of one job alone. Raises ValueError for what is no selector."""
    Selector.read(selector)
    name, _, rest = selector.strip().partition("{")
    matchers = rest.rstrip().removesuffix("}").strip().removesuffix(",").strip()
    return f'{name.strip()}{{job="{job}"{"," if matchers else ""}{matchers}}}'


class Writer:
    """Makes the rules of one target."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.jobs = Jobs.of(target)
        section = target.profile.monitoring
        self.fresh_s = fresh_s(section.interval_s)
        """So long a look of the watch stands, as its own readings do."""
        self.budget = f"{1 - section.availability_percent / 100:.10g}"
        self._runbooks = section.runbooks
        self._ladders = target.ladders
        self.selectors = self._selectors()
        """Our name of a metric -> its selector in Prometheus; nothing where the target has no metrics."""

    def _selectors(self) -> dict[str, str]:
        contract, found = self.target.contract, {}
        for name, selector in contract.metric.items() if contract.metrics else ():
            try:
                found[name] = selected(selector, self.jobs.target)
            except ValueError:
                continue  # the watch cannot use it either, and tells so
        return found

    def all(self) -> tuple[Rules, ...]:
        """Per threshold that is on."""
        return tuple(self._rules(one) for one in watched(self.target))

    def has_metrics(self, threshold: Threshold) -> bool:
        """Whether Prometheus can compute the signal from the target's own metrics."""
        metrics = SIGNALS[threshold.signal].metrics
        return bool(metrics) and all(name in self.selectors for name in metrics)

    def of_watch(self, metric: str, threshold: Threshold) -> str:
        """A metric of the watch for this threshold, without labels."""
        return f'max({metric}{{job="{self.jobs.watch}",threshold="{threshold.name}"}})'

    # Recording

    def value_name(self, threshold: Threshold, window_s: float) -> str:
        """Name of the recorded value, by the convention level:metric:operations."""
        window = period(window_s) if window_s else ""
        return f"gonogo:{_metric(threshold)}:{_UNITS[unit_of(threshold)]}{window}"

    def events_name(self, threshold: Threshold) -> str:
        """Name of the recorded number of events in the window."""
        return f"gonogo:{_metric(threshold)}:events{period(threshold.window_s)}"

    def _recordings(self, threshold: Threshold) -> tuple[Recording, ...]:
        signal = SIGNALS[threshold.signal]
        windows = {threshold.window_s: "gonogo_reading"}
        if threshold.short_window_s:
            windows[threshold.short_window_s] = "gonogo_reading_short"
        found = [
            Recording(self.value_name(threshold, window_s), self._value(threshold, signal, window_s, metric))
            for window_s, metric in windows.items()
        ]
        if threshold.least_events:
            own = self.of_watch("gonogo_reading_events", threshold)
            computed = self._filled(signal.events, threshold.window_s) if self.has_metrics(threshold) else ""
            found.append(Recording(self.events_name(threshold), f"{computed} or {own}" if computed else own))
        return tuple(found)

    def _value(self, threshold: Threshold, signal: Signal, window_s: float, metric: str) -> str:
        own = self.of_watch(metric, threshold)
        if threshold.signal == "target-up" and self.target.contract.metrics:
            # The watch asks the health operation, as users' clients do. That Prometheus' own scrape of the metrics
            # succeeds says less; it stands in only where there is no watch.
            return f'{own} or min(up{{job="{self.jobs.target}"}})'
        if not self.has_metrics(threshold):
            return own
        return f"round({self._filled(signal.expression, window_s)}, {ROUNDED_TO}) or {own}"

    def _filled(self, expression: str, window_s: float) -> str:
        words = {**self.selectors, "window": period(window_s), "budget": self.budget}
        for word, text in words.items():
            expression = expression.replace("{" + word + "}", text)
        return expression

    # Alerting

    def _rules(self, threshold: Threshold) -> Rules:
        return Rules(
            threshold,
            self._recordings(threshold),
            (
                *self.rungs(
                    Alerting(
                        threshold.alert,
                        self._broken(threshold),
                        threshold.for_s,
                        threshold.keep_firing_s,
                        _labels(threshold.severity, threshold.name, AlertKind.LIMIT),
                        self._annotations(threshold, AlertKind.LIMIT),
                    )
                ),
                *self.rungs(
                    Alerting(
                        f"{threshold.alert}NoData",
                        self._unknown(threshold),
                        threshold.no_data_s,
                        0.0,
                        _labels(threshold.severity, threshold.name, AlertKind.NO_DATA),
                        self._annotations(threshold, AlertKind.NO_DATA),
                    )
                ),
            ),
        )

    def _broken(self, threshold: Threshold) -> str:
        against = f"{threshold.comparison.value} {number(threshold.limit)}"
        parts = [f"{self.value_name(threshold, threshold.window_s)} {against}"]
        if threshold.short_window_s:
            parts.append(f"{self.value_name(threshold, threshold.short_window_s)} {against}")
        if threshold.least_events:
            parts.append(f"{self.events_name(threshold)} >= {threshold.least_events}")
        return " and ".join(parts)

    def _unknown(self, threshold: Threshold) -> str:
        """True where the watch has no value though there should be one, or does not look; and the metrics tell none.

        A failed scrape ends every series of its target at once, so that `absent` sees it. NaN and negative values are
        no counts: `>= 0` leaves them out. That no errors were counted yet is no missing data.
        """
        missing = self.of_watch("gonogo_reading_missing", threshold)
        watch = f"({missing} == 1 or absent({WATCH_AGE} <= {number(self.fresh_s)}))"
        if threshold.signal == "target-up":
            known = [f'up{{job="{self.jobs.target}"}}'] if self.target.contract.metrics else []
        elif self.has_metrics(threshold):
            needed = [name for name in SIGNALS[threshold.signal].metrics if name != "errors"]
            known = [f"{self.selectors[name]} >= 0" for name in needed]
        else:
            known = []
        if not known:
            return watch
        absent = " or ".join(f"absent(sum({one}))" for one in known)
        return f"({absent}) and {watch}"

    def _annotations(self, threshold: Threshold, kind: AlertKind) -> dict[str, str]:
        title, why = literal(threshold.title), literal(threshold.why)
        value, is_yes_or_no = _value_template(threshold), unit_of(threshold) == "up"
        limit = f"{threshold.comparison.value} {literal(shown(threshold, threshold.limit))}"
        if kind is AlertKind.NO_DATA:
            unknown = "whether it is so" if is_yes_or_no else f"whether the limit ({limit}) is kept"
            found = {
                "summary": f"{title}: no data for {period(threshold.no_data_s)}",
                "description": f"Nobody knows {unknown}. {why}".strip(),
            }
        elif is_yes_or_no:
            found = {"summary": f"{title}: {value}", "description": why or f"It is {value}."}
        else:
            found = {
                "summary": f"{title}: {value} (alert at {limit})",
                "description": f"{why} It is {value}; the alert is at {limit}.".strip(),
            }
        if runbook := self._runbook(threshold):
            found["runbook_url" if "://" in runbook else "runbook"] = literal(runbook)
        if threshold.origin:
            found["origin"] = literal(threshold.origin)
        return found

    def _runbook(self, threshold: Threshold) -> str:
        """Link or file of its runbook; its bare name where it is the one that ships with gonogo."""
        name, folder = threshold.runbook, self._runbooks
        if not name or "://" in name or not folder:
            return name
        return f"{folder.rstrip('/')}/{name.removesuffix('.md')}.md"

    def rungs(self, first: Alerting) -> tuple[Alerting, ...]:
        """The alert itself, and the same later for each further rung: Alertmanager cannot escalate by time."""
        ladder = self._ladders.get(AlertSeverity(first.labels["severity"]), ())
        found = [first] if ladder and ladder[0].after_s == 0 else [_at_rung(first, NOBODY, 0.0)]
        for place, rung in enumerate(ladder, 1):
            if place > 1 or rung.after_s > 0:
                found.append(_at_rung(first, str(place), rung.after_s))
        return tuple(found)

    # The watch itself

    def about_watch(self) -> tuple[Recording, tuple[Alerting, ...]]:
        """Since when the watch has not looked, and the alert on that."""
        last = f'gonogo_watch_last_look_timestamp_seconds{{job="{self.jobs.watch}"}}'
        recording = Recording(WATCH_AGE, f"time() - max({last})")
        alert = Alerting(
            WATCH_DOWN,
            f"absent({WATCH_AGE} <= {number(self.fresh_s)})",
            WATCH_DOWN_S,
            0.0,
            _labels(AlertSeverity.CRITICAL, WATCH, AlertKind.NO_DATA),
            {
                "summary": "gonogo does not watch",
                "description": "The thresholds that only gonogo can read are not known, and it tells nobody: start "
                "`gonogo watch`, or look why it stands still.",
            },
        )
        return recording, self.rungs(alert)

    def watchdog(self) -> Alerting:
        """Fires for ever: a dead man's switch elsewhere tells when it comes no more."""
        return Alerting(
            WATCHDOG,
            "vector(1)",
            0.0,
            0.0,
            {"severity": "none"},
            {
                "summary": "Alerts arrive",
                "description": "Fires always. Where it no longer comes, Prometheus, Alertmanager or the way from there "
                "is broken.",
            },
        )


def expanded(template: str, threshold: Threshold | None, value: float) -> str:
    """An annotation as Prometheus shows it."""
    if threshold is not None:
        template = template.replace(_value_template(threshold), plain(shown(threshold, value)))
    return template.replace('{{ "{{" }}', "{{").replace('{{ "}}" }}', "}}")


def ladder_rungs(
    ladders: Mapping[AlertSeverity, Sequence[Rung]],
) -> Iterable[tuple[AlertSeverity, int, Rung]]:
    """Every rung with its severity and its place, from 1 on: the label `rung`."""
    for severity, ladder in ladders.items():
        for place, rung in enumerate(ladder, 1):
            yield severity, place, rung


def _labels(severity: AlertSeverity, threshold: str, kind: AlertKind) -> dict[str, str]:
    return {"severity": severity.value, "threshold": threshold, "kind": kind.value, "rung": "1"}


def _at_rung(first: Alerting, rung: str, after_s: float) -> Alerting:
    return replace(first, for_s=first.for_s + after_s, labels={**first.labels, "rung": rung})


def _value_template(threshold: Threshold) -> str:
    unit = unit_of(threshold)
    if unit == "up":
        return "{{ if ge $value 1.0 }}yes{{ else }}no{{ end }}"
    return f'{{{{ printf "%.4g" $value }}}} {unit}'.strip()


def _metric(threshold: Threshold) -> str:
    return threshold.name.replace("-", "_")
