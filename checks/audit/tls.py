"""TLS: spoken at all, and only in current versions and ciphers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from checks.audit.common import audit
from checks.context import Context
from checks.model import Evidence, Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.probe.tls import Certificate, Endpoint, Offer, Shaken, Taken, TlsProbe, read_certificate
from checks.probe.tls_hello import (
    BROKEN_SUITES,
    GOOD_SUITES,
    NO_SECRECY_SUITES,
    OLD_SUITES,
    SSL_3_0,
    TLS_1_0,
    TLS_1_1,
    TLS_1_2,
    TLS_1_3,
)

GOOD = tuple(GOOD_SUITES)
ANY_OLD = (*OLD_SUITES, *NO_SECRECY_SUITES, *BROKEN_SUITES)


@dataclass(slots=True)
class _Seen:
    """What the checks of one run look at only once."""

    probe: TlsProbe | None = None
    good: list[Offer] = field(default_factory=list)
    shaken: Shaken | None = None


def endpoint_of(context: Context) -> Endpoint | None:
    """Where clients connect over TLS: [audit] tls_url, else the target's URL; None where neither is https."""
    return Endpoint.of(context.target.profile.audit.tls_url or context.target.url)


def tls_probe(context: Context) -> TlsProbe | Outcome:
    """The run's probe of the endpoint; else the INCONCLUSIVE outcome that says why there is none."""
    seen = context.state(_Seen)
    if seen.probe is None:
        endpoint = endpoint_of(context)
        if endpoint is None:
            return _no_endpoint(context)
        ca_file = context.target.profile.target.ca_file
        seen.probe = TlsProbe(endpoint, ca_file=ca_file, clock=context.now)
    return seen.probe


def _no_endpoint(context: Context) -> Outcome:
    if context.target.profile.audit.tls_url:
        return inconclusive(
            Reason.NO_SOURCE,
            "[audit] tls_url is no https URL: give https://HOST[:PORT], where clients reach the controller",
        )
    return inconclusive(Reason.NO_SOURCE, "There is no TLS to look at: the target's URL is http")


async def _good_offers(context: Context, probe: TlsProbe) -> list[Offer]:
    seen = context.state(_Seen)
    if not seen.good:
        seen.good = [await probe.offer(version, GOOD) for version in (TLS_1_3, TLS_1_2)]
    return seen.good


async def _shaken(context: Context, probe: TlsProbe) -> Shaken:
    seen = context.state(_Seen)
    if seen.shaken is None:
        seen.shaken = await probe.look()
    return seen.shaken


async def certificate(context: Context, probe: TlsProbe) -> Certificate | Outcome:
    """The server's certificate; else the INCONCLUSIVE outcome that says why it could not be read."""
    shaken = await _shaken(context, probe)
    if not shaken.der:
        why = shaken.error or "the server showed no certificate"
        return inconclusive(Reason.PROTOCOL, f"The certificate could not be looked at: {why}")
    found = read_certificate(shaken.der)
    if isinstance(found, Certificate):
        return found
    return inconclusive(Reason.PROTOCOL, f"The certificate could not be judged: {found}")


def _offered(probe: TlsProbe, title: str, offers: Iterable[Offer], option: str = "") -> Evidence:
    command = f"openssl s_client -connect {probe.endpoint} {option} </dev/null" if option else ""
    return probe.evidence(f"{probe.endpoint}: {title}", [offer.sentence for offer in offers], command)


@audit(
    "ENC-01",
    "Clients connect over TLS",
    subject=Subject.TLS,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="the first message of two TLS handshakes, and one harmless request where that tells nothing",
    why="Without TLS everybody on the way reads passwords, tokens and messages, and can change them.",
    fix="Put a proxy with TLS in front, or: uvicorn ... --ssl-certfile CERT.pem --ssl-keyfile KEY.pem\n"
    "Then set [target] url (or [audit] tls_url where a proxy does it) to https://HOST in the profile.",
    reference="ASVS 12.2.1, 4.4.1",
)
async def clients_connect_over_tls(context: Context) -> Outcome:
    """The endpoint takes a handshake; plain HTTP without any TLS is a failure."""
    expected = "TLS at the address that clients use"
    if context.target.url.startswith("http://") and (outcome := await _in_clear_text(context, expected)):
        return outcome
    probe = tls_probe(context)
    if isinstance(probe, Outcome):
        return probe
    offers = await _good_offers(context, probe)
    taken = {offer.taken for offer in offers}
    evidence = (_offered(probe, "the first message of a handshake", offers),)
    observed = "; ".join(offer.sentence for offer in offers)
    if Taken.ACCEPTED not in taken and taken & {Taken.REFUSED, Taken.NOT_TLS}:
        # Old servers, and those with suites of their own, take only what the local library offers besides.
        shaken = await _shaken(context, probe)
        if shaken.version:
            return passed(f"{probe.endpoint} speaks {shaken.version}", observed=observed, evidence=evidence)
    if Taken.ACCEPTED in taken:
        return passed(f"{probe.endpoint} speaks TLS", observed=observed, expected=expected, evidence=evidence)
    worst = next((offer for offer in offers if offer.taken is Taken.NOT_TLS), offers[0])
    if worst.taken is Taken.NOT_TLS:
        return failed(worst.sentence, observed=observed, expected=expected, evidence=evidence)
    # Many web servers wait for the end of a line when they are spoken to in TLS.
    plain = await probe.plain(context.target.contract.operations["health"].path)
    if plain.is_served:
        what = f"{probe.endpoint} speaks plain HTTP, not TLS"
        return failed(what, observed=plain.sentence, expected=expected, evidence=evidence)
    why = f"TLS could not be looked at: {worst.sentence}"
    return inconclusive(worst.reason(), why, observed=observed, expected=expected, evidence=evidence)


