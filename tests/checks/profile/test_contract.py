"""The built-in contract, and what a profile replaces in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.model import ProfileError
from checks.profile.contract import FIELDS, GIVEN, built_in
from checks.profile.read import load_target
from checks.target import Contract

BASE = '[target]\nurl = "http://127.0.0.1:8000"\n'


def contract(folder: Path, text: str) -> Contract:
    """The contract of a profile that goes on with `text`."""
    path = folder / "gonogo.toml"
    path.write_text(BASE + text)
    return load_target(path, {}).contract


def test_the_built_in_contract_is_the_observed_one() -> None:
    port8000 = built_in()["port8000"]
    asked = {name: f"{one.method} {one.path}" for name, one in port8000.operations.items()}
    assert asked == {
        "health": "GET /health",
        "page": "GET /",
        "login": "POST /api/auth/login",
        "register": "POST /api/auth/register",
        "launch": "POST /api/bot/launch",
        "stop": "POST /api/bot/stop/{bot_id}",
        "send": "POST /api/bot/{bot_id}/task",
        "bots": "GET /api/bots",
        "status": "GET /api/bots/status",
        "history": "GET /api/chat/history?bot_id={bot_id}&limit={limit}",
        "ws": "GET /ws?token={token}",
        "ws_send": "GET ",
    }
    assert set(asked) == set(GIVEN)
    assert tuple(port8000.columns) == FIELDS
    assert port8000.columns["text"] == "content"
    assert port8000.rest_auth == "none"


def test_single_values_of_an_operation_are_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    changed = contract(
        tmp_path,
        '[operations.send]\nmethod = "put"\npath = "/v2/{bot_id}"\nbody = { say = "{text}", stream = false }\n'
        '[operations.login.reply]\ntoken = "data.access_token"\n',
    )
    send = changed.operations["send"]
    assert (send.method, send.path, send.body) == ("PUT", "/v2/{bot_id}", {"say": "{text}", "stream": False})
    assert send.reply == built_in()["port8000"].operations["send"].reply
    assert changed.operations["login"].reply == {"token": "data.access_token"}
    assert changed.operations["history"] == built_in()["port8000"].operations["history"]


def test_a_replaced_reply_field_leaves_the_others_and_an_empty_table_drops_them(tmp_path: Path) -> None:
    kept = contract(tmp_path, '[operations.ws_send]\nreply = { text = "answer" }')
    assert kept.operations["ws_send"].reply == {"kind": "type", "text": "answer", "bot_id": "bot_id"}
    assert contract(tmp_path, "[operations.ws_send]\nreply = {}").operations["ws_send"].reply == {}


def test_contract_values_and_the_database_section_are_applied(tmp_path: Path) -> None:
    changed = contract(
        tmp_path,
        '[contract]\nrest_auth = "bearer"\nmax_command_bytes = 4096\nsuccess = ""\nalive = ["up"]\n'
        'bot_id_pattern = "b{number:09d}"\n[database]\ntable = "chat.lines"\ncolumns = { text = "body" }',
    )
    assert (changed.rest_auth, changed.max_command_bytes, changed.success) == ("bearer", 4096, "")
    assert (changed.alive, changed.table) == (("up",), "chat.lines")
    assert changed.bot_id_pattern.format(number=7) == "b000000007"
    assert changed.columns == built_in()["port8000"].columns | {"text": "body"}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('[contract]\nrest_auht = "bearer"', 4, '[contract] rest_auht is not known: write "rest_auth"'),
        (
            '[contract]\nrest_auth = "basic"',
            4,
            '[contract] rest_auth is not a word known here: give "none" or "bearer"',
        ),
        (
            '[contract]\nmax_command_bytes = "4k"',
            4,
            "[contract] max_command_bytes is a text: give a whole number",
        ),
        ("[contract]\nmax_command_bytes = 99999999999", 4, "[contract] max_command_bytes is out of range"),
        ("[contract]\noperations = {}", 4, "use [operations.NAME]"),
        ('[contract]\nname = "mine"', 4, "choose a contract in [target] contract"),
        ('[contract]\nbot_id_pattern = "BOT-{0}"', 4, "[contract] bot_id_pattern must hold {number} once"),
        ('[contract]\nbot_id_pattern = "{number"', 4, "[contract] bot_id_pattern must hold {number} once"),
        ("[contract]\nalive = []", 4, "[contract] alive is empty"),
        ('[contract.columns]\nbody = "x"', 4, "[contract] columns.body is not known: use one of id, bot_id"),
        ('[database.columns]\ntxt = "x"', 4, '[database] columns.txt is not known: write "text"'),
        ('[database]\ncolumns.text = ""', 4, "[database] columns.text is empty"),
        ('[operations.sned]\npath = "/x"', 3, '[operations.sned] is not known: write "send"'),
        (
            '[operations.send]\nurl = "/x"',
            4,
            "[operations.send] url is not known: use one of limit, method, path, body, reply",
        ),
        (
            "[operations.send]\nmethod = 5",
            4,
            "[operations.send] method is a whole number: give a text in quotes",
        ),
        (
            '[operations.send]\nmethod = "FETCH"',
            4,
            "[operations.send] method is not known: use one of GET, POST",
        ),
        ('[operations.send]\npath = "x"', 4, '[operations.send] path is not a path: begin it with "/"'),
        ('[operations.send]\npath = "/x"', 3, "[operations.send] nowhere holds {bot_id}"),
        (
            '[operations.stop]\npath = "/s/{botid}"',
            4,
            "[operations.stop] path holds {botid}: this operation may hold {bot_id}",
        ),
        ('[operations.bots]\nbody = { u = "{username}" }', 4, "[operations.bots] body holds {username}"),
        ("[operations.ws_send]\nbody = {}", 4, "[operations.ws_send] body is empty"),
        (
            '[operations.ws_send]\npath = "/x"',
            4,
            "[operations.ws_send] path is not known: use one of limit, body, reply",
        ),
        (
            '[operations.send.body]\na = ["x"]',
            4,
            "[operations.send] body.a is a list: give a text, a whole number",
        ),
        (
            '[operations.send.reply]\nreply = "x"',
            4,
            "[operations.send] reply.reply is not known: use one of bot_id, text",
        ),
        (
            '[operations.page.reply]\ntext = "x"',
            4,
            "[operations.page] reply.text is not known here: nothing is read",
        ),
        (
            "[operations]\nsend = 3",
            4,
            "[operations.send] is a whole number, not a table: write [operations.send]",
        ),
    ],
)
def test_what_cannot_be_replaced_is_refused_with_key_line_and_fix(
    tmp_path: Path, text: str, line: int, says: str
) -> None:
    with pytest.raises(ProfileError) as caught:
        contract(tmp_path, text)
    assert f"gonogo.toml, line {line}: " in str(caught.value)
    assert says in str(caught.value)
