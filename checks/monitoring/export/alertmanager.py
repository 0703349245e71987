"""`alertmanager.yml`: routes, receivers and inhibitions from the same ladders; for Alertmanager 0.25 or newer.

Alertmanager does not speak Apprise, and no secret may stand in the file: each channel becomes the receiver whose secret
0.25 reads from a file. A webhook's address is not among those (`url_file` came with 0.26).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from checks.monitoring.export.common import ALERTMANAGER_SECRETS, ExportFile, as_yaml, header, period, watched
from checks.monitoring.export.rules import NOBODY as NO_RUNG
from checks.monitoring.export.rules import WATCH, WATCHDOG, ladder_rungs
from checks.monitoring.model import AlertKind, Contact
from checks.target import Target

CONFIG_FILE = "alertmanager.yml"
NOBODY = "nobody"
"""Name of the receiver that tells nobody; contacts have their own names, with `contact-` before them."""
UNSET = "http://127.0.0.1:9/address-of-{name}"
"""Stands for a webhook whose address is not known here or is a secret: nothing listens there."""
LEAST_S = 1.0
SMTP_PORT = 587
Receiver = tuple[str, dict[str, Any], str]
"""Kind of receiver, its settings, and what a person has to add."""


def config(target: Target) -> ExportFile:
    """The whole configuration."""
    interval_s = max(LEAST_S, target.profile.monitoring.interval_s)
    rungs = tuple(ladder_rungs(target.ladders))
    told = dict.fromkeys(rung.contact for _, _, rung in rungs)
    notes: list[str] = []
    receivers: list[dict[str, Any]] = [{"name": NOBODY}]
    for name in told:
        kind, settings, note = _receiver(target.contacts[name])
        receivers.append({"name": _called(name), kind: [{**settings, "send_resolved": True}]})
        notes.append(note)
    document = {
        "route": {
            "receiver": next((_called(name) for name in told), NOBODY),
            # Each alert for itself: what is over must not wait for others of its group.
            "group_by": ["alertname", "threshold", "rung"],
            # One look: rules are evaluated one after the other, and the cause silences its consequences.
            "group_wait": period(interval_s),
            "group_interval": period(interval_s),
            "repeat_interval": period(target.profile.monitoring.reminder_s),
            "routes": [
                {"receiver": NOBODY, "matchers": [f'alertname="{WATCHDOG}"']},
                {"receiver": NOBODY, "matchers": [f'rung="{NO_RUNG}"']},
                *(
                    {
                        "receiver": _called(rung.contact),
                        "matchers": [f'severity="{severity.value}"', f'rung="{place}"'],
                    }
                    for severity, place, rung in rungs
                ),
            ],
        },
        "inhibit_rules": _inhibitions(target),
        "receivers": receivers,
    }
    nobody = (
        []
        if told
        else ["Nobody is told: add [contacts.NAME] and [escalation] to the profile, and export again."]
    )
    more = (
        "",
        "Rung 2, 3, ... of a ladder is an alert of its own, whose rule has a longer `for`. Nobody acknowledges here: a",
        "silence by the label `threshold` is what ends a ladder. What is over while its cause fires is not told.",
        f"Route {WATCHDOG} to a dead man's switch; here it is told to nobody.",
        *notes,
        *nobody,
    )
    return ExportFile(CONFIG_FILE, header(target, *more) + as_yaml(document), (*notes, *nobody))


def _called(contact: str) -> str:
    return f"contact-{contact}"


def _inhibitions(target: Target) -> list[dict[str, Any]]:
    """What fires silences those that name it in `inhibited_by`; without a watch, that nothing is known is told once."""
    on = watched(target)
    found = [
        {
            "source_matchers": [f'threshold="{WATCH}"'],
            "target_matchers": [f'kind="{AlertKind.NO_DATA.value}"', f'threshold!="{WATCH}"'],
        }
    ]
    for cause in on:
        if consequences := [one.name for one in on if cause.name in one.inhibited_by]:
            found.append(
                {
                    "source_matchers": [f'threshold="{cause.name}"'],
                    "target_matchers": [f'threshold=~"{"|".join(consequences)}"'],
                }
            )
    return found


# Receivers, by the scheme of the channel's Apprise URL (https://github.com/caronc/apprise/wiki)


def _receiver(contact: Contact) -> Receiver:
    try:
        parts = urlsplit(contact.url)
    except ValueError:
        return _unknown(contact)
    made = _KINDS[contact.channel](contact, parts) if contact.channel in _KINDS else None
    return made or _unknown(contact)


def _file(contact: Contact) -> str:
    return f"{ALERTMANAGER_SECRETS}/{contact.name}"


def _put(contact: Contact, what: str) -> str:
    return f"{contact.name}: put {what} into {_file(contact)}, for Alertmanager alone (0400); {contact.url_env} has it."


def _slack(contact: Contact, parts: SplitResult) -> Receiver:
    del parts
    return (
        "slack_configs",
        {"api_url_file": _file(contact)},
        _put(contact, "the address of the incoming webhook"),
    )


def _discord(contact: Contact, parts: SplitResult) -> Receiver:
    del parts
    what = "the address of the webhook with /slack behind it (Discord reads what is meant for Slack)"
    return "slack_configs", {"api_url_file": _file(contact)}, _put(contact, what)


def _pagerduty(contact: Contact, parts: SplitResult) -> Receiver:
    del parts
    return "pagerduty_configs", {"routing_key_file": _file(contact)}, _put(contact, "the integration key")


def _opsgenie(contact: Contact, parts: SplitResult) -> Receiver:
    del parts
    return "opsgenie_configs", {"api_key_file": _file(contact)}, _put(contact, "the API key")


def _mail(contact: Contact, parts: SplitResult) -> Receiver | None:
    """`mailto://USER:PASSWORD@HOST?to=...&from=...&smtp=...`; addresses and hosts are no secrets."""
    host, query = parts.hostname or "", parse_qs(parts.query)
    user = unquote(parts.username or "")
    if not host or not user:
        return None
    address = user if "@" in user else f"{user}@{host}"

    def given(key: str, otherwise: str) -> str:
        found = query.get(key, [""])[0]
        return found if found and found.isprintable() else otherwise

    sender = given("from", address)
    settings: dict[str, Any] = {
        "to": given("to", address),
        "from": sender if "@" in sender else address,
        "smarthost": f"{given('smtp', host)}:{_port(parts) or SMTP_PORT}",
        "auth_username": given("user", address),
        "auth_password_file": _file(contact),
    }
    return "email_configs", settings, _put(contact, "the password of the mail account")


def _webhook(contact: Contact, parts: SplitResult) -> Receiver | None:
    """`json://[USER:PASSWORD@]HOST[:PORT]/PATH`: on this host alone; elsewhere the path may be a secret."""
    host = parts.hostname or ""
    is_here = host in ("localhost", "::1") or host.startswith("127.")
    if not is_here or not contact.url.isprintable():
        return None
    port = _port(parts)
    bracketed = f"[{host}]" if ":" in host else host
    scheme = "https" if contact.channel == "jsons" else "http"
    settings: dict[str, Any] = {
        "url": f"{scheme}://{bracketed}{f':{port}' if port else ''}{parts.path or '/'}"
    }
    note = f"{contact.name}: the webhook on this host is sent what Alertmanager sends, not what gonogo does."
    if parts.username:
        name = unquote(parts.username)
        settings["http_config"] = {"basic_auth": {"username": name, "password_file": _file(contact)}}
        note = _put(contact, f"the password of {name}")
    return "webhook_configs", settings, note


def _unknown(contact: Contact) -> Receiver:
    url = UNSET.format(name=contact.name)
    why = (
        f"Alertmanager 0.25 reads no secret of a {contact.channel} channel from a file"
        if contact.channel
        else f"{contact.url_env} is not set here, so that the channel is not known"
    )
    note = (
        f"{contact.name}: {why}: in place of {url} put the address of a webhook, and give the file the mode 0600; from "
        "0.26 on, put url_file with the name of a file that holds it."
    )
    return "webhook_configs", {"url": url}, note


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return None


_KINDS: Mapping[str, Callable[[Contact, SplitResult], Receiver | None]] = {
    "slack": _slack,
    "mmost": _slack,
    "mmosts": _slack,
    "rocket": _slack,
    "rockets": _slack,
    "discord": _discord,
    "pagerduty": _pagerduty,
    "opsgenie": _opsgenie,
    "mailto": _mail,
    "mailtos": _mail,
    "json": _webhook,
    "jsons": _webhook,
}
