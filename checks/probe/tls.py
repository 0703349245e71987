"""The TLS probe: what one endpoint speaks, and its certificate. Nothing is sent inside of TLS."""

from __future__ import annotations

import asyncio
import shlex
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from checks.model import Evidence, Reason, utc_now
from checks.probe.tls_hello import ALERTS, NAMES, client_hello, heard, is_tls, is_whole
from checks.text import Clean, clean, one_line

WITHIN_S = 4.0
"""For one connection, from connecting to the last byte that is read."""
MAX_BYTES = 1 << 14
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which `ssl.VerifyFlags` does not name."""
SHOWN_CHARS = 60


class Taken(StrEnum):
    """How an endpoint took what was sent."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """By an alert, or by closing the connection."""
    NOT_TLS = "not TLS"
    SILENT = "silent"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where TLS is looked for."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Endpoint | None:
        """The endpoint of an https URL; None for any other text."""
        try:
            parts = urlsplit(url)
            if parts.scheme == "https" and parts.hostname:
                return cls(parts.hostname, parts.port or 443)
        except ValueError:
            pass
        return None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Offer:
    """What became of one offer of a version and cipher suites."""

    taken: Taken
    version: str
    """The version that was offered."""
    suite: str
    """The cipher suite that was chosen; empty where none was."""
    sentence: Clean

    def reason(self) -> Reason:
        """Why there is nothing to judge."""
        reasons = {Taken.SILENT: Reason.TIMEOUT, Taken.UNREACHABLE: Reason.UNREACHABLE}
        return reasons.get(self.taken, Reason.PROTOCOL)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate that the server showed."""

    der: bytes
    subject: Clean
    issuer: Clean
    names: tuple[Clean, ...]
    """DNS names and addresses that it is for."""
    not_before: datetime
    not_after: datetime
    key: str
    """Kind of the key: `RSA`, `EC`, `Ed25519`, `Ed448`, `DSA`; empty for an unknown one."""
    key_bits: int
    hash: str
    """Hash of its signature, as in `sha256`; empty where the signature has none of its own or an unknown one."""


@dataclass(frozen=True, slots=True)
class Shaken:
    """One handshake with the local library."""

    error: Clean
    """Why it failed; empty where it did not."""
    code: int
    """OpenSSL's number of what is wrong with the chain (X509_V_ERR_*); 0 where nothing is."""
    version: str = ""
    cipher: str = ""
    der: bytes = b""


@dataclass(frozen=True, slots=True)
class Plain:
    """What an endpoint answered to bytes that are not TLS."""

    taken: Taken
    """ACCEPTED: it answered in HTTP."""
    status: int
    location: str
    is_json: bool
    sentence: Clean

    @property
    def is_served(self) -> bool:
        """Whether it is what an application answers, and no refusal or redirection to https."""
        if self.taken is not Taken.ACCEPTED:
            return False
        if 300 <= self.status < 400:
            return not self.location.lower().startswith("https://")
        return 200 <= self.status < 300 or self.is_json


