"""How long the certificate that clients see is still valid, asked for once an hour."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

from checks.audit.tls import endpoint_of
from checks.context import Context
from checks.monitoring.model import Reading
from checks.monitoring.sources.asking import Notes, Question
from checks.probe.tls import Certificate, TlsProbe, read_certificate
from checks.text import NOTHING, Clean, clean, one_line

EVERY_S = 3600.0
AGAIN_AFTER_S = 60.0
"""Where nothing was presented."""
STANDS_S = 2 * EVERY_S + AGAIN_AFTER_S
DAY_S = 86400.0


class CertificateAge:
    """Keeps when the certificate ends."""

    def __init__(self, context: Context, notes: Notes, *, mono: Callable[[], float]) -> None:
        self.question = Question("certificate", self._look, notes)
        self.endpoint = endpoint_of(context)
        """Where TLS is; None where there is none to look at."""
        self._context, self._mono = context, mono
        self._ends: datetime | None = None
        self._seen_s = -math.inf
        self._problem: Clean = NOTHING

    def reading(self) -> Reading:
        """Days until the end, by the wall clock."""
        if self.endpoint is None:
            return Reading(None, applies=False)
        source = one_line(f"certificate of {self.endpoint}", 120)
        if self._ends is None or self._mono() - self._seen_s > STANDS_S:
            problem = self._problem or self.question.problem or clean("the certificate was not looked at yet")
            return Reading(None, source=source, problem=problem)
        return Reading((self._ends - self._context.now()).total_seconds() / DAY_S, source=source)

    async def _look(self) -> None:
        assert self.endpoint
        self.question.every_s = AGAIN_AFTER_S
        ca_file = self._context.target.profile.target.ca_file
        shaken = await TlsProbe(self.endpoint, ca_file=ca_file, clock=self._context.now).look()
        if not shaken.der:
            why = shaken.error or "the server showed none"
            self._problem = one_line(f"the certificate could not be looked at: {why}", 300)
            return
        found = read_certificate(shaken.der)
        if not isinstance(found, Certificate):
            self._problem = found
            return
        self._ends, self._problem = found.not_after, NOTHING
        self._seen_s = self._mono()
        self.question.every_s = EVERY_S
