"""Faults that show under load alone: what they do to every fiftieth message, a walkthrough does not meet."""

from __future__ import annotations

from console.demo.faults.fault import Fault

USERS, RATE, CAPACITY, SOAK = ("LOAD-01", "LOAD-02"), "LOAD-03", "LOAD-04", "LOAD-05"

FAULTS: tuple[Fault, ...] = (
    # Users who wait with it send less meanwhile: a closed scenario may not see it.
    Fault(
        "stall",
        "everything stands still for 1 s in every 5 s of traffic",
        (RATE,),
        masks=(*USERS, CAPACITY, SOAK),
    ),
    Fault("slow-database", "each commit holds up the next one for 40 ms", (*USERS, RATE, CAPACITY)),
    Fault(
        "pool-of-one",
        "the pool has one connection, which each commit keeps for 40 ms",
        (*USERS, RATE, CAPACITY, "DB-03", "DBO-01"),
        only_on="sqlite",
    ),
    Fault("leak", "each message leaves 32 KiB behind, up to 512 MiB", (SOAK,)),
    Fault("every-50th-lost", "every 50th command is answered and not stored", (*USERS, RATE, CAPACITY)),
    Fault("every-50th-doubled", "every 50th reply over the socket comes twice", (*USERS, RATE, CAPACITY)),
    Fault(
        "every-50th-swapped",
        "every 50th reply over the socket is that of another bot",
        (*USERS, RATE, CAPACITY),
    ),
    Fault("every-50th-failed", "every 50th command fails", (*USERS, RATE), masks=(CAPACITY,)),
    Fault(
        "limiter-too-low",
        "one client may send 3 messages in 30 s",
        ("API-02",),
        masks=(*USERS, RATE, CAPACITY, SOAK, "RESP-04"),
    ),
)