class TlsProbe:
    """Looks at one endpoint; every look is one connection of `within_s` seconds at most."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        ca_file: str = "",
        clock: Callable[[], datetime] = utc_now,
        within_s: float = WITHIN_S,
    ) -> None:
        self.endpoint = endpoint
        self._ca_file = ca_file
        self._clock = clock
        self._within_s = within_s

    async def offer(self, version: int, suites: Iterable[int]) -> Offer:
        """Offer one version with those cipher suites, by a ClientHello made by hand; no handshake is finished."""
        raw, problem = await self._exchange(client_hello(version, suites, self.endpoint.host), is_whole)
        name = NAMES[version]
        if problem is not None and problem.taken is not Taken.REFUSED:
            return Offer(problem.taken, name, "", problem.sentence)
        if not raw:
            return Offer(Taken.REFUSED, name, "", clean(f"{name}: refused, the connection was closed"))
        said = heard(raw)
        if said is None:
            return Offer(Taken.NOT_TLS, name, "", self._not_tls(raw))
        if said.alert >= 0:
            alert = ALERTS.get(said.alert, f"alert {said.alert}")
            return Offer(Taken.REFUSED, name, "", clean(f"{name}: refused ({alert})"))
        chosen = NAMES.get(said.version, f"version 0x{said.version:04X}")
        if said.version != version:
            told = f"{name} was offered, {chosen} was answered"
            return Offer(Taken.REFUSED, name, "", clean(told))
        return Offer(Taken.ACCEPTED, name, said.suite_name, clean(f"{name}: accepted with {said.suite_name}"))

    async def look(self) -> Shaken:
        """A handshake that takes any version, key and certificate; it is only looked at."""
        context = _lenient()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return await self._shake(context)

    async def trust(self, *, level: int = 0, is_timeless: bool = False) -> Shaken:
        """A handshake that needs a chain to a trusted certificate, whatever the name; OSError for a bad CA file.

        `level` is OpenSSL's security level: 2 refuses RSA below 2048 bit and SHA-1 anywhere in the chain.
        """
        context = await asyncio.to_thread(self._trusting)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers(f"ALL:!aNULL:@SECLEVEL={level}")
        context.check_hostname = False
        if is_timeless:
            context.verify_flags |= NO_CHECK_TIME
        return await self._shake(context)

    async def named(self, der: bytes) -> Shaken:
        """A handshake that needs the host's name in the certificate `der`, whoever has signed it and whenever."""
        context = _lenient()
        context.load_verify_locations(cadata=der)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
        context.check_hostname = True
        return await self._shake(context)

    async def plain(self, path: str = "/", *, port: int = 0, is_upgrade: bool = False) -> Plain:
        """One request in clear text to the endpoint, or to another port of its host; `is_upgrade`: for a WebSocket."""
        host = Endpoint(self.endpoint.host, port or self.endpoint.port)
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}"]
        if is_upgrade:
            # The key is the sample of RFC 6455, section 1.3.
            lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
            lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        else:
            lines += ["Connection: close"]
        request = "\r\n".join([*lines, "", ""]).encode("utf-8", "replace")
        raw, problem = await self._exchange(request, _has_head, port=port)
        if problem is not None and not raw.startswith(b"HTTP/"):
            return Plain(problem.taken, 0, "", False, problem.sentence)
        if not raw.startswith(b"HTTP/"):
            what = "with a TLS alert" if is_tls(raw) else "by closing the connection" if not raw else "oddly"
            return Plain(Taken.REFUSED, 0, "", False, clean(f"{host} refused it {what}"))
        head = raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        word = head[0].split(" ")[1:2]
        status = int(word[0]) if word and word[0].isascii() and word[0].isdigit() else 0
        headers = {name.strip().lower(): value.strip() for name, _, value in (h.partition(":") for h in head)}
        told = one_line(f"{host} answered “{head[0]}” in clear text", 120)
        is_json = "json" in headers.get("content-type", "").lower()
        return Plain(Taken.ACCEPTED, status, headers.get("location", ""), is_json, told)

    def evidence(self, title: str, lines: Iterable[str], command: str = "") -> Evidence:
        """What was looked at, for the record; `command` is made for OpenSSL where none is given."""
        default = shlex.join(["openssl", "s_client", "-connect", str(self.endpoint), *self._sni()])
        return Evidence(
            kind="tls",
            title=one_line(title),
            body=clean("\n".join(lines), 8000),
            command=clean(command or f"{default} </dev/null"),
            captured_at=self._clock(),
        )

    def _sni(self) -> list[str]:
        return ["-servername", self.endpoint.host]

    def _trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._ca_file or None)

    async def _exchange(
        self, sent: bytes, is_enough: Callable[[bytes], bool], *, port: int = 0
    ) -> tuple[bytes, Offer | None]:
        """What came back for `sent`; and where nothing usable did, why not."""
        where = Endpoint(self.endpoint.host, port or self.endpoint.port)
        raw, writer = b"", None
        try:
            async with asyncio.timeout(self._within_s):
                reader, writer = await asyncio.open_connection(where.host, where.port)
                writer.write(sent)
                while len(raw) < MAX_BYTES and not is_enough(raw):
                    part = await reader.read(MAX_BYTES)
                    if not part:
                        break
                    raw += part
        except TimeoutError:
            what = "did not answer" if writer else "could not be connected to"
            kind = Taken.SILENT if writer else Taken.UNREACHABLE
            return raw, Offer(kind, "", "", clean(f"{where} {what} within {self._within_s:g} s"))
        except (OSError, UnicodeError) as problem:
            if writer is None:
                told = f"{where} cannot be reached: {problem}"
                return raw, Offer(Taken.UNREACHABLE, "", "", one_line(told))
            return raw, Offer(Taken.REFUSED, "", "", clean(f"{where} broke the connection off"))
        finally:
            if writer is not None:
                writer.transport.abort()
        return raw, None

    async def _shake(self, context: ssl.SSLContext) -> Shaken:
        try:
            async with asyncio.timeout(self._within_s):
                _, writer = await asyncio.open_connection(
                    self.endpoint.host,
                    self.endpoint.port,
                    ssl=context,
                    server_hostname=self.endpoint.host,
                    ssl_handshake_timeout=self._within_s,
                )
        except ssl.SSLCertVerificationError as problem:
            return Shaken(one_line(problem.verify_message), problem.verify_code)
        except ssl.SSLError as problem:
            return Shaken(one_line(f"the TLS handshake failed: {problem.reason or problem}"), 0)
        except TimeoutError:
            return Shaken(clean(f"{self.endpoint} did not finish a handshake within {self._within_s:g} s"), 0)
        except (OSError, UnicodeError) as problem:
            return Shaken(one_line(f"the TLS handshake with {self.endpoint} broke off: {problem}"), 0)
        try:
            session: ssl.SSLObject = writer.get_extra_info("ssl_object")
            cipher = session.cipher()
            return Shaken(
                error=clean(""),
                code=0,
                version=(session.version() or "").replace("TLSv", "TLS "),
                cipher=cipher[0] if cipher else "",
                der=session.getpeercert(binary_form=True) or b"",
            )
        finally:
            writer.transport.abort()

    def _not_tls(self, raw: bytes) -> Clean:
        if raw.startswith(b"HTTP/"):
            return clean(f"{self.endpoint} speaks plain HTTP, not TLS")
        start = one_line(raw[:SHOWN_CHARS].decode("latin-1"), SHOWN_CHARS)
        return clean(f"{self.endpoint} answered something that is not TLS, beginning “{start}”")


