"""The words and figures of the load report: what was sent, what a figure means, what a difference says."""

from __future__ import annotations

from collections.abc import Iterator

from checks.load.model import (
    Accounting,
    Arrival,
    Bounded,
    Capacity,
    CapacityStep,
    Channel,
    Criterion,
    Difference,
    Failure,
    Latencies,
    LoadRun,
    Scalability,
    Scenario,
)
from checks.load.scalability import throughput
from checks.model import Verdict
from checks.text import duration, one_line

NOT_SEEN = "not seen"
DASH = "–"
FAILURES = {
    Failure.THROTTLED: "refused by the rate limiter",
    Failure.REFUSED: "refused: an error in a well-formed answer",
    Failure.SERVER_ERROR: "a server error (5xx)",
    Failure.NO_REPLY: "no reply in time",
    Failure.UNREACHABLE: "no connection could be made",
    Failure.CLOSED: "the connection ended before the reply was whole",
    Failure.PROTOCOL: "what came is neither HTTP nor WebSocket nor JSON",
    Failure.TOO_LARGE: "the reply was longer than a reply may be",
    Failure.WRONG_MESSAGE: "the reply answers another message",
    Failure.WRONG_BOT: "the reply names another bot",
    Failure.DOUBLED: "a second reply to the same message",
    Failure.UNSENT: "due, and never sent: no connection was free",
}
CHANNELS = {
    Channel.WEBSOCKET: "over WebSockets",
    Channel.REST: "over REST",
    Channel.BOTH: "over WebSockets and REST by turns",
}
LIMITING = {
    "p95": "the response time: more than 5 % of the replies were too late (p95)",
    "p99": "the response time: more than 1 % of the replies were too late (p99)",
    "errors": "the share of failed messages",
    "backlog": "the rate itself: messages came faster than they were answered, and a backlog grew",
    "memory": "the memory of the target",
    "cpu": "the CPU of the target",
    "pool": "the pool of database connections",
    "limiter": "the rate limiter: it was measured, and not what lies behind it",
    "generator": "the load generator: it was at its own limit, and the target may carry more",
    "ceiling": "nothing: the highest rate allowed was reached with every criterion kept, and the target may carry more",
}
"""What a capacity search ran into -> how it is told."""
UNCLEAR = "unclear"
"""What a step broke that left a backlog and nothing else: a longer one had to tell."""
GAP_S, GAP_SHARE = 0.010, 0.2
"""A difference between intended and real send below both says nothing."""


def time_of(seconds: float) -> str:
    """A response time, with one decimal below 10 ms."""
    return f"{seconds * 1e3:.1f} ms" if 0 < seconds < 0.00995 else str(duration(seconds))


def percent(value: float | None, digits: int = 0) -> str:
    """Per cent; a dash where there is none."""
    return DASH if value is None else f"{value:.{digits}f} %"


def rate(per_s: float | None) -> str:
    """Messages a second, in three digits; a dash where there is none."""
    return DASH if per_s is None else f"{per_s:.0f}/s" if per_s >= 1000 else f"{per_s:.3g}/s"


def mebibytes(count: int | None) -> str:
    """Memory; a dash where it was not seen."""
    return DASH if count is None else f"{count / 2**20:.0f} MiB"


def times(figures: Latencies) -> tuple[str, ...]:
    """p50, p95, p99 and max; dashes where nothing was answered."""
    if not figures.count:
        return (DASH,) * 4
    return tuple(time_of(one) for one in (figures.p50_s, figures.p95_s, figures.p99_s, figures.max_s))


def span(low: str, high: str) -> str:
    """From low to high, the unit once where it is the same."""
    unit = high.rpartition(" ")[2]
    is_plain = low.count(" ") == high.count(" ") == 1 and low.endswith(f" {unit}")
    return f"{low.removesuffix(f' {unit}') if is_plain else low} to {high}"


def with_interval(found: Bounded) -> str:
    """A response time with its 95 % interval."""
    low, high = found.lower, found.upper
    if low is None and high is None:
        return f"{time_of(found.point)} (too few for an interval)"
    if low is None or high is None:
        side = f"at least {time_of(low)}" if low is not None else f"at most {time_of(high or 0.0)}"
        return f"{time_of(found.point)} ({side})"
    return f"{time_of(found.point)} ({span(time_of(low), time_of(high))})"


