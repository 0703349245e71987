"""A check's context on a target that a test serves, without a journal or a run around it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from checks.context import Context, opened
from checks.model import utc_now
from checks.profile.read import target_for_url
from checks.target import Target


def target_at(
    url: str, audit: Mapping[str, Any] | None = None, *, ca_file: str = "", token: str = "a.good.token"
) -> Target:
    """The target at `url` with a token, and with these values of [audit]."""
    target = target_for_url(url, {})
    profile = msgspec.structs.replace(
        target.profile,
        target=msgspec.structs.replace(target.profile.target, ca_file=ca_file),
        audit=msgspec.structs.replace(target.profile.audit, **audit or {}),
        walkthrough=msgspec.structs.replace(target.profile.walkthrough, timeout_s=1.0),
    )
    credentials = msgspec.structs.replace(target.credentials, token=token)
    return msgspec.structs.replace(target, profile=profile, credentials=credentials)


@asynccontextmanager
async def context_of(target: Target, folder: Path) -> AsyncIterator[Context]:
    """The context of a run on `target`; nothing is recorded."""
    async with opened(
        target,
        run="run-1",
        nonce="0badc0de1234",
        guard_file=folder / "guard",
        record=lambda kind, subject, body: None,
        announce=lambda event: None,
        clock=utc_now,
    ) as (context, guard):
        try:
            yield context
        finally:
            guard.dismiss()