def _lenient() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:!aNULL:@SECLEVEL=0")
    return context


def _has_head(raw: bytes) -> bool:
    return b"\r\n\r\n" in raw or is_tls(raw)


def read_certificate(der: bytes) -> Certificate | Clean:
    """The certificate `der`, or one sentence that says why it cannot be read."""
    try:
        found = x509.load_der_x509_certificate(der)
        key, bits = _key_of(found)
        return Certificate(
            der=der,
            subject=one_line(found.subject.rfc4514_string()),
            issuer=one_line(found.issuer.rfc4514_string()),
            names=_names_of(found),
            not_before=found.not_valid_before_utc,
            not_after=found.not_valid_after_utc,
            key=key,
            key_bits=bits,
            hash=_hash_of(found),
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as problem:
        return one_line(f"the certificate cannot be read: {problem}")


def _names_of(found: x509.Certificate) -> tuple[Clean, ...]:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    dns = [str(name) for name in names.get_values_for_type(x509.DNSName)]
    addresses = [str(name) for name in names.get_values_for_type(x509.IPAddress)]
    return tuple(one_line(name, 100) for name in (*dns, *addresses))


def _key_of(found: x509.Certificate) -> tuple[str, int]:
    try:
        key = found.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return "", 0
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.key_size
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519", 256
    if isinstance(key, ed448.Ed448PublicKey):
        return "Ed448", 456
    return "", 0


def _hash_of(found: x509.Certificate) -> str:
    try:
        algorithm = found.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return found.signature_algorithm_oid.dotted_string
    return algorithm.name if algorithm else ""
