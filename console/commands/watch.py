"""`gonogo watch`, the Monitoring tab without a screen, and `gonogo notify-test`, a message by the real channels."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from pathlib import Path

import click

from checks.events import BoardTold, Event, Notice
from checks.fold import Snapshot
from checks.model import ReviewError, utc_now
from checks.monitoring.actions import TryContact
from checks.monitoring.board import Board
from checks.monitoring.model import Alert, AlertState, Delivery, Message, Row, Told
from checks.monitoring.serve import MetricsServer
from checks.monitoring.signals import SIGNALS
from checks.monitoring.standing import Standing
from checks.monitoring.watching import Watching
from checks.review import Review, review_id
from checks.state import actor, review_dir, slug
from checks.target import Target
from console.commands.target import profile_option, target_to_run

WORDS = {
    AlertState.PENDING: "PENDING",
    AlertState.FIRING: "FIRING",
    AlertState.RESOLVED: "RESOLVED",
    AlertState.INACTIVE: "over",
}
ANSWER_WITHIN_S = 40.0
EXIT_FAIL = 10


class Teller:
    """Tells each change of the board as one line, as the journal of a host wants it."""

    def __init__(self, server: MetricsServer | None) -> None:
        self._server = server
        self._states: dict[str, Alert] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._problem = ""
        self._watcher = ""

    def __call__(self, event: Event) -> None:
        """Listener of the watch."""
        if isinstance(event, Notice):
            self._say(event.text)
        elif isinstance(event, BoardTold):
            self._follow(event.board)

    def _follow(self, board: Board) -> None:
        if self._server is not None and board.is_own:
            self._server.tell(board)
        if board.watcher != self._watcher:
            self._watcher = board.watcher
            names = f"{sum(row.threshold.is_on for row in board.rows)} thresholds, a look every {board.interval_s:g} s"
            self._say(
                f"{board.watcher} watches {names}"
                if board.is_own
                else f"{board.watcher} watches; followed here"
            )
        if board.problem != self._problem:
            self._problem = board.problem
            self._say(board.problem or "the watch is well again")
        for row in board.rows:
            for alert in (row.limit, row.no_data):
                before = self._states.get(alert.key)
                self._states[alert.key] = alert
                if alert.state is not (before.state if before else AlertState.INACTIVE):
                    self._say(_line(row, alert))
        for message in reversed(board.messages):
            if self._deliveries.get(message.id) is not message.delivery:
                self._deliveries[message.id] = message.delivery
                if message.delivery is not Delivery.DUE:
                    self._say(
                        f"message to {message.contact} {message.delivery.value}: {message.title} ({message.answer})"
                    )
        kept = {message.id for message in board.messages}
        self._deliveries = {key: one for key, one in self._deliveries.items() if key in kept}

    @staticmethod
    def _say(text: str) -> None:
        click.echo(f"{utc_now():%Y-%m-%d %H:%M:%S}Z {text}")


def _line(row: Row, alert: Alert) -> str:
    threshold = row.threshold
    unit = SIGNALS[threshold.signal].unit
    limit = f"limit {threshold.comparison.value} {threshold.limit:g} {unit}".strip()
    if alert.key.endswith("/no-data"):
        why = alert.problem or "it is back"
        return f"{WORDS[alert.state]} {threshold.severity.value} {threshold.title}: NO DATA ({why})"
    value = "no value" if alert.value is None else f"{alert.value:.4g} {unit}".strip()
    return f"{WORDS[alert.state]} {threshold.severity.value} {threshold.title}: {value}, {limit}"


def standing_of(target: Target) -> Standing:
    """Whether the review's GO stands, read from its journal without taking it."""

    def take() -> Snapshot | None:
        try:
            review = Review.open(target, read_only=True)
        except ReviewError:
            return None
        try:
            return review.snapshot()
        finally:
            review.close()

    return Standing(take, time.monotonic)


def watching_of(target: Target, teller: Teller) -> Watching:
    """The watch of the target's review."""
    folder = review_dir(slug(review_id(target)))
    return Watching(target, folder, teller, standing=standing_of(target), who=actor())


@click.command()
@profile_option
@click.option(
    "--metrics-port", type=click.IntRange(0, 65535), default=None, help="Loopback port of its own metrics."
)
def watch(profile: Path | None, metrics_port: int | None) -> None:
    """Watch the thresholds without a screen, until a signal: for a service (`gonogo export systemd`)."""
    target = target_to_run(profile)
    with MetricsServer(
        metrics_port if metrics_port is not None else target.profile.monitoring.port
    ) as server:
        click.echo(f"{utc_now():%Y-%m-%d %H:%M:%S}Z metrics on http://127.0.0.1:{server.port}/metrics")
        asyncio.run(_until_signal(watching_of(target, Teller(server))))


async def _until_signal(watching: Watching) -> None:
    task = asyncio.create_task(watching.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


@click.command("notify-test")
@profile_option
@click.argument("contacts", metavar="[CONTACT]...", nargs=-1)
def notify_test(profile: Path | None, contacts: tuple[str, ...]) -> None:
    """Send a test message to CONTACTS (default: all) through their real channels, and show what they answer.

    Exit code: 0 all took it, 10 one did not.
    """
    target = target_to_run(profile)
    wanted = contacts or tuple(target.contacts)
    if not wanted:
        raise ReviewError(
            "There is nobody to tell: add [contacts.NAME] with url_env to the profile, and [escalation]."
        )
    if unknown := [name for name in wanted if name not in target.contacts]:
        raise click.UsageError(
            f"There is no contact {unknown[0]!r}; the profile has {', '.join(target.contacts)}."
        )
    answers = asyncio.run(_tested(target, wanted))
    for name in wanted:
        message = answers.get(name)
        said = (
            f"{message.delivery.value}, {message.answer}"
            if message
            else f"no answer within {ANSWER_WITHIN_S:g} s"
        )
        click.echo(f"{name}: {said}")
    sent = all(name in answers and answers[name].delivery is Delivery.SENT for name in wanted)
    click.get_current_context().exit(0 if sent else EXIT_FAIL)


async def _tested(target: Target, wanted: tuple[str, ...]) -> dict[str, Message]:
    """The newest test message to each, when each was answered or the time is over."""
    watching, began = watching_of(target, Teller(None)), utc_now()
    running = asyncio.create_task(watching.run())
    try:
        answers: dict[str, Message] = {}
        asked: set[str] = set()
        until = time.monotonic() + ANSWER_WITHIN_S
        while time.monotonic() < until and len(answers) < len(wanted):
            await asyncio.sleep(0.2)
            if watching.board is None:
                continue
            for name in wanted:
                if name not in asked:
                    asked.add(name)
                    watching.do(TryContact(name))
            for message in watching.board.messages:
                is_ours = message.told is Told.TEST and message.at >= began
                if is_ours and message.delivery is not Delivery.DUE:
                    answers.setdefault(message.contact, message)
        return answers
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
