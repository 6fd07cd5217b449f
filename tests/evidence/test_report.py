"""The report: complete, self-contained, honest about what is open, and safe with hostile text."""

import csv
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from onedallmail.evidence import bundle
from onedallmail.evidence.context import BundleContext
from onedallmail.evidence.pictures import segments, timeline
from onedallmail.evidence.records import Outcome
from tests.evidence import samples
from tests.evidence.samples import NOW

VOID = {"meta", "br", "rect", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Collects what the checks below need, and whether tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.badly_nested: list[str] = []
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        if identifier := given.get("id"):
            self.ids.append(identifier)
        if tag == "a":
            self.links.append(given.get("href") or "")
        self.sources += [value for name, value in attrs if name in {"src", "srcset", "data", "action"} and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.badly_nested.append(f"</{tag}> at {self.getpos()}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("report")
    samples.write_exceptions(home)
    samples.write_run(home / "results", samples.realistic_rows())
    return bundle.build("lab", [home / "results"], samples.context(), home=home, now=NOW)


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_every_link_leads_somewhere(text: str, folder: Path) -> None:
    page = Page(text)
    assert page.badly_nested == []
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert (folder / link).is_file()


def test_nothing_is_fetched_and_nothing_runs(text: str) -> None:
    page = Page(text)
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "form"})
    assert page.sources == []
    assert re.findall(r"url\(|@import|https?://", text) == []


def test_it_is_readable_in_the_dark_on_paper_and_without_colour(text: str) -> None:
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert '<html lang="en">' in text
    assert '<span class="sr">: Not established</span>' in text


def test_it_opens_with_the_worst_and_says_what_is_open_and_why(text: str) -> None:
    heading = re.search(r"<h1>(.*?)</h1>", text)
    assert heading
    assert heading[1].startswith("1 control fails, 16 pass, 52 are not established")
    for sentence in (
        "No current test covers this control.",
        "1 check of 1 gave no result (skipped)",
        "it looked at a resource that is only recorded, not running",
        "Waived by R. Keller, head of operations until 2026-04-15",
        "IAM roles and policies are recorded only; what they refuse was not tried.",
        "offset of c1.acme.example is 3.2 s",
        "looked at a1.acme.example",
    ):
        assert sentence in text


def test_every_control_server_and_test_is_in_it(text: str, folder: Path) -> None:
    with (folder / "controls.csv").open(encoding="utf-8", newline="") as stream:
        controls = list(csv.DictReader(stream))
    assert len(controls) == 136
    page = Page(text)
    assert all("control-" + row["control"].replace(":", "-").replace(".", "-") in page.ids for row in controls)
    assert all(f"{name}.acme.example" in text for name, _, _ in samples.SERVERS)
    with (folder / "results.csv").open(encoding="utf-8", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == sum(identifier.startswith("test-") for identifier in page.ids)


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    """Names and output come from outside: neither HTML nor a spreadsheet may run them."""
    attack = "<script>alert(1)</script>"
    row: tuple[str, tuple[str, ...], dict[str, object]] = (
        f"=cmd|' /C calc'!A0::{attack}",
        ("iso27001:A.8.24",),
        {"outcome": Outcome.FAILED, "failure": attack, "purpose": attack, "parameters": {"x": attack}, "raw": attack},
    )
    samples.write_run(tmp_path / "results", [row])
    about = BundleContext(domain=attack, target="lab", limits=(attack,), tool_versions={attack: attack})
    built = bundle.build("lab", [tmp_path / "results"], about, home=tmp_path, now=NOW)
    assert attack not in (built / "report.html").read_text(encoding="utf-8")
    assert "script" not in Page((built / "report.html").read_text(encoding="utf-8")).tags
    assert "'=cmd" in (built / "results.csv").read_text(encoding="utf-8")


def test_a_report_without_any_evidence_claims_nothing(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    about = BundleContext(domain="acme.example", target="aws")
    built = bundle.build("lab", [tmp_path / "results"], about, home=tmp_path, now=NOW)
    text = (built / "report.html").read_text(encoding="utf-8")
    assert "Nothing is established: no control has evidence that counts." in text
    assert '<li class="tile v-pass none">' in text
    assert Page(text).badly_nested == []


def test_pictures_keep_proportions_and_stay_inside() -> None:
    pieces = segments([10, 0, 30])
    assert [piece.index for piece in pieces] == [0, 2]
    assert pieces[1].width == pytest.approx(3 * pieces[0].width, abs=0.02)
    assert pieces[-1].x + pieces[-1].width == pytest.approx(1000, abs=0.05)
    drawn = timeline(samples.context().phases)
    assert drawn.total_s == pytest.approx(286.9)
    assert all(bar.x + bar.width <= 1000.1 for bar in drawn.bars)
    assert segments([0, 0]) == []
    assert timeline(()).bars == ()
