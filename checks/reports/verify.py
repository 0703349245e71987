"""`gonogo verify`: recomputes the report files, their manifests and the journal behind them, and says what differs."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from checks.journal import Journal
from checks.journal_verify import verify_file
from checks.model import Entry, GonogoError, Kind, ReviewError
from checks.reports.files import NotAFileError, digest_of, manifests, read_at_most
from checks.reports.manifest import (
    ENDINGS,
    MAX_BYTES,
    MONITORING_SETUP,
    NAME,
    FileRecord,
    Manifest,
    decode,
    is_report,
    older_name,
    published,
)
from checks.reports.markdown import lines_of
from checks.state import JOURNAL_NAME, actor, slug, state_dir
from checks.text import Clean, clean, one_line

MAX_REPORT_BYTES = 64 << 20
_PROOF = re.compile(r"- SHA-256: `([0-9a-f]{64})`")


@dataclass(frozen=True, slots=True)
class Verified:
    """What was recomputed, and what is not as it was written; sentences without a full stop."""

    checked: tuple[Clean, ...]
    problems: tuple[Clean, ...]


@dataclass(slots=True)
class _Findings:
    checked: list[Clean] = field(default_factory=list)
    problems: list[Clean] = field(default_factory=list)
    journals: dict[Path, _JournalView] = field(default_factory=dict)

    def fine(self, sentence: str) -> None:
        self.checked.append(clean(sentence))

    def wrong(self, sentence: str) -> None:
        self.problems.append(clean(sentence))


@dataclass(slots=True)
class _JournalView:
    """What the reports' manifests are compared with."""

    path: Path
    written: dict[str, Entry] = field(default_factory=dict)
    """REPORT_WRITTEN by the manifest's digest, in order."""
    problem: str = ""
    """Why nothing could be read; empty where it could."""


@dataclass(frozen=True, slots=True)
class _Found:
    """One manifest that could be read."""

    name: str
    folder: Path
    mark: str
    digest: str
    manifest: Manifest
    intact: tuple[Path, ...]
    """Its files that are as they were written."""


def verify(folder: Path) -> Verified:
    """Check the reports in `folder` (or below it) with their journal, or a review's state folder.

    Reads only; may run while a console has the journal open. Raises ReviewError where there is nothing to check.
    """
    if folder.is_file():
        folder = folder.parent
    findings = _Findings()
    try:
        places = _report_folders(folder)
        has_journal = (folder / JOURNAL_NAME).is_file()
        if not places and not has_journal:
            raise ReviewError(
                f"There is nothing to verify in {folder}: no {NAME} of reports, and no journal; name the report "
                "folder, or a review's folder."
            )
        if has_journal:
            _view(folder / JOURNAL_NAME, "", findings)
        for place in places:
            _check_folder(place, findings)
    except OSError as problem:
        raise ReviewError(f"{folder} could not be read: {problem.strerror or problem}.") from problem
    return Verified(tuple(findings.checked), tuple(findings.problems))


def _report_folders(folder: Path) -> list[Path]:
    """Where manifests are: `folder` itself, else its `reports`, else that of its folders (`.deia/reports`)."""
    if not folder.is_dir():
        raise ReviewError(f"There is no folder {folder}; name the report folder, or a review's folder.")
    for places in ([folder], [folder / "reports"], sorted(folder.glob("*/reports"))):
        if found := [place for place in places if place.is_dir() and manifests(place)]:
            return found
    return []


def _check_folder(folder: Path, findings: _Findings) -> None:
    read = [_read_manifest(path, mark, findings) for path, mark in manifests(folder)]
    found = [one for one in read if one is not None]
    views: dict[Path, _JournalView] = {}
    for one in found:
        if view := _check_record(one, findings):
            views[view.path] = view
    for view in views.values():
        _check_newest(folder, view, found, findings)
    _check_published(folder, found, findings)
    _check_added(folder, found, findings)


def _read_manifest(path: Path, mark: str, findings: _Findings) -> _Found | None:
    """Read one manifest and check its files; None, and a problem, where it is not one."""
    try:
        raw = read_at_most(path, MAX_BYTES)
        if raw is None:
            raise ValueError("it is far too long")
        manifest = decode(raw)
    except NotAFileError:
        findings.wrong(f"{path.name} was altered: it is a link or no file at all")
        return None
    except OSError as problem:
        findings.wrong(f"{path.name} cannot be read: {problem.strerror}")
        return None
    except ValueError as problem:
        findings.wrong(f"{path.name} was altered: {problem}")
        return None
    files = [_check_file(path, mark, file, findings) for file in manifest.files]
    intact = tuple(file for file in files if file is not None)
    return _Found(path.name, path.parent, mark, hashlib.sha256(raw).hexdigest(), manifest, intact)


