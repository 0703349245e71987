"""TLS with a certificate made on the spot: a client that trusts its authority gets through, no other does."""

from __future__ import annotations

import json
import ssl
import tomllib
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.demo.client import settings
from tests.demo.serving import served


def test_https_and_wss_work_with_the_authority_of_the_profile() -> None:
    with served("--port", "0", "--tls") as demo:
        profile = tomllib.loads(Path(demo.info["profile"]).read_text("utf-8"))
        folder = Path(demo.info["profile"]).parent
        assert demo.url.startswith("https://")
        assert profile["target"]["url"] == demo.url
        trusting = ssl.create_default_context(cafile=profile["target"]["ca_file"])
        trusting.verify_flags |= ssl.VERIFY_X509_STRICT
        known = settings(folder / "credentials.env")
        body = {"username": known["DEMO_USERNAME"], "password": known["DEMO_PASSWORD"]}
        answer = httpx.post(f"{demo.url}/api/auth/login", json=body, verify=trusting)
        assert answer.headers["Strict-Transport-Security"]
        token = answer.json()["token"]
        with connect(f"{demo.url.replace('https', 'wss')}/ws?token={token}", ssl=trusting) as socket:
            socket.send(json.dumps({"type": "command", "command": "/status"}))
            assert json.loads(socket.recv(5))["type"] == "agent_status"
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{demo.url}/health")
        assert (folder / "tls-server-key.pem").stat().st_mode & 0o777 == 0o600
        assert "PRIVATE KEY" not in Path(profile["target"]["ca_file"]).read_text("utf-8")
