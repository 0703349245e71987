"""Faults as a caller meets them; which step of a review each one breaks is tested with the reviews."""

from __future__ import annotations

from contextlib import ExitStack

import httpx
import pytest

from console.demo.faults import FAULTS, UnknownFaultError, checked
from console.demo.launch import DemoError, DemoProcess
from tests.demo.client import credentials, history, launch, say, signed_in


def test_an_unknown_fault_is_told_with_the_names() -> None:
    with pytest.raises(UnknownFaultError, match=r"There is no fault 'parrot'. Faults: unhealthy, "):
        checked(["parrot"])
    assert checked([fault.name for fault in FAULTS]) == {fault.name for fault in FAULTS}


def test_faults_add_up_and_leave_the_rest_alone() -> None:
    faults = ["unhealthy", "inside-shown", "history-out-of-order", "rest-open", "unknown-bot-succeeds"]
    with ExitStack() as stack:
        demo = stack.enter_context(DemoProcess.start(port=0, faults=faults))
        assert httpx.get(f"{demo.url}/health").status_code == 503
        assert httpx.get(f"{demo.url}/health/db").status_code == 200
        assert httpx.get(f"{demo.url}/api/bots").json()["success"] is True
        wrong = httpx.post(f"{demo.url}/api/auth/login", json={**credentials(demo), "password": "wrong"})
        assert wrong.status_code == 401
        assert "Traceback (most recent call last)" in wrong.json()["error"]
        client = stack.enter_context(signed_in(demo))
        launch(client, "BOT-001")
        say(client, "BOT-001", "first")
        assert [message["role"] for message in history(client, "BOT-001")] == ["assistant", "user"]
        assert say(client, "BOT-002", "hello").json()["response"] == "BOT-002 heard: hello"


def test_a_process_with_an_unknown_fault_says_so() -> None:
    with pytest.raises(DemoError, match=r"^There is no fault 'parrot'; `gonogo demo --faults` lists them"):
        DemoProcess.start(port=0, faults=["parrot"])
