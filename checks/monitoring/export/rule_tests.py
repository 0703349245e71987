"""`gonogo-rules-test.yml` for `promtool test rules`: each alert fires when it should, and not otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from checks.monitoring.export.common import ExportFile, as_yaml, header, period
from checks.monitoring.export.prometheus import RULES_FILE
from checks.monitoring.export.rules import (
    WATCHDOG,
    Alerting,
    Rules,
    Writer,
    expanded,
)
from checks.monitoring.export.series import Case, Cases, Series, looks, missing
from checks.monitoring.model import AlertKind, Threshold
from checks.target import Target

TESTS_FILE = "gonogo-rules-test.yml"
MOST_STEPS = 100
"""Of the longest test: rules of a day are tried in greater steps than those of a minute."""


def rule_tests(target: Target) -> ExportFile:
    """Per alert: series that break it by little, before and after its `for`; series that just keep it; no series."""
    found = _Tests(Writer(target))
    document = {
        "rule_files": [RULES_FILE],
        "evaluation_interval": period(found.every_s),
        "tests": [found.group(trials) for trials in _packed(found.all())],
    }
    return ExportFile(
        TESTS_FILE, header(target, f"Run: promtool test rules {TESTS_FILE}") + as_yaml(document)
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """Series, and what one alert makes of them."""

    what: str
    """`fires`, `stays quiet`, ...: trials of one kind go together."""
    alert: str
    step_s: float
    series: Sequence[Series]
    tests: Sequence[Mapping[str, Any]]
    is_watched: bool = False
    """Whether the watch looks all the while."""

    @property
    def sources(self) -> frozenset[str]:
        """What must not be told twice: the watch's series have the threshold's name, a target's metrics have none."""
        return frozenset(
            one.series if one.series.startswith("gonogo_") else one.series.partition("{")[0]
            for one in self.series
        )


