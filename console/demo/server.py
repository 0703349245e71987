"""One running demo controller: opened, served until it is asked to stop, and closed with its bots."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from console.demo import confine, front
from console.demo.app import build_app
from console.demo.config import write_config
from console.demo.controller import Controller, open_controller
from console.demo.errors import DemoError
from console.demo.front import Front
from console.demo.launch import Output, Stop
from console.demo.log import close_log, event, logger, open_log
from console.demo.operations import MAX_BODY_BYTES
from console.demo.profile import write_profile
from console.demo.settings import PROFILE_FILE, Settings, SettingsError, hold, kept_secret, prepare
from console.demo.storage import StorageError
from console.demo.switch_file import FAULTS_FILE
from console.demo.tls import server_context, write_certificate

KEEP_ALIVE_S = 75
"""Longer than clients keep an idle connection, so that it is theirs to close."""
FRAME_BYTES = 16 << 20
"""The fault no-frame-limit: the default of the web server."""
FINISH_WITHIN_S = 1
"""How long answers under way may still take at the end."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a controller is to be started."""

    data: Path
    faults: frozenset[str]
    database: str
    is_tls: bool
    pager_port: int
    is_again: bool
    """Whether it was running before in that folder, with a certificate and a secret that its clients know."""


def run(listener: socket.socket, start: Start, *, stop: Stop, tell: Output) -> None:
    """Serve on `listener` until `stop` is asked for; `tell` is given one line of JSON once requests are accepted.

    Raises DemoError where it cannot be started.
    """
    data, faults = start.data, start.faults
    try:
        is_tls = start.is_tls and "plain-http" not in faults
        with hold(data):
            environ = {**(kept_secret(data) if start.is_again else {}), **os.environ}
            settings = prepare(data, faults, start.database, is_tls=is_tls, environ=environ)
            if is_tls and not (start.is_again and settings.certificate_file.is_file()):
                write_certificate(settings)
            write_config(settings)
            confine.bound(faults)
            why_root = confine.give_up_root(data, settings.written, faults)
            with _logged(settings):
                if why_root:
                    event("running as root", logging.WARNING, cause=why_root)
                _serve(settings, listener, start.pager_port, stop, tell)
    except (SettingsError, StorageError) as problem:
        raise DemoError(str(problem)) from problem


@contextlib.contextmanager
def _logged(settings: Settings) -> Iterator[None]:
    handler = open_log(settings.log, settings.log_max_bytes, settings.log_backups, settings.faults)
    if settings.is_debug:
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        close_log(handler)


def _serve(settings: Settings, listener: socket.socket, pager_port: int, stop: Stop, tell: Output) -> None:
    controller = open_controller(settings)
    try:
        controller.switches.begin()
        port = listener.getsockname()[1]
        url = f"{'https' if settings.is_tls else 'http'}://127.0.0.1:{port}"
        write_profile(settings, url, port, controller.store, pager_port)
        info = {
            "url": url,
            "pid": os.getpid(),
            "database": controller.store.name,
            "log": str(settings.log),
            "env_file": str(settings.env_file),
            "profile": str(settings.data / PROFILE_FILE),
            "pager": f"http://127.0.0.1:{pager_port}/",
            "faults": str(settings.data / FAULTS_FILE),
        }
        asyncio.run(_Server(controller, stop, tell, json.dumps(info)).serve([listener]))
        event("stopped")
    finally:
        controller.store.close()


class _Server(uvicorn.Server):
    """The web server of one controller."""

    def __init__(self, controller: Controller, stop: Stop, tell: Output, ready: str) -> None:
        super().__init__(_config(controller))
        self._controller = controller
        self._stop = stop
        self._tell = tell
        self._ready = ready
        self._front: Front | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the starter's, so that the exit code is too."""
        yield

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and end the bots at the end."""
        try:
            await super().serve(sockets)
        finally:
            await self._controller.troubles.close()
            await self._controller.bots.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        context, faults = self.config.ssl, self._controller.faults
        if sockets and context and faults & front.FAULTS:
            self._front = Front(sockets[0], self._protocol, context, faults)
            sockets = []
        await super().startup(sockets)
        if self._front:
            self._front.start()
        event("debug mode", logging.DEBUG)
        event("started", faults=sorted(self._controller.faults))
        self._tell(self._ready)
        self._controller.troubles.begin()

    async def on_tick(self, counter: int) -> bool:
        """Looks ten times a second whether it is to stop, and once whether faults were switched."""
        if counter % 10 == 0:
            self._controller.troubles.look()
        return await super().on_tick(counter) or self._stop.is_asked

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what waits, then what runs."""
        self._controller.ending.set()
        if self._front:
            await self._front.close()
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        kind: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = kind(config=self.config, server_state=self.server_state, app_state={})
        return protocol


def _config(controller: Controller) -> uvicorn.Config:
    settings = controller.settings
    return uvicorn.Config(
        build_app(controller),
        http="h11",
        ws="websockets-sansio",
        ws_max_size=FRAME_BYTES if "no-frame-limit" in settings.faults else MAX_BODY_BYTES,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header="clock-off" not in settings.faults,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=FINISH_WITHIN_S,
        ssl_context_factory=(lambda config, default: server_context(settings)) if settings.is_tls else None,
    )