async def _in_clear_text(context: Context, expected: str) -> Outcome | None:
    """The outcome for a target whose URL is http; None where a proxy on this host does TLS for it."""
    target = context.target
    if target.profile.audit.tls_url and target.is_local:
        return None
    path, within_s = target.contract.operations["health"].path, target.profile.walkthrough.timeout_s
    answer = await context.http.ask("GET", path, within_s=within_s)
    evidence = (answer.evidence,)
    if answer.status is None:
        why = answer.error.sentence if answer.error else "no answer"
        reason = answer.error.reason if answer.error else Reason.PROTOCOL
        return inconclusive(reason, f"The controller could not be looked at: {why}", evidence=evidence)
    what = "The controller speaks plain HTTP: tokens and messages travel in clear text"
    if target.profile.audit.tls_url:
        what = f"{target.host} is asked in plain HTTP, past the TLS of [audit] tls_url: tokens travel in clear text"
    return failed(what, observed=target.url, expected=expected, evidence=evidence)


@audit(
    "ENC-02",
    "Old TLS versions are refused",
    subject=Subject.TLS,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="the first message of three handshakes with SSL 3.0, TLS 1.0 and TLS 1.1",
    why="TLS 1.0 and 1.1 are broken and withdrawn (RFC 8996); traffic can be pushed down to them.",
    fix="nginx: ssl_protocols TLSv1.2 TLSv1.3;   HAProxy: ssl-min-ver TLSv1.2\n"
    "uvicorn: context.minimum_version = ssl.TLSVersion.TLSv1_2",
    reference="ASVS 12.1.1, RFC 8996",
    needs=("ENC-01",),
)
async def old_versions_are_refused(context: Context) -> Outcome:
    """Every version before 1.2 is refused by the endpoint that takes a newer one from the same probe."""
    probe = tls_probe(context)
    if isinstance(probe, Outcome):
        return probe
    good = await _good_offers(context, probe)
    old = [await probe.offer(version, ANY_OLD) for version in (SSL_3_0, TLS_1_0, TLS_1_1)]
    evidence = (_offered(probe, "which versions are taken", [*good, *old], "-tls1_1"),)
    observed, expected = "; ".join(one.sentence for one in (*good, *old)), "TLS 1.2 or 1.3, nothing older"
    if accepted := [one.version for one in old if one.taken is Taken.ACCEPTED]:
        what = f"{probe.endpoint} still speaks {' and '.join(accepted)}"
        return failed(what, observed=observed, expected=expected, evidence=evidence)
    return _judged_refusal(
        good, old, f"{probe.endpoint} refuses SSL 3.0, TLS 1.0 and TLS 1.1", observed, expected, evidence
    )


@audit(
    "TLS-01",
    "Weak ciphers are refused",
    subject=Subject.TLS,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="the first message of two TLS 1.2 handshakes that offer only weak cipher suites",
    why="With a weak cipher recorded traffic can be read, now or once the key is known.",
    fix="nginx: ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE+CHACHA20;\n"
    "uvicorn: --ssl-ciphers 'ECDHE+AESGCM:ECDHE+CHACHA20'",
    reference="ASVS 12.1.2, RFC 9325 4.1",
    needs=("ENC-01",),
)
async def weak_ciphers_are_refused(context: Context) -> Outcome:
    """Neither broken suites nor those without forward secrecy are taken; TLS 1.3 has none of them."""
    probe = tls_probe(context)
    if isinstance(probe, Outcome):
        return probe
    good = await _good_offers(context, probe)
    broken = await probe.offer(TLS_1_2, BROKEN_SUITES)
    bare = await probe.offer(TLS_1_2, NO_SECRECY_SUITES)
    names = [
        f"broken: {' '.join(BROKEN_SUITES.values())}",
        f"no secrecy: {' '.join(NO_SECRECY_SUITES.values())}",
    ]
    told = [f"broken suites: {broken.sentence}", f"without forward secrecy: {bare.sentence}", "", *names]
    command = f"openssl s_client -tls1_2 -cipher 'ALL:eNULL:@SECLEVEL=0' -connect {probe.endpoint} </dev/null"
    evidence = (probe.evidence(f"{probe.endpoint}: only weak ciphers offered", told, command),)
    observed, expected = "; ".join(told[:2]), "each of them refused"
    if broken.taken is Taken.ACCEPTED:
        what = f"{probe.endpoint} takes the broken cipher {broken.suite}"
        return failed(what, observed=observed, expected=expected, evidence=evidence)
    if bare.taken is Taken.ACCEPTED:
        what = f"{probe.endpoint} takes {bare.suite}, which has no forward secrecy"
        return failed(what, observed=observed, expected=expected, evidence=evidence)
    what = f"{probe.endpoint} refuses broken ciphers and those without forward secrecy"
    return _judged_refusal(good, (broken, bare), what, observed, expected, evidence)


def _judged_refusal(
    good: Iterable[Offer],
    bad: Iterable[Offer],
    what: str,
    observed: str,
    expected: str,
    evidence: tuple[Evidence, ...],
) -> Outcome:
    """Passed where all of `bad` were refused and one of `good` was not; else what could not be judged."""
    if unclear := [one for one in bad if one.taken is not Taken.REFUSED]:
        why = f"Whether it is refused could not be seen: {unclear[0].sentence}"
        return inconclusive(unclear[0].reason(), why, observed=observed, expected=expected, evidence=evidence)
    if not any(one.taken is Taken.ACCEPTED for one in good):
        why = "The same probe was refused with a good cipher too, so its refusals say nothing"
        return inconclusive(Reason.CONTROL, why, observed=observed, expected=expected, evidence=evidence)
    return passed(what, observed=observed, expected=expected, evidence=evidence)
