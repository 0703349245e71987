"""Faults of the database."""

from __future__ import annotations

from console.demo.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault(
        "other-database",
        "the profile names a copy of the database in place of the one in use",
        ("DB-01",),
        only_on="sqlite",
        is_alone=True,
    ),
    Fault("pool-small", "at most 4 connections to the database, for 10 requests at a time", ("DBO-01",)),
    Fault(
        "pool-exceeds-server",
        "the pool may open more connections than the server allows",
        ("DBO-01",),
        only_on="postgresql",
    ),
    Fault("pool-waits-long", "a request waits up to two minutes for a database connection", ("DB-02",)),
    Fault("never-recycled", "connections are kept for ever", ("DB-02",), only_on="postgresql"),
    Fault(
        "one-connection",
        "all requests share one connection to the database, one after the other",
        ("DB-03",),
        only_on="sqlite",
    ),
    Fault(
        "busy-at-once",
        "a command fails at once while the database is locked by another writer",
        ("DB-06",),
        only_on="sqlite",
        masks=("DB-03",),
    ),
    Fault(
        "database-damaged",
        "a page of the file belongs to nothing any more",
        ("DB-04",),
        only_on="sqlite",
    ),
    Fault(
        "database-readable",
        "everybody on the host may read the file with the messages",
        ("DB-05",),
        only_on="sqlite",
    ),
    Fault("nulls-accepted", "messages without text can be stored", ("DB-07",)),
    Fault("index-missing", "the history is searched without an index", ("DBO-02",)),
    Fault("no-write-ahead", "SQLite keeps no write-ahead journal", ("DBO-03",), only_on="sqlite"),
    Fault("commits-unsynced", "a commit does not wait for the disk", ("DBO-03",), only_on="postgresql"),
    Fault("stuck-transactions", "nothing ends a transaction that idles", ("DBO-05",), only_on="postgresql"),
    Fault("md5-passwords", "passwords of the database are stored as MD5", ("DBS-04",), only_on="postgresql"),
    Fault(
        "database-superuser",
        "the controller signs in to the database as its superuser",
        ("DBS-01",),
        only_on="postgresql",
        server="superuser",
    ),
    Fault(
        "database-trust",
        "the database lets everybody in without a password",
        ("DBS-02",),
        only_on="postgresql",
        server="trust",
    ),
    Fault(
        "database-exposed",
        "the database listens on all addresses",
        ("DBS-03", "INF-02"),
        only_on="postgresql",
        server="everywhere",
    ),
    Fault(
        "database-in-clear",
        "the database is reached over the network without TLS",
        ("ENC-04",),
        only_on="postgresql",
        masks=("INF-02", "DBS-02", "DBS-03"),
        server="network",
    ),
    Fault(
        "slow-queries-unseen",
        "slow statements are neither logged nor counted",
        ("DBS-05",),
        only_on="postgresql",
        server="log_min_duration_statement=-1",
    ),
    Fault("backup-old", "the newest backup is three days old", ("OPS-02",)),
    Fault("backup-empty", "the newest backup is an empty file", ("OPS-02",)),
    Fault("disk-short", "less of the disk is free than is declared to be needed", ("INF-04",)),
)
