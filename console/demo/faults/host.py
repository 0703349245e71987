"""Faults of the host."""

from __future__ import annotations

from console.demo.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault("runs-as-root", "controller and bots keep the rights of root", ("INF-01",), needs_root=True),
    Fault("bot-port-public", "bots listen on all addresses too", ("INF-02",)),
    Fault("few-descriptors", "the controller may open 256 files and connections at once", ("INF-03",)),
    Fault("memory-unbounded", "nothing bounds the memory of the controller", ("HOST-01",)),
    Fault("core-dumps", "a crash writes the memory of the controller to a file", ("HOST-02",)),
    Fault("clock-off", "the controller's clock is five minutes ahead", ("INF-06",)),
    Fault("unsupervised", "nobody starts the controller again when it ends", ("OPS-05",)),
)
