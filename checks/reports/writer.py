"""Writes the reports and their manifest: rendered from the journal, whole or not at all, never over older ones."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from checks.fold import Snapshot
from checks.model import Entry, Evidence, Kind, ReviewError
from checks.reports.configuration import configuration
from checks.reports.facts import Facts, Source, gather
from checks.reports.files import (
    Replacement,
    alone_in,
    digest_of,
    manifest_at,
    manifests,
    sync_folder,
    write_part,
)
from checks.reports.load import load_test, logs
from checks.reports.manifest import (
    ENDINGS,
    MAX_OTHERS,
    MONITORING_SETUP,
    NAME,
    FileRecord,
    Manifest,
    file_document,
    is_report,
    older_name,
    published,
)
from checks.reports.monitoring import monitoring_setup
from checks.reports.render import end_to_end, sign_off
from checks.target import Target
from checks.text import Clean, clean, one_line

SUBFOLDER = "reports"
END_TO_END = "E2E-INTEGRATION-TEST"
CONFIGURATION = "PROD-CONFIG-VALIDATION"
LOAD_TEST = "LOAD-TEST-RESULTS"
SIGN_OFF = "FINAL-DEPLOYMENT-SIGN-OFF"


class Record(Source, Protocol):
    """What the writer needs of a journal."""

    def append(
        self, kind: Kind, subject: str, body: Mapping[str, Any], evidence: Sequence[Evidence] = ()
    ) -> Entry:
        """Append one entry."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and what the lead should know of it."""

    paths: tuple[Path, ...]
    """The reports, the logs of response times behind that of load, and the sign-off last. That of monitoring is in
    the folder `docs` too."""
    manifest: Path
    notes: tuple[Clean, ...]


def write_reports(
    journal: Record, snapshot: Snapshot, target: Target, out: Path, *, policy_digest: str, now: datetime
) -> Written:
    """Write the reports and `manifest.json` below `out`, then record them in the journal.

    Older ones are kept under names with a stamp. Raises ReviewError when they cannot be written; all is then as
    it was before.
    """
    section = target.profile.report
    names = [f"{section.prefix}-{name}.md" for name in (END_TO_END, CONFIGURATION, LOAD_TEST)]
    names += [MONITORING_SETUP, f"{section.prefix}-{SIGN_OFF}.md"]
    if not all(is_report(name) for name in names):
        raise ReviewError(
            f"[report] prefix {one_line(section.prefix, 60)!r} cannot begin a file name; use letters, digits "
            "and hyphens."
        )
    folder = out / section.folder / SUBFOLDER
    facts = gather(journal, snapshot, policy=policy_digest, now=now)
    made = (
        end_to_end(facts),
        configuration(facts),
        load_test(facts),
        monitoring_setup(facts),
        sign_off(facts),
    )
    *first, last = zip(names, (report.text.encode() for report in made), strict=True)
    contents = dict((*first, *logs(facts).items(), last))
    evidence = len(frozenset[str]().union(*(report.evidence for report in made)))
    with _one_sentence(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with alone_in(folder):
            replacement = Replacement(folder)
            try:
                digest, body = _replace(replacement, contents, evidence, facts)
                journal.append(Kind.REPORT_WRITTEN, digest, body)
            except BaseException:
                replacement.undo()
                raise
        notes = [*replacement.notes, *publish(folder, contents[MONITORING_SETUP], now)]
    return Written(tuple(folder / name for name in contents), folder / NAME, tuple(notes))


def publish(folder: Path, content: bytes, now: datetime) -> list[Clean]:
    """Put the monitoring's report where its readers look for it too, in `docs` beside `folder`; what to know of it.

    The set in `folder` is whole without it, so that a failure here is told and undoes nothing.
    """
    docs = published(folder)
    try:
        docs.parent.mkdir(parents=True, exist_ok=True)
        notes = []
        if os.path.lexists(docs) and not _is_published(docs, folder):
            kept = docs.with_name(older_name(docs.name, f"{now:%Y%m%dT%H%M%SZ}"))
            docs.rename(kept)
            notes.append(clean(f"{docs} was not what gonogo had written; it is kept as {kept.name}."))
        write_part(docs.parent, content).rename(docs)
        sync_folder(docs.parent)
    except OSError as problem:
        return [clean(f"{docs} could not be written ({problem.strerror or problem}); it is in {folder} too.")]
    return notes


def _is_published(docs: Path, folder: Path) -> bool:
    """Whether `docs` is as one of the manifests of `folder` names it."""
    try:
        found = digest_of(docs)
    except OSError:
        return False
    known = (manifest_at(path) for path, _ in manifests(folder))
    return any(
        (file.bytes, file.sha256) == found
        for manifest in known
        if manifest
        for file in manifest.files
        if file.name == MONITORING_SETUP
    )


def _replace(
    replacement: Replacement, contents: Mapping[str, bytes], evidence: int, facts: Facts
) -> tuple[str, dict[str, object]]:
    """Put the files in place; the manifest's digest, and what the journal is to record of it."""
    folder, snapshot = replacement.folder, facts.snapshot
    for name, content in contents.items():
        replacement.prepare(name, content)
    replacement.keep_older(list(contents))
    manifest = Manifest(
        review=snapshot.review,
        target={"title": facts.title, "url": facts.url},
        created_at=facts.now,
        gonogo=version("gonogo"),
        journal=str(facts.journal.resolve()),
        head_seq=snapshot.head_seq,
        head_hash=snapshot.head_hash,
        policy=facts.policy,
        decision=snapshot.decision.seq if snapshot.decision else None,
        files=tuple(
            FileRecord(name, hashlib.sha256(content).hexdigest(), len(content))
            for name, content in contents.items()
        ),
        evidence=evidence,
        others=_strangers(folder),
    )
    encoded = manifest.encode()
    replacement.prepare(NAME, encoded)
    replacement.place()
    digest = hashlib.sha256(encoded).hexdigest()
    return digest, {
        "folder": str(folder.resolve()),
        "manifest": NAME,
        "digest": digest,
        "files": [file_document(file) for file in manifest.files],
        "head_seq": manifest.head_seq,
        "head_hash": manifest.head_hash,
    }


def _strangers(folder: Path) -> tuple[str, ...]:
    """The files in `folder` that could be reports and that no manifest there names: not to be blamed later."""
    known: set[str] = set()
    for path, mark in manifests(folder):
        if manifest := manifest_at(path):
            known |= {older_name(file.name, mark) if mark else file.name for file in manifest.files}
    found = sorted(
        path.name for path in folder.iterdir() if path.name.endswith(ENDINGS) and path.name not in known
    )
    return tuple(name for name in found if is_report(name))[:MAX_OTHERS]


_CURES = {
    errno.ENOSPC: "the disk is full; free some space and try again",
    errno.EDQUOT: "the quota is used up; free some space and try again",
    errno.EACCES: "this account may not write there; give another folder",
    errno.EPERM: "this account may not write there; give another folder",
    errno.EROFS: "it cannot be written to; give another folder",
    errno.ENOTDIR: "a file stands where a folder should be; move it away, or give another folder",
    errno.EEXIST: "a file stands where a folder should be; move it away, or give another folder",
    errno.ENAMETOOLONG: "the name is too long; give a shorter [report] prefix or folder",
}


@contextmanager
def _one_sentence(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        why = _CURES.get(problem.errno or 0, f"{problem.strerror or problem}")
        raise ReviewError(f"The reports could not be written to {folder}: {why}.") from problem
