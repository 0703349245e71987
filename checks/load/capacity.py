"""Finds the greatest rate that a target carries: rising steps, bisection, a confirming hold. No clock, no I/O.

Steps rise by half until one breaks twice in a row; the bracket is halved until its ends are within 4 %; a hold confirms
the lower end, or steps down and tries again, three holds in all. Where none is kept there is no figure. A step
that the generator or the rate limiter broke ends the search: what it would find is not the target's.
"""

from __future__ import annotations

import math

from checks.load import scalability
from checks.load.model import Capacity, CapacityStep, Criteria, Scenario
from checks.load.steps import BEHIND, BISECTION, CONFIRMATION, STEP, UNCLEAR, Step, judge_step
from checks.text import Clean, clean, duration, one_line

__all__ = ["Search", "Step", "judge_step", "longest_s"]

RISE = 1.5
BRACKET = 1.04
"""The search is over when the rate that broke is within that of the one that did not."""
STEP_DOWN, STEP_DOWN_TO, MOST_DOWN = 0.97, 0.985, 0.95
"""After a hold that failed: of its rate, or of what was answered, and at least that much of its rate."""
MOST_CONFIRMATIONS = 3
MOST_LONG = 6
"""Steps that are repeated for as long as a confirming hold takes, because a short one left it open."""
LEAST_MESSAGES = 20
"""A step with fewer messages shows nothing: the search does not go below that rate."""
LEAST_PER_S = 0.01
MOST_BISECTIONS = 4
REASONS = {
    "generator": "the load generator was itself too slow, or out of connections",
    "limiter": "the rate limiter is what was measured",
}


def longest_s(scenario: Scenario) -> float:
    """The longest that a search may send, in seconds, without the pauses in which the last replies come in."""
    return _most_steps(scenario) * scenario.step_s + (MOST_LONG + MOST_CONFIRMATIONS) * scenario.confirm_s