class _Tests:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._rules = writer.all()
        _, self._about_watch = writer.about_watch()
        alerts = [*self._about_watch, *(alert for one in self._rules for alert in one.alerts)]
        longest_s = max(alert.for_s for alert in alerts)
        interval_s = writer.target.profile.monitoring.interval_s
        self.every_s = math.ceil(max(interval_s, longest_s / MOST_STEPS) * 1000) / 1000
        """From evaluation to evaluation."""
        self._stale = math.floor(writer.fresh_s / self.every_s + 1e-9) + 1
        """Steps until a look is too old."""
        self._most_steps = self._steps(alerts) + self._stale

    def all(self) -> Iterable[Trial]:
        """Every trial."""
        watchdog = self._writer.watchdog()
        expected = {"exp_labels": dict(watchdog.labels), "exp_annotations": dict(watchdog.annotations)}
        always = {"eval_time": "0s", "alertname": WATCHDOG, "exp_alerts": [expected]}
        yield Trial("without any series", WATCHDOG, self.every_s, (), [always])
        yield from self._unknown(None, self._about_watch)
        for one in self._rules:
            yield from self._limit(one)
            yield from self._unknown(one.threshold, _of_kind(one.alerts, AlertKind.NO_DATA))

    def _limit(self, rules: Rules) -> Iterable[Trial]:
        threshold, alerts = rules.threshold, _of_kind(rules.alerts, AlertKind.LIMIT)
        steps = self._steps(alerts)
        cases = Cases(self._writer, threshold, self.every_s, steps)

        def quiet(what: str, case: Case) -> Trial:
            tests = [self._quiet(alerts, case.from_step), self._quiet(alerts, case.from_step + steps - 1)]
            return Trial(what, threshold.alert, cases.step_s, case.series, tests)

        breaking = cases.breaking()
        firing = self._firing(alerts, threshold, breaking)
        yield Trial("beyond the limit", threshold.alert, cases.step_s, breaking.series, firing)
        yield quiet("within the limit", cases.kept())
        if few := cases.few():
            yield quiet("too few events", few)

    def _unknown(self, threshold: Threshold | None, alerts: Sequence[Alerting]) -> Iterable[Trial]:
        name, steps, nothing = alerts[0].alert, self._steps(alerts), Case((), 1.0, 0)
        firing = self._firing(alerts, threshold, nothing)
        yield Trial("without any series", name, self.every_s, (), firing)
        if threshold:
            series = [missing(self._writer, threshold, 1, steps)]
            yield Trial("the watch has no value", name, self.every_s, series, firing, is_watched=True)
        else:
            still = Case((looks(self._writer, 0.0, self._most_steps),), 1.0, self._stale)
            firing = self._firing(alerts, None, still)
            yield Trial("the watch stands still", name, self.every_s, still.series, firing)
        known = [missing(self._writer, threshold, 0, steps)] if threshold else []
        quiet = [self._quiet(alerts, 0), self._quiet(alerts, steps)]
        yield Trial("all is known", name, self.every_s, known, quiet, is_watched=True)

    def group(self, trials: Sequence[Trial]) -> dict[str, Any]:
        """Trials that are tried together, as promtool reads them."""
        series = [one for trial in trials for one in trial.series]
        if any(trial.is_watched for trial in trials):
            series.append(looks(self._writer, self.every_s, self._most_steps))
        return {
            "name": f"{trials[0].what}: {', '.join(trial.alert for trial in trials)}",
            "interval": period(trials[0].step_s),
            "input_series": [{"series": one.series, "values": one.values} for one in series],
            "alert_rule_test": [test for trial in trials for test in trial.tests],
        }

    def _steps(self, alerts: Sequence[Alerting]) -> int:
        """Until the last rung has fired."""
        return max(self._waited(alert.for_s) for alert in alerts) + 2

    def _waited(self, for_s: float) -> int:
        """Evaluations from the first at which the condition holds to the first at which the alert fires."""
        return math.ceil(for_s / self.every_s - 1e-9)

    def _firing(
        self, alerts: Sequence[Alerting], threshold: Threshold | None, case: Case
    ) -> list[dict[str, Any]]:
        """Just before each rung, and when it fires: those that came before it fire on."""
        tests: dict[int, dict[str, Any]] = {}
        for alert in alerts:
            at = case.from_step + self._waited(alert.for_s)
            for step in (at - 1, at):
                if step >= 0:
                    tests[step] = self._at(step, alerts, threshold, case)
        return [tests[step] for step in sorted(tests)]

    def _at(
        self, step: int, alerts: Sequence[Alerting], threshold: Threshold | None, case: Case
    ) -> dict[str, Any]:
        firing = [one for one in alerts if step >= case.from_step + self._waited(one.for_s)]
        return {
            **self._quiet(alerts, step),
            "exp_alerts": [
                {
                    "exp_labels": dict(one.labels),
                    "exp_annotations": {
                        name: expanded(text, threshold, case.value) for name, text in one.annotations.items()
                    },
                }
                for one in firing
            ],
        }

    def _quiet(self, alerts: Sequence[Alerting], step: int) -> dict[str, Any]:
        return {
            "eval_time": period(step * self.every_s),
            "alertname": alerts[0].alert,
            "exp_alerts": [],
        }


def _of_kind(alerts: Iterable[Alerting], kind: AlertKind) -> tuple[Alerting, ...]:
    return tuple(one for one in alerts if one.labels["kind"] == kind.value)


def _packed(trials: Iterable[Trial]) -> Iterable[list[Trial]]:
    """Trials that do not disturb each other, together: promtool evaluates every rule anew for each group."""
    groups: list[list[Trial]] = []
    for trial in trials:
        for group in groups:
            is_alike = (group[0].what, group[0].step_s) == (trial.what, trial.step_s)
            if is_alike and not any(one.sources & trial.sources for one in group):
                group.append(trial)
                break
        else:
            groups.append([trial])
    return groups
