"""Builds an evidence bundle: a folder and a signed .tar.gz of results, ledger excerpt, verdicts, tables and report.

The folder appears under its name only when complete; the signed manifest lists and hashes every file in it.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from onedallmail.evidence import archive, assessment, canonical, chain, context, report, signing, tables
from onedallmail.evidence.assessment import Assessment, Exceptions
from onedallmail.evidence.collect import read_results
from onedallmail.evidence.context import BundleContext
from onedallmail.evidence.controls import Catalogue, load_catalogue
from onedallmail.evidence.exceptions import load_statements, load_waivers
from onedallmail.evidence.ledger import Entry, Ledger
from onedallmail.evidence.version import VERSION
from onedallmail.paths import state_dir

LOG = logging.getLogger(__name__)
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
PUBLIC_KEY = "public-key.pem"


def evidence_dir(stack: str) -> Path:
    """Return the folder of a stack's evidence: keys, ledger, results, bundles, waivers.toml, statements.toml."""
    return state_dir(stack) / "evidence"


def build(
    stack: str,
    results_dirs: Sequence[Path],
    context: BundleContext,
    *,
    home: Path | None = None,
    now: datetime | None = None,
) -> Path:
    """Return the folder of a new bundle; its .tar.gz lies beside it.

    Raises CollectError, CatalogueError, ExceptionsError, LedgerError or KeyFileError when the material cannot be used.
    """
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    place = home or evidence_dir(stack)
    key = signing.ensure_keys(place / "keys")
    catalogue = load_catalogue()
    exceptions = Exceptions(
        waivers=load_waivers(place / "waivers.toml", catalogue),
        statements=load_statements(place / "statements.toml", catalogue),
    )
    results = read_results(results_dirs)
    ledger = Ledger(place, key)
    ledger.append(chain.new_entries(results, ledger.entries()), time=moment)
    found = assessment.assess(
        results,
        stack=stack,
        catalogue=catalogue,
        exceptions=exceptions,
        entries=ledger.entries(),
        now=moment,
    )
    name = _free_name(place / "bundles", f"evidence-{stack}-{moment:%Y%m%dT%H%M%SZ}")
    files = _documents(found, catalogue, exceptions, context, results)
    ledger.append([_judgement(name, files)], time=moment)
    entries, proof = chain.excerpt(ledger.entries(), files)
    files["ledger/excerpt.jsonl"] = b"".join(_line(entry) for entry in entries)
    files["ledger/proof.json"] = canonical.encode(proof)
    files[PUBLIC_KEY] = signing.public_pem(key.public_key())
    about = report.About(
        bundle=name,
        stack=stack,
        fingerprint=signing.fingerprint(key.public_key()),
        head=str(proof["head"]),
        entries=len(entries),
        elsewhere=chain.absent_runs(results, ledger.entries()),
    )
    files["report.html"] = report.render(found, catalogue, exceptions, context, about, files=results)
    manifest = _manifest(about, context, found, files, proof)
    return _write(place / "bundles", name, _signed(files, manifest, key), key)


def _documents(
    found: Assessment,
    catalogue: Catalogue,
    exceptions: Exceptions,
    about: BundleContext,
    results: Mapping[str, bytes],
) -> dict[str, bytes]:
    return {
        **results,
        "catalogue.json": canonical.encode(catalogue.to_document()),
        "exceptions.json": canonical.encode(exceptions.to_document()),
        "context.json": canonical.encode(context.to_document(about)),
        "verdicts.json": canonical.encode(assessment.to_document(found, version=VERSION)),
        "controls.csv": tables.controls_csv(catalogue, found),
        "results.csv": tables.results_csv(found),
    }


def _judgement(name: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    judged = ("catalogue.json", "exceptions.json", "context.json", "verdicts.json")
    return {"type": "bundle", "bundle": name, "judged": {path: canonical.sha256(files[path]) for path in judged}}


def _manifest(
    about: report.About,
    platform: BundleContext,
    found: Assessment,
    files: Mapping[str, bytes],
    proof: Mapping[str, Any],
) -> dict[str, Any]:
    period = found.collected.period
    return {
        "schema_version": 1,
        "bundle": about.bundle,
        "stack": about.stack,
        "built": found.judged.isoformat(),
        "period": {"from": period[0].isoformat(), "to": period[1].isoformat()} if period else None,
        "covers": {
            "domain": platform.domain,
            "target": platform.target,
            "regions": list(platform.regions),
            "servers": [server.fqdn for server in platform.servers],
        },
        "git_revision": platform.git_revision,
        "tools": {"onedallmail": VERSION, **platform.tool_versions},
        "ledger": dict(proof),
        "key_fingerprint": about.fingerprint,
        "files": [
            {"path": path, "size_bytes": len(files[path]), "sha256": canonical.sha256(files[path])}
            for path in sorted(files)
        ],
    }


def _signed(files: Mapping[str, bytes], manifest: dict[str, Any], key: Ed25519PrivateKey) -> dict[str, bytes]:
    content = canonical.encode(manifest)
    signature = signing.sign(key, "manifest", content).hex() + "\n"
    return {**files, MANIFEST: content, SIGNATURE: signature.encode()}


def _write(folder: Path, name: str, files: Mapping[str, bytes], key: Ed25519PrivateKey) -> Path:
    building = folder / f".{name}"
    shutil.rmtree(building, ignore_errors=True)
    for path, content in files.items():
        target = building / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    packed = folder / f".{name}.tar.gz"
    packed.write_bytes(archive.pack(name, files, key))
    packed.rename(folder / f"{name}.tar.gz")
    building.rename(folder / name)
    LOG.info("evidence bundle %s: %d files", folder / name, len(files))
    return folder / name


def _free_name(folder: Path, wanted: str) -> str:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name, number = wanted, 2
    while (folder / name).exists() or (folder / f"{name}.tar.gz").exists():
        name, number = f"{wanted}-{number}", number + 1
    return name


def _line(entry: Entry) -> bytes:
    document = entry.model_dump(mode="json") | {"time": entry.time.isoformat()}
    return canonical.encode(document) + b"\n"
