"""What is said is stored on both sides, to the letter and in order, before the reply is given away."""

from __future__ import annotations

import asyncio
import json
import sqlite3

import httpx
from websockets.asyncio.client import connect

from console.demo.launch import DemoProcess
from tests.demo.client import history, launched, say, sign_in


def rows(demo: DemoProcess, bot_id: str) -> list[tuple[str, str]]:
    """(role, text) of a bot's rows, in the order of their ids."""
    connection = sqlite3.connect(f"file:{demo.info['database']}?mode=ro", uri=True)
    try:
        query = "SELECT role, content FROM messages WHERE bot_id = ? ORDER BY id"
        return connection.execute(query, (bot_id,)).fetchall()
    finally:
        connection.close()


def test_both_sides_are_stored_before_the_reply(demo: DemoProcess, client: httpx.Client, bot_id: str) -> None:
    text = "Grüße, “世界” 🙂 <b>'; DROP TABLE messages; --"
    with launched(client, bot_id):
        answer = say(client, bot_id, f"  {text}\n").json()
        assert rows(demo, bot_id) == [("user", text), ("assistant", answer["response"])]
    assert text in answer["response"]
    assert (answer["bot_id"], answer["bot_type"], answer["success"]) == (bot_id, "claude", True)
    assert isinstance(answer["raw_response"], dict)


def test_the_history_equals_the_rows_and_outlives_the_bot(
    demo: DemoProcess, client: httpx.Client, bot_id: str
) -> None:
    with launched(client, bot_id):
        for number in range(3):
            say(client, bot_id, f"message {number}")
    told = history(client, bot_id)
    assert [(message["role"], message["content"]) for message in told] == rows(demo, bot_id)
    assert [message["timestamp"] for message in told] == sorted(message["timestamp"] for message in told)
    assert history(client, bot_id, limit="2") == told[-2:]


def test_an_unknown_bot_has_an_empty_history(client: httpx.Client) -> None:
    answer = client.get("/api/chat/history", params={"bot_id": "BOT-8888"}).json()
    assert (answer["success"], answer["count"], answer["messages"]) == (True, 0, [])


def test_what_is_refused_is_not_stored(demo: DemoProcess, client: httpx.Client, bot_id: str) -> None:
    with launched(client, bot_id):
        say(client, bot_id, "x" * 20_000)
        say(client, bot_id, "")
    say(client, bot_id, "too late")
    assert rows(demo, bot_id) == []


async def test_commands_at_the_same_time_stay_in_pairs_and_with_their_bot(
    demo: DemoProcess, client: httpx.Client, bot_id: str
) -> None:
    other = f"{bot_id}0"
    token = sign_in(demo)
    with launched(client, bot_id), launched(client, other):

        async def over_rest(name: str, text: str) -> str:
            answer = await asyncio.to_thread(say, client, name, text)
            return str(answer.json()["response"])

        async def over_socket(name: str, text: str) -> str:
            async with connect(f"{demo.url.replace('http', 'ws')}/ws?token={token}") as socket:
                await socket.send(json.dumps({"type": "query", "query": text, "bot_id": name}))
                return str(json.loads(await socket.recv())["content"])

        sent = [
            (name, f"{channel.__name__} {number} to {name}", channel)
            for number in range(6)
            for name in (bot_id, other)
            for channel in (over_rest, over_socket)
        ]
        replies = await asyncio.gather(*(channel(name, text) for name, text, channel in sent))
    assert replies == [f"{name} heard: {text}" for name, text, _ in sent]
    for name in (bot_id, other):
        stored = rows(demo, name)
        assert [role for role, _ in stored] == ["user", "assistant"] * 12
        for (_, text), (_, reply) in zip(stored[::2], stored[1::2], strict=True):
            assert reply == f"{name} heard: {text}"
        assert {text for _, text in stored[::2]} == {text for to, text, _ in sent if to == name}
