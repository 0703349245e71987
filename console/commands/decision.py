"""`gonogo status` and `gonogo decide`: what the evidence allows, and what a person makes of it."""

from __future__ import annotations

from pathlib import Path

import click

from checks.fold import Snapshot, age
from checks.model import Area, Ceiling, State
from checks.review import Review, review_id
from checks.state import JOURNAL_NAME, review_dirs, slug, state_dir
from console.commands.target import (
    named_profile,
    open_recorded,
    profile_option,
    review_option,
    stored_review,
    target_to_run,
)

EXIT_CODES = {Ceiling.GO: 0, Ceiling.NO_GO: 10, Ceiling.NOT_DECIDABLE: 11, Ceiling.CONDITIONAL: 12}
WORDS = {"go": Ceiling.GO, "conditional": Ceiling.CONDITIONAL, "no-go": Ceiling.NO_GO}


@click.command()
@profile_option
@review_option
def status(profile: Path | None, review: str) -> None:
    """Tell the best decision that the evidence allows, and why; the exit code is that decision."""
    if named_profile(profile) or review or review_dirs():
        target, name = stored_review(profile, review)
    else:
        target = target_to_run(None)
        name = slug(review_id(target))
    if not (state_dir() / "reviews" / name / JOURNAL_NAME).exists():
        click.echo(
            f"{Ceiling.NOT_DECIDABLE}  {target.title} · {target.url} · nothing was looked at yet: gonogo run"
        )
        click.get_current_context().exit(EXIT_CODES[Ceiling.NOT_DECIDABLE])
    opened = Review.open(target, review=name, read_only=True)
    try:
        snapshot = opened.snapshot()
    finally:
        opened.close()
    for line in status_lines(snapshot):
        click.echo(line)
    click.get_current_context().exit(EXIT_CODES[snapshot.judgement.ceiling])


def status_lines(snapshot: Snapshot) -> list[str]:
    """The picture of a review in lines of text, the answer first."""
    judgement, decision = snapshot.judgement, snapshot.decision
    lines = [
        f"{judgement.ceiling}  {snapshot.target} · {snapshot.url} · review {snapshot.review} by {snapshot.lead}"
    ]
    lines += [f"  - {reason}" for reason in judgement.reasons]
    for area in Area:
        if counts := snapshot.tally(area):
            told = ", ".join(f"{counts[state]} {state}" for state in State if state in counts)
            lines.append(f"{area.value}: {told}")
    if decision:
        lines.append(
            f"Decided: {decision.decision} by {decision.actor} {age(decision.at, snapshot.at)} ago "
            f"(entry {decision.seq}): {decision.because}"
        )
    else:
        lines.append("Decided: nothing yet")
    return [*lines, *snapshot.interrupted]


@click.command()
@click.argument("wanted", metavar="go|conditional|no-go", type=click.Choice(list(WORDS)))
@click.option("--because", required=True, metavar="TEXT", help="The justification; it goes into the record.")
@profile_option
@review_option
def decide(wanted: str, because: str, profile: Path | None, review: str) -> None:
    """Record a decision; what the evidence does not allow is refused."""
    opened = open_recorded(profile, review)
    try:
        decision = opened.decide(WORDS[wanted], because)
    finally:
        opened.close()
    click.echo(
        f"Recorded: {decision.decision} by {decision.actor} (entry {decision.seq}); "
        f"the evidence allowed {decision.ceiling} at best."
    )
