"""What stands in the reports: the answer first, all of it from the journal, and what is not shown."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from checks.model import Ceiling, Kind, Reason, Verdict
from checks.reports.markdown import lines_of
from checks.review import Review
from tests.checks.reports.reading import headings, tokens
from tests.checks.reports.scene import NOON, Scene, seen, target_of
from tests.checks.reports.test_markdown import HOSTILE

END_TO_END = [
    "The steps",
    "The last run",
    "Step by step",
    "Launched and stopped",
    "Rows left behind",
    "What this does not show",
    "The record",
    "Evidence",
]
SIGN_OFF = [
    "What the evidence allows",
    "The decision",
    "The areas",
    "Every check",
    "What this does not show",
    "The record",
    "Evidence",
]


def written(scene: Scene, tmp_path: Path, *, only_walkthrough: bool = False) -> tuple[str, str]:
    """The end-to-end report and the sign-off report, as text."""
    end_to_end, _, _, _, sign_off = scene.write(tmp_path, only_walkthrough=only_walkthrough).paths
    return end_to_end.read_text("utf-8"), sign_off.read_text("utf-8")


def flat(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())


def section(text: str, title: str) -> str:
    """One section of a report, flat."""
    return flat(text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0])


def lead_of(text: str) -> str:
    """What stands between the title and the first section, flat."""
    return flat(text.split("\n## ", 1)[0].split("\n", 1)[1])


def test_a_failure_is_the_first_line_with_its_evidence(scene: Scene, tmp_path: Path) -> None:
    scene.start()
    scene.result("WALK-01")
    failure = scene.result("WALK-03", Verdict.FAIL, summary="the text is not stored as it was sent")
    scene.end()
    for report in written(scene, tmp_path):
        assert lead_of(report).startswith(
            "**Is Shop bot 1.4 production-ready? NO-GO:** because WALK-03 Stored in the database (blocker) is "
            "FAIL: the text is not stored as it was sent "
            f"([{failure.body['evidence'][0][:12]}]; entry {failure.seq})."
        )
        assert "**Decision in force: none.**" in lead_of(report)


def test_nothing_run_is_not_decidable(scene: Scene, tmp_path: Path) -> None:
    end_to_end, sign_off = written(scene, tmp_path)
    assert lead_of(sign_off).startswith(
        "**Is Shop bot 1.4 production-ready? NOT DECIDABLE:** because walkthrough:"
    )
    assert "**Does it work from end to end? NOT DECIDABLE:** no step was run." in lead_of(end_to_end)


def test_a_go_that_nobody_has_decided_is_no_go_yet(scene: Scene, tmp_path: Path) -> None:
    scene.all_pass()
    end_to_end, sign_off = written(scene, tmp_path, only_walkthrough=True)
    assert "production-ready? NOT DECIDED:** because the evidence allows GO" in lead_of(sign_off)
    assert "end to end? YES:** 4 of 4 steps passed." in lead_of(end_to_end)


def test_a_decision_is_told_with_who_when_and_on_what(scene: Scene, tmp_path: Path) -> None:
    scene.all_pass()
    head = scene.journal.head()
    decision = scene.decide(Ceiling.GO, "every step passed, twice", ceiling=Ceiling.GO)
    _, sign_off = written(scene, tmp_path, only_walkthrough=True)
    assert "production-ready? GO:**" in lead_of(sign_off)
    assert (
        f"Decision in force: GO**, by `mary@ops` at 2026-03-01 12:00:00 UTC (entry {decision.seq})"
        in lead_of(sign_off)
    )
    told = section(sign_off, "The decision")
    assert "> every step passed, twice" in told
    assert f"up to entry {head.seq}, whose hash is `{head.hash}`" in told
    assert "No result was recorded since." in told
    assert "One person decided alone" in told


def test_a_person_may_be_stricter_and_the_answer_says_so(scene: Scene, tmp_path: Path) -> None:
    scene.all_pass()
    scene.decide(Ceiling.NO_GO, "load was not looked at")
    _, sign_off = written(scene, tmp_path)
    assert lead_of(sign_off).startswith(
        "**Is Shop bot 1.4 production-ready? NO-GO:** because `mary@ops` decided so: load was not looked at. "
        "The evidence allows NOT DECIDABLE at best: audit:"
    )


def test_a_go_that_the_evidence_no_longer_allows_does_not_stand(scene: Scene, tmp_path: Path) -> None:
    scene.all_pass()
    scene.decide(Ceiling.GO, ceiling=Ceiling.GO)
    scene.start()
    later = scene.result("WALK-02", Verdict.FAIL)
    scene.end()
    _, sign_off = written(scene, tmp_path, only_walkthrough=True)
    assert "production-ready? NO-GO:** because WALK-02" in lead_of(sign_off)
    assert "**The evidence no longer allows it:**" in lead_of(sign_off)
    told = section(sign_off, "The decision")
    assert "1 result was recorded since." in told
    assert f"WALK-02 was PASS then and is FAIL now (entry {later.seq})." in told


def test_a_go_lapses_with_time(scene: Scene, tmp_path: Path) -> None:
    scene.all_pass()
    scene.decide(Ceiling.GO, ceiling=Ceiling.GO)
    scene.now = NOON + timedelta(days=2)
    _, sign_off = written(scene, tmp_path, only_walkthrough=True)
    assert "production-ready? NOT DECIDABLE:**" in lead_of(sign_off)
    assert "WALK-01 Controller is healthy is STALE: its result (PASS) is 2 d 0 h old." in section(
        sign_off, "What this does not show"
    )


def test_earlier_decisions_are_listed(scene: Scene, tmp_path: Path) -> None:
    scene.all_pass()
    scene.decide(Ceiling.NO_GO, "not yet")
    scene.decide(Ceiling.GO, "now", ceiling=Ceiling.GO)
    _, sign_off = written(scene, tmp_path, only_walkthrough=True)
    before, after = section(sign_off, "The decision").split("no longer in force:")
    assert "> now" in before
    assert "NO-GO by `mary@ops`" in after
    assert "not yet" in after


def test_every_attempt_of_the_last_run_is_told(scene: Scene, tmp_path: Path) -> None:
    scene.start()
    first = scene.result("WALK-02", Verdict.FAIL, reason=Reason.TIMEOUT, summary="no answer in 15 s")
    second = scene.result("WALK-02", summary="launched", attempt=2)
    scene.end()
    end_to_end, _ = written(scene, tmp_path)
    step = flat(end_to_end.split("### WALK-02")[1].split("###")[0])
    assert (
        f"Attempt 1: **FAIL** (timeout) in 250 ms, started at 2026-03-01 12:00:00 UTC (entry {first.seq})"
        in step
    )
    assert (
        f"Attempt 2: **PASS** (met) in 250 ms, started at 2026-03-01 12:00:00 UTC (entry {second.seq})"
        in step
    )
    assert "passed at attempt 2 only" in section(end_to_end, "What this does not show")
    assert f"### Evidence {first.body['evidence'][0][:12]}\n" in end_to_end


def test_interruption_bots_and_rows_are_told(scene: Scene, tmp_path: Path) -> None:
    scene.start()
    scene.launch("BOT-900000001")
    scene.launch("BOT-900000002", how="")
    scene.result("WALK-02", Verdict.INCONCLUSIVE, reason=Reason.INTERRUPTED, summary="Interrupted: SIGHUP")
    scene.leave(BOT_900000001=8, BOT_900000002=None)
    scene.end("the line was cut")
    end_to_end, _ = written(scene, tmp_path)
    last = section(end_to_end, "The last run")
    assert "**The run of 2026-03-01 12:00:00Z was interrupted: the line was cut.**" in last
    assert "It set out to judge 4 checks and judged 1." in last
    bots = section(end_to_end, "Launched and stopped")
    assert re.search(
        r"`BOT-900000001`: its launch asked for at .* \(entry 4\), gone at .* \(entry 5\): stopped by request\.",
        bots,
    )
    assert (
        "`BOT-900000002`: its launch asked for at 2026-03-01 12:00:00 UTC (entry 6), **no end is recorded"
        in bots
    )
    rows = section(end_to_end, "Rows left behind")
    assert re.search(r"\| BOT-900000001 \| 8 +\| 00ff00ff00f1 \| run-1 \|", rows)
    assert re.search(r"\| BOT-900000002 \| not counted +\|", rows)
    limits = section(end_to_end, "What this does not show")
    assert "was cut short: the line was cut." in limits
    assert "BOT-900000002 was launched (entry 6); no end of it is recorded" in limits


def test_an_interrupted_run_without_a_list_of_rows_is_told(scene: Scene, tmp_path: Path) -> None:
    scene.start()
    scene.launch("BOT-900000001", how="stopped by the guard")
    scene.end("gonogo ended without warning before its first result")
    end_to_end, _ = written(scene, tmp_path)
    assert "there may be some of BOT-900000001." in section(end_to_end, "What this does not show")


def test_what_was_not_looked_at_is_told_concretely(scene: Scene, tmp_path: Path) -> None:
    scene.start(quick=True)
    scene.result("WALK-01", evidence=(seen(),))
    scene.result(
        "WALK-02", Verdict.INCONCLUSIVE, reason=Reason.SKIPPED, summary="Skipped by the lead: no time"
    )
    scene.result("WALK-03", Verdict.INCONCLUSIVE, summary="no database is known")
    scene.end()
    for report in written(scene, tmp_path):
        limits = section(report, "What this does not show")
        assert (
            "The area load has no checks in this review. Nothing here shows how many users it carries"
            in limits
        )
        assert (
            "The area audit has no checks in this review. Nothing here shows whether it is secure" in limits
        )
        assert "Not run: WALK-04 A killed bot is seen as down. The last run was a quick one" in limits
        assert "WALK-02 Launch a bot was not judged (skipped): Skipped by the lead: no time." in limits
        assert (
            "WALK-03 Stored in the database could not be judged (no-source): no database is known." in limits
        )
        assert "The target's database was not read" in limits
        assert "No process was looked at" in limits


def test_what_was_looked_at_is_not_called_unseen(scene: Scene, tmp_path: Path) -> None:
    scene.start()
    for one, kind in zip(scene.checks, ("http", "sql", "websocket", "process"), strict=True):
        scene.result(one.id, evidence=(seen(kind),))
    scene.end()
    limits = section(written(scene, tmp_path)[0], "What this does not show")
    for sentence in (
        "was not read",
        "over a WebSocket",
        "No process",
        "Not run",
        "quick",
        "cut short",
        "runs:",
    ):
        assert sentence not in limits
    assert "does not run on the host" not in limits


def test_a_target_elsewhere_is_told(state: Path, tmp_path: Path) -> None:
    scene = Scene.begin(state, target=target_of("https://bots.example:8443"))
    scene.all_pass()
    limits = section(written(scene, tmp_path)[0], "What this does not show")
    scene.journal.close()
    assert "The target does not run on the host from which it was looked at" in limits


def test_results_of_another_target_are_told(scene: Scene, tmp_path: Path) -> None:
    scene.all_pass()
    scene.target = target_of("http://127.0.0.1:9000")
    scene.start()
    scene.result("WALK-01")
    scene.end()
    end_to_end, _ = written(scene, tmp_path)
    assert "Reviewed at `http://127.0.0.1:9000`" in lead_of(end_to_end)
    assert (
        "The results of entry 3 are of “Shop bot 1.4” at `http://127.0.0.1:8000`, not of what this report is about."
        in section(end_to_end, "What this does not show")
    )


def test_the_report_is_about_what_was_looked_at(scene: Scene, tmp_path: Path) -> None:
    scene.all_pass()
    scene.target = target_of("http://127.0.0.1:9000")
    end_to_end, _ = written(scene, tmp_path)
    assert "Reviewed at `http://127.0.0.1:8000`" in lead_of(end_to_end)
    assert "The target is now called “Shop bot 1.4” at `http://127.0.0.1:9000`." in section(
        end_to_end, "What this does not show"
    )


def test_a_failure_that_went_away_is_told(scene: Scene, tmp_path: Path) -> None:
    scene.start()
    failure = scene.result("WALK-01", Verdict.FAIL)
    scene.end()
    scene.all_pass()
    limits = section(written(scene, tmp_path)[0], "What this does not show")
    assert (
        f"WALK-01 Controller is healthy passes now and failed once in earlier runs, last in entry {failure.seq}."
        in limits
    )


def test_the_record_names_versions_policy_and_head(scene: Scene, tmp_path: Path) -> None:
    scene.session("0.2.0")
    head = scene.journal.head()
    _, sign_off = written(scene, tmp_path)
    record = section(sign_off, "The record")
    assert f"up to entry {head.seq}, whose hash is `{head.hash}`" in record
    assert "gonogo 0.2.0 on Python 3.11.7, host ops: 1 session" in record
    assert "gonogo 0.1.0 on Python 3.11.7, host ops: 1 session" in record
    assert scene.snapshot().decision is None
    assert re.search(r"by its digest: `[0-9a-f]{64}`", record)


def test_every_name_of_evidence_leads_to_the_journal(scene: Scene, tmp_path: Path) -> None:
    scene.start()
    for one in scene.checks:
        scene.result(one.id, Verdict.FAIL, attempt=1)
        scene.result(one.id, attempt=2)
    scene.end()
    for report in written(scene, tmp_path):
        full = re.findall(r"^- SHA-256: `([0-9a-f]{64})`$", report, re.MULTILINE)
        assert full
        assert set(scene.journal.evidence(full)) == set(full)
        text = [line for line, is_code in lines_of(report) if not is_code]
        named = set(re.findall(r"\[([0-9a-f]{12})\]", "\n".join(text)))
        assert named == {name[:12] for name in full}
        links = {str(token.attrs["href"]) for token in tokens(report) if token.type == "link_open"}
        sections = set(re.findall(r"^### Evidence ([0-9a-f]{12})$", report, re.MULTILINE))
        assert links == {f"#evidence-{name}" for name in sections} == {f"#evidence-{name}" for name in named}


def test_the_numbers_of_entries_are_those_of_the_journal(scene: Scene, tmp_path: Path) -> None:
    scene.start()
    recorded = {one.id: scene.result(one.id).seq for one in scene.checks}
    scene.end()
    end_to_end, sign_off = written(scene, tmp_path)
    for report in (end_to_end, sign_off):
        for name, seq in recorded.items():
            assert re.search(rf"^\| {name} \| PASS +\| [^|]+ \| {seq} +\| blocker", report, re.MULTILINE)


def test_nothing_recorded_after_the_snapshot_is_in_the_report(scene: Scene, tmp_path: Path) -> None:
    scene.all_pass()
    snapshot = scene.snapshot()
    scene.start()
    scene.result("WALK-01", Verdict.FAIL, summary="recorded too late")
    for path in scene.write(tmp_path, snapshot=snapshot).paths:
        assert "recorded too late" not in path.read_text("utf-8")
        assert "run-2" not in path.read_text("utf-8")


@pytest.mark.parametrize("text", [*HOSTILE, "x" * 200_000], ids=range(len(HOSTILE) + 1))
def test_hostile_text_stays_inert_everywhere(state: Path, tmp_path: Path, text: str) -> None:
    scene = Scene.begin(state, titles={"WALK-01": " ".join(text.split())[:200], "WALK-02": "b"})
    scene.start()
    proof = seen(title=text, body=text, command=text)
    scene.result("WALK-01", Verdict.FAIL, summary=text, observed=text, expected=text, evidence=(proof,))
    scene.result("WALK-01", Verdict.FAIL, summary=text, evidence=(proof,), attempt=2)
    scene.result("WALK-02", Verdict.INCONCLUSIVE, summary=text)
    scene.launch(text[:100], how=text)
    scene.end(text)
    scene.decide(Ceiling.NO_GO, text)
    reports = written(scene, tmp_path)
    scene.journal.close()
    for report in reports:
        some = tokens(report)
        assert not {token.type for token in some} & {"html_block", "html_inline", "image", "hr", "code_block"}
        assert not {token.type for token in some} & {"em_open", "s_open", "ordered_list_open"}
        assert {
            str(token.attrs["href"]).partition("-")[0] for token in some if token.type == "link_open"
        } <= {"#evidence"}
        assert headings(report) == (END_TO_END if "End-to-end" in report[:20] else SIGN_OFF)
        fences = [token.content for token in some if token.type == "fence"]
        assert text.rstrip("\n") + "\n" in fences
        assert all(line == line.rstrip("\r") and "\t" not in line for line in report.split("\n"))


def test_the_reports_of_a_review_that_was_only_opened(state: Path, tmp_path: Path) -> None:
    review = Review.open(target_of(), base=state)
    try:
        written_files = review.write_reports(tmp_path)
    finally:
        review.close()
    text = written_files.paths[-1].read_text("utf-8")
    assert "production-ready? NOT DECIDABLE:**" in text
    assert text.count("NOT RUN") > 5


def test_text_reads_at_80_columns(scene: Scene, tmp_path: Path) -> None:
    scene.all_pass()
    scene.decide(Ceiling.NO_GO, "a justification of some words " * 10)
    for report in written(scene, tmp_path):
        long = [
            line
            for line, is_code in lines_of(report)
            if not is_code and len(line) > 80 and len(max(line.split(), key=len)) < 60
        ]
        assert long == []


def test_what_is_missing_from_the_journal_is_not_claimed(scene: Scene, tmp_path: Path) -> None:
    scene.start()
    absent = seen(body="never stored")
    body = scene.result("WALK-01", evidence=(absent,)).body
    scene.journal.append(Kind.RESULT, "WALK-01", {**body, "evidence": [absent.id[::-1]]})
    scene.end()
    end_to_end, _ = written(scene, tmp_path)
    assert "**It is missing from the journal**" in end_to_end
