"""Forged, expired and well-known tokens, shown to the live target: every one of them must be refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from checks.audit.common import audit, leave_is_missing
from checks.audit.forging import (
    Token,
    development_tokens,
    key_of,
    minted,
    own_key,
    public_jwk,
    public_pems,
    signed_with,
    signer,
    weak_secrets,
    with_flipped_signature,
    with_other_claims,
    with_own_jwk,
    without_algorithm,
    without_signature,
)
from checks.audit.presented import ALTERED, NO_TOKEN, Case, Route, judged, live_token, try_all
from checks.audit.settings import Effective, effective, not_known
from checks.context import Context
from checks.model import Outcome, Reason, Safety, Severity, Subject, inconclusive

REST, SOCKET = (Route.REST,), (Route.SOCKET,)
EXPIRED_S, NOT_YET_S, GOOD_S = 300, 600, 300
"""Farther off than any tolerance for clocks that differ."""
NOT_IN_USE = (
    "The JWT secret that was found does not sign the controller's tokens: name the file with the one in use in "
    "[audit] config_files, or its variable in [contract.settings] jwt_secret"
)
NOT_SET = "The JWT secret was found nowhere: name the file that gives it in [audit] config_files"
KEY_FILES = "/.well-known/jwks.json"
NO_PUBLIC_KEY = (
    f"The public key of the tokens is not known: serve it at {KEY_FILES}, or name the file that gives it in "
    "[audit] config_files"
)
STRANGER = Case(NO_TOKEN, None)
REFUSED = "refused (401 or 403), while the real token is accepted in the same second"
LIBRARY = 'jwt.decode(token, secret, algorithms=["HS256"], options={"require": ["exp", "iat"]})'


def _altered(token: Token) -> Case:
    """The same user, some time longer: only the signature speaks against it."""
    end = token.claims.get("exp")
    claims = {**token.claims, "exp": end + 60 if isinstance(end, int | float) else int(time.time()) + 60}
    return Case(ALTERED, with_other_claims(token, claims).text)


@audit(
    "JWT-02",
    "Tokens with the algorithm none are refused",
    subject=Subject.JWT,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="four unsigned copies of its own token (none, None, NONE), beside the real one, on REST and WebSocket",
    why="Whoever may choose the algorithm needs no key: every user can be impersonated.",
    fix=f"Name the algorithms that are accepted wherever a token is read:\n{LIBRARY}",
    reference="ASVS 9.1.2, RFC 8725 section 3.1, OWASP API2:2023",
)
async def none_is_refused(context: Context) -> Outcome:
    """Each spelling of `none`, without a signature."""
    if missing := leave_is_missing(context):
        return missing
    token = await live_token(context)
    if isinstance(token, Outcome):
        return token
    cases = [
        Case(f"a token with the algorithm {word}", without_algorithm(token, word).text, routes)
        for word, routes in (("none", tuple(Route)), ("None", REST), ("NONE", SOCKET))
    ]
    trial = await try_all(context, 2, cases, needs_refusal_of=(STRANGER,))
    return judged(context, trial, "Unsigned tokens", f"each {REFUSED}")


@audit(
    "JWT-03",
    "Altered tokens are refused",
    subject=Subject.JWT,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="four altered copies of its own token, beside the real one, on REST and WebSocket",
    why="A signature that is not looked at protects nothing: anybody writes the token that he likes.",
    fix="Verify before a claim is read, and never turn verify_signature off:\n" + LIBRARY,
    reference="ASVS 9.1.1, OWASP API2:2023",
)
async def altered_are_refused(context: Context) -> Outcome:
    """Other claims, a flipped bit, no signature."""
    if missing := leave_is_missing(context):
        return missing
    token = await live_token(context)
    if isinstance(token, Outcome):
        return token
    cases = [
        _altered(token),
        Case("one flipped bit of the signature", with_flipped_signature(token).text, REST),
        Case("an emptied signature", without_signature(token).text, SOCKET),
    ]
    trial = await try_all(context, 3, cases, needs_refusal_of=(STRANGER,))
    return judged(context, trial, "Altered tokens", f"each {REFUSED}")


@audit(
    "JWT-04",
    "A token cannot choose the key that checks it",
    subject=Subject.JWT,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="four copies of its own token that bring a key along (jwk), name one elsewhere (jku, served on loopback by "
    "gonogo, a local target alone) or an empty file (kid); for public keys: signed with the public key as a secret",
    why="A key that comes with the token is the forger's own.",
    fix="Take key and algorithm from the configuration alone, never from the header of a token:\n" + LIBRARY,
    reference="ASVS 9.1.3, RFC 8725 sections 3.1 and 3.10, CVE-2018-0114",
)
async def keys_are_not_taken_along(context: Context) -> Outcome:
    """Headers jwk, jku and kid; and the public key as a shared secret where there is one."""
    if missing := leave_is_missing(context):
        return missing
    token = await live_token(context)
    if isinstance(token, Outcome):
        return token
    cases = [
        Case("a key of its own (jwk)", (await asyncio.to_thread(with_own_jwk, token)).text),
        Case("an empty file as key (kid)", minted(token, b"", kid="../../../../../../dev/null").text, SOCKET),
    ]
    pems: list[bytes] = []
    if not token.is_symmetric:
        pems = await _public_keys(context, token)
        cases += [Case("the public key as secret", minted(token, pem, alg="HS256").text) for pem in pems[:1]]
    async with _key_server(context, token) as (case, asked):
        gates = (STRANGER, _altered(token))
        trial = await try_all(context, 4, [*cases, *case], needs_refusal_of=gates)
        if asked:
            trial.fetched = "the target fetched a key from the address in the token's header (jku)"
    if not token.is_symmetric and not pems:
        trial.unjudged.append((Reason.NO_SOURCE, NO_PUBLIC_KEY))
    return judged(context, trial, "Tokens that choose their key", f"each {REFUSED}")


@asynccontextmanager
async def _key_server(context: Context, token: Token) -> AsyncIterator[tuple[list[Case], list[str]]]:
    """A token that names a key set on loopback, and what was asked of the server there; none for a remote target."""
    asked: list[str] = []
    if not context.target.is_local:
        yield [], asked
        return
    algorithm = "RS256" if token.is_symmetric else token.algorithm
    key: Any = await asyncio.to_thread(own_key, algorithm)
    name = f"gonogo-{context.nonce}"
    body = json.dumps({"keys": [{**public_jwk(key, algorithm), "kid": name, "alg": algorithm, "use": "sig"}]})

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(2):
                asked.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                writer.write(f"{head}Connection: close\r\n\r\n{body}".encode())
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        where = f"http://127.0.0.1:{port}/{name}/jwks.json"
        forged = signed_with(key, token, algorithm, kid=name, jku=where)
        yield [Case("a key from an address of its own (jku)", forged.text, REST)], asked


async def _public_keys(context: Context, token: Token) -> list[bytes]:
    given = [one.value for one in (await effective(context)).given if "BEGIN" in one.value]
    keys = (key_of(value, token.algorithm) for value in given)
    if known := next((key for key in keys if key), None):
        return [known.public_pem]
    answer = await context.http.ask("GET", KEY_FILES, within_s=context.target.profile.walkthrough.timeout_s)
    return public_pems(answer.json()) if answer.status == 200 else []


@audit(
    "JWT-05",
    "Tokens signed with well-known secrets are refused",
    subject=Subject.JWT,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="three copies of its own token signed with the most common secrets, beside the real one",
    why="A secret from a tutorial or a sample file is the first that an attacker tries.",
    fix="python3 -c 'import secrets; print(secrets.token_urlsafe(48))'\n"
    "Set the result as JWT_SECRET_KEY, restart, and accept no other secret.",
    reference="ASVS 13.3.1, CWE-798, OWASP API2:2023",
)
async def well_known_secrets_are_refused(context: Context) -> Outcome:
    """The most common secrets, also where tokens are issued with a better one."""
    if missing := leave_is_missing(context):
        return missing
    token = await live_token(context)
    if isinstance(token, Outcome):
        return token
    first, _, third = weak_secrets()[:3]
    cases = [
        Case(f"a token signed with “{secret}”", minted(token, secret.encode()).text, routes)
        for secret, routes in ((first, tuple(Route)), (third, SOCKET))
    ]
    gates = (STRANGER, _altered(token))
    trial = await try_all(context, 5, cases, needs_refusal_of=gates)
    return judged(context, trial, "Tokens signed with well-known secrets", f"each {REFUSED}")


@audit(
    "JWT-06",
    "Well-known development tokens are refused",
    subject=Subject.JWT,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="the most common development tokens (dev-token-12345, dev-token, test-token), beside the real one",
    why="A token that developers used instead of a sign-in lets everybody in who has seen the code.",
    fix="Remove the branch that accepts a fixed token; let development sign in like production.",
    reference="ASVS 6.3.2, CWE-489, CWE-798",
)
async def development_tokens_are_refused(context: Context) -> Outcome:
    """Fixed words in place of a token."""
    if missing := leave_is_missing(context):
        return missing
    problem = await live_token(context)
    if isinstance(problem, Outcome) and not context.controller.token:
        return problem
    first, second, third = development_tokens()[:3]
    cases = [
        Case(f"“{word}”", word, routes)
        for word, routes in ((first, tuple(Route)), (third, REST), (second, SOCKET))
    ]
    trial = await try_all(context, 6, cases, needs_refusal_of=(STRANGER,))
    return judged(context, trial, "Development tokens", f"each {REFUSED}")


@audit(
    "JWT-07",
    "Nobody is let in without a token",
    subject=Subject.JWT,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="one request and one handshake without a token and with an empty one, beside the real token",
    why="Strangers drive bots and read what users say.",
    fix="Ask for the token before anything else is done, on every route:\n"
    "FastAPI: app = FastAPI(dependencies=[Depends(current_user)]); "
    "WebSocket: await websocket.close(1008) before accept()",
    reference="ASVS 8.3.1, OWASP API2:2023, OWASP WSTG-CLNT-10",
)
async def strangers_are_refused(context: Context) -> Outcome:
    """No token, and an empty one."""
    problem = await live_token(context)
    if isinstance(problem, Outcome) and not context.controller.token:
        return problem
    trial = await try_all(context, 7, [STRANGER, Case("an empty token", "")])
    return judged(context, trial, "Callers without a token", f"each {REFUSED}")


@audit(
    "AUTH-04",
    "Expired and not yet valid tokens are refused",
    subject=Subject.JWT,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="tokens minted in memory with the effective secret: a good one, one that expired 5 min ago and one that is "
    "valid in 10 min, on REST and WebSocket",
    why="A token that was stolen or should have ended works for ever.",
    fix="Leave verify_exp and verify_nbf on, with a tolerance of two minutes at most:\n"
    'jwt.decode(token, secret, algorithms=["HS256"], leeway=60, options={"require": ["exp", "iat"]})',
    reference="ASVS 9.2.1, RFC 7519 sections 4.1.4 and 4.1.5",
)
async def times_are_honoured(context: Context) -> Outcome:
    """exp and nbf decide; the same token with good times is accepted."""
    if missing := leave_is_missing(context):
        return missing
    token = await live_token(context)
    if isinstance(token, Outcome):
        return token
    settings = await effective(context)
    sign = signer(token, [found.value for found in settings.all("jwt_secret")]) or signer(
        token, weak_secrets()
    )
    if sign is None:
        return _no_secret(settings)
    now = int(time.time())
    times = {
        "a minted token that is good": {"iat": now - 60, "exp": now + GOOD_S},
        "an expired token": {"iat": now - 3600 - EXPIRED_S, "exp": now - EXPIRED_S},
        "a token that is not yet valid": {
            "iat": now - 60,
            "nbf": now + NOT_YET_S,
            "exp": now + 2 * NOT_YET_S,
        },
    }
    base = {name: value for name, value in token.claims.items() if name != "nbf"}
    good, *cases = [Case(name, sign({**base, **claims}).text) for name, claims in times.items()]
    trial = await try_all(context, 8, cases, control=good, needs_refusal_of=(STRANGER,))
    return judged(context, trial, "Expired and not yet valid tokens", f"each {REFUSED}")


def _no_secret(settings: Effective) -> Outcome:
    """Why no token can be minted."""
    if settings.unread:
        return not_known(settings)
    if settings.get("jwt_secret"):
        return inconclusive(Reason.CONTROL, NOT_IN_USE)
    return inconclusive(Reason.NO_SOURCE, NOT_SET)
