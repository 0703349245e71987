"""Effective settings: readable, as declared, without contradiction, and without what is for developers."""

from __future__ import annotations

from collections.abc import Iterator

from checks.audit.common import audit, listed
from checks.audit.settings import Effective, Found, effective, not_known, table
from checks.audit.values import is_on, same
from checks.context import Context
from checks.model import Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.probe.running import Running
from checks.text import Clean, clean

DEVELOPERS_LEVELS = frozenset({"debug", "trace", "all", "notset", "10", "5", "0"})
"""Levels of a log that are for development."""
DEVELOPERS_VARIABLES = ("FLASK_DEBUG", "DJANGO_DEBUG", "PYTHONDEVMODE", "PYTHONASYNCIODEBUG", "UVICORN_DEBUG")
DEBUGGERS = frozenset({"debugpy", "pdb", "ipdb", "pydevd", "watchfiles", "watchmedo", "nodemon", "jurigged"})
"""Programs and modules for developers, as words of a command line."""
SETTINGS_KEYS = "config_files in [audit] of the profile; then correct the file that the sentence names"


@audit(
    "SET-01",
    "Every source of configuration can be read and is well formed",
    subject=Subject.SETTINGS,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="nothing; reads the environment and command line of the controller's processes and its configuration files",
    why="A file that is not understood leaves the controller on defaults that nobody chose, or keeps it from starting.",
    fix=f"Name each file under {SETTINGS_KEYS}.\nRun gonogo as the account of the service, so that it may look.",
    reference="ASVS 13.1.1",
)
async def sources_are_readable(context: Context) -> Outcome:
    """Each known source is read; a malformed one is a failure, one that may not be read is not."""
    found = await effective(context)
    evidence = [table(context, found)]
    expected = "every configuration file is text in its format, of at most 256 KiB"
    faulty = [one.sentence for one in found.unread if one.is_faulty]
    if faulty:
        more = f" (and {len(faulty) - 1} more)" if len(faulty) > 1 else ""
        return failed(faulty[0] + more, observed="\n".join(faulty), expected=expected, evidence=evidence)
    if not found.is_complete:
        return not_known(found, evidence=evidence)
    return passed(
        f"{len(found.sources)} sources of settings are readable and well formed",
        observed=listed(found.sources),
        expected=expected,
        evidence=evidence,
    )


@audit(
    "SET-02",
    "The controller runs with the settings that were declared",
    subject=Subject.SETTINGS,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="nothing; compares [audit] declared of the profile with the effective settings",
    why="What was reviewed and load-tested is not what runs.",
    fix="Correct the setting at the place that is named and restart the controller,\n"
    "or, if the new value is meant, change it under [audit.declared] in the profile.",
    reference="ASVS 13.1.1; CIS Controls 4.1",
)
async def declared_is_effective(context: Context) -> Outcome:
    """Each declared value equals the one in force."""
    declared = context.target.profile.audit.declared
    if not declared:
        return inconclusive(
            Reason.NO_SOURCE,
            "No setting is declared: list the values that production has to have under [audit.declared] in the profile",
        )
    found = await effective(context)
    evidence = [table(context, found)]
    wrong, unknown = _drift(context, found)
    expected = ", ".join(_declared(context, name) for name in declared)
    if wrong:
        return failed(
            f"Not as declared: {listed(wrong, 3)}",
            observed="\n".join(wrong),
            expected=expected,
            evidence=evidence,
        )
    if unknown:
        return not_known(found, evidence=evidence)
    return passed(f"All {len(declared)} declared settings are in force", expected=expected, evidence=evidence)


def _drift(context: Context, found: Effective) -> tuple[list[Clean], list[str]]:
    """What differs from the declared, and what was found nowhere while a source is missing."""
    wrong: list[Clean] = []
    unknown: list[str] = []
    for name, value in context.target.profile.audit.declared.items():
        one = found.get(name)
        if one is None and found.is_complete:
            wrong.append(clean(f"{_declared(context, name)}, but is set nowhere"))
        elif one is None:
            unknown.append(name)
        elif not same(name, one.value, value):
            is_secret = one.is_secret
            differs = "differs" if is_secret else f"is {one.shown(context)}"
            wrong.append(clean(f"{_declared(context, name, is_secret)}, but {differs} ({one.source})"))
    return wrong, unknown


