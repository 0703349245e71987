"""Steps 1 to 3: the controller answers, its page is whole, a user can sign in and a stranger cannot."""

from __future__ import annotations

from collections.abc import Iterable
from html.parser import HTMLParser
from urllib.parse import quote, urljoin, urlsplit

from checks.context import Context
from checks.controller import Reply
from checks.model import Area, Outcome, Reason, Safety, Severity, failed, inconclusive, passed
from checks.registry import check
from checks.text import Clean, duration
from checks.walkthrough.walk import not_judged

HEALTHY = frozenset({"ok", "healthy", "up", "pass", "ready", "true"})
MAX_ASSETS = 24


@check(
    "WALK-01",
    "Controller is healthy",
    area=Area.WALKTHROUGH,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="one GET of the health operation",
    why="Nothing else can be relied on while the controller does not say that it is well.",
    reference="SRE book: monitoring distributed systems",
    hops=("controller",),
)
async def controller_is_healthy(context: Context) -> Outcome:
    """The health operation answers success, in JSON, with a word that means healthy."""
    context.hop("controller")
    reply = await context.controller.ask("health", with_token=False)
    expected = "a 2xx answer in JSON with a status such as ok"
    if reply.reason is Reason.THROTTLED:
        return not_judged(
            reply.reason, f"The controller was not asked: {reply.problem}", reply.seen, expected
        )
    if not reply.ok:
        return failed(
            f"The controller is not healthy: {reply.problem}",
            reason=reply.reason,
            observed=reply.problem,
            expected=expected,
            evidence=reply.seen,
        )
    word = reply.field("status")
    if word.lower() not in HEALTHY:
        told = f"status “{word}”" if word else "no status at all"
        return failed(
            f"The controller does not call itself healthy: {told}",
            observed=told,
            expected=expected,
            evidence=reply.seen,
        )
    took = duration(reply.answer.elapsed_s)
    return passed(
        f"It answered “{word}” in {took}",
        observed=f"{reply.answer.status}, status “{word}”, {took}",
        expected=expected,
        evidence=reply.seen,
    )


@check(
    "WALK-02",
    "Web page is served",
    area=Area.WALKTHROUGH,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="one GET of the page and of each script and style sheet that it names",
    why="Without its page, or a part of it, nobody can launch a bot or talk to one.",
    hops=("ui", "controller"),
)
async def page_is_served(context: Context) -> Outcome:
    """The page is HTML, has a chat's elements, and every script and style sheet of its own that it names is there."""
    context.hop("ui")
    reply = await context.controller.ask("page", with_token=False)
    expected = "the chat's HTML page and every script and style sheet that it names"
    if not reply.ok:
        return not_judged(reply.reason, f"The page is not served: {reply.problem}", reply.seen, expected)
    if "html" not in reply.answer.media_type or "<" not in reply.answer.text:
        kind = reply.answer.media_type or "no content type"
        return failed(
            f"The page is not HTML but {kind}", observed=kind, expected=expected, evidence=reply.seen
        )
    page = _read(reply.answer.text)
    if lacking := [name for name in context.target.contract.page_elements if name not in page.ids]:
        return failed(
            f"The page is another one: it has no element {', '.join(lacking)}",
            observed=f"{len(reply.answer.body)} bytes of HTML with {len(page.ids)} named elements",
            expected=expected,
            evidence=reply.seen,
        )
    assets = _assets(page.references, context.controller.operation("page").path)
    seen, missing = list(reply.seen), []
    for path in assets:
        answer = await context.http.ask("GET", path, within_s=context.target.profile.walkthrough.timeout_s)
        seen.append(answer.evidence)
        is_page = (
            answer.media_type == "text/html"
        )  # what a catch-all route answers for a file that is not there
        if answer.error or answer.status != 200 or not answer.body or is_page:
            missing.append(path)
    observed = f"{len(reply.answer.body)} bytes of HTML, {len(assets) - len(missing)} of {len(assets)} parts"
    if missing:
        return failed(
            f"The page names {len(missing)} parts that are not there: {', '.join(missing[:3])}",
            observed=observed,
            expected=expected,
            evidence=seen,
        )
    return passed(
        f"The page and its {len(assets)} parts are served",
        observed=observed,
        expected=expected,
        evidence=seen,
    )


@check(
    "WALK-03",
    "Sign in",
    area=Area.WALKTHROUGH,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="one sign-in with the profile's credentials, and one with a wrong password",
    why="Users who cannot sign in have no service; strangers who can have everybody's.",
    reference="ASVS 6.3.1",
    hops=("ui", "controller"),
)
async def user_signs_in(context: Context) -> Outcome:
    """The right password yields a token, a wrong one does not."""
    context.hop("controller")
    credentials = context.target.credentials
    expected = "a token for the right password, none for a wrong one"
    if not credentials.username or not credentials.password:
        if credentials.token:
            return await _token_is_accepted(context)
        names = context.target.profile.credentials
        where = (
            f", here or in {names.file}" if names.file else ", or name a file with them in [credentials] file"
        )
        # Where everything else wants a token, nothing that follows could be judged.
        is_needed = context.target.contract.rest_auth == "bearer"
        return inconclusive(
            Reason.BLOCKED if is_needed else Reason.NO_SOURCE,
            f"There are no credentials: set {names.username_env} and {names.password_env}{where}",
            expected=expected,
        )
    control = await _sign_in(context, credentials.username, f"wrong-{context.nonce}")
    if control.ok and control.field("token"):
        context.controller.learn_token(control.field("token"))
        return failed(
            "A wrong password was accepted",
            observed="a token for a wrong password",
            expected=expected,
            evidence=control.seen,
        )
    reply = await _sign_in(context, credentials.username, credentials.password)
    seen = (*control.seen, *reply.seen)
    if not reply.ok:
        return not_judged(reply.reason, f"The sign-in failed: {reply.problem}", seen, expected)
    token = reply.field("token")
    if not token:
        return failed(
            "The sign-in answered success without a token",
            observed="no token",
            expected=expected,
            evidence=seen,
        )
    context.controller.learn_token(token)
    if control.answer.status is not None and control.answer.status >= 500:
        return failed(
            f"A wrong password was answered as a fault of the server ({control.answer.status})",
            observed=control.problem,
            expected=expected,
            evidence=seen,
        )
    if control.reason is not Reason.REFUSED or control.answer.status in (404, 405):
        return inconclusive(
            Reason.CONTROL,
            f"The sign-in works, but whether a wrong password is refused could not be seen: {control.problem}",
            expected=expected,
            evidence=seen,
        )
    return passed(
        "The right password was accepted, a wrong one was not",
        observed=f"a token in {duration(reply.answer.elapsed_s)}; wrong password: {control.problem}",
        expected=expected,
        evidence=seen,
    )


async def _sign_in(context: Context, username: str, password: str) -> Reply:
    return await context.controller.ask("login", with_token=False, username=username, password=password)


async def _token_is_accepted(context: Context) -> Outcome:
    """Judged where a stranger without a token is turned away; elsewhere any token would seem to be accepted."""
    expected = "what turns a stranger away accepts the token of the environment"
    if context.target.contract.rest_auth == "bearer":
        reply, control = (
            await context.controller.ask("bots"),
            await context.controller.ask("bots", with_token=False),
        )
        accepted, refused, problem = reply.ok, not control.ok, reply.problem
        seen = [*reply.seen, *control.seen]
        reason = reply.reason
    else:
        limit_s = context.target.profile.walkthrough.timeout_s
        talk = await context.controller.converse([], within_s=limit_s)
        stranger = await context.controller.converse([], within_s=limit_s, with_token=False)
        accepted, refused = talk.opened, not stranger.opened
        problem, reason = (talk.error.sentence, talk.error.reason) if talk.error else (Clean(""), Reason.MET)
        seen = [talk.evidence, stranger.evidence]
    if not accepted:
        return not_judged(reason, f"The token was not accepted: {problem}", seen, expected)
    if not refused:
        why = "Whether the token is accepted cannot be seen: a stranger without one is let in as well"
        return inconclusive(Reason.CONTROL, why, expected=expected, evidence=seen)
    return passed(
        "The token that was given is accepted, a stranger is not",
        observed="let in with the token, turned away without",
        expected=expected,
        evidence=seen,
    )


def parts(html: str, base: str) -> list[str]:
    """Paths on the same host of the scripts and style sheets that a page at `base` names."""
    return _assets(_read(html).references, base)


def _assets(references: Iterable[str], base: str) -> list[str]:
    """Paths on the same host of the scripts and style sheets that a page names, each once, at most MAX_ASSETS."""
    paths = []
    for reference in references:
        try:
            is_own = not urlsplit(reference).netloc and not reference.startswith("data:")
            path = urljoin(base, reference)
        except ValueError:  # no browser would find it either: it is asked for, and is not there
            is_own, path = True, f"/{quote(reference)}"
        if is_own and path not in paths:
            paths.append(path)
    return paths[:MAX_ASSETS]


def _read(html: str) -> _PageParser:
    parser = _PageParser()
    parser.feed(html)
    return parser


class _PageParser(HTMLParser):
    """Collects the ids of elements, and `script src` and `link rel=stylesheet href`."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids.add(values.get("id") or "")
        reference = ""
        if tag == "script":
            reference = values.get("src") or ""
        elif tag == "link" and "stylesheet" in (values.get("rel") or ""):
            reference = values.get("href") or ""
        if reference:
            self.references.append(reference)
