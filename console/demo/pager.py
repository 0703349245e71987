"""The pager of the demo: takes what Apprise's `json://` posts, and shows it as plain text. Loopback alone.

A program of its own without site packages, `pager.py DESCRIPTOR [detach]`: the descriptor is that of a socket that
listens. It ends when its standard input does; the first line that it reads there is the folder of the demo, where it
appends what it takes to `pager.jsonl`. With `detach` it is nobody's child.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import stat
import sys
import threading
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEPT = 100
KEPT_FILE, FAULTS_FILE, DOWN = "pager.jsonl", "faults", "pager-down"
MAX_BODY_BYTES, MAX_TITLE_CHARS, MAX_TEXT_CHARS = 1 << 16, 500, 8000
MAX_FILE_BYTES = 4 << 20
WITHIN_S = 5.0
CONTACT = re.compile(r"/([a-z][a-z0-9-]{0,63})/?")
HOSTS = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?")
EMPTY = "Nobody was told anything yet.\n"
Entry = dict[str, str]


class Pages:
    """What was taken: the newest in memory, all of them in a file that does not grow for ever."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: deque[Entry] = deque(maxlen=KEPT)
        self._folder = self._file = -1

    def keep_in(self, folder: str) -> None:
        """Append to a file in `folder` from now on, with the rights of the folder's owner alone. Raises OSError."""
        with self._lock:
            if self._file >= 0:
                return
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            how = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
            self._file = os.open(KEPT_FILE, how, 0o600, dir_fd=self._folder)
            os.fchmod(self._file, 0o600)
            owner = os.fstat(self._folder)
            if os.geteuid() == 0 and owner.st_uid:
                os.fchown(self._file, owner.st_uid, owner.st_gid)
                os.setgroups([])
                os.setgid(owner.st_gid)
                os.setuid(owner.st_uid)
            self._write(self._kept)

    def add(self, entry: Entry) -> None:
        """Keep one."""
        with self._lock:
            self._kept.append(entry)
            self._write([entry])

    @property
    def newest_first(self) -> list[Entry]:
        """What is kept in memory."""
        with self._lock:
            return list(reversed(self._kept))

    @property
    def is_down(self) -> bool:
        """Whether the fault pager-down is switched on."""
        if self._folder < 0:
            return False
        try:
            descriptor = os.open(
                FAULTS_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._folder
            )
        except OSError:
            return False
        with os.fdopen(descriptor, "rb") as file:
            state = os.fstat(file.fileno())
            is_owned = stat.S_ISREG(state.st_mode) and not state.st_mode & 0o077
            return is_owned and DOWN.encode() in file.read(4096).split()

    def _write(self, entries: Iterable[Entry]) -> None:
        if self._file < 0:
            return
        with contextlib.suppress(OSError):  # a full disk must not keep a message from being shown
            if os.fstat(self._file).st_size > MAX_FILE_BYTES:
                os.ftruncate(self._file, 0)
                entries = self._kept
            for entry in entries:
                os.write(self._file, json.dumps(entry).encode("ascii") + b"\n")


class Server(ThreadingHTTPServer):
    """Serves on a socket that listens already."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, pages: Pages) -> None:
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.pages = pages

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever leaves in the middle is no news."""


class Handler(BaseHTTPRequestHandler):
    """One client."""

    server: Server
    timeout = WITHIN_S
    server_version, sys_version = "pager", ""

    def do_GET(self) -> None:
        """Show what was taken, the newest first."""
        if not HOSTS.fullmatch(self.headers.get("Host", "")):
            self._answer(HTTPStatus.FORBIDDEN, "Ask for it by the address of this host.\n")
        elif self.path == "/":
            self._answer(HTTPStatus.OK, "\n".join(map(shown, self.server.pages.newest_first)) or EMPTY)
        else:
            self._answer(HTTPStatus.NOT_FOUND, "There is only /.\n")

    def do_POST(self) -> None:
        """Take one message."""
        contact, length = CONTACT.fullmatch(self.path), self.headers.get("Content-Length", "")
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        # A web page of somebody else's can post, but not as JSON.
        if contact is None:
            self._answer(HTTPStatus.NOT_FOUND, "Post to the name of a contact, as in /on-call.\n")
        elif kind != "application/json":
            self._answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Post JSON.\n")
        elif not (length.isascii() and length.isdigit()):
            self._answer(HTTPStatus.LENGTH_REQUIRED, "Say how long it is.\n")
        elif int(length[:9]) > MAX_BODY_BYTES:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {MAX_BODY_BYTES} bytes.\n")
        elif self.server.pages.is_down:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "The pager is out of order.\n")
        else:
            self._take(contact[1], self.rfile.read(int(length)))

    def _take(self, contact: str, raw: bytes) -> None:
        try:
            title, text = _told(json.loads(raw))
        except (ValueError, LookupError, TypeError, RecursionError):
            title = text = None
        if not isinstance(title, str) or not isinstance(text, str):
            self._answer(HTTPStatus.BAD_REQUEST, "Post an object with the texts title and message.\n")
            return
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {"at": at, "to": contact, "title": title[:MAX_TITLE_CHARS], "message": text[:MAX_TEXT_CHARS]}
        self.server.pages.add(entry)
        self._answer(HTTPStatus.OK, "taken\n")

    def _answer(self, status: HTTPStatus, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the library
        """Nothing is logged."""


def shown(entry: Entry) -> str:
    """One message as lines of text."""
    lines = [f"{entry['at'][:19].replace('T', ' ')}Z to {entry['to']}: {visible(entry['title'])}"]
    lines += [f"    {visible(line)}" for line in entry["message"].split("\n")]
    return "\n".join(lines) + "\n"


def visible(text: str) -> str:
    """The text with whatever does not print (control and direction characters, half surrogates) as an escape."""
    # Without a codec: it would be loaded late, from a folder that may be closed by then.
    return "".join(one if one.isprintable() else _escape(ord(one)) for one in text)


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _told(said: Any) -> tuple[object, object]:
    """Title and text of what Apprise, or Alertmanager's webhook, posts. Raises KeyError or TypeError for the rest."""
    if isinstance(said, dict) and isinstance(said.get("alerts"), list):
        lines = [f"{one['status']}: {one['annotations']['summary']}" for one in said["alerts"]]
        return f"Alertmanager: {said['status']}", "\n".join(lines)
    return said["title"], said["message"]


def main() -> None:
    """Serve until standard input ends."""
    if "detach" in sys.argv[2:] and os.fork():
        os._exit(0)
    pages = Pages()
    server = Server(socket.socket(fileno=int(sys.argv[1])), pages)

    def watch_input() -> None:
        for line in sys.stdin.buffer:
            with contextlib.suppress(OSError):
                pages.keep_in(os.fsdecode(line.rstrip(b"\n")))
        os._exit(0)

    threading.Thread(target=watch_input, daemon=True).start()
    server.serve_forever(poll_interval=60.0)


if __name__ == "__main__":
    main()
