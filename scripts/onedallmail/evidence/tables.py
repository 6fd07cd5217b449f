"""The bundle's CSV tables, one row a control and one row a test, for whoever works with a spreadsheet.

Cells that a spreadsheet would run as a formula are defused with a leading apostrophe.
"""

import csv
import io
from collections.abc import Iterable, Sequence

from onedallmail.evidence.assessment import Assessment
from onedallmail.evidence.controls import Catalogue
from onedallmail.evidence.records import utc_text


def controls_csv(catalogue: Catalogue, assessment: Assessment) -> bytes:
    """Return one row a control: what it is, its verdict and why."""
    header = (
        "control",
        "framework",
        "theme",
        "title",
        "kind",
        "expects",
        "freshness_days",
        "verdict",
        "reason",
        "counted",
    )
    rows = []
    for finding in assessment.findings:
        control = catalogue.controls[finding.control]
        expects = " ".join(sorted(control.expects))
        rows.append(
            (
                control.id,
                catalogue.frameworks[control.framework],
                control.theme,
                control.title,
                control.kind,
                expects,
                str(control.freshness_days),
                finding.verdict,
                finding.reason,
                " ".join(finding.counted),
            )
        )
    return _csv(header, rows)


def results_csv(assessment: Assessment) -> bytes:
    """Return one row a test execution: what it looked at, how it ended and whether it was taken into account."""
    header = ("file", "test", "outcome", "observed", "duration_s", "kind", "basis", "controls", "superseded", "purpose")
    rows = []
    superseded = {item.key for item in assessment.superseded}
    for item in assessment.collected.observations:
        record = assessment.collected.records.get(item.key)
        rows.append(
            (
                item.key,
                item.test,
                item.outcome,
                utc_text(item.observed) if item.observed else "",
                f"{record.duration_s:.3f}" if record else "",
                item.kind,
                item.basis,
                " ".join(sorted(item.controls)),
                "yes" if item.key in superseded else "no",
                record.purpose.partition("\n")[0] if record else "",
            )
        )
    return _csv(header, rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_defused(str(cell)) for cell in row] for row in rows)
    return buffer.getvalue().encode("utf-8", errors="backslashreplace")


def _defused(cell: str) -> str:
    return f"'{cell}" if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell
