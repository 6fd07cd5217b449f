"""Realistic made-up material: runs of tests over five servers, written through the same code that real runs use.

The only numbers that matter to tests are in the arguments; everything else is there to look like the real thing.
"""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from onedallmail.evidence.context import BundleContext, CoveredServer, Phase, ResourceCount
from onedallmail.evidence.controls import EvidenceKind
from onedallmail.evidence.records import Basis, Facts, Outcome, PlannedTest, RunRecord, TestRecord, Tool
from onedallmail.evidence.run_folder import RunFolder, record_file

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
SERVERS = (
    ("a1", "mail", "eu-central-1"),
    ("a2", "mail", "eu-central-1"),
    ("b1", "mail", "eu-west-1"),
    ("b2", "mail", "eu-west-1"),
    ("c1", "witness", "eu-north-1"),
)
TESTS = (
    (
        "hosts/test_tls.py::test_only_tls_1_3_is_spoken",
        ("iso27001:A.8.24", "soc2:CC6.7", "gdpr:Art.32"),
        "Each TLS port.",
    ),
    (
        "hosts/test_tls.py::test_hybrid_key_exchange_is_preferred",
        ("iso27001:A.8.24",),
        "X25519MLKEM768 is offered first.",
    ),
    (
        "hosts/test_firewall.py::test_default_is_deny",
        ("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6"),
        "nftables drops.",
    ),
    ("hosts/test_ssh.py::test_only_keys_open_a_session", ("iso27001:A.8.2", "iso27001:A.8.5"), "No password log-in."),
    ("hosts/test_time.py::test_clock_is_synchronised", ("iso27001:A.8.17",), "chrony follows its sources."),
    ("hosts/test_logging.py::test_logs_reach_the_witness", ("iso27001:A.8.15", "soc2:CC7.2"), "A marked line arrives."),
    ("mail/test_refusals.py::test_unknown_user_is_refused_at_rcpt", ("iso27001:A.8.21",), "550 5.1.1 before DATA."),
    ("mail/test_delivery.py::test_message_is_read_on_every_server", ("iso27001:A.8.14", "soc2:CC9.1"), "Same bytes."),
    ("mail/test_auth.py::test_wrong_password_is_refused", ("iso27001:A.8.5", "soc2:CC6.1"), "535 5.7.8."),
)


def context() -> BundleContext:
    """Return what a lead would fill in for the lab."""
    phases = (("Set-up", 41.2), ("Provision", 12.8), ("Realise", 38.4), ("Configure", 171.9), ("Verify", 22.6))
    starts = [sum(seconds for _, seconds in phases[:index]) for index in range(len(phases))]
    return BundleContext(
        domain="acme.example",
        target="lab",
        servers=tuple(
            CoveredServer(name=name, fqdn=f"{name}.acme.example", role=role, region=region)
            for name, role, region in SERVERS
        ),
        resources=(
            ResourceCount(type="aws:ec2/instance", realised=5),
            ResourceCount(type="aws:ec2/subnet", realised=9),
            ResourceCount(type="aws:vpc/securityGroupIngressRule", realised=46),
            ResourceCount(type="aws:kms/key", emulated=3),
            ResourceCount(type="aws:route53/record", emulated=31),
            ResourceCount(type="aws:s3/bucket", emulated=1),
            ResourceCount(type="aws:iam/role", recorded=6),
        ),
        phases=tuple(
            Phase(name=name, started=NOW - timedelta(seconds=400 - start), duration_s=seconds)
            for (name, seconds), start in zip(phases, starts, strict=True)
        ),
        git_revision="4f1c2ab90d77e2b1a6f0c3d95e8b7a6c5d4e3f21",
        tool_versions={"python": "3.13.5", "ansible-core": "2.19.14", "pulumi": "3.272.0", "pytest": "9.2.0"},
        limits=(
            "The servers ran as containers of one machine: separation by hardware and by data centre was not observed.",
            "IAM roles and policies are recorded only; what they refuse was not tried.",
        ),
    )


def record(run: str, nodeid: str, controls: tuple[str, ...], *, started: datetime, **changes: object) -> TestRecord:
    """Return one record of a test that passed, but for `changes`."""
    plain = TestRecord(
        run=run,
        nodeid=nodeid,
        controls=controls,
        outcome=Outcome.PASSED,
        started=started,
        duration_s=0.084,
        tool=Tool(name="pytest", version="9.2.0"),
    )
    return plain.model_copy(update=changes)


