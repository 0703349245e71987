"""Faults of the HTTP surface."""

from __future__ import annotations

from console.demo.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault("no-csp", "the page is sent without a Content-Security-Policy", ("ENC-05",)),
    Fault("api-cacheable", "answers of the API may be kept by every cache", ("HTTP-01",)),
    Fault("cors-any", "pages of every origin may use the API, with credentials", ("API-03",)),
    Fault("cors-look-alike", "an origin that only begins like the own one may use the API", ("API-03",)),
    Fault("websocket-any-origin", "the WebSocket opens for pages of every origin", ("HTTP-02",)),
    Fault("docs-open", "documentation of the API is served at /docs", ("HTTP-03",)),
    Fault("description-open", "the API's description is served without a token", ("HTTP-03",)),
    Fault("debug-open", "a debug page is served at /debug", ("HTTP-04",)),
    Fault("version-shown", "a header tells the version of the web server", ("HTTP-05",)),
    Fault("trace-answered", "TRACE is answered with what was sent", ("HTTP-06",)),
    Fault("cookie-bare", "the sign-in sets a cookie without Secure, HttpOnly and SameSite", ("HTTP-07",)),
)