class Search:
    """The search of one scenario: ask `next`, send that, hand what came of it to `learn`, until there is no next."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._steps: list[CapacityStep] = []
        self._rate = self._first = min(scenario.rate_per_s, scenario.most_rate_per_s)
        self._kind = STEP
        self._good: list[float] = []
        """Rates that were carried, ascending."""
        self._open: set[float] = set()
        """Those of them that left a backlog: a longer step has to tell."""
        self._broken: dict[float, str] = {}
        """Rate -> what broke it, of the rates that count as broken."""
        self._breaks_here = 0
        self._is_long = False
        self._long_left = MOST_LONG
        self._confirmations = 0
        self._confirmed: float | None = None
        self._problem = ""
        self._is_over = self._rate < LEAST_PER_S

    def next(self) -> Step | None:
        """What to send next; None where the search is over."""
        if not self._is_over and len(self._steps) >= _most_steps(self._scenario) + MOST_LONG:
            self._end("it took too many steps")
        if self._is_over:
            return None
        is_confirmation = self._kind == CONFIRMATION
        is_long = is_confirmation or self._is_long
        seconds = self._scenario.confirm_s if is_long else self._scenario.step_s
        return Step(self._rate, seconds, self._kind, is_long or self._long_left == 0)

    def learn(self, step: CapacityStep) -> None:
        """Take in what came of the step that `next` asked for."""
        self._steps.append(step)
        if self._is_over:
            return
        if step.broke and step.broke != UNCLEAR and not self._counts(step):
            self._breaks_here += 1
            return
        if step.broke in REASONS:
            self._broken[self._rate] = step.broke
            self._end(f"{REASONS[step.broke]} at {_rate(self._rate)}")
        elif self._kind == CONFIRMATION:
            self._confirmation(step)
        elif step.broke == UNCLEAR and self._kind == BISECTION and self._long_left:
            self._is_long, self._long_left = True, self._long_left - 1
        else:
            self._settle(step)

    def result(self, peak_per_s: float = 0.0, *, stopped: str = "") -> Capacity:
        """What was found, beside the declared peak (messages a second); `stopped`: why the search was ended early."""
        safe = None if stopped else self._confirmed
        problem = f"the search was stopped: {stopped}" if stopped else self._problem
        if safe is None and not problem:
            problem = "the search had not come to its end"
        above = [rate for rate in self._broken if safe is None or rate > safe]
        degraded = min(above, default=None)
        breaking = min(
            (
                step.rate_per_s
                for step in self._steps
                if step.rate_per_s in above
                and (step.achieved_per_s < BEHIND * step.rate_per_s or step.error_percent > 50)
            ),
            default=None,
        )
        broke = self._broken[degraded] if degraded is not None else "ceiling" if safe else ""
        headroom = safe / peak_per_s if safe and peak_per_s > 0 else None
        return Capacity(
            safe_per_s=safe,
            degraded_per_s=degraded,
            breaking_per_s=breaking,
            broke_first=broke,
            sentence=self._sentence(safe, degraded, breaking, broke, peak_per_s, problem),
            steps=tuple(self._steps),
            scalability=scalability.fit(self._steps),
            peak_per_s=peak_per_s,
            headroom=headroom,
            problem=one_line(problem) if safe is None else clean(""),
        )

    def _counts(self, step: CapacityStep) -> bool:
        """A first break is noise until it is repeated; that of a long step counts at once."""
        if step.broke in REASONS:
            return self._breaks_here > 0
        return self._breaks_here > 0 or self._is_long or self._kind == CONFIRMATION

    def _settle(self, step: CapacityStep) -> None:
        """A rate is carried or broken: go on to the next one."""
        if step.broke == UNCLEAR:
            self._open.add(self._rate)
        elif not step.broke:
            self._open.discard(self._rate)
        if step.broke and step.broke != UNCLEAR:
            self._broken[self._rate] = step.broke
            self._good = [rate for rate in self._good if rate < self._rate]
        else:
            self._good = sorted({*self._good, self._rate})
        self._breaks_here, self._is_long = 0, False
        self._choose()

    def _choose(self) -> None:
        """The next rate, by what is known."""
        low, high = max(self._good, default=None), min(self._broken, default=None)
        if low is None:
            assert high is not None
            self._rate = high / RISE
            if self._rate * self._scenario.step_s < LEAST_MESSAGES or self._first / self._rate > 20:
                self._end(f"even {_rate(high)} breaks by {self._broken[high]}")
        elif high is None and low < self._scenario.most_rate_per_s:
            self._rate = min(low * RISE, self._scenario.most_rate_per_s)
        elif high is not None and high > low * BRACKET:
            self._rate, self._kind = math.sqrt(low * high), BISECTION
        elif low in self._open and self._long_left:
            self._rate, self._kind = low, BISECTION
            self._is_long, self._long_left = True, self._long_left - 1
        else:
            self._rate, self._kind = low, CONFIRMATION

    def _confirmation(self, step: CapacityStep) -> None:
        self._confirmations += 1
        if not step.broke:
            self._confirmed = self._rate
            self._is_over = True
            return
        self._breaks_here = 0
        self._broken[self._rate] = step.broke
        if self._confirmations >= MOST_CONFIRMATIONS:
            self._end(f"{_rate(self._rate)} was not kept up for {self._scenario.confirm_s:g} s: {step.broke}")
            return
        # What it answered when it was asked for too much is the best guess at what it can; but it may have broken down.
        guess = min(STEP_DOWN * self._rate, STEP_DOWN_TO * step.achieved_per_s)
        self._rate = max(MOST_DOWN * self._rate, guess)

    def _end(self, problem: str) -> None:
        self._problem, self._is_over = problem, True

    def _sentence(
        self,
        safe: float | None,
        degraded: float | None,
        breaking: float | None,
        broke: str,
        peak_per_s: float,
        problem: str,
    ) -> Clean:
        if safe is None:
            carried = f"; a short step at {_rate(self._good[-1])} was carried" if self._good else ""
            return one_line(f"no figure: {problem}{carried}")
        hold = next(step for step in reversed(self._steps) if step.kind == CONFIRMATION)
        told = [f"safe to {_rate(safe)} (p95 {duration(hold.p95_s)}{_limit(self._scenario.criteria)})"]
        if broke == "ceiling":
            told = [f"safe to at least {_rate(safe)}, the ceiling of the scenario; nothing broke below it"]
        elif breaking is not None and breaking == degraded:
            told.append(f"breaks at {_rate(breaking)} by {broke}")
        elif degraded is not None:
            told.append(f"degrades at {_rate(degraded)} by {broke}")
            if breaking is not None:
                told.append(f"breaks at {_rate(breaking)}")
        if peak_per_s > 0:
            told.append(f"declared peak {_rate(peak_per_s)}: headroom {_times(safe / peak_per_s)}")
        return one_line(", ".join(told))


def _most_steps(scenario: Scenario) -> int:
    """Steps of `step_s`: each rise, and the broken ones and the bisections twice."""
    first, most = scenario.rate_per_s, scenario.most_rate_per_s
    rises = 1 + math.ceil(math.log(max(1.0, most / max(LEAST_PER_S, first)), RISE))
    return 2 * rises + 2 * MOST_BISECTIONS


def _limit(criteria: Criteria) -> str:
    return f", limit {duration(criteria.p95_s)}" if criteria.p95_s else ""


def _rate(per_s: float) -> str:
    return f"{per_s:.0f}/s" if per_s >= 20 else f"{per_s:.3g}/s"


def _times(factor: float) -> str:
    return f"{factor:.0f}x" if factor >= 10 else f"{factor:.1f}x"