def write_run(
    parent: Path,
    rows: list[tuple[str, tuple[str, ...], dict[str, object]]],
    *,
    started: datetime = NOW - timedelta(minutes=5),
    name: str = "20260314T092153Z-0a1b2c3d",
    stack: str = "lab",
) -> Path:
    """Write a finished run of tests (id, controls, changes to the record) and return its folder."""
    folder = RunFolder(parent, RunRecord(run=name, stack=stack, started=started))
    files = [record_file(number, row[0]) for number, row in enumerate(rows, start=1)]
    folder.plan([PlannedTest(nodeid=row[0], controls=row[1], file=file) for row, file in zip(rows, files, strict=True)])
    for number, ((nodeid, controls, changes), file) in enumerate(zip(rows, files, strict=True)):
        given = dict(changes)
        raw = given.pop("raw", None)
        if isinstance(raw, str):
            given["artefacts"] = (folder.keep("output.txt", raw.encode()),)
        given.setdefault("started", started + timedelta(seconds=number))
        moment = given.pop("started")
        assert isinstance(moment, datetime)
        folder.add(record(name, nodeid, controls, started=moment, **given), file)
    folder.finish()
    return folder.path


def realistic_rows(seed: int = 7) -> list[tuple[str, tuple[str, ...], dict[str, object]]]:
    """Return a whole run over five servers: mostly passes, one failure, one skip, one look at a mere record."""
    chance = random.Random(seed)  # noqa: S311 - made-up durations
    rows: list[tuple[str, tuple[str, ...], dict[str, object]]] = []
    for nodeid, controls, purpose in TESTS:
        for name, _, _ in SERVERS[:4] if nodeid.startswith("mail") else SERVERS:
            changes: dict[str, object] = {
                "purpose": purpose,
                "duration_s": round(chance.expovariate(4), 3),
                "parameters": {"server": f"'{name}'"},
                "facts": Facts(population="5 servers", query="servers of the stack", sample="all"),
                "raw": f"looked at {name}.acme.example\n",
            }
            rows.append((f"tests/{nodeid}[{name}]", controls, changes))
    failure = "AssertionError: offset of c1.acme.example is 3.2 s, at most 0.5 s are allowed\nassert 3.2 <= 0.5"
    for index, row in enumerate(rows):
        if row[0].endswith("is_synchronised[c1]"):
            rows[index] = (row[0], row[1], row[2] | {"outcome": Outcome.FAILED, "failure": failure})
    rows += [
        (
            "tests/hosts/test_malware.py::test_a_known_sample_is_stopped",
            ("iso27001:A.8.7",),
            {"outcome": Outcome.SKIPPED, "failure": "no scanner is installed in this stack"},
        ),
        ("tests/infra/test_roles.py::test_no_role_is_wide_open", ("iso27001:A.8.3",), {"basis": Basis.RECORDED}),
        ("tests/infra/test_keys.py::test_keys_rotate", ("iso27001:A.8.24",), {"basis": Basis.EMULATED}),
        ("tests/scans/test_packages.py::test_no_known_weakness", ("iso27001:A.8.8",), {"kind": EvidenceKind.SCAN}),
        ("tests/unit/test_plan.py::test_networks_never_overlap", (), {}),
    ]
    return rows


def write_exceptions(home: Path) -> None:
    """Write a waiver and two statements that hold at NOW."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "waivers.toml").write_text(
        '[[waiver]]\ncontrol = "iso27001:A.8.13"\napprover = "R. Keller, head of operations"\n'
        'reason = "Backups start with the next release; the pilot holds no data of customers."\n'
        "approved = 2026-03-01\nexpires = 2026-04-15\n",
        encoding="utf-8",
    )
    (home / "statements.toml").write_text(
        "".join(
            f'[[statement]]\ncontrol = "{control}"\nperson = "M. Okafor"\nrole = "compliance officer"\n'
            f'statement = "{text}"\nstated = 2026-02-20\nvalid_until = 2027-02-20\n\n'
            for control, text in (
                ("iso27001:A.5.1", "Policy set 3.2 was approved by the board on 18 February and sent to everyone."),
                ("iso27001:A.6.3", "All eleven operators finished the course on handling of keys in January."),
            )
        ),
        encoding="utf-8",
    )
