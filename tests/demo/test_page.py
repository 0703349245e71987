"""The page in a real browser: sign in, launch a bot, talk to it, find the talk again, stop the bot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from console.demo.launch import DemoProcess
from tests.demo.browser import CHROMIUM, DRIVER, Browser, browser, until
from tests.demo.client import credentials, history, launched, say

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM.exists() and DRIVER.exists()), reason="needs chromium and chromedriver"),
]


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for this module."""
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture
def page(window: Browser, demo: DemoProcess) -> Browser:
    """The page, signed in and connected."""
    window.open(demo.url)
    window.script("sessionStorage.clear()")
    window.open(demo.url)
    known = credentials(demo)
    window.type("#usernameInput", known["username"])
    window.type("#passwordInput", known["password"])
    window.click("#signInBtn")
    until(lambda: window.text("#connectionStatus") == "Connected")
    return window


def messages(page: Browser) -> list[list[str]]:
    """(kind, text) of what the chat shows."""
    found: list[list[str]] = page.script(
        "return [...document.querySelectorAll('#chatMessages p')].map(p => [p.className, p.textContent])"
    )
    return found


def test_a_wrong_password_is_told(window: Browser, demo: DemoProcess) -> None:
    window.open(demo.url)
    window.script("sessionStorage.clear()")
    window.open(demo.url)
    window.type("#usernameInput", "demo")
    window.type("#passwordInput", "wrong\n")
    until(lambda: window.text("#signInMsg") == "Invalid username or password")
    assert window.script("return document.getElementById('work').hidden") is True


def test_a_user_launches_a_bot_talks_to_it_and_stops_it(
    page: Browser, client: httpx.Client, bot_id: str
) -> None:
    page.problems()
    page.click("#launchBtn")
    page.type("#botIdInput", "parrot")
    page.click("#launchOkBtn")
    until(lambda: "BOT-001" in page.text("#validationMsg"))
    page.script("document.getElementById('botIdInput').value = ''")
    page.type("#botIdInput", bot_id)
    page.click("#launchOkBtn")
    until(lambda: page.text("#selectedBotInfo") == f"{bot_id} (active)")
    page.type("#chatInput", "hello <b>you</b>\n")
    reply = f"{bot_id} heard: hello <b>you</b>"
    until(lambda: messages(page) == [["user", "hello <b>you</b>"], ["assistant", reply]])
    page.type("#chatInput", "again")
    page.click("#sendButton")
    until(lambda: len(messages(page)) == 4)
    assert [message["content"] for message in history(client, bot_id)] == [text for _, text in messages(page)]
    page.click(f"button[data-action=stop][data-bot-id={bot_id}]")
    assert page.confirm() == f"Stop {bot_id}?"
    until(lambda: page.text("#selectedBotInfo") == "No bot selected")
    assert bot_id not in client.get("/api/bots").json()["bots"]
    assert page.problems() == []


def test_two_bots_do_not_mix_and_a_history_comes_back_after_a_reload(
    page: Browser, client: httpx.Client, demo: DemoProcess, bot_id: str
) -> None:
    other = f"{bot_id}0"
    with launched(client, bot_id), launched(client, other):
        say(client, bot_id, "to the first")
        say(client, other, "to the second")
        page.open(demo.url)
        for name, text in ((bot_id, "to the first"), (other, "to the second")):
            select = f"button[data-action=select][data-bot-id={name}]"
            until(lambda select=select: page.script(f"return !!document.querySelector('{select}')"))  # type: ignore[misc]
            page.click(select)
            expected = [["user", text], ["assistant", f"{name} heard: {text}"]]
            until(lambda expected=expected: messages(page) == expected)  # type: ignore[misc]


def test_a_command_goes_over_rest_while_the_socket_is_closed(
    page: Browser, client: httpx.Client, bot_id: str
) -> None:
    with launched(client, bot_id):
        select = f"button[data-action=select][data-bot-id={bot_id}]"
        page.script("refresh()")
        until(lambda: page.script(f"return !!document.querySelector('{select}')"))
        page.click(select)
        page.script("WebSocket = class { close() {} }; socket.close()")
        until(lambda: page.text("#connectionStatus") == "Offline")
        page.type("#chatInput", "by another way\n")
        until(lambda: ["assistant", f"{bot_id} heard: by another way"] in messages(page))


def test_the_page_comes_back_when_the_controller_does(
    window: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_JWT_SECRET", "a secret that two starts of a demo share")
    with DemoProcess.start(port=0, data=tmp_path) as demo:
        port = int(demo.url.rpartition(":")[2])
        known = credentials(demo)
        window.open(demo.url)
        window.type("#usernameInput", known["username"])
        window.type("#passwordInput", f"{known['password']}\n")
        until(lambda: window.text("#connectionStatus") == "Connected")
    until(lambda: window.text("#connectionStatus") == "Offline")
    with DemoProcess.start(port=port, data=tmp_path):
        until(lambda: window.text("#connectionStatus") == "Connected")


def test_a_token_that_is_no_longer_good_leads_back_to_the_sign_in(page: Browser) -> None:
    page.script("sessionStorage.token = 'nonsense'; location.reload()")
    until(lambda: page.script("return !document.getElementById('signIn').hidden"))
    until(lambda: page.text("#signInMsg") == "Sign in again")
