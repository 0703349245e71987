"""Faults of the log."""

from __future__ import annotations

from console.demo.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault("errors-not-logged", "requests that are refused or fail are not in the log", ("LOG-01",)),
    Fault("errors-logged-as-info", "requests that are refused or fail are logged as INFO", ("LOG-01",)),
    Fault("password-logged", "a password that is refused is written into the log", ("LOG-02",)),
    Fault("token-logged", "each token is written into the log when it is issued", ("LOG-02",)),
    Fault("message-logged", "what users say is written into the log", ("LOG-02",)),
    Fault("log-plain", "lines of the log are words without structure", ("LOG-03",)),
    Fault("log-unrotated", "the log grows for ever", ("LOG-04",)),
    Fault("log-world-readable", "every account of the host may read the log", ("LOG-05",)),
    Fault("log-time-without-zone", "times in the log do not say their zone", ("LOG-11",)),
    Fault("cause-not-logged", "the log does not say why a request was refused", ("LOG-12",)),
    Fault("sign-ins-not-logged", "refused sign-ins are not in the log", ("LOG-13",)),
)
