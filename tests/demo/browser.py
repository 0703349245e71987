"""Chromium for tests: driven by chromedriver over its wire protocol (W3C WebDriver), on loopback alone."""

from __future__ import annotations

import base64
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1100,700",
)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key of an element in the protocol."""
WITHIN_S = 15.0


class Browser:
    """One window."""

    def __init__(self, http: httpx.Client, session: str) -> None:
        self._http = http
        self._session = session

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """One command of the protocol; its value. Fails with what the driver says."""
        json = {} if body is None and method == "POST" else body
        answer = self._http.request(method, f"/session/{self._session}{path}", json=json).json()
        if isinstance(answer["value"], dict) and "error" in answer["value"]:
            raise AssertionError(answer["value"]["message"])
        return answer["value"]

    def open(self, url: str) -> None:
        """Load a page."""
        self.ask("POST", "/url", {"url": url})

    def find(self, selector: str) -> str:
        """The path of the one element that `selector` names."""
        found = self.ask("POST", "/element", {"using": "css selector", "value": selector})
        return f"/element/{found[ELEMENT]}"

    def click(self, selector: str) -> None:
        """Click an element, as a person would: it has to be visible."""
        self.ask("POST", f"{self.find(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        """Type into an element; a line feed is Enter."""
        self.ask("POST", f"{self.find(selector)}/value", {"text": text.replace("\n", "\ue007")})

    def text(self, selector: str) -> str:
        """The visible text of an element."""
        return str(self.ask("GET", f"{self.find(selector)}/text"))

    def script(self, code: str) -> Any:
        """What a script returns."""
        return self.ask("POST", "/execute/sync", {"script": code, "args": []})

    def confirm(self) -> str:
        """Accept the question that the page asks; its text."""
        question = str(self.ask("GET", "/alert/text"))
        self.ask("POST", "/alert/accept")
        return question

    def problems(self) -> list[str]:
        """What the page's console complained of."""
        return [line["message"] for line in self.ask("POST", "/se/log", {"type": "browser"})]

    def picture(self, path: Path) -> None:
        """Write a screenshot."""
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))


def until(is_so: Callable[[], object]) -> None:
    """Wait until `is_so`; fails after `WITHIN_S` seconds."""
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline, "the page did not come that far"
        time.sleep(0.02)


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A fresh browser with its user data in `profile`."""
    driver = subprocess.Popen(
        [str(DRIVER), "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with driver:
        try:
            assert driver.stdout
            port = next(
                found[1]
                for line in driver.stdout
                if (found := re.search(r"successfully on port (\d+)", line))
            )
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as http:
                options = {"binary": str(CHROMIUM), "args": [*FLAGS, f"--user-data-dir={profile}"]}
                wanted = {
                    "browserName": "chrome",
                    "goog:chromeOptions": options,
                    "goog:loggingPrefs": {"browser": "ALL"},
                }
                made = http.post("/session", json={"capabilities": {"alwaysMatch": wanted}}).json()["value"]
                assert "sessionId" in made, made
                try:
                    yield Browser(http, made["sessionId"])
                finally:
                    http.delete(f"/session/{made['sessionId']}")
        finally:
            driver.terminate()
