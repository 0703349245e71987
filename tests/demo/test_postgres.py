"""The demo on PostgreSQL, with a real server that this module starts for itself."""

from __future__ import annotations

import signal
import tomllib
from pathlib import Path

import httpx
import psycopg

from tests.demo.client import history, launch, say, settings
from tests.demo.serving import served
from tests.postgres import MARKS, PASSWORD, QUOTED, fresh, url_of

pytestmark = MARKS


def test_messages_are_kept_in_postgresql_and_its_password_stays_out_of_sight() -> None:
    with fresh() as (process, port):
        url = url_of(port)
        with served("--port", "0", "--database", url) as demo:
            folder = Path(demo.info["profile"]).parent
            known = settings(folder / "credentials.env")
            body = {"username": known["DEMO_USERNAME"], "password": known["DEMO_PASSWORD"]}
            token = httpx.post(f"{demo.url}/api/auth/login", json=body).json()["token"]
            with httpx.Client(base_url=demo.url, headers={"Authorization": f"Bearer {token}"}) as client:
                launch(client, "BOT-001")
                reply = say(client, "BOT-001", "hello 世界").json()["response"]
                expected = [("user", "hello 世界"), ("assistant", reply)]
                assert [
                    (message["role"], message["content"]) for message in history(client, "BOT-001")
                ] == expected
                query = "SELECT role, content FROM messages ORDER BY id"
                with psycopg.connect(url) as connection:
                    assert connection.execute(query).fetchall() == expected
                process.send_signal(signal.SIGINT)  # ends its sessions too
                process.wait(20)
                assert httpx.get(f"{demo.url}/health/db").status_code == 503
                lost = say(client, "BOT-001", "anybody there?")
                assert (lost.status_code, lost.json()["error"]) == (503, "The database does not answer")
            public = f"postgresql://demo@127.0.0.1:{port}/postgres"
            assert demo.info["database"] == public
            assert tomllib.loads(Path(demo.info["profile"]).read_text("utf-8"))["database"]["url"] == public
            assert known["DEMO_DATABASE_URL"] == url
            for path in (demo.info["profile"], demo.info["log"]):
                text = Path(path).read_text("utf-8")
                assert PASSWORD not in text
                assert QUOTED not in text
