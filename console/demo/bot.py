"""The process of one demo bot: an HTTP service on a port of its own that answers every text locally.

Started as a script, with the standard library alone, so that it is up in a moment. It reads its key from the first
line of standard input, prints its port as one JSON line, and ends when that input ends: with the controller, however
the controller ended.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY_BYTES = 1 << 20
IDLE_S = 10.0
"""A connection that says nothing this long is closed."""


class BotServer(ThreadingHTTPServer):
    """The bot's service: `GET /status` and `POST /task`, for the holder of the key alone."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, bot_id: str, bot_type: str, key: str) -> None:
        super().__init__(("127.0.0.1", 0), BotHandler)
        self.bot_id = bot_id
        self.bot_type = bot_type
        self.key = key
        self.busy = 0
        self.answered = 0
        self.lock = threading.Lock()

    def server_bind(self) -> None:
        # HTTPServer's own server_bind asks the name service for the host's name, which may take seconds.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def status(self) -> dict[str, object]:
        """What the bot is doing."""
        return {
            "bot_id": self.bot_id,
            "bot_type": self.bot_type,
            "status": "busy" if self.busy else "idle",
            "answered": self.answered,
        }

    def answer(self, text: str) -> str:
        """The bot's reply: a function of its id and the text alone."""
        with self.lock:
            self.busy += 1
        try:
            return f"{self.bot_id} heard: {text}"
        finally:
            with self.lock:
                self.busy -= 1
                self.answered += 1


class BotHandler(BaseHTTPRequestHandler):
    """One request to the bot."""

    server: BotServer
    timeout = IDLE_S
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer `/status`."""
        if not self._is_authorized():
            self._send(403, {"error": "wrong key"})
        elif self.path == "/status":
            self._send(200, self.server.status())
        else:
            self._send(404, {"error": "not found"})

    def do_POST(self) -> None:
        """Answer `/task`."""
        body = self._body()
        if not self._is_authorized():
            self._send(403, {"error": "wrong key"})
        elif self.path != "/task":
            self._send(404, {"error": "not found"})
        elif not isinstance(body, dict) or not isinstance(body.get("text"), str):
            self._send(400, {"error": "text expected"})
        else:
            self._send(200, {"reply": self.server.answer(body["text"])})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Nothing: the controller keeps the log."""
        del format, args

    def _is_authorized(self) -> bool:
        return hmac.compare_digest(self.headers.get("X-Bot-Key", "").encode(), self.server.key.encode())

    def _body(self) -> object:
        size = self.headers.get("Content-Length", "")
        if not size.isdigit() or int(size) > MAX_BODY_BYTES:
            self.close_connection = True
            return None
        try:
            document: object = json.loads(self.rfile.read(int(size)))
        except ValueError:
            return None
        return document

    def _send(self, status: int, document: dict[str, object]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description="one demo bot")
    parser.add_argument("--id", required=True)
    parser.add_argument("--type", required=True)
    parser.add_argument("--public", action="store_true")
    parser.add_argument(
        "--key", default="", help="the key, for all to see; else it is read from standard input"
    )
    options = parser.parse_args()
    key = options.key or sys.stdin.readline().strip()
    server = BotServer(options.id, options.type, key)
    opened = _listen_everywhere() if options.public else None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(json.dumps({"port": server.server_port}) + "\n")
    sys.stdout.flush()
    while sys.stdin.read(4096):
        pass
    if opened:
        opened.close()
    os._exit(0)


def _listen_everywhere() -> socket.socket:
    """The fault bot-port-public: open on every address, and yet only to be reached from this host."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    opened.bind(("0.0.0.0", 0))  # noqa: S104 - the fault
    opened.listen(1)
    return opened


if __name__ == "__main__":
    main()
