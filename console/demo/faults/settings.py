"""Faults of the effective settings and the secrets."""

from __future__ import annotations

from console.demo.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault("config-malformed", "a configuration file breaks off within a list", ("SET-01",)),
    Fault(
        "settings-drift",
        "requests wait 6 s for a database connection, where 5 s are declared",
        ("SET-02",),
        masks=("DB-02",),
    ),
    Fault(
        "two-values", "controller.env and controller.toml give different numbers of connections", ("SET-03",)
    ),
    Fault("secret-on-command-line", "a bot's key stands on its command line", ("SET-04",)),
    Fault("debug-on", "the controller runs in debug mode and logs at level DEBUG", ("APP-01",)),
    Fault("secret-file-open", "everybody on the host may read the file with the JWT secret", ("SEC-02",)),
    Fault("key-file-open", "everybody on the host may read the key of the certificate", ("SEC-02",)),
    Fault("sample-value-used", "the password is the one of the sample file", ("SEC-03",)),
    Fault("bot-knows-secret", "bots are given the JWT secret", ("SEC-05",)),
)