def errors(run: LoadRun) -> str:
    """The share of failed messages with its bounds."""
    found = run.errors
    if found.lower is None or found.upper is None:
        return percent(found.point, 2) if run.due else DASH
    return f"{found.point:.2f} % ({found.lower:.2f} to {found.upper:.2f} %)"


def asked(scenario: Scenario) -> str:
    """The load in a word or two."""
    if scenario.is_capacity:
        return f"{scenario.rate_per_s:g} to {scenario.most_rate_per_s:g}/s"
    return f"{scenario.users} users" if scenario.arrival is Arrival.CLOSED else rate(scenario.rate_per_s)


def model(scenario: Scenario) -> str:
    """How messages come, in a sentence."""
    think = f"{scenario.think_min_s:g} to {scenario.think_max_s:g} s"
    if scenario.is_capacity:
        return (
            f"Open model in rising steps: from {scenario.rate_per_s:g} messages a second up to "
            f"{scenario.most_rate_per_s:g} at most, {scenario.step_s:g} s each, until a criterion breaks; then by "
            f"bisection, and at last a hold of {scenario.confirm_s:g} s that has to confirm the rate found."
        )
    if scenario.arrival is Arrival.CLOSED:
        return (
            f"Closed model: each of {scenario.users} users sends, waits for the reply, thinks for {think}, and sends "
            "again. Whoever waits sends nothing, so a slow target is asked less."
        )
    how = "at even distances" if scenario.arrival is Arrival.CONSTANT else "at random distances (Poisson)"
    return (
        f"Open model: {scenario.rate_per_s:.4g} messages a second ({scenario.rate_per_s * 60:.0f} a minute) {how}, "
        "whatever the target does."
    )


def course(scenario: Scenario) -> str:
    """Ramp, hold and what is judged, in a sentence."""
    if scenario.is_capacity:
        return "Each step is judged by itself; the figures of this scenario are those of its last good step."
    parts = [f"ramp {scenario.ramp_s:g} s", f"hold {scenario.hold_s:g} s"]
    if scenario.ramp_down_s:
        parts.append(f"ramp down {scenario.ramp_down_s:g} s")
    told = ", ".join(parts)
    return f"{capital(told)}. Criteria are judged over the hold, response times are those of the hold."


def way(scenario: Scenario) -> str:
    """Channel, bots, length and patience, in a sentence."""
    bots = f"{scenario.bots} {'bot' if scenario.bots == 1 else 'bots'}"
    return (
        f"Sent {CHANNELS[scenario.channel]} to {bots}, {scenario.message_bytes} bytes a message; a reply may take "
        f"{scenario.reply_within_s:g} s."
    )