def _declared(context: Context, name: str, is_secret: bool = False) -> Clean:
    value = context.target.profile.audit.declared[name]
    shown = Found(name, value, Clean(""), name).shown(context)
    return clean(f"{name} is declared as {'***' if is_secret else shown}")


@audit(
    "SET-03",
    "No setting is given two different values in two places",
    subject=Subject.SETTINGS,
    severity=Severity.MINOR,
    safety=Safety.READ_ONLY,
    sends="nothing; compares the command line, the environment and the configuration files with each other",
    why="Which value wins depends on how the controller is started: the next restart may run with the other one.",
    fix="Remove the setting from all places but one, and restart the controller.",
    reference="ASVS 13.1.1; 12-factor: config",
)
async def values_do_not_contradict(context: Context) -> Outcome:
    """Every place that gives a known setting gives the same value."""
    found = await effective(context)
    evidence = [table(context, found)]
    wrong = []
    for name in dict.fromkeys(one.name for one in found.given):
        if name not in context.target.contract.settings:
            continue
        first, *others = found.all(name)
        if other := next((one for one in others if not same(name, first.value, one.value)), None):
            values = f"{first.shown(context)} ({first.source}) and {other.shown(context)} ({other.source})"
            wrong.append(clean(f"{name} is {values}"))
    if wrong:
        return failed(
            f"Two values for one setting: {listed(wrong, 2)}",
            observed="\n".join(wrong),
            expected="one value for each setting",
            evidence=evidence,
        )
    if not found.is_complete:
        return not_known(found, evidence=evidence)
    return passed("No setting is given two different values", evidence=evidence)


@audit(
    "APP-01",
    "Debug and developer features are off",
    subject=Subject.SETTINGS,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="nothing; looks at the effective settings and at the controller's command line",
    why="Debug pages show the inside of the program and its secrets to every visitor; reloading restarts it.",
    fix="Set DEBUG=false and LOG_LEVEL=info, start without --reload and --debug, and restart:\n"
    "uvicorn MODULE:app --workers 1 --log-level info",
    reference="ASVS 13.4.2, 15.2.3",
)
async def developer_features_are_off(context: Context) -> Outcome:
    """No effective switch, log level, option or helper is for development."""
    found = await effective(context)
    evidence = [table(context, found)]
    expected = "debug off, reload off, log level info or higher, no debugger and no reload helper"
    wrong = [*_switches(context, found), *(one for process in found.processes for one in _helpers(process))]
    wrong = list(dict.fromkeys(wrong))
    if wrong:
        return failed(
            f"For developers, but on: {listed(wrong, 3)}",
            observed="\n".join(wrong),
            expected=expected,
            evidence=evidence,
        )
    if not found.is_complete:
        return not_known(found, evidence=evidence)
    return passed("No debug or developer feature is on", expected=expected, evidence=evidence)


def _switches(context: Context, found: Effective) -> Iterator[Clean]:
    for name in ("debug", "reload", *DEVELOPERS_VARIABLES):
        one = found.get(name)
        if one and is_on(one.value):
            yield clean(f"{name} = {one.shown(context)} ({one.source})")
    level = found.get("log_level")
    if level and level.value.strip().lower() in DEVELOPERS_LEVELS:
        yield clean(f"log_level = {level.shown(context)} ({level.source})")


def _helpers(process: Running) -> Iterator[Clean]:
    """Debuggers and developers' modes on a command line."""
    words = list(process.arguments or ())
    where = f"on the command line of pid {process.pid}"
    for before, word in zip(["", *words], words, strict=False):
        name = word.rpartition("/")[2]
        if (before == "-m" or not before or "python" in before) and name in DEBUGGERS:
            yield clean(f"{name} ({where})")
        if (before == "-X" and word.startswith("dev")) or word == "-Xdev":
            yield clean(f"Python's development mode ({where})")
        if before.rpartition("/")[2] == "fastapi" and word == "dev":
            yield clean(f"fastapi dev ({where})")
