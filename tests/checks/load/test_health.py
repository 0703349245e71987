"""The guard stops a run for a sick target, a full host or suffering users, and for nothing less."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from checks.launches import Bot
from checks.load import health
from checks.load.health import Look, Watch, quantile, why_stop
from checks.load.model import Sample
from checks.text import clean
from tests.checks.audit.answering import Asked, Said, answering, said
from tests.checks.audit.contexts import context_of, target_at

QUIET = Sample(host_memory_percent=40.0)
SICK = clean("it was answered 503")


def looks(*took_s: float, errors: int = 0) -> list[Look]:
    """One a second, all healthy; the last `errors` of them failed otherwise."""
    first_error = len(took_s) - errors
    return [
        Look(float(place), seconds, is_error=place >= first_error) for place, seconds in enumerate(took_s)
    ]


def failing(count: int, took_s: float = 0.01) -> list[Look]:
    """A healthy look, then so many that fail."""
    return [Look(0.0, 0.01), *(Look(1.0 + place, took_s, SICK, True) for place in range(count))]


@pytest.mark.parametrize(
    ("seen", "stops"),
    [
        ([], False),
        (failing(1), False),
        (failing(2), False),
        (failing(3), True),
        (failing(1, took_s=5.0), True),  # one that was waited for, for five seconds
        (failing(2, took_s=4.2), True),
        ([*failing(2), Look(3.0, 0.01), *failing(2)[1:]], False),
    ],
)
def test_a_health_that_fails_three_times_or_for_five_seconds_stops_it(seen: list[Look], stops: bool) -> None:
    why = why_stop(seen, [], QUIET, has_real_users=False)
    assert bool(why) == stops
    if stops:
        assert why.startswith("the target's health failed ")
        assert why.endswith(": it was answered 503")


@pytest.mark.parametrize(("percent", "stops"), [(None, False), (90.0, False), (90.6, True)])
def test_a_full_host_stops_it(percent: float | None, stops: bool) -> None:
    why = why_stop(looks(0.01), [], Sample(host_memory_percent=percent), has_real_users=False)
    assert bool(why) == stops
    if stops:
        assert why == "the memory of the host is in use to 91 %, more than 90 %"


BEFORE = looks(*[0.2] * 10)


@pytest.mark.parametrize(
    ("before", "now", "stops"),
    [
        (BEFORE, looks(*[0.2] * 15), False),
        (BEFORE, looks(*[0.29] * 15), False),  # worse, but not by half
        (BEFORE, looks(*[0.2] * 14, 3.0), False),  # one accident
        (BEFORE, looks(*[0.2] * 13, 0.31, 0.31), True),
        (BEFORE, looks(0.4, 0.4), True),
        (looks(*[0.01] * 10), looks(*[0.2] * 15), False),  # 20 times worse, and still quick
        (looks(*[0.01] * 10), looks(*[0.26] * 15), True),
        ([], looks(*[9.0] * 15), False),  # what it was before is not known
        (BEFORE, looks(*[9.0] * 5, *[0.2] * 15), False),  # that is over
        (BEFORE, looks(*[0.1] * 15, errors=1), False),
        (BEFORE, looks(*[0.1] * 15, errors=2), True),
        (looks(*[0.2] * 10, errors=2), looks(*[0.1] * 15, errors=3), False),  # as before
        (looks(*[0.2] * 10, errors=2), looks(*[0.1] * 15, errors=5), True),
    ],
)
def test_real_users_whose_answers_worsen_by_half_stop_it(
    before: list[Look], now: list[Look], stops: bool
) -> None:
    assert bool(why_stop(now, before, QUIET, has_real_users=True)) == stops
    assert not why_stop(now, before, QUIET, has_real_users=False)


def test_what_worsened_is_told_in_numbers() -> None:
    late = why_stop(looks(*[0.2] * 13, 0.31, 0.4), BEFORE, QUIET, has_real_users=True)
    assert late == (
        "real users are on the target, and 95 % of the guard's own requests took up to 400 ms, 200 ms before the run"
    )
    wrong = why_stop(looks(*[0.1] * 10, errors=2), BEFORE, QUIET, has_real_users=True)
    assert wrong == (
        "real users are on the target, and 20 % of the guard's own requests failed, 0 % before the run"
    )


@pytest.mark.parametrize(
    ("values", "found"),
    [([], 0.0), ([3.0], 3.0), ([1.0, 2.0], 2.0), ([float(n) for n in range(1, 101)], 95.0)],
)
def test_the_quantile_is_that_of_the_nearest_rank(values: list[float], found: float) -> None:
    assert quantile(values) == found


class Sick:
    """A target whose health a test switches."""

    def __init__(self) -> None:
        self.status = 200

    async def __call__(self, asked: Asked) -> Said:
        if "/health" in asked.path:
            return said({"success": self.status == 200, "status": "x", "error": "down"}, self.status)
        return said({"success": True, "messages": []})


async def test_the_guard_asks_from_an_address_of_its_own_and_stops_a_sick_target(tmp_path: Path) -> None:
    target = Sick()
    async with (
        answering(target) as server,
        context_of(target_at(server.url), tmp_path) as context,
        Watch.opened(context) as watch,
    ):
        assert not server.asked, "without real users nothing is learnt before"
        assert await watch.look(QUIET) == ""
        target.status = 429
        assert [await watch.look(QUIET) for _ in range(4)] == [""] * 4, (
            "the limiter is not the target's health"
        )
        target.status = 503
        said_ = [await watch.look(QUIET) for _ in range(3)]
    assert said_[:2] == ["", ""]
    assert said_[2].startswith("the target's health failed 3 times in a row")
    assert {one.client for one in server.asked} == {watch.visitor.address} != {"127.0.0.1"}
    assert server.count("history") == 0


async def test_with_real_users_the_history_is_asked_for_too_and_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PAUSE_BEFORE_S", 0.0)
    async with answering(Sick()) as server:
        target = target_at(server.url)
        load = msgspec.structs.replace(target.profile.load, real_users=True)
        profile = msgspec.structs.replace(target.profile, load=load)
        async with context_of(msgspec.structs.replace(target, profile=profile), tmp_path) as context:
            context.launches.bots["BOT-0"] = Bot("BOT-0", is_stopped=True)
            context.launches.bots["BOT-7"] = Bot("BOT-7")
            async with Watch.opened(context) as watch:
                assert len(watch.before) == health.BEFORE
                assert await watch.look(QUIET) == ""
    assert server.count("/health") == server.count("bot_id=BOT-7") == health.BEFORE + 1


async def test_a_target_that_is_gone_stops_it_and_raises_nothing(tmp_path: Path) -> None:
    async with answering(Sick()) as server:
        url = server.url
    async with context_of(target_at(url), tmp_path) as context, Watch.opened(context) as watch:
        said_ = [await watch.look(QUIET) for _ in range(20)]
    assert said_[:2] == ["", ""]
    assert all(said_[2:])
    assert len(watch.looks) == health.WINDOW
