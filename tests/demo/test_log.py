"""The log: one JSON object a line, every request in it, and neither a secret nor what was said."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
from websockets.sync.client import connect

from console.demo.launch import DemoProcess
from tests.demo.client import credentials, launched, say, settings, sign_in, signed_in

CANARY = "canary-text-of-a-user"


def test_the_log_tells_what_happened_and_nothing_secret() -> None:
    with DemoProcess.start(port=0) as demo:
        token = sign_in(demo)
        with signed_in(demo) as client, launched(client, "BOT-001"):
            say(client, "BOT-001", CANARY)
            client.get(f"/api/bots?token={token}", headers={"X-Request-ID": "find-me"})
            client.post("/api/bot/BOT-001/task", content=CANARY, headers={"Content-Type": "application/json"})
            with connect(f"{demo.url.replace('http', 'ws')}/ws?token={token}") as socket:
                socket.send(json.dumps({"type": "query", "query": CANARY, "bot_id": "BOT-001"}))
                socket.recv()
                socket.send(CANARY)
                socket.recv()
        httpx.post(f"{demo.url}/api/auth/login", json={"username": "demo", "password": CANARY})
        text = Path(demo.info["log"]).read_text("utf-8")
        secrets = [
            token,
            credentials(demo)["password"],
            settings(Path(demo.info["env_file"]))["JWT_SECRET_KEY"],
        ]
    lines = [json.loads(line) for line in text.splitlines()]
    for secret in (*secrets, CANARY):
        assert secret not in text
    events = [line["event"] for line in lines]
    for event in ("started", "sign-in", "sign-in refused", "bot launched", "command answered", "bot stopped"):
        assert event in events
    (request,) = [line for line in lines if line.get("request_id") == "find-me"]
    assert (request["method"], request["path"], request["status"]) == ("GET", "/api/bots", 200)
    assert (request["user"], request["level"]) == ("demo", "INFO")
    assert request["time"].endswith("+00:00")


def test_secrets_are_for_their_owner_alone(demo: DemoProcess) -> None:
    folder = demo.profile.parent
    assert folder.stat().st_mode & 0o077 == 0
    for name in ("gonogo.toml", "credentials.env", "controller.env"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
