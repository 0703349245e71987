"""A secret is found in every spelling in which an exchange may carry it."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.probe.redaction import MASK, Redactor, url_secrets

SECRET = 'Pa"ss/wörd+&=% 7!'


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps(json.dumps({"echo": SECRET})),
        json.dumps({"a": json.dumps({"b": json.dumps(SECRET)})}),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(f"user:{SECRET}".encode()).decode(),
        base64.b64encode(f"ab{SECRET}cd".encode()).decode(),
    ],
)
def test_a_known_secret_is_masked(spelling: str) -> None:
    shown = Redactor([SECRET]).redact(f"before {spelling} after")
    assert spelling not in shown
    assert MASK in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@given(
    st.text(st.characters(codec="utf-8", min_codepoint=33, categories=("L", "N", "P", "S")), min_size=8),
    st.integers(0, 5),
)
def test_base64_around_a_secret_does_not_hide_it(secret: str, before: int) -> None:
    coded = base64.b64encode(b"x" * before + secret.encode() + b"yz").decode()
    shown = Redactor([secret]).redact(coded)
    around = -(-before * 4 // 3) + 4
    assert MASK in shown
    assert len(shown.replace(MASK, "").rstrip("=")) <= around + 8, "more than the fringe is left"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Authorization: Bearer abcdef.ghijkl", "abcdef"),
        ("proxy-authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("Set-Cookie: session=deadbeef; Path=/", "deadbeef"),
        ("x-api-key: k-12345", "k-12345"),
        ("GET /ws?token=abc123&x=1", "abc123"),
        ("postgresql://bot:hunter2@db/chat", "hunter2"),
        ("JWT_SECRET_KEY=change-me-please", "change-me-please"),
        ('{"password": "hunter2", "x": 1}', "hunter2"),
        ('"{\\"access_token\\": \\"hunter2\\"}"', "hunter2"),
        ("{'api_key': 'hunter2'}", "hunter2"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "c2lnbmF0dXJl"),
        ("password%3Dhunter2", "hunter2"),
    ],
)
def test_what_stands_where_secrets_stand_is_masked(text: str, hidden: str) -> None:
    shown = Redactor().redact(text)
    assert hidden not in shown
    assert MASK in shown


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/bots?limit=100",
        '{"status": "ok", "bots": {}}',
        "the password was refused",
        "http://127.0.0.1:8000/health",
    ],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert Redactor([SECRET]).redact(text) == text


def test_a_learned_secret_is_masked_from_then_on() -> None:
    redactor = Redactor()
    assert "opaque-value" in redactor.redact("it says opaque-value")
    redactor.learn("opaque-value")
    assert redactor.redact("it says opaque-value") == f"it says {MASK}"


def test_a_very_short_secret_does_not_mask_ordinary_text() -> None:
    assert Redactor(["ab"]).redact("about a cab") == "about a cab"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgresql://u:hunter2@db/chat", {"hunter2"}),
        ("postgresql://u:hun%40ter2@db/chat", {"hun%40ter2", "hun@ter2"}),
        ("postgresql://u:one@two@db/chat", {"one@two", "one", "two"}),
        ("postgresql://u@db/chat", set()),
        ("sqlite:////var/lib/chat.db", set()),
        ("", set()),
    ],
)
def test_whatever_may_be_a_password_in_a_url_is_known(url: str, parts: set[str]) -> None:
    assert set(url_secrets(url)) == parts
