"""Opening connections: over TCP or TLS, from a user's own address, within a time, and what went wrong in words."""

from __future__ import annotations

import asyncio
import socket
import ssl
from urllib.parse import urlsplit

from checks.load.generator.client import Client, Link
from checks.load.generator.judging import Judge
from checks.load.generator.rest import RestLink
from checks.load.generator.socket import Refused, SocketLink
from checks.load.model import Failure
from checks.load.wire import Setup


class CannotStart(Exception):  # noqa: N818 - one sentence for the console
    """No load can be sent; the text says why, in one sentence without a full stop."""


class Dialer:
    """Opens the connections of all clients."""

    def __init__(self, setup: Setup) -> None:
        """Raises CannotStart for a URL or a certificate file that cannot be used."""
        self._setup = setup
        try:
            parts = urlsplit(setup.url)
            self._host, port = parts.hostname or "", parts.port
        except ValueError as problem:
            raise CannotStart(f"The address of the target cannot be used: {problem}") from problem
        if parts.scheme not in ("http", "https") or not self._host:
            raise CannotStart("The address of the target is not http:// or https:// and a host")
        self._port = port or (443 if parts.scheme == "https" else 80)
        self._tls = _trust(setup.ca_file) if parts.scheme == "https" else None
        self._rest, self._socket = Judge(setup, setup.rest), Judge(setup, setup.websocket)
        self._addresses: list[tuple[int, str]] = []
        """(family, address), the one that worked last at the front."""

    @property
    def where(self) -> str:
        """Host and port."""
        return f"{self._host}:{self._port}"

    async def resolve(self) -> None:
        """Look the host up once, so that no look-up is part of any latency. Raises CannotStart."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._setup.connect_within_s):
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError) as problem:
            raise CannotStart(f"The host {self._host} was not found: {told(problem)}") from problem
        self._addresses = [(one[0], str(one[4][0])) for one in found]

    async def dial(self, client: Client) -> Link:
        """An open connection of this client. Raises OSError, TimeoutError or Refused (an OSError)."""
        local = client.user.local_address
        family = (socket.AF_INET6 if ":" in local else socket.AF_INET) if local else 0
        addresses = [one for one in self._addresses if not family or one[0] == family]
        problem: OSError = OSError(f"{self.where} has no address that can be reached from {local}")
        async with asyncio.timeout(self._setup.connect_within_s):
            for place, address in enumerate(addresses):
                try:
                    link = await self._open(client, address[1], (local, 0) if local else None)
                except Refused:
                    raise
                except OSError as one:
                    problem = one
                else:
                    if place:
                        self._addresses.remove(address)
                        self._addresses.insert(0, address)
                    return link
        raise problem

    async def _open(self, client: Client, address: str, local: tuple[str, int] | None) -> Link:
        loop, setup = asyncio.get_running_loop(), self._setup
        ready: asyncio.Future[None] | None = None if client.is_rest else loop.create_future()
        link: RestLink | SocketLink = (
            RestLink(client, self._rest, setup.most_reply_bytes)
            if ready is None
            else SocketLink(client, setup, self._socket, ready)
        )
        try:
            await loop.create_connection(
                lambda: link,
                address,
                self._port,
                ssl=self._tls,
                server_hostname=self._host if self._tls else None,
                local_addr=local,
            )
            if ready is not None:
                await ready
        except BaseException:
            link.drop()
            if ready is not None and ready.done() and not ready.cancelled():
                ready.exception()  # it was seen
            raise
        return link


def kind_of(problem: BaseException) -> Failure:
    """How a connection that was not made counts."""
    status = problem.status if isinstance(problem, Refused) else 0
    if status == 429:
        return Failure.THROTTLED
    return Failure.SERVER_ERROR if status >= 500 else Failure.UNREACHABLE


def told(problem: BaseException) -> str:
    """What went wrong, in a few words."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({problem.verify_message})"
    if isinstance(problem, ssl.SSLError):
        return f"TLS failed ({(problem.reason or 'no reason').replace('_', ' ').lower()})"
    if isinstance(problem, Refused):
        return str(problem)
    if isinstance(problem, TimeoutError):
        return "it took too long"
    if isinstance(problem, ConnectionRefusedError):
        return "connection refused"
    if isinstance(problem, ConnectionResetError):
        return "connection reset"
    return (
        (problem.strerror if isinstance(problem, OSError) else "") or str(problem) or type(problem).__name__
    )


def _trust(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ValueError) as problem:
        raise CannotStart(f"The certificates in ca_file cannot be used: {told(problem)}") from problem
