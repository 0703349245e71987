"""The review: the one door through which the console, the command line and the tests work.

It opens the journal, runs checks, records decisions and writes reports; everything it tells is folded from the
journal. It belongs to one thread with one event loop, except for `snapshot` and `evidence`, which any thread may call.
"""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from checks.context import redactor_for
from checks.events import Gate, Listener, Notice, RunFinished, RunStarted, nobody, open_gate
from checks.fold import (
    Decision,
    Snapshot,
    cannot_write,
    check_states,
    fold_key,
    interruptions,
    last_decision,
    latest,
    leftovers,
    loads,
)
from checks.journal import Journal
from checks.model import Area, Ceiling, Entry, Evidence, IntegrityError, Kind, ReviewError, Safety, utc_now
from checks.recovery import recover
from checks.registry import PACKAGES, Check, catalogue, with_needs
from checks.reports.writer import Written, write_reports
from checks.runner import Run, RunSummary
from checks.signoff.policy import DECIDABLE, allows, judge, refusal, shipped_policy
from checks.state import JOURNAL_NAME, actor, review_dir, slug
from checks.target import Target
from checks.text import Clean, clean, one_line

MOST_BESIDE = 100


class Review:
    """One readiness review of one target. Use `open`, and `close` when done."""

    def __init__(
        self,
        target: Target,
        journal: Journal,
        folder: Path,
        listener: Listener,
        clock: Callable[[], datetime],
    ) -> None:
        self.target = target
        self.id = journal.review
        self.folder = folder
        self._journal = journal
        self._listener = listener
        self._clock = clock
        self._policy = shipped_policy()
        self._checks = catalogue()
        self._run: Run | None = None
        self._session = ""
        self._ended = asyncio.Event()
        self._folded: tuple[Entry, ...] = ()
        self._folding = threading.Lock()
        self._redactor = redactor_for(target)

    @classmethod
    def open(
        cls,
        target: Target,
        *,
        listener: Listener = nobody,
        base: Path | None = None,
        review: str = "",
        read_only: bool = False,
        clock: Callable[[], datetime] = utc_now,
    ) -> Review:
        """Open the target's review, or the one named; it is begun where there is none, else resumed.

        `base` replaces the platform's state folder. Where another gonogo has it open, it is opened read-only.
        Raises ReviewError when it cannot be opened, IntegrityError when its end was altered.
        """
        name = slug(review or review_id(target))
        folder = review_dir(name, base)
        journal = Journal.open(
            folder / JOURNAL_NAME, review=name, actor=actor(), read_only=read_only, clock=clock
        )
        opened = cls(target, journal, folder, listener, clock)
        try:
            opened._begin_session()
        except BaseException:
            journal.close()
            raise
        return opened

    @classmethod
    def open_own(cls, target: Target, *, listener: Listener = nobody, base: Path | None = None) -> Review:
        """Open the target's review for writing; where another gonogo has it open, one beside it: `demo-2` and so on.

        Raises as `open` does.
        """
        name = review_id(target)
        for number in range(1, MOST_BESIDE + 1):
            beside = name if number == 1 else f"{name}-{number}"
            review = cls.open(target, listener=listener, base=base, review=beside)
            if not review.read_only:
                return review
            review.close()
        raise ReviewError(f"{MOST_BESIDE} reviews named {name} are open at once; close some.")

    @property
    def read_only(self) -> bool:
        """Whether nothing can be run, decided or written: another gonogo has the review open."""
        return self._journal.read_only

    @property
    def running(self) -> bool:
        """Whether checks are being run."""
        return self._run is not None

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every check of the review, in order."""
        return self._checks

    def _begin_session(self) -> None:
        if self._journal.read_only:
            return
        if self._journal.head().seq == 0:
            lead = clean(self.target.profile.review.lead or actor())
            body = {"review": self.id, "target": self._about_target(), "lead": lead}
            self._journal.append(Kind.REVIEW_OPENED, self.id, body)
        self._session = secrets.token_hex(4)
        path = str(self.target.path.resolve()) if self.target.path else ""
        self._journal.append(
            Kind.SESSION_OPENED,
            self._session,
            {
                "session": self._session,
                "gonogo": version("gonogo"),
                "python": platform.python_version(),
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "profile": path,
                "target": self._about_target(),
            },
        )

    def _about_target(self) -> dict[str, str]:
        target = self.target
        return {
            "url": one_line(self._redactor.redact(target.url)),
            "title": one_line(target.title),
            "contract": target.contract.name,
        }

    def _latest(self) -> tuple[Entry, ...]:
        """The last entry of each kind and subject, in order; only what the journal gained is read again."""
        with self._folding:
            if not self._folded:
                self._folded = tuple(self._journal.latest())
            elif gained := self._journal.entries(after=self._folded[-1].seq):
                by_subject = {fold_key(entry): entry for entry in (*self._folded, *gained)}
                self._folded = tuple(sorted(by_subject.values(), key=lambda entry: entry.seq))
            return self._folded

    def _recall(self, kind: Kind, subject: str) -> Mapping[str, Any] | None:
        entry = latest(self._latest(), kind).get(subject)
        return entry.body if entry else None

    def snapshot(self) -> Snapshot:
        """What the journal amounts to at this moment."""
        entries, now = self._latest(), self._clock()
        states = check_states(entries, self._checks, self._policy.max_age, now)
        opened = latest(entries, Kind.REVIEW_OPENED).get(self.id)
        head = entries[-1] if entries else None
        return Snapshot(
            review=self.id,
            target=one_line(self.target.title),
            url=one_line(self._redactor.redact(self.target.url)),
            lead=clean(opened.body["lead"] if opened else actor()),
            at=now,
            head_seq=head.seq if head else 0,
            head_hash=head.hash if head else "",
            checks=states,
            judgement=judge(states, self._policy),
            decision=last_decision(entries),
            interrupted=interruptions(entries),
            leftovers=leftovers(entries),
            loads=loads(entries),
            read_only=self._journal.read_only,
            holder=self._journal.holder,
        )

    def evidence(self, ids: Iterable[str]) -> dict[str, Evidence]:
        """The stored evidence with these ids; what is not there is left out."""
        return self._journal.evidence(ids)

    def changed(self) -> bool:
        """Whether another process has written since the last call."""
        return self._journal.changed()

    async def recover(self) -> None:
        """Stop what an interrupted run left behind and give that run an end; announces what was done."""
        if self._journal.read_only:
            holder = self._journal.holder or "by a gonogo that is just starting or ending"
            told = f"This review is open elsewhere ({holder}); it is shown read-only here"
            self._listener(Notice(clean(told), is_warning=True))
            return
        await recover(
            self._latest(),
            self.target,
            self.folder,
            append=self._journal.append,
            announce=self._listener,
            clock=self._clock,
        )

    async def run(
        self,
        areas: Iterable[Area] = (),
        checks: Iterable[str] = (),
        *,
        quick: bool = False,
        gate: Gate = open_gate,
    ) -> RunSummary:
        """Run `checks` (ids) with what they need, else all of `areas`, else everything.

        `quick` leaves out what is disruptive. Raises ReviewError for an unknown id, an area without checks, a
        read-only review, or while another run is under way.
        """
        self._refuse_read_only("run")
        if self._run is not None:
            raise ReviewError("A run is under way already; stop it with x, or wait for its end.")
        areas = tuple(areas)
        chosen = self._choose(areas, tuple(checks), quick=quick)
        run_id = f"{self._clock():%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        self._ended.clear()
        run = self._run = Run(
            id=run_id,
            nonce=secrets.token_hex(6),
            target=self.target,
            checks=chosen,
            append=self._journal.append,
            announce=self._listener,
            gate=gate,
            clock=self._clock,
            guard_file=self.folder / f"guard-{run_id}.json",
            recall=self._recall,
        )
        try:
            covered = areas or tuple(dict.fromkeys(check.area for check in chosen))
            self._start(run, covered, quick=quick, stepwise=gate is not open_gate)
            return await self._finish(run)
        finally:
            self._run = None
            self._ended.set()

    def _choose(self, areas: tuple[Area, ...], ids: tuple[str, ...], *, quick: bool) -> tuple[Check, ...]:
        known = {check.id for check in self._checks}
        if unknown := [name for name in ids if name not in known]:
            raise ReviewError(f"There is no check {unknown[0]}; `gonogo checks` lists them.")
        if empty := [area for area in areas if area not in PACKAGES]:
            raise ReviewError(f"The area {empty[0].value} has no checks; {', '.join(PACKAGES)} can be run.")
        chosen = with_needs(ids, self._checks) if ids else self._checks
        if areas and not ids:
            chosen = tuple(check for check in chosen if check.area in areas)
        if not ids:
            chosen = tuple(check for check in chosen if not check.is_by_name)
        return tuple(check for check in chosen if not (quick and check.safety is Safety.DISRUPTIVE))

    def _start(self, run: Run, areas: tuple[Area, ...], *, quick: bool, stepwise: bool) -> None:
        body: Mapping[str, object] = {
            "run": run.id,
            "areas": [area.value for area in areas],
            "checks": [check.id for check in run.checks],
            "nonce": run.nonce,
            "target": self._about_target(),
            "gonogo": version("gonogo"),
            "quick": quick,
            "stepwise": stepwise,
        }
        self._journal.append(Kind.RUN_STARTED, run.id, body)
        self._listener(RunStarted(run.id, areas, tuple(check.id for check in run.checks)))

    async def _finish(self, run: Run) -> RunSummary:
        summary: RunSummary | None = None
        try:
            summary = await run.go()
        finally:
            why = summary.interrupted if summary else "gonogo could not go on"
            self._journal.append(Kind.RUN_FINISHED, run.id, {"run": run.id, "interrupted": why})
            self._listener(RunFinished(run.id, why))
        return summary

    async def stop(self, why: str, *, is_urgent: bool = False) -> None:
        """End the run that is under way and wait until it has cleaned up; `is_urgent` leaves that 1 s."""
        if self._run is not None:
            self._run.stop(why, is_urgent=is_urgent)
            await self._ended.wait()

    def decide(self, wanted: Ceiling, because: str) -> Decision:
        """Record a decision.

        Raises ReviewError where the evidence forbids it or the justification is empty, IntegrityError where the
        journal was altered.
        """
        self._refuse_read_only("decide")
        because = self._redactor.redact(because).strip()
        if wanted not in DECIDABLE:
            raise ReviewError(f"{wanted} cannot be decided; GO, CONDITIONAL GO and NO-GO can.")
        if not because:
            raise ReviewError("A decision needs a justification: say in a sentence what it rests on.")
        snapshot = self.snapshot()
        judgement = snapshot.judgement
        if not allows(judgement.ceiling, wanted):
            raise ReviewError(
                f"{refusal(wanted, judgement.ceiling)} {judgement.reasons[0]}"
                f"{_more(len(judgement.reasons) - 1)}."
            )
        self._refuse_altered("decide")
        body = {
            "decision": wanted.value,
            "ceiling": judgement.ceiling.value,
            "reasons": list(judgement.reasons),
            "because": clean(because),
            "policy": self._policy.digest,
            "head_seq": snapshot.head_seq,
            "head_hash": snapshot.head_hash,
        }
        entry = self._journal.append(Kind.DECISION, self.id, body)
        decision = last_decision([entry])
        assert decision is not None
        return decision

    def write_reports(self, out: Path | None = None) -> Written:
        """Write the report files and their manifest below `out` (default: the working folder).

        Raises ReviewError where they cannot be written, IntegrityError where the journal was altered.
        """
        self._refuse_read_only("write reports")
        self._refuse_altered("write reports")
        return write_reports(
            self._journal,
            self.snapshot(),
            self.target,
            out or Path.cwd(),
            policy_digest=self._policy.digest,
            now=self._clock(),
        )

    def record_self_test(self, check_id: str, body: Mapping[str, object]) -> None:
        """Record what the self-test found of a check. Raises ReviewError where the review is read-only."""
        self._refuse_read_only("record a self-test")
        self._journal.append(Kind.SELF_TEST, check_id, body)

    def verify(self) -> list[Clean]:
        """What was altered in the journal, in one sentence each; empty where nothing was."""
        return self._journal.verify()

    def close(self) -> None:
        """Close the journal; may be called twice."""
        if self._session and not self._journal.read_only:
            session, self._session = self._session, ""
            self._journal.append(Kind.SESSION_CLOSED, session, {"session": session})
        self._journal.close()

    def _refuse_altered(self, what: str) -> None:
        """Nothing is signed or printed that rests on an altered record."""
        if problems := self._journal.verify():
            raise IntegrityError(
                f"Cannot {what}: {problems[0]}{_more(len(problems) - 1, 'problem')}; run `gonogo verify`."
            )

    def _refuse_read_only(self, what: str) -> None:
        if self._journal.read_only:
            raise ReviewError(cannot_write(what, self._journal.holder))


def review_id(target: Target) -> str:
    """The profile's review id, else one made of the target's address and version."""
    section = target.profile
    return section.review.id or f"{target.host}-{target.port}-{section.target.version}"


def _more(count: int, what: str = "reason") -> str:
    return f" (and {count} more {what if count == 1 else what + 's'})" if count > 0 else ""
