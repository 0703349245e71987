"""Faults of rate limiting."""

from __future__ import annotations

from console.demo.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault("limit-undeclared", "the profile declares no limit of the sign-in", ("RATE-01",)),
    Fault("limit-off", "launches are not limited", ("API-01",)),
    Fault("limit-500", "whoever asks for the status too often is answered 500", ("API-01",)),
    Fault("no-retry-after", "whoever stops bots too often is not told when to come again", ("API-01",)),
    Fault("limit-too-early", "one stop at once is allowed, four are declared", ("API-01",)),
    Fault("socket-unlimited", "queries over the WebSocket are not limited", ("API-02",)),
    Fault("limit-never-recovers", "who was refused the status once is refused it for ever", ("RATE-02",)),
    Fault("limit-dodged-by-header", "a client is told by its X-Forwarded-For", ("RATE-03",)),
    Fault("limit-per-path", "each bot id in the path has a limit of its own", ("RATE-04",)),
    Fault("health-limited", "who signs up too often is refused the health too", ("RATE-05",)),
    Fault(
        "limit-shared",
        "when one client of this host signs up too often, all of them are refused",
        ("RATE-06",),
    ),
)
