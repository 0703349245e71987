"""A review on disk with runs, bots and decisions, made with the real journal, and the reports of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from checks.context import Context
from checks.fold import Snapshot, check_states, interruptions, last_decision, leftovers
from checks.journal import Journal
from checks.model import (
    Area,
    Ceiling,
    Entry,
    Evidence,
    Kind,
    Outcome,
    Reason,
    Result,
    Safety,
    Severity,
    Verdict,
)
from checks.registry import Check
from checks.reports.writer import Written, write_reports
from checks.signoff.policy import judge, shipped_policy
from checks.target import Contract, Credentials, Profile, ReportSection, Target, TargetSection
from checks.text import NOTHING, clean

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REVIEW = "shop-1.4"
POLICY = shipped_policy()
TITLES = {
    "WALK-01": "Controller is healthy",
    "WALK-02": "Launch a bot",
    "WALK-03": "Stored in the database",
    "WALK-04": "A killed bot is seen as down",
}


async def never(context: Context) -> Outcome:
    """The function of checks that are only reported here."""
    raise AssertionError("no check is run here")


def check(check_id: str, title: str, severity: Severity = Severity.BLOCKER) -> Check:
    """One check of the walkthrough."""
    return Check(
        check_id, title, Area.WALKTHROUGH, severity, Safety.READ_ONLY, "a request", "why", "", (), (), never
    )


def seen(
    kind: str = "http", title: str = "GET /health → 200", body: str = "200 OK", command: str = ""
) -> Evidence:
    """One piece of evidence."""
    return Evidence(kind, clean(title), clean(body), clean(command), NOON)


def target_of(url: str = "http://127.0.0.1:8000", **report: str) -> Target:
    """A target whose profile says where the reports go."""
    return Target(
        profile=Profile(
            target=TargetSection(url=url, name="Shop bot", version="1.4"), report=ReportSection(**report)
        ),
        contract=Contract(),
        credentials=Credentials(),
        database_url="",
        path=None,
    )


@dataclass(slots=True)
class Scene:
    """A review whose journal is open for writing. The clock stands still unless it is moved."""

    folder: Path
    journal: Journal
    target: Target
    checks: tuple[Check, ...]
    now: datetime = NOON
    runs: int = 0
    review: str = REVIEW

    @classmethod
    def begin(
        cls,
        state: Path,
        *,
        titles: dict[str, str] | None = None,
        target: Target | None = None,
        review: str = REVIEW,
    ) -> Scene:
        """A new review below `state`, opened in one session."""
        folder = state / "reviews" / review
        folder.mkdir(parents=True)
        checks = tuple(check(name, title) for name, title in (titles or TITLES).items())
        scene = cls(folder, None, target or target_of(), checks, review=review)  # type: ignore[arg-type]
        scene.journal = Journal.open(
            folder / "journal.db", review=review, actor="mary@ops", clock=lambda: scene.now
        )
        about = {"review": review, "target": scene.about(), "lead": "Mary"}
        scene.journal.append(Kind.REVIEW_OPENED, review, about)
        scene.session("0.1.0")
        return scene

    def about(self) -> dict[str, str]:
        """The target as entries name it."""
        return {"url": self.target.url, "title": self.target.title, "contract": "port8000"}

    def session(self, gonogo: str) -> None:
        """A session is opened."""
        body = {"gonogo": gonogo, "python": "3.11.7", "host": "ops", "pid": 1, "target": self.about()}
        self.journal.append(Kind.SESSION_OPENED, f"session-{self.journal.head().seq}", body)

    def start(self, *, quick: bool = False, checks: tuple[str, ...] = ()) -> str:
        """A run begins; its id."""
        self.runs += 1
        run = f"run-{self.runs}"
        body = {
            "run": run,
            "areas": ["walkthrough"],
            "checks": list(checks or (check.id for check in self.checks)),
            "nonce": f"00ff00ff00f{self.runs}",
            "target": self.about(),
            "gonogo": "0.1.0",
            "quick": quick,
            "stepwise": False,
        }
        self.journal.append(Kind.RUN_STARTED, run, body)
        return run

    def end(self, interrupted: str = "") -> None:
        """The run ends."""
        run = f"run-{self.runs}"
        self.journal.append(Kind.RUN_FINISHED, run, {"run": run, "interrupted": interrupted})

    def result(
        self,
        check_id: str,
        verdict: Verdict = Verdict.PASS,
        *,
        reason: Reason | None = None,
        summary: str = "it was looked at",
        observed: str = "200",
        expected: str = "a success",
        evidence: tuple[Evidence, ...] | None = None,
        attempt: int = 1,
    ) -> Entry:
        """A check is judged in the run that is under way."""
        usual = {
            Verdict.PASS: Reason.MET,
            Verdict.FAIL: Reason.MISMATCH,
            Verdict.INCONCLUSIVE: Reason.NO_SOURCE,
        }
        shown = (seen(body=f"{check_id} {attempt} {self.runs}"),) if evidence is None else evidence
        judged = next(entry for entry in self.checks if entry.id == check_id)
        found = Result(
            id=check_id,
            title=judged.title,
            area=judged.area,
            severity=judged.severity,
            verdict=verdict,
            reason=reason or usual[verdict],
            summary=clean(summary),
            observed=clean(observed),
            expected=clean(expected),
            evidence=tuple(one.id for one in shown),
            started_at=self.now,
            duration_s=0.25,
            run=f"run-{self.runs}",
            attempt=attempt,
        )
        return self.journal.append(Kind.RESULT, check_id, found.document(), shown)

    def all_pass(self) -> None:
        """A complete run in which every check passes."""
        self.start()
        for one in self.checks:
            self.result(one.id)
        self.end()

    def launch(self, bot_id: str, how: str = "stopped by request") -> None:
        """A bot is launched, and stopped unless `how` is empty."""
        run = f"run-{self.runs}"
        self.journal.append(Kind.LAUNCHING, bot_id, {"run": run, "bot_id": bot_id})
        if how:
            self.journal.append(Kind.STOPPED, bot_id, {"run": run, "bot_id": bot_id, "how": how})

    def leave(self, **rows: int | None) -> None:
        """Rows stay behind under marked bot ids."""
        run = f"run-{self.runs}"
        bots = [{"bot_id": bot_id.replace("_", "-"), "rows": count} for bot_id, count in rows.items()]
        self.journal.append(Kind.LEFTOVER, run, {"run": run, "bots": bots})

    def decide(
        self, decision: Ceiling, because: str = "it rests on the run", ceiling: Ceiling | None = None
    ) -> Entry:
        """A decision is recorded."""
        judgement, head = self.snapshot().judgement, self.journal.head()
        body = {
            "decision": decision.value,
            "ceiling": (ceiling or judgement.ceiling).value,
            "reasons": list(judgement.reasons),
            "because": because,
            "policy": POLICY.digest,
            "head_seq": head.seq,
            "head_hash": head.hash,
        }
        return self.journal.append(Kind.DECISION, self.review, body)

    def snapshot(self, *, only_walkthrough: bool = False) -> Snapshot:
        """The fold; with `only_walkthrough`, under a policy that asks for no other area."""
        entries = self.journal.latest()
        states = check_states(entries, self.checks, POLICY.max_age, self.now)
        policy = replace(POLICY, required_areas=(Area.WALKTHROUGH,)) if only_walkthrough else POLICY
        return Snapshot(
            review=self.review,
            target=clean(self.target.title),
            url=clean(self.target.url),
            lead=clean("Mary"),
            at=self.now,
            head_seq=entries[-1].seq,
            head_hash=entries[-1].hash,
            checks=states,
            judgement=judge(states, policy),
            decision=last_decision(entries),
            interrupted=interruptions(entries),
            leftovers=leftovers(entries),
            read_only=False,
            holder=NOTHING,
        )

    def write(
        self, out: Path, *, only_walkthrough: bool = False, snapshot: Snapshot | None = None
    ) -> Written:
        """Write the reports below `out`, a second later than before."""
        self.now += timedelta(seconds=1)
        return write_reports(
            self.journal,
            snapshot or self.snapshot(only_walkthrough=only_walkthrough),
            self.target,
            out,
            policy_digest=POLICY.digest,
            now=self.now,
        )