def _check_file(manifest: Path, mark: str, file: FileRecord, findings: _Findings) -> Path | None:
    if not is_report(file.name):
        findings.wrong(
            f"{manifest.name} was altered: it names {one_line(file.name, 80)!r}, which cannot be a report beside it"
        )
        return None
    path = manifest.with_name(older_name(file.name, mark) if mark else file.name)
    plain = manifest.with_name(file.name)
    try:
        if mark and not os.path.lexists(path) and digest_of(plain) == (file.bytes, file.sha256):
            path = plain  # its writer was interrupted before it was given its mark
        size, sha256 = digest_of(path)
    except FileNotFoundError:
        findings.wrong(f"{path.name} is missing; {manifest.name} names it")
        return None
    except NotAFileError:
        findings.wrong(f"{path.name} was altered: it is a link or no file at all")
        return None
    except OSError as problem:
        findings.wrong(f"{path.name} cannot be read: {problem.strerror}")
        return None
    if (size, sha256) != (file.bytes, file.sha256):
        size_told = (
            f"{size} bytes instead of {file.bytes}" if size != file.bytes else f"{size} bytes as before"
        )
        findings.wrong(
            f"{path.name} was altered: {size_told}, SHA-256 {sha256[:12]} instead of {file.sha256[:12]}"
        )
        return None
    findings.fine(f"{path.name}: {size} bytes, SHA-256 {sha256}, as {manifest.name} says")
    return path


def _check_added(folder: Path, found: list[_Found], findings: _Findings) -> None:
    named = {file.name for one in found for file in one.intact}
    for one in found:
        for file in one.manifest.files:
            named.add(older_name(file.name, one.mark) if one.mark else file.name)
    others = {name for one in found for name in one.manifest.others}
    present = sorted(path.name for path in folder.iterdir() if path.name.lower().endswith(ENDINGS))
    for name in present:
        if name not in named and name not in others:
            findings.wrong(
                f"{one_line(name, 120)} is named by no manifest that can be read: it was added, or its writing "
                "was interrupted"
            )
    strangers = [name for name in present if name in others - named]
    if strangers:
        findings.fine(
            f"not gonogo's, and there before the reports: {', '.join(one_line(name, 80) for name in strangers)}"
        )


def _check_published(folder: Path, found: list[_Found], findings: _Findings) -> None:
    """The copy of the monitoring's report for its readers, where it is still there."""
    path = published(folder)
    records = [
        file for one in found if not one.mark for file in one.manifest.files if file.name == MONITORING_SETUP
    ]
    if not records or not os.path.lexists(path):
        return
    try:
        size, sha256 = digest_of(path)
    except OSError as problem:
        findings.wrong(f"{path} cannot be read: {problem.strerror}")
        return
    if (size, sha256) == (records[0].bytes, records[0].sha256):
        findings.fine(f"{path} is the same as in the set")
    else:
        findings.wrong(f"{path} was altered: it is not the {MONITORING_SETUP} of the set")


def _check_record(one: _Found, findings: _Findings) -> _JournalView | None:
    """Compare a manifest with the journal that it was made from; None where that cannot be read."""
    view = _journal_of(one, findings)
    if view is None:
        findings.wrong(
            f"the journal of {one.name} is not there ({one_line(one.manifest.journal, 200)}, nor in the state "
            "folder of this account): only the digests of the files could be checked"
        )
        return None
    if view.problem:
        findings.wrong(f"{one.name} could not be compared with its journal: {view.problem}")
        return None
    entry = view.written.get(one.digest)
    if entry is None:
        findings.wrong(
            f"{one.name} was altered, or its writing was interrupted: the journal {view.path} records no such "
            "manifest"
        )
    else:
        findings.fine(f"{one.name} is what entry {entry.seq} of the journal records")
    _check_head(one, view, findings)
    return view


def _check_newest(folder: Path, view: _JournalView, found: list[_Found], findings: _Findings) -> None:
    """A newer set that was taken away, or an older one that was put back in its place, is noticed."""
    here = [entry for entry in view.written.values() if entry.body.get("folder") == str(folder.resolve())]
    if not here:
        return
    newest = here[-1]
    when = f"entry {newest.seq} of {newest.at:%Y-%m-%d %H:%M:%S}Z"
    if newest.subject not in {one.digest for one in found}:
        findings.wrong(f"the newest set that was written here is missing or altered: {when} records it")
    for one in found:
        if not one.mark and one.digest in view.written and one.digest != newest.subject:
            findings.wrong(f"{one.name} is an older set in the place of a newer one, which {when} records")


