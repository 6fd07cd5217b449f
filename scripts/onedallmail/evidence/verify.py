"""Verifies a bundle with nothing but the bundle and a public key: no lab, no network, no trust in what the bundle says.

Checks archive, manifest, every file and the ledger's chain, and that the verdicts follow from the results.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from onedallmail.evidence import archive, assessment, canonical, chain, signing
from onedallmail.evidence.assessment import Exceptions
from onedallmail.evidence.bundle import MANIFEST, PUBLIC_KEY, SIGNATURE
from onedallmail.evidence.controls import Catalogue, CatalogueError
from onedallmail.evidence.exceptions import ExceptionsError
from onedallmail.evidence.ledger import Entry, check_chain
from onedallmail.evidence.records import Sha256
from onedallmail.evidence.version import VERSION


class _Listed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1)
    size_bytes: int = Field(ge=0)
    sha256: Sha256


class _Period(BaseModel):
    model_config = ConfigDict(extra="forbid")

    start: AwareDatetime = Field(alias="from")
    end: AwareDatetime = Field(alias="to")


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    schema_version: int = Field(ge=1, le=1)
    bundle: str
    stack: str
    built: AwareDatetime
    period: _Period | None
    covers: dict[str, Any]
    git_revision: str
    tools: dict[str, str]
    ledger: dict[str, Any]
    key_fingerprint: Sha256
    files: list[_Listed]


@dataclass(frozen=True, kw_only=True)
class VerificationResult:
    """What verification found. `problems` is empty for a bundle that is exactly what was signed."""

    bundle: str
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    stack: str | None = None
    built: datetime | None = None
    files: int = 0
    entries: int = 0
    fingerprint: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclass
class _State:
    name: str
    key: Ed25519PublicKey
    files: dict[str, bytes] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(bundle: Path, public_key: Path) -> VerificationResult:
    """Return what is wrong with a bundle (folder or .tar.gz); raise KeyFileError when the key cannot be read."""
    state = _State(bundle.name, signing.load_public(public_key))
    try:
        _load(bundle, state)
    except (archive.ArchiveError, OSError) as error:
        state.problems.append(str(error))
        return VerificationResult(bundle=bundle.name, problems=tuple(state.problems))
    manifest = _check_manifest(state)
    if manifest is None:
        return VerificationResult(bundle=bundle.name, problems=tuple(state.problems))
    _check_files(state, manifest)
    entries = _check_ledger(state, manifest)
    counts: dict[str, int] = {}
    if not state.problems:
        counts = _check_verdicts(state, manifest, entries)
    return VerificationResult(
        bundle=manifest.bundle,
        problems=tuple(state.problems),
        notes=tuple(state.notes),
        stack=manifest.stack,
        built=manifest.built,
        files=len(manifest.files),
        entries=len(entries),
        fingerprint=signing.fingerprint(state.key),
        counts=counts,
    )


def _load(bundle: Path, state: _State) -> None:
    if bundle.is_file():
        state.name, state.files, problems = archive.unpack(bundle.read_bytes(), state.key)
        state.problems += problems
        return
    if not bundle.is_dir():
        message = f"{bundle}: there is no bundle here, neither a folder nor a .tar.gz"
        raise archive.ArchiveError(message)
    for path in sorted(bundle.rglob("*")):
        name = path.relative_to(bundle).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            state.problems.append(f"{name}: neither a file nor a folder")
        elif path.is_file():
            state.files[name] = path.read_bytes()
        elif not any(path.iterdir()):
            state.problems.append(f"{name}: an empty folder that the manifest does not list")


def _check_manifest(state: _State) -> _Manifest | None:
    content, signature = state.files.get(MANIFEST), state.files.get(SIGNATURE)
    if content is None or signature is None:
        state.problems.append(f"{MANIFEST if content is None else SIGNATURE}: missing")
        return None
    if not _is_signed(state.key, content, signature):
        shown = state.files.get(PUBLIC_KEY, b"")
        hint = "" if _same_key(shown, state.key) else " (the bundle carries another key than the one given)"
        state.problems.append(f"{MANIFEST}: not signed by the given key{hint}")
    try:
        document = canonical.decode(content)
        manifest = _Manifest.model_validate(document)
    except (canonical.CanonicalError, ValidationError) as error:
        state.problems.append(f"{MANIFEST}: unreadable: {str(error).splitlines()[0]}")
        return None
    if manifest.bundle != state.name:
        state.notes.append(f"The folder is called {state.name}, the bundle in it {manifest.bundle}.")
    if manifest.key_fingerprint != signing.fingerprint(state.key):
        state.problems.append(f"{MANIFEST}: made with key {manifest.key_fingerprint[:16]}…, another than the given one")
    return manifest


def _is_signed(key: Ed25519PublicKey, content: bytes, signature: bytes) -> bool:
    text = signature.decode("ascii", errors="replace")
    expected_characters = 2 * signing.SIGNATURE_BYTES + 1
    if len(text) != expected_characters or not text.endswith("\n") or set(text[:-1]) - set("0123456789abcdef"):
        return False
    return signing.is_signed(key, "manifest", content, bytes.fromhex(text[:-1]))


def _same_key(pem: bytes, key: Ed25519PublicKey) -> bool:
    return pem == signing.public_pem(key)


def _check_files(state: _State, manifest: _Manifest) -> None:
    listed = {entry.path: entry for entry in manifest.files}
    if len(listed) != len(manifest.files):
        state.problems.append(f"{MANIFEST}: lists a file twice")
    for path, entry in sorted(listed.items()):
        content = state.files.get(path)
        if content is None:
            state.problems.append(f"{path}: missing")
        elif len(content) != entry.size_bytes or canonical.sha256(content) != entry.sha256:
            state.problems.append(f"{path}: changed since it was signed")
    extra = sorted(set(state.files) - set(listed) - {MANIFEST, SIGNATURE})
    state.problems += [f"{path}: not part of the signed bundle" for path in extra]


def _check_ledger(state: _State, manifest: _Manifest) -> list[Entry]:
    facts = manifest.ledger
    first, anchor = facts.get("first_sequence"), facts.get("anchor")
    if not isinstance(first, int) or not isinstance(anchor, str):
        state.problems.append(f"{MANIFEST}: does not say where the ledger excerpt begins")
        return []
    lines = state.files.get("ledger/excerpt.jsonl", b"")
    entries, problems = check_chain(lines, state.key, first=first, anchor=anchor)
    state.problems += [f"ledger/excerpt.jsonl: {problem}" for problem in problems]
    end = (entries[-1].sequence, entries[-1].hash) if entries else (None, None)
    if not problems and end != (facts.get("last_sequence"), facts.get("head")):
        state.problems.append("ledger/excerpt.jsonl: does not end where the manifest says; entries were cut off")
    missing = chain.not_entered(state.files, entries)
    state.problems += [f"{path}: not entered in the ledger as it is here" for path in missing]
    judged = [entry.payload for entry in entries if entry.payload.get("bundle") == manifest.bundle]
    if len(judged) != 1:
        state.problems.append("ledger/excerpt.jsonl: does not hold the judgement of this bundle exactly once")
    hashes = judged[0].get("judged") if judged else None
    for path, digest in hashes.items() if isinstance(hashes, dict) else ():
        if canonical.sha256(state.files.get(path, b"")) != digest:
            state.problems.append(f"{path}: not what the ledger says was judged")
    return entries


def _check_verdicts(state: _State, manifest: _Manifest, entries: list[Entry]) -> dict[str, int]:
    """Judge the bundle's results again. Only called when all signatures and hashes hold."""
    try:
        stated = canonical.decode(state.files["verdicts.json"])
        catalogue = Catalogue.from_document(canonical.decode(state.files["catalogue.json"]))
        exceptions = Exceptions.from_document(canonical.decode(state.files["exceptions.json"]), catalogue)
        version = str(stated["tool"]["version"])
        counts = {str(name): int(number) for name, number in stated["counts"].items()}
    except (CatalogueError, ExceptionsError, canonical.CanonicalError, KeyError, TypeError, ValueError) as error:
        state.problems.append(f"the verdicts cannot be judged again: {error}")
        return {}
    again = assessment.assess(
        state.files,
        stack=manifest.stack,
        catalogue=catalogue,
        exceptions=exceptions,
        entries=entries,
        now=manifest.built,
    )
    if canonical.encode(assessment.to_document(again, version=version)) == state.files["verdicts.json"]:
        state.notes.append("The verdicts were judged again from the results and are the same.")
    elif version == VERSION:
        state.problems.append("verdicts.json: does not follow from the results in this bundle")
    else:
        state.notes.append(f"Made by version {version}, judged differently by {VERSION}; use {version} to compare.")
    return counts
