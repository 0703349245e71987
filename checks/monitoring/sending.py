"""The process that sends messages, and alone knows Apprise: `python -m checks.monitoring.sending`.

The outbox starts it, never a person. It takes jobs as lines of JSON on standard input, the channel's URL among them,
which is a secret and so never on a command line; each is answered by a line of JSON on standard output. A channel
that hangs holds up one of four places for 20 s at most, and never the watch. It ends with its standard input, and with
its parent.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import logging
import os
import re
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO
from urllib.parse import unquote

from checks.probe.redaction import Redactor
from checks.text import Clean, clean, one_line

AT_ONCE = 4
"""Jobs at the same time."""
LIMIT_S = 20.0
"""A job that takes longer is answered as failed; what it does afterwards is not known."""
READ_WITHIN_S = 15.0
"""A channel may take so long to answer, where its URL does not say otherwise (`rto`); Apprise's own 4 s are short."""
PARENT_EVERY_S = 1.0
MOST_LINE_BYTES = 1 << 18
MOST_ANSWER = 300
"""Characters of an answer."""
MOST_HEARD = 60
"""Lines of Apprise's log that are kept of one job."""
MOST_TITLE, MOST_BODY = 250, 4000
KEPT_VARIABLES = (
    *("PATH", "LANG", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
)
"""What of the watch's environment the process gets: how to reach the outside, and none of the secrets."""
LOOPBACK = ("localhost", "127.0.0.0/8", "::1")
"""Is never reached through a proxy."""
ADDRESSED = ("json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos")
"""Schemes whose host is an address and no token: it may be told."""
_CAUSES = (
    re.compile(r"\[Errno -?\d+\] (?P<cause>[^'\"()<>\[\]]+)"),
    re.compile(r"\[SSL: [A-Z_]+\] (?P<cause>[^'\"()<>\[\]]+)"),
    re.compile(r"(?P<cause>(?:read )?timed out)", re.IGNORECASE),
    re.compile(
        r"(?P<cause>remote end closed connection without response|connection reset by peer)", re.IGNORECASE
    ),
    re.compile(r"Caused by (?P<cause>.+)"),
)
_UNSURE = re.compile(
    r"read timed out|read timeout|aborted|closed connection|reset by peer|broken pipe|incomplete",
    re.IGNORECASE,
)
"""The channel was spoken to, and may have taken the message although no answer came."""
_HEARD: contextvars.ContextVar[list[tuple[int, str]] | None] = contextvars.ContextVar("heard", default=None)


@dataclass(frozen=True, slots=True)
class Job:
    """One message to send."""

    id: str
    url: str
    title: str
    body: str

    def __repr__(self) -> str:
        return f"Job({self.id!r})"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a job."""

    id: str
    ok: bool
    """Whether the channel took it."""
    answer: Clean
    """What the channel said, or why it could not be reached; without secrets of the URL."""
    took_s: float
    is_unsure: bool = False
    """Not ok, but the channel may have taken it all the same."""
    is_final: bool = False
    """Trying again is of no use: the URL is none."""


def line(record: Job | Answer) -> bytes:
    """A job or an answer as it goes through the pipe."""
    return json.dumps(asdict(record)).encode() + b"\n"


def read_job(raw: bytes) -> Job:
    """Read back what `line` made of a job. Raises ValueError, KeyError or TypeError for anything else."""
    found = json.loads(raw)
    return Job(*(str(found[name]) for name in ("id", "url", "title", "body")))


def read_answer(raw: bytes) -> Answer:
    """Read back what `line` made of an answer. Raises ValueError, KeyError or TypeError for anything else."""
    found = json.loads(raw)
    return Answer(
        str(found["id"]),
        found["ok"] is True,
        one_line(found["answer"], MOST_ANSWER),
        float(found["took_s"]),
        found["is_unsure"] is True,
        found["is_final"] is True,
    )


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables for the process, of those of the watch; loopback is excepted from every proxy."""
    kept = {name: environ[name] for name in KEPT_VARIABLES if name in environ}
    excepted = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    kept["no_proxy"] = ",".join([*(part for part in (excepted,) if part), *LOOPBACK])
    return kept


def redactor_of(url: str) -> Redactor:
    """Masks a channel's URL and all of its parts, since each may be a token; not its scheme, nor a plain address."""
    return Redactor(_secrets(url))


def _secrets(url: str) -> Iterator[str]:
    scheme, mark, rest = url.strip().partition("://")
    if not mark:
        scheme, rest = "", url.strip()
    yield url.strip()
    yield rest
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    address = re.sub(r":\d+$", "", host) if scheme.lower() in ADDRESSED else ""
    for text in (rest, unquote(rest)):
        for part in re.split(r"[/:@?&=#,;\s]+", text):
            if part and part != address:
                yield part


def deliver(job: Job) -> Answer:
    """Send one job through Apprise and wait for it. Raises nothing."""
    heard: list[tuple[int, str]] = []
    mark = _HEARD.set(heard)
    began = time.monotonic()
    redactor = redactor_of(job.url)
    is_final = False
    try:
        sender = _loaded(job.url)
        is_final = isinstance(sender, str)
        ok, said = (False, sender) if isinstance(sender, str) else (_notified(sender, job), "")
    except Exception as problem:  # noqa: BLE001 - whatever a plugin breaks on, the watch must hear of it
        ok, said = False, f"{type(problem).__name__}: {problem}"
    finally:
        _HEARD.reset(mark)
    took_s = time.monotonic() - began
    answer = one_line(redactor.redact(_told(heard, ok=ok, said=said)), MOST_ANSWER)
    is_unsure = not ok and not is_final and any(_UNSURE.search(text) for _, text in heard)
    return Answer(job.id, ok, answer, round(took_s, 3), is_unsure, is_final)


def _loaded(url: str) -> Any:
    """Apprise with the one channel of that URL; or the sentence that says what is wrong with the URL."""
    import apprise  # half a second and 40 MB: in this process alone, with the first message

    with _LOADING:
        _listen()
        # Without a limit of its own Apprise sends in the thread that asks, and nothing is left in its pools.
        sender = apprise.Apprise(asset=apprise.AppriseAsset(app_id="gonogo", service_timeout=0))
        is_read = sender.add(url)
    channels = sender.services
    if not is_read or not channels:
        return "Apprise cannot read it as the address of a channel"
    if len(channels) > 1:
        return f"it holds {len(channels)} channels: give each a contact of its own"
    if "rto=" not in url:
        for channel in channels:
            channel.socket_read_timeout = READ_WITHIN_S
    return sender


def _notified(sender: Any, job: Job) -> bool:
    import apprise

    return bool(
        sender.notify(
            title=str(one_line(job.title, MOST_TITLE)),
            body=str(clean(job.body, MOST_BODY)),
            body_format=apprise.NotifyFormat.TEXT,
            interpret_escapes=False,
        )
    )


_LOADING = threading.Lock()


class _Listener(logging.Handler):
    """Keeps what Apprise logs, for the job in whose thread (or a copy of whose context) it does."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line of the log."""
        heard = _HEARD.get()
        if heard is not None and len(heard) < MOST_HEARD:
            with contextlib.suppress(Exception):  # a line that cannot be formatted is not worth a message
                heard.append((record.levelno, record.getMessage()))


def _listen() -> None:
    logger = logging.getLogger("apprise")
    if not any(isinstance(handler, _Listener) for handler in logger.handlers):
        logger.addHandler(_Listener())
        logger.propagate = False
        logger.setLevel(logging.DEBUG)


def _told(heard: Iterable[tuple[int, str]], *, ok: bool, said: str) -> str:
    """One sentence of what was logged: the warnings, and the cause or the reply that stand only in the debug log."""
    lines = list(heard)
    if ok:
        return next((text for level, text in reversed(lines) if level == logging.INFO), "sent")
    warned = [text.strip().rstrip(".") for level, text in lines if level >= logging.WARNING]
    parts = [part for part in (said, *dict.fromkeys(warned)) if part]
    for level, text in lines:
        head, _, rest = text.partition(":")
        if level <= logging.DEBUG and head in ("Socket Exception", "Response Details"):
            detail = _cause(rest) if head == "Socket Exception" else one_line(rest, 120)
            if detail and detail not in ("b''", "''"):
                parts.append(detail)
    return ": ".join(dict.fromkeys(parts)) or "the channel did not take it and did not say why"


def _cause(text: str) -> str:
    found = next((match for pattern in _CAUSES if (match := pattern.search(text))), None)
    return one_line(found["cause"] if found else text, 120).strip()


class Sender:
    """Sends jobs in threads, some at once and each for a limited time. `write` is called by one thread at a time."""

    def __init__(
        self,
        write: Callable[[Answer], None],
        *,
        send: Callable[[Job], Answer] = deliver,
        limit_s: float = LIMIT_S,
    ) -> None:
        self._write, self._send, self._limit_s = write, send, limit_s
        self._lock = threading.RLock()
        self._waiting: deque[Job] = deque()
        self._running: dict[int, Job] = {}
        self._number = 0

    def take(self, job: Job) -> None:
        """Send it as soon as there is a place."""
        with self._lock:
            self._waiting.append(job)
            self._begin()

    def _begin(self) -> None:
        while self._waiting and len(self._running) < AT_ONCE:
            job = self._waiting.popleft()
            self._number += 1
            self._running[self._number] = job
            threading.Thread(target=self._work, args=(self._number, job), daemon=True).start()

    def _work(self, number: int, job: Job) -> None:
        late = threading.Timer(self._limit_s, self._give_up, (number, job))
        late.daemon = True
        late.start()
        answer = self._send(job)
        late.cancel()
        self._end(number, answer)

    def _give_up(self, number: int, job: Job) -> None:
        """The thread cannot be stopped: its place is given to another, and what it comes to is not heard."""
        text = clean(f"no answer within {self._limit_s:g} s")
        self._end(number, Answer(job.id, ok=False, answer=text, took_s=self._limit_s, is_unsure=True))

    def _end(self, number: int, answer: Answer) -> None:
        with self._lock:
            if self._running.pop(number, None) is None:
                return
            self._begin()
            self._write(answer)


def main() -> int:
    """Send what comes in on standard input until it ends; the exit code."""
    for name in (signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # they are the watch's, which closes our input itself
    # A plugin that prints must not write among the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    _follow(sys.stdin.buffer, answers)
    # What is still being sent ends here: the watch sends it again and says that it may be a repetition.
    os._exit(0)


def _follow(orders: BinaryIO, answers: BinaryIO | Any) -> None:
    def write(answer: Answer) -> None:
        try:
            data = line(answer)
            while data:
                data = data[answers.write(data) :]
        except OSError:
            os._exit(0)  # nobody listens any more

    sender = Sender(write)
    while raw := orders.readline(MOST_LINE_BYTES):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            sender.take(read_job(raw))


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_EVERY_S)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
