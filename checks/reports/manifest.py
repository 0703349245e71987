"""The manifest: which report files belong together, what they were made from, and their digests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from checks.model import parse_stamp, stamp

SCHEMA = "gonogo-report-manifest/1"
NAME = "manifest.json"
OLDER = re.compile(r"manifest\.([0-9A-Za-z-]{1,40})\.json")
"""The name of an older manifest, with the stamp that its files carry in theirs."""
LOG_ENDING = ".hlog"
ENDINGS = (".md", LOG_ENDING)
"""What the name of a report file ends with: the reports themselves, and logs of response times beside them."""
MONITORING_SETUP = "MONITORING-SETUP.md"
"""The report that is also put into the folder `docs` beside that of the reports."""
MAX_BYTES = 1 << 20
MAX_FILES = 100
MAX_OTHERS = 500
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One report file as it was written."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `manifest.json` says."""

    review: str
    target: Mapping[str, str]
    """`title` and `url`."""
    created_at: datetime
    gonogo: str
    journal: str
    """Path of the journal's database."""
    head_seq: int
    head_hash: str
    policy: str
    decision: int | None
    """Number of the entry of the decision in force; None where there was none."""
    files: tuple[FileRecord, ...]
    evidence: int
    """How many pieces of evidence the reports name."""
    others: tuple[str, ...] = ()
    """Files of such names that lay there already and are none of gonogo's."""

    def encode(self) -> bytes:
        """The file's content: JSON with sorted keys, indented."""
        document = {
            "schema": SCHEMA,
            "review": self.review,
            "target": dict(self.target),
            "created_at": stamp(self.created_at),
            "gonogo": self.gonogo,
            "journal": {"path": self.journal, "head_seq": self.head_seq, "head_hash": self.head_hash},
            "policy": self.policy,
            "decision": self.decision,
            "files": [file_document(file) for file in self.files],
            "evidence": self.evidence,
            "others": list(self.others),
        }
        return (json.dumps(document, ensure_ascii=False, sort_keys=True, indent=2) + "\n").encode()


def file_document(file: FileRecord) -> dict[str, object]:
    """One file as the manifest and the journal list it."""
    return {"name": file.name, "sha256": file.sha256, "bytes": file.bytes}


def decode(raw: bytes) -> Manifest:
    """Read what `encode` wrote. Raises ValueError with the reason for anything else."""
    try:
        document = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as problem:
        raise ValueError("it is not JSON") from problem
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ValueError(f"it is not a manifest of gonogo ({SCHEMA})")
    try:
        manifest = _manifest(document)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise ValueError(f"its fields are not those of a manifest ({problem})") from problem
    if manifest.encode() != raw:
        raise ValueError("it is not written as gonogo writes it")
    return manifest


def _manifest(document: Mapping[str, Any]) -> Manifest:
    journal, files, others = document["journal"], document["files"], document["others"]
    if len(files) > MAX_FILES or len(others) > MAX_OTHERS:
        raise ValueError("too many files")
    decision = document["decision"]
    return Manifest(
        review=_text(document["review"]),
        target={_text(name): _text(value) for name, value in document["target"].items()},
        created_at=parse_stamp(document["created_at"]),
        gonogo=_text(document["gonogo"]),
        journal=_text(journal["path"]),
        head_seq=_count(journal["head_seq"]),
        head_hash=_sha256(journal["head_hash"]),
        policy=_sha256(document["policy"]),
        decision=None if decision is None else _count(decision),
        files=tuple(
            FileRecord(_text(file["name"]), _sha256(file["sha256"]), _count(file["bytes"])) for file in files
        ),
        evidence=_count(document["evidence"]),
        others=tuple(_text(name) for name in others),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise TypeError("not a number")
    return value


def _sha256(value: object) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise TypeError("not a SHA-256")
    return value


def is_report(name: str) -> bool:
    """Whether `name` can be a report's file: no folder, no dot in front, nothing unprintable, one of `ENDINGS`."""
    return (
        name.endswith(ENDINGS)
        and 0 < len(name.encode("utf-8", "replace")) <= 255
        and name.isprintable()
        and not name.startswith(".")
        and not set(name) & set("/\\")
    )


def published(folder: Path) -> Path:
    """Where the monitoring's report stands for its readers, beside the report folder."""
    return folder.resolve().parent / "docs" / MONITORING_SETUP


def older_name(name: str, mark: str) -> str:
    """The name under which `name` is kept once a newer one takes its place: `a.md` as `a.MARK.md`."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem}.{mark}.{ending}" if dot else f"{name}.{mark}"
