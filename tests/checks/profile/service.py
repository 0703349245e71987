"""A small controller for tests of the look at the live host: real socket, open database, log on standard error.

Run as `python service.py PORT_FILE DATABASE [--password SECRET] [SECRET]`; the OpenAPI document comes from the
variable DOCUMENT.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Answers /health and, where there is a document, /openapi.json."""

    def do_GET(self) -> None:
        """One answer in JSON."""
        bodies = {"/health": '{"status": "ok"}', "/openapi.json": os.environ.get("DOCUMENT", "")}
        body = bodies.get(self.path, "").encode()
        self.send_response(200 if body else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(port_file: Path, database: str) -> None:
    """Serve until killed; the port is told once requests are accepted."""
    connection = sqlite3.connect(database)
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    part = port_file.with_suffix(".part")
    part.write_text(str(server.server_address[1]))
    part.replace(port_file)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
