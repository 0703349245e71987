"""Faults of what the HTTP surface takes."""

from __future__ import annotations

from console.demo.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault("bad-body-crashes", "a list in place of an object crashes a launch", ("INP-01",)),
    Fault("sql-injection", "the history puts the bot id into its SQL as it comes", ("INP-02",)),
    Fault("shell-launch", "the type of a bot is given to a shell", ("INP-03",)),
    Fault("path-traversal", "static files are also served from outside their folder", ("HTTP-11",)),
    Fault("no-body-limit", "bodies of every size are read and taken", ("HTTP-12", "WALK-11")),
    Fault("no-page-limit", "the history takes every limit", ("HTTP-13",)),
    Fault("no-frame-limit", "frames of every size are taken by the WebSocket", ("HTTP-14",)),
    Fault("route-open", "the history is answered without a token", ("AUTH-01",)),
    Fault("mass-assignment", "a command may say by its field role who said it", ("API-04",)),
    Fault("error-without-id", "errors do not carry the id of their request", ("ERR-02",)),
    Fault("error-shapes-differ", "errors of the framework have fields of their own", ("ERR-02",)),
    Fault("text-mangled", "line ends of a command are changed before it is stored", ("INP-05",)),
    Fault("fast-hash", "passwords are stored as a bare SHA-256", ("AUTH-09",)),
)
