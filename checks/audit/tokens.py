"""The signing secret and the tokens themselves: judged in memory, without a forged one being sent."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

from checks.audit.common import audit, listed, note
from checks.audit.forged import NOT_IN_USE
from checks.audit.forging import (
    GOOD_ALGORITHMS,
    Token,
    is_weak_listed,
    key_of,
    minted,
    opened_by,
    verifies,
    weak_secrets,
)
from checks.audit.presented import live_token
from checks.audit.settings import Effective, Found, effective, not_known, sample_settings
from checks.audit.strength import WANTED_BITS, WANTED_BYTES, bits, bucket, equals_a_name
from checks.context import Context
from checks.model import (
    Outcome,
    Reason,
    Safety,
    Severity,
    Subject,
    failed,
    inconclusive,
    not_applicable,
    passed,
)
from checks.text import NOTHING, Clean, one_line

SUBJECTS = ("sub", "user_id", "uid", "user", "username", "email", "client_id")
"""Claims that may say who a token speaks for."""
MINT = "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
STRONG = f"at least {WANTED_BYTES} bytes and {WANTED_BITS} bits of estimated entropy; in no list, no sample, no name"


@audit(
    "AUTH-03",
    "The JWT secret is strong and set for this deployment",
    subject=Subject.JWT,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="nothing but the sign-in; judges the secret in memory, and tries well-known ones on the token offline",
    why="Whoever guesses the secret is every user, administrators too, and no log shows it.",
    fix=f"{MINT}\nSet the result as JWT_SECRET_KEY in the service's environment or .env (mode 0600), restart;\n"
    "let the program refuse to start without it.",
    reference="ASVS 11.5.1, ASVS 11.2.3, ASVS 13.3.1, RFC 7518 section 3.2",
)
async def secret_is_strong(context: Context) -> Outcome:
    """Length, entropy, lists and names; set at all; and really the one that signs."""
    settings = await effective(context)
    live = await live_token(context)
    token = live if isinstance(live, Token) else None
    found = settings.get("jwt_secret")
    if token and not token.is_symmetric:
        return _key_strength(context, token, settings)
    evidence = [note(context, "How the secret was judged", _judgement(context, settings, token))]
    signs = [one for one in settings.all("jwt_secret") if token and verifies(token, one.value)]
    if token and not signs and opened_by(token, _candidates(context)) is not None:
        return failed(
            "Tokens are signed with a well-known secret that is set nowhere: the one built into the program",
            observed="a secret of the bundled list verifies the live token",
            expected=STRONG,
            evidence=evidence,
        )
    if found is None:
        if settings.unread:
            return not_known(settings, evidence=evidence)
        names = context.target.contract.settings.get("jwt_secret", ())
        return failed(
            f"No JWT secret is set ({listed(names)}): the default built into the program is used",
            observed="not set in any source",
            expected=STRONG,
            evidence=evidence,
        )
    if token and not signs:
        return inconclusive(Reason.CONTROL, NOT_IN_USE, expected=STRONG, evidence=evidence)
    used = signs[0] if signs else found
    wrong = _weaknesses(context, used)
    sampled, unread = await _is_sample(context, used.value)
    wrong += sampled
    observed = (
        f"{len(used.value.encode('utf-8', 'replace'))} bytes, {bucket(bits(used.value))} ({used.source})"
    )
    if wrong:
        return failed(
            f"The JWT secret ({used.source}) {'; it '.join(wrong)}",
            observed=observed,
            expected=STRONG,
            evidence=evidence,
        )
    if unread:
        return inconclusive(Reason.NO_SOURCE, unread, observed=observed, expected=STRONG, evidence=evidence)
    signed = "it signs the live token" if token else "there is no live token to try it on"
    return passed(
        f"The JWT secret ({used.source}) is strong; {signed}",
        observed=observed,
        expected=STRONG,
        evidence=evidence,
    )


def _weaknesses(context: Context, used: Found) -> list[str]:
    """What speaks against the secret, each continuing “the secret …”."""
    secret, wrong = used.value, []
    if is_weak_listed(secret):
        wrong.append("is in the list of well-known secrets")
    if (size := len(secret.encode("utf-8", "replace"))) < WANTED_BYTES:
        wrong.append(f"has {size} bytes, fewer than {WANTED_BYTES}")
    if (estimate := bits(secret)) < WANTED_BITS:
        wrong.append(f"can be guessed: estimated at {bucket(estimate)}, fewer than {WANTED_BITS}")
    if name := equals_a_name(secret, _names(context)):
        wrong.append(f"is the name {one_line(name, 40)}")
    return wrong


async def _is_sample(context: Context, secret: str) -> tuple[list[str], Clean]:
    """Where a sample file gives that secret; and the sentence of a sample file that could not be read."""
    unread = NOTHING
    for name in context.target.profile.audit.sample_files:
        given, problem = await asyncio.to_thread(sample_settings, Path(name))
        unread = unread or (problem.sentence if problem else NOTHING)
        if same := next((one for one in given if one.value == secret), None):
            return [f"is the value of a sample file ({same.source})"], unread
    return [], unread


def _judgement(context: Context, settings: Effective, token: Token | None) -> list[str]:
    """The table of what was looked at; of the secret only its size and bucket."""
    lines = [f"bundled list: {len(weak_secrets())} well-known secrets, {len(_names(context))} names"]
    for one in settings.all("jwt_secret"):
        signs = "no live token to try"
        if token:
            signs = "signs the token" if verifies(token, one.value) else "does not sign the token"
        size = len(one.value.encode("utf-8", "replace"))
        lines.append(f"{one.source}: {size} bytes, {bucket(bits(one.value))}, {signs}")
    if not settings.get("jwt_secret"):
        lines.append("jwt_secret: set in none of the sources that were read")
    lines += [f"read: {source}" for source in settings.sources]
    return lines + [f"not read: {problem}" for problem in settings.problems]


def _names(context: Context) -> list[str]:
    """Names that a lazy secret is made of: service, host, variables, user, database."""
    target = context.target
    names = [
        target.profile.target.name,
        target.title,
        target.host,
        socket.gethostname(),
        target.contract.name,
    ]
    names += [*target.contract.settings.get("jwt_secret", ()), target.credentials.username]
    names += [target.database_url.rpartition("/")[2].partition("?")[0]]
    return [name for name in names if len(name) > 2]


def _candidates(context: Context) -> list[str]:
    """Everything that is tried offline: the list, names, and names with a word behind; also no secret at all."""
    names = [
        form for name in _names(context) for form in (name, name.lower(), name.lower().replace(" ", "-"))
    ]
    made = [f"{name}{tail}" for name in names for tail in ("", "-secret", "_secret", "-secret-key", "secret")]
    return list(dict.fromkeys([*weak_secrets(), "", *made]))


def _key_strength(context: Context, token: Token, settings: Effective) -> Outcome:
    """The size of an asymmetric key."""
    expected = "RSA of at least 2048 bits, or a curve of at least 256"
    keys = [(one, key_of(one.value, token.algorithm)) for one in settings.given if "BEGIN" in one.value]
    known = [(one, key) for one, key in keys if key]
    if not known:
        why = (
            f"The key behind {one_line(token.algorithm, 20)} was found in no setting: name the file that gives it in "
            "[audit] config_files"
        )
        return (
            not_known(settings) if settings.unread else inconclusive(Reason.NO_SOURCE, why, expected=expected)
        )
    seen = [f"{one.source}: {key.kind}, {key.bits} bits" for one, key in known]
    evidence = [note(context, "Keys that tokens are signed or checked with", seen)]
    weak = [line for line, (_, key) in zip(seen, known, strict=True) if not key.is_strong]
    if weak:
        told = f"The key that signs tokens is too small ({weak[0]})"
        return failed(told, observed="; ".join(seen), expected=expected, evidence=evidence)
    told = "The key that signs tokens is large enough"
    return passed(told, observed="; ".join(seen), expected=expected, evidence=evidence)


@audit(
    "JWT-01",
    "No well-known secret signs the live token",
    subject=Subject.JWT,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="nothing but the sign-in; tries every secret of the bundled list on the token, in memory",
    why="One captured token is enough to try such a list offline, in a second, unseen.",
    fix=f"{MINT}\nSet the result as JWT_SECRET_KEY, restart; all tokens in use end with that.",
    reference="ASVS 13.3.1, CWE-798, RFC 8725 section 3.5",
)
async def no_known_secret_signs(context: Context) -> Outcome:
    """The whole list against the signature; that it would be found is tried on a token of our own."""
    token = await live_token(context)
    if isinstance(token, Outcome):
        return token
    if not token.is_symmetric:
        return not_applicable(
            f"Tokens are signed with a private key ({one_line(token.algorithm, 20)}), not a secret"
        )
    tried = _candidates(context)
    own = minted(token, weak_secrets()[-1].encode())
    if opened_by(own, tried) is None:
        return inconclusive(Reason.CONTROL, "A token signed with a listed secret was not recognized")
    hit = opened_by(token, tried)
    place = tried.index(hit) + 1 if hit is not None else 0
    lines = [
        f"{len(tried)} secrets tried offline on a token with {token.algorithm}",
        f"found: {place or 'none'}",
    ]
    evidence = [note(context, f"Well-known secrets: {'one fits' if hit is not None else 'none fits'}", lines)]
    expected = "no secret of the list verifies the token"
    if hit is not None:
        is_listed = place <= len(weak_secrets())
        where = f"number {place} of the bundled list" if is_listed else "made from a name of the target"
        return failed(
            f"The live token is signed with a well-known secret ({where}): anybody can sign in as anybody",
            observed=f"secret {place} of {len(tried)} verifies it",
            expected=expected,
            evidence=evidence,
        )
    return passed(
        f"None of {len(tried)} well-known secrets signs the live token",
        observed=f"0 of {len(tried)}",
        expected=expected,
        evidence=evidence,
    )


@audit(
    "JWT-08",
    "Tokens name a good algorithm, their user and their times",
    subject=Subject.JWT,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="nothing but the sign-in; reads the token that it answers",
    why="A token without an end, an issue time or a user cannot be limited, traced or withdrawn.",
    fix='jwt.encode({"sub": user_id, "iat": now, "exp": now + 3600}, secret, algorithm="HS256")',
    reference="ASVS 9.1.2, ASVS 9.2.1, RFC 7519 section 4.1",
)
async def claims_are_complete(context: Context) -> Outcome:
    """Algorithm, exp, iat, and who it speaks for."""
    token = await live_token(context)
    if isinstance(token, Outcome):
        return token
    wrong = []
    algorithm = one_line(token.algorithm or "none", 20)
    if token.algorithm not in GOOD_ALGORITHMS:
        wrong.append(f"has the algorithm {algorithm}")
    wrong += [f"lacks {name}" for name in ("exp", "iat") if _number(token, name) is None]
    if not any(token.claims.get(name) not in (None, "") for name in SUBJECTS):
        wrong.append("says of no user that it speaks for him (sub)")
    claims = ", ".join(one_line(name, 30) for name in list(token.claims)[:20])
    evidence = [note(context, "The live token", [f"algorithm: {algorithm}", f"claims: {claims}"])]
    observed, expected = f"{algorithm}; {claims}", "HS, RS, PS, ES or EdDSA; exp, iat and a user"
    if wrong:
        return failed(f"The token {listed(wrong)}", observed=observed, expected=expected, evidence=evidence)
    told = f"Tokens are signed with {algorithm} and say who they are for, since when and until when"
    return passed(told, observed=observed, expected=expected, evidence=evidence)


@audit(
    "JWT-09",
    "Tokens end in time",
    subject=Subject.JWT,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="nothing but the sign-in; reads the token that it answers",
    why="As long as a stolen token lives, nothing but another secret for everybody ends it.",
    fix='Shorten the lifetime ("exp": now + 3600), at most [audit] token_hours of the profile.',
    reference="ASVS 7.3.2, ASVS 9.2.1",
)
async def lifetime_is_bounded(context: Context) -> Outcome:
    """exp less iat, or less now, at most [audit] token_hours."""
    token = await live_token(context)
    if isinstance(token, Outcome):
        return token
    limit = context.target.profile.audit.token_hours
    ends, since = _number(token, "exp"), _number(token, "iat")
    expected = f"at most {limit:g} h"
    if ends is None:
        return failed("Tokens never end: they have no exp", observed="no exp", expected=expected)
    # A token that was issued in the future still lives that long from now on.
    hours = (ends - min(since if since is not None else time.time(), time.time())) / 3600
    evidence = [
        note(context, "Lifetime of the live token", [f"exp - {'iat' if since else 'now'} = {hours:.2f} h"])
    ]
    observed = f"{hours:.2f} h"
    if hours > limit + 0.01:
        told = f"A token is good for {hours:.1f} h, longer than {limit:g} h"
        return failed(told, observed=observed, expected=expected, evidence=evidence)
    return passed(f"A token is good for {observed}", observed=observed, expected=expected, evidence=evidence)


def _number(token: Token, name: str) -> float | None:
    value = token.claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        return None
    return float(value)
