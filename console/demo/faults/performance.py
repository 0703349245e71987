"""Faults of performance."""

from __future__ import annotations

from console.demo.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault("slow-health", "/health takes 0.4 s", ("RESP-01",), masks=("RESP-09", "RESP-10")),
    Fault("slow-list", "the list of bots takes 0.7 s", ("RESP-02",), masks=("API-01",)),
    Fault("slow-history", "the history takes 0.7 s", ("RESP-03",), masks=("API-01",)),
    Fault("slow-send", "a command takes 1.25 s", ("RESP-04",)),
    Fault("no-compression", "page, scripts and style sheets are sent uncompressed", ("RESP-05",)),
    Fault("connection-closes", "the connection is closed after each answer", ("RESP-06",)),
    Fault("static-not-cacheable", "scripts and style sheets are sent whole again and again", ("RESP-07",)),
    Fault("history-limit-ignored", "the history is answered whole, whatever its limit", ("RESP-08",)),
    Fault("loop-blocked", "passwords are hashed where every request has to wait for it", ("RESP-09",)),
    Fault("one-at-a-time", "/health is answered to one client after another", ("RESP-10",)),
)
