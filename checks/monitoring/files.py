"""The files by which processes on one host share a watch: the board that it writes, and the wishes that it takes."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from checks.model import ReviewError, parse_stamp, stamp
from checks.monitoring.actions import Action, document, read
from checks.monitoring.board import Board
from checks.text import Clean, one_line

BOARD, INBOX = "board.json", "inbox"
MOST_BYTES = 4 << 20
MOST_WISHES = 200
WISH_VALID_S = 120.0
"""A wish that nobody took for so long is dropped: whoever made it has long seen that nothing happened."""


def write_board(folder: Path, board: Board) -> None:
    """Replace the board file in one step, for its owner alone. Raises OSError."""
    _replace(folder / BOARD, json.dumps(board.document(), ensure_ascii=False).encode())


def read_board(folder: Path) -> Board | None:
    """The board that was written last; None where there is none, or it cannot be read."""
    try:
        with (folder / BOARD).open("rb") as file:
            raw = file.read(MOST_BYTES)
        return Board.from_document(json.loads(raw))
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None


def put_wish(folder: Path, action: Action, actor: str, now: datetime) -> None:
    """Leave a wish for the process that watches. Raises ReviewError."""
    inbox = folder / INBOX
    body = {"at": stamp(now), "actor": actor, "wish": document(action)}
    name = f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}.json"
    try:
        inbox.mkdir(mode=0o700, exist_ok=True)
        _replace(inbox / name, json.dumps(body, ensure_ascii=False).encode())
    except OSError as problem:
        why = (problem.strerror or type(problem).__name__).lower()
        raise ReviewError(
            f"The wish could not be left for the watch in {one_line(inbox)} ({why})."
        ) from problem


def taken_wishes(folder: Path, now: datetime) -> Iterator[tuple[Action, Clean]]:
    """The wishes that were left, the oldest first; each is removed before it is handed out, so that it is done once."""
    inbox = folder / INBOX
    try:
        names = sorted(entry.name for entry in inbox.iterdir() if entry.suffix == ".json")
    except OSError:
        return
    for name in names[:MOST_WISHES]:
        path = inbox / name
        try:
            with path.open("rb") as file:
                raw = file.read(1 << 16)
            path.unlink()
            body = json.loads(raw)
            age_s = (now - parse_stamp(body["at"])).total_seconds()
            action, actor = read(body["wish"]), one_line(body["actor"], 80)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        if abs(age_s) <= WISH_VALID_S:
            yield action, actor


def _replace(path: Path, raw: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(2)}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(raw)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
