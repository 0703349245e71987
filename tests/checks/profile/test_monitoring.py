"""Thresholds, contacts and ladders of a profile: replaced, added, or refused in a sentence that names key and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.model import ProfileError
from checks.monitoring.model import AlertSeverity, Comparison, Rung
from checks.monitoring.thresholds.shipped import shipped
from checks.profile.read import load_target
from checks.target import Target

HEAD = '[target]\nurl = "http://127.0.0.1:8000"\n'


def read(tmp_path: Path, text: str, **environ: str) -> Target:
    """The target of a profile with `text` in it."""
    path = tmp_path / "gonogo.toml"
    path.write_text(HEAD + text, "utf-8")
    return load_target(path, environ)


def refusal(tmp_path: Path, text: str) -> str:
    """The sentence with which `text` is refused."""
    with pytest.raises(ProfileError) as told:
        read(tmp_path, text)
    return str(told.value)


def test_without_a_word_the_missions_limits_hold(tmp_path: Path) -> None:
    found = {one.name: one for one in read(tmp_path, "").thresholds}
    assert found == dict(shipped())
    assert (found["error-rate"].limit, found["response-time"].limit, found["host-memory"].limit) == (
        1.0,
        1.0,
        80.0,
    )


def test_single_values_are_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    target = read(tmp_path, '[thresholds.error-rate]\nlimit = 0.5\nseverity = "warning"\n')
    found = next(one for one in target.thresholds if one.name == "error-rate")
    assert (found.limit, found.severity, found.window_s) == (0.5, AlertSeverity.WARNING, 300.0)


def test_a_threshold_of_ones_own_is_one_table(tmp_path: Path) -> None:
    target = read(
        tmp_path,
        '[thresholds.target-cpu]\ntitle = "Target CPU"\nsignal = "target-cpu"\nlimit = 90\nseverity = "warning"\n'
        'comparison = ">="\n',
    )
    found = target.thresholds[-1]
    assert (found.name, found.limit, found.comparison) == ("target-cpu", 90.0, Comparison.AT_LEAST)
    assert found.alert == "TargetCpu"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[thresholds.error-rat]\nlimit = 1\n", "[thresholds.error-rat] title is missing"),
        (
            "[thresholds.error-rate]\nlimits = 1\n",
            'line 4: [thresholds.error-rate] limits is not known: write "limit"',
        ),
        ('[thresholds.error-rate]\nlimit = "1"\n', "[thresholds.error-rate] limit is a text: give a number"),
        ("[thresholds.error-rate]\nlimit = inf\n", "[thresholds.error-rate] limit is no number"),
        (
            '[thresholds.error-rate]\nseverity = "page"\n',
            "severity is not a word known here: give 'critical'",
        ),
        ('[thresholds.error-rate]\nsignal = "errors"\n', "[thresholds.error-rate] signal is not known"),
        ("[thresholds.error-rate]\nfor_s = -1\n", "for_s is out of range: give a number from 0 to 86400"),
        (
            "[thresholds.error-rate]\nwindow_s = 0\n",
            "window_s is missing: error-rate is computed over a window",
        ),
        (
            "[thresholds.host-memory]\nleast_events = 5\n",
            "least_events cannot be kept: host-memory counts no events",
        ),
        ('[thresholds.error-rate]\ninhibited_by = ["x"]\n', "inhibited_by[0] names no other threshold"),
        ('[thresholds.target-up]\ninhibited_by = ["error-rate"]\n', "goes round in a circle"),
        ("[thresholds.burn-fast]\nshort_window_s = 7200\n", "short_window_s is not shorter than window_s"),
        ("[monitoring]\ninterval_s = 0\n", "[monitoring] interval_s is out of range"),
        ('[contacts.on-call]\nurl = "slack://secret"\n', "url must not be here, for it is a secret"),
        ('[contacts.on-call]\nperson = "Ada"\n', "[contacts.on-call] url_env is no name of a variable"),
        ('[escalation]\ncritical = ["nobody"]\n', "[escalation] critical[0] names no contact"),
        (
            '[escalation]\nurgent = ["nobody"]\n',
            "[escalation] urgent is not known: use one of critical, warning",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_key(tmp_path: Path, text: str, told: str) -> None:
    assert told in refusal(tmp_path, text)


def test_a_refusal_never_quotes_a_secret(tmp_path: Path) -> None:
    assert "secret" not in refusal(tmp_path, '[contacts.on-call]\nurl = "slack://hunter2"\n').replace(
        "a secret", ""
    )
    assert "hunter2" not in refusal(tmp_path, '[contacts.on-call]\nurl = "slack://hunter2"\n')


LADDER = """
[contacts.on-call]
person = "Ada"
url_env = "ADA"

[contacts.lead]
url_env = "GRACE"

[escalation]
critical = ["on-call", "lead 5m", "on-call 1h"]
"""


def test_a_ladder_is_read_with_its_times_and_addresses(tmp_path: Path) -> None:
    target = read(tmp_path, LADDER, ADA="json://127.0.0.1:1/x")
    assert target.ladders == {
        AlertSeverity.CRITICAL: (Rung("on-call", 0.0), Rung("lead", 300.0), Rung("on-call", 3600.0)),
        AlertSeverity.WARNING: (),
    }
    assert (target.contacts["on-call"].channel, target.contacts["lead"].channel) == ("json", "")
    assert "127.0.0.1" not in repr(target.contacts)


def test_a_ladder_that_runs_backwards_is_refused(tmp_path: Path) -> None:
    text = LADDER.replace('"on-call", "lead 5m"', '"lead 5m", "on-call"')
    assert "not in the order of time" in refusal(tmp_path, text)
