"""Placeholders and dotted paths."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.profile.template import fill, fill_path, pick
from checks.target import Body


def test_every_placeholder_of_a_body_is_filled_and_nothing_else() -> None:
    body: Body = {
        "query": "{text} {text}",
        "to": "{bot_id}",
        "n": 3,
        "flag": True,
        "shape": "{ bots { id } } {other}",
    }
    assert fill(body, {"text": "hello", "bot_id": "BOT-900"}) == {
        "query": "hello hello",
        "to": "BOT-900",
        "n": 3,
        "flag": True,
        "shape": "{ bots { id } } {other}",
    }


@given(text=st.text(), bot_id=st.text())
def test_a_value_is_sent_to_the_letter_whatever_braces_it_holds(text: str, bot_id: str) -> None:
    filled = fill({"a": "<{text}>", "b": "{bot_id}{text}"}, {"text": text, "bot_id": bot_id})
    assert filled == {"a": f"<{text}>", "b": bot_id + text}


def test_a_value_that_names_a_placeholder_is_not_filled_again() -> None:
    assert fill({"a": "{text}"}, {"text": "{password}", "password": "hunter2"}) == {"a": "{password}"}


@given(value=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_value_in_a_path_stays_within_its_segment(value: str) -> None:
    path = fill_path("/bot/{bot_id}/task", {"bot_id": value})
    _, bot, segment, task = path.split("/")
    assert (bot, task) == ("bot", "task")
    assert unquote(segment) == value
    assert segment not in (".", "..")
    assert not set(segment) & set("?#/ \n")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", {"data": {"items": [{"token": "t"}], "n": None}, "ok": False}),
        ("data.items.0.token", "t"),
        ("ok", False),
        ("data.items.1.token", None),
        ("data.items.-1.token", None),
        ("data.items.token", None),
        ("data.items.²", None),
        ("data.n.more", None),
        ("ok.more", None),
        ("absent", None),
        (".", None),
    ],
)
def test_a_dotted_path_leads_to_a_value_or_nowhere(path: str, expected: object) -> None:
    document: Any = {"data": {"items": [{"token": "t"}], "n": None}, "ok": False}
    assert pick(document, path) == expected


def test_no_document_has_no_fields() -> None:
    assert pick(None, "data") is None
    assert pick([{"a": 1}], "0.a") == 1