def capital(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def decided_by(run: LoadRun) -> str:
    """What made the verdict, in words and without a full stop."""
    if run.stopped and run.verdict is not Verdict.FAIL:
        return f"it was stopped early: {run.stopped}"
    deciding = [one for one in run.criteria if one.verdict is run.verdict]
    if run.verdict is Verdict.PASS or not deciding:
        return _kept(run)
    first, others = _told(deciding[0]), len(deciding) - 1
    verb = "failed" if run.verdict is Verdict.FAIL else "could not be judged"
    noun = "criterion" if others == 1 else "criteria"
    return f"{first} ({others} more {noun} {verb})" if others else first


def _told(criterion: Criterion) -> str:
    return criterion.sentence or f"{one_line(criterion.title)}: {criterion.observed}, limit {criterion.limit}"


def _kept(run: LoadRun) -> str:
    if run.capacity is not None and run.capacity.sentence:
        return run.capacity.sentence
    kept = sum(one.verdict is Verdict.PASS for one in run.criteria)
    told = f"all {kept} criteria that apply were kept"
    return f"{told}; 95 % of the replies took up to {time_of(run.p95.point)}" if run.latency.count else told


def sends_apart(run: LoadRun) -> str:
    """What the difference between the intended and the real send means here."""
    if not run.latency.count or not run.service.count:
        return "There are too few replies to compare the two."
    for fraction, due, real in (
        (95, run.latency.p95_s, run.service.p95_s),
        (99, run.latency.p99_s, run.service.p99_s),
    ):
        if due - real > max(GAP_S, GAP_SHARE * real):
            why = "the target was still busy with those before them"
            if run.generator.problem:
                why = "the generator was itself too slow, so this says nothing of the target"
            return (
                f"{fraction} % of the replies came within {time_of(due)} of the moment when their message was due, and "
                f"within {time_of(real)} of the moment when it was really sent. Between the two, messages that were "
                f"due waited to be sent: {why}. Users feel the longer time; a "
                f"tool that starts its clock at the real send would have reported {time_of(real)}."
            )
    if run.scenario.arrival is Arrival.CLOSED and not run.scenario.is_capacity:
        return (
            "The two agree, as they do in a closed model: a message is due when its user is ready to send it. What "
            "others would have waited while the target stood still shows in an open model alone."
        )
    return "The two agree: messages were sent when they were due, so no waiting is hidden before the send."


def accounted(found: Accounting) -> str:
    """Whether every message came through, in a sentence."""
    if found.problem:
        return f"It could not be counted: {found.problem}."
    if wrong := list(_losses(found)):
        return f"Not every message came through: {', '.join(wrong)}."
    if found.stored is None:
        return "Nothing is known to be lost, doubled or swapped; the database was not read."
    return (
        "Nothing was lost, doubled or swapped: every message that was answered with a good reply is stored."
    )


def _losses(found: Accounting) -> Iterator[str]:
    for count, what in (
        (found.lost, "lost"),
        (found.lost_in_history, "missing from the history"),
        (found.doubled, "doubled"),
        (found.swapped, "swapped between bots"),
        (found.unstored_replies, "with a reply that is not stored"),
    ):
        if count:
            yield f"{count} {what}"


def limiting(name: str) -> str:
    """What broke first, in words."""
    return LIMITING.get(name, f"the criterion “{one_line(name, 40)}”")


def broke(step: CapacityStep) -> str:
    """Whether a step kept every criterion, in two or three words."""
    if step.is_good:
        return "all kept"
    return "a backlog, undecided" if step.broke == UNCLEAR else f"broken: {one_line(step.broke, 40) or 'one'}"


def headroom(found: Capacity) -> str:
    """Safe capacity over the declared peak, in a sentence without a full stop; the reason where there is none."""
    if found.safe_per_s is None:
        return f"no safe rate is known: {found.problem or 'none was confirmed'}"
    told = f"{rate(found.safe_per_s)} is confirmed as safe"
    if found.headroom is None:
        return told
    return f"{told}, {found.headroom:.1f} times the declared peak of {rate(found.peak_per_s)}"


def law(found: Scalability) -> str:
    """The Universal Scalability Law as it was fitted, in two sentences."""
    peak = "It has no greatest throughput within reach."
    if found.peak_n is not None:
        most = rate(throughput(found, found.peak_n))
        peak = f"It has its greatest throughput, {most}, at {found.peak_n:.0f} messages under way at once."
    return (
        "Gunther's Universal Scalability Law, X(N) = γN / (1 + α(N-1) + βN(N-1)), fits the steps with "
        f"γ = {rate(found.gamma)} (one message at a time), α = {found.alpha:.3g} (queueing for what is shared) and "
        f"β = {found.beta:.3g} (keeping it consistent). Its error is {found.error_percent:.1f} %, the root mean "
        f"square of the relative residuals. {peak}"
    )


TIMES, RATES, SHARES, SIZES = ("p95", "p99"), ("throughput", "capacity"), ("errors",), ("memory",)
"""The figures that `checks/load/compare.py` compares, by their unit."""


def figure(name: str, value: float) -> str:
    """A compared figure with its unit."""
    if name in TIMES:
        return time_of(value)
    if name in RATES:
        return rate(value)
    return percent(value, 2) if name in SHARES else f"{value:.4g}{' MiB' if name in SIZES else ''}"


def judged(found: Difference) -> str:
    """`better`, `worse`, `another`, or that it says nothing."""
    if not found.is_real:
        return "within the noise"
    if found.name in RATES:
        return "better" if found.now > found.before else "worse"
    if found.name in (*TIMES, *SHARES, *SIZES):
        return "better" if found.now < found.before else "worse"
    return "another"
