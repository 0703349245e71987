"""The chatbot controller as its contract describes it: operations by name, answers judged as answers.

A status alone does not tell success: the observed contract answers failures with HTTP 200 and `success: false`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from checks.model import Evidence, Reason
from checks.probe.http import Answer, HttpProbe
from checks.probe.redaction import Redactor
from checks.probe.websocket import Conversation, Frame, WebSocketProbe
from checks.profile.template import fill, fill_path, pick
from checks.target import Operation, Target
from checks.text import Clean, clean, one_line

MAX_THROTTLE_WAIT_S = 20.0
"""A 429 with a longer Retry-After is told instead of waited for."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the controller, judged by the contract."""

    answer: Answer
    document: object | None
    """The JSON body; None where there is none."""
    problem: Clean
    """Why it is not a success, in one sentence without a full stop; empty where it is one."""
    reason: Reason
    told: Clean
    """The error text that the controller gave, as a person would read it; empty where it gave none."""
    fields: Mapping[str, object]
    """The fields that the contract names, as far as they are there."""
    seen: tuple[Evidence, ...]
    """The exchange, and the throttled ones before it."""

    @property
    def ok(self) -> bool:
        """A success by status and by the contract's success field."""
        return not self.problem

    def field(self, name: str) -> str:
        """One named field as text; empty where it is missing."""
        value = self.fields.get(name)
        return "" if value is None else str(value)


class Controller:
    """Asks the target's operations with the credentials and the token of this run."""

    def __init__(self, target: Target, http: HttpProbe, sockets: WebSocketProbe, redactor: Redactor) -> None:
        self._target = target
        self._http = http
        self._sockets = sockets
        self._redactor = redactor
        self.token = target.credentials.token
        """Set by the sign-in; sent with every later request."""

    def operation(self, name: str) -> Operation:
        """The contract's operation `name`. Raises KeyError for one that the contract does not name."""
        return self._target.contract.operations[name]

    def learn_token(self, token: str) -> None:
        """Use `token` from now on, and keep it out of all evidence."""
        self._redactor.learn(token)
        self.token = token

    async def ask(
        self,
        name: str,
        *,
        within_s: float | None = None,
        with_token: bool = True,
        raw_body: bytes | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        is_patient: bool = True,
        is_typical: bool = True,
        **values: str,
    ) -> Reply:
        """Ask operation `name`; a short Retry-After is waited for, as a polite client does, unless not `is_patient`.

        `token` is sent in place of the run's own. What is not `is_typical` is left out of the meter's times.
        """
        operation = self.operation(name)
        limit_s = within_s or self._target.profile.walkthrough.timeout_s
        seen: list[Evidence] = []
        for attempt in (1, 2, 3):
            answer = await self._http.ask(
                operation.method,
                fill_path(operation.path, values),
                within_s=limit_s,
                json_body=None
                if raw_body is not None or operation.body is None
                else fill(operation.body, values),
                raw_body=raw_body,
                token=(self.token if token is None else token) if with_token else "",
                headers=headers,
            )
            seen.append(answer.evidence)
            wait_s = _retry_after_s(answer)
            if answer.status != 429 or wait_s is None or wait_s > MAX_THROTTLE_WAIT_S or attempt == 3:
                break
            if not is_patient:
                break
            await asyncio.sleep(wait_s)
        reply = self._judge(operation, answer, tuple(seen))
        if reply.ok and is_typical:
            self._http.meter.latencies_s.setdefault(name, []).append(answer.elapsed_s)
        return reply

    async def converse(
        self,
        messages: Sequence[tuple[str, str]],
        *,
        within_s: float,
        with_token: bool = True,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        is_enough: Callable[[Frame], bool] = lambda frame: False,
    ) -> Conversation:
        """Send (bot id, text) pairs as queries over one WebSocket, each after the answer to the one before.

        `token` is sent in place of the run's own; `headers` go with the handshake; after a frame that `is_enough` no
        more are sent.
        """
        body = self.operation("ws_send").body or {}
        frames = [
            json.dumps(fill(body, {"bot_id": bot_id, "text": text}), ensure_ascii=False)
            for bot_id, text in messages
        ]
        path = self.operation("ws").path
        token = (self.token if token is None else token) if with_token else ""
        if not token:
            path = path.partition("?")[0]
        return await self._sockets.converse(
            fill_path(path, {"token": token}),
            frames,
            within_s=within_s,
            is_answer=self._is_answer,
            headers=headers,
            is_enough=is_enough,
        )

    def _is_answer(self, text: str) -> bool:
        """Whether a frame answers a query; a greeting or a typing signal does not."""
        kinds = self._target.contract.answer_kinds
        try:
            kind = pick(json.loads(text), self.operation("ws_send").reply.get("kind", "type"))
        except (ValueError, RecursionError):
            return True
        return not kinds or not isinstance(kind, str) or kind in kinds

    def error_text(self, document: object) -> Clean:
        """The error text of a JSON answer, without secrets; empty where it holds none."""
        return one_line(self._redactor.redact(error_text(document, self._target.contract.error)))

    def quote(self, text: object, limit: int) -> Clean:
        """What the target said, without secrets, as one line for a sentence."""
        return one_line(self._redactor.redact(str(text)), limit)

    def _judge(self, operation: Operation, answer: Answer, seen: tuple[Evidence, ...]) -> Reply:
        document = answer.json()
        told = self.error_text(document)
        problem, reason = self._problem(operation, answer, document, told)
        fields = {ours: pick(document, theirs) for ours, theirs in operation.reply.items()}
        found = {name: value for name, value in fields.items() if value is not None}
        return Reply(answer, document, problem, reason, told, found, seen)

    def _problem(
        self, operation: Operation, answer: Answer, document: object | None, told: Clean
    ) -> tuple[Clean, Reason]:
        said = f": {told}" if told else ""
        if answer.error:
            return answer.error.sentence, answer.error.reason
        if answer.status == 429:
            wait_s = _retry_after_s(answer)
            again = f", and asks to wait {wait_s:.0f} s" if wait_s else ""
            return clean(f"the rate limiter refused it (429){again}{said}"), Reason.THROTTLED
        if answer.status is None or not 200 <= answer.status < 300:
            return clean(f"it answered {answer.status}{said}"), Reason.REFUSED
        if not operation.reply and not isinstance(document, dict):
            return Clean(""), Reason.MET  # an operation without named fields may answer anything
        if document is None:
            kind = answer.media_type or "no content type"
            start = one_line(self._redactor.redact(answer.text), 60)
            return clean(f"it answered {kind} instead of JSON, beginning “{start}”"), Reason.PROTOCOL
        success = self._target.contract.success
        if success and isinstance(document, dict) and document.get(success, True) is not True:
            return clean(f"it answered {success}: false{said}"), Reason.REFUSED
        return Clean(""), Reason.MET


def error_text(document: object, names: Sequence[str]) -> str:
    """The error text of a JSON answer as it came: the first of the fields `names` that holds any."""
    if isinstance(document, dict):
        for name in names:
            value = document.get(name)
            if value:
                return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return ""


def _retry_after_s(answer: Answer) -> float | None:
    """Seconds of `Retry-After` (RFC 9110, section 10.2.3; the date form is not waited for)."""
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) <= 9 else None
