"""The watch's own metrics over HTTP, on loopback alone, for a Prometheus on the same host."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from checks.model import ReviewError
from checks.monitoring.board import Board
from checks.monitoring.export.own import exposition

HOST = "127.0.0.1"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsServer:
    """Serves `/metrics` of the newest board from a thread of its own. Use as a context manager."""

    def __init__(self, port: int) -> None:
        """Listen on `port` of 127.0.0.1, 0 for any that is free. Raises ReviewError where it is taken."""
        self._board: Board | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10.0

            def do_GET(self) -> None:
                if self.path.partition("?")[0] != "/metrics":
                    self.send_error(404)
                    return
                board = outer._board
                if board is None:
                    self.send_error(503, "no look yet")
                    return
                body = exposition(board).encode()
                self.send_response(200)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in http.server
                """Scrapes are not told."""

        try:
            self._server = ThreadingHTTPServer((HOST, port), Handler)
        except OSError as problem:
            raise ReviewError(
                f"Port {port} on {HOST} cannot be listened on for the watch's metrics "
                f"({(problem.strerror or type(problem).__name__).lower()}): give another in [monitoring] port."
            ) from problem
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="gonogo-metrics", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def tell(self, board: Board) -> None:
        """Serve this board from now on."""
        self._board = board

    def __enter__(self) -> MetricsServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