def _check_head(one: _Found, view: _JournalView, findings: _Findings) -> None:
    manifest = one.manifest
    ids = {name for path in one.intact for name in _proofs(path)}
    try:
        journal = _open(view.path, manifest.review)
        try:
            after = journal.entries(after=max(0, manifest.head_seq - 1))
            seen = journal.evidence(ids)
        finally:
            journal.close()
    except GonogoError as problem:
        findings.wrong(f"the head that {one.name} names could not be looked up: {problem}")
        return
    if not after or (after[0].seq, after[0].hash) != (manifest.head_seq, manifest.head_hash):
        findings.wrong(
            f"{one.name} names entry {manifest.head_seq} with hash {manifest.head_hash[:12]} as the journal's "
            "head, which is not in the journal"
        )
    missing = sorted(ids - set(seen))
    for name in missing:
        findings.wrong(f"evidence {name[:12]}, which the reports of {one.name} show, is not in the journal")
    if len(one.intact) == len(manifest.files) and len(ids) != manifest.evidence:
        findings.wrong(
            f"{one.name} counts {manifest.evidence} pieces of evidence, its reports show {len(ids)}"
        )
    elif not missing:
        findings.fine(f"{one.name}: all {len(ids)} pieces of evidence are in the journal")
    since = [entry for entry in after[1:] if entry.kind in (Kind.RESULT, Kind.DECISION)]
    if since and not one.mark:
        findings.fine(f"recorded since, and not in these reports: {len(since)} results or decisions")


def _proofs(path: Path) -> set[str]:
    """The ids of the evidence that a report's appendix shows."""
    raw = read_at_most(path, MAX_REPORT_BYTES)
    text = (raw or b"").decode("utf-8", "replace")
    return {found[1] for line, is_code in lines_of(text) if not is_code and (found := _PROOF.fullmatch(line))}


def _journal_of(one: _Found, findings: _Findings) -> _JournalView | None:
    """The journal at the path that the manifest names, checked against this account's own one of that review."""
    review = one.manifest.review
    named = Path(one.manifest.journal)
    own = _own_journal(review)
    try:
        is_there = named.is_absolute() and named.is_file()
    except (OSError, ValueError):
        is_there = False
    if own is None:
        return _view(named, review, findings) if is_there else None
    mine = _view(own, review, findings)
    if not is_there or named.samefile(own) or one.digest in mine.written:
        return mine
    theirs = _view(named, review, findings)
    if one.digest in theirs.written:
        told = (
            f"{one.name} names the journal {named}, while the review's journal of this account, {own}, does not "
            "know these reports"
        )
        if _was_brought_along(named, one.folder):
            findings.wrong(told)
        else:  # a state folder of its own, as GONOGO_STATE_DIR gives
            findings.fine(f"note: {told}")
    return theirs


def _was_brought_along(journal: Path, folder: Path) -> bool:
    """Whether the journal may come from whoever can write to the report folder, and not from this account."""
    return journal.stat().st_uid != os.getuid() or journal.resolve().is_relative_to(folder.resolve().parent)


def _own_journal(review: str) -> Path | None:
    try:
        path = state_dir() / "reviews" / slug(review) / JOURNAL_NAME
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None


def _view(path: Path, review: str, findings: _Findings) -> _JournalView:
    """Verify a journal, once however many manifests name it, and read what it records of reports."""
    path = path.resolve()
    if path in findings.journals:
        return findings.journals[path]
    problems = verify_file(path)
    for problem in problems:
        findings.wrong(f"journal {path}: {problem}")
    view = findings.journals[path] = _JournalView(path)
    try:
        journal = _open(path, review or path.parent.name)
        try:
            head = journal.head()
            view.written = {entry.subject: entry for entry in journal.entries(kinds=(Kind.REPORT_WRITTEN,))}
        finally:
            journal.close()
    except GonogoError as problem:
        view.problem = str(problem).rstrip(".")
    else:
        if not problems:
            findings.fine(f"journal {path}: all {head.seq} entries with their evidence, head {head.hash}")
    return view


def _open(path: Path, review: str) -> Journal:
    return Journal.open(path, review=review, actor=actor(), read_only=True)
