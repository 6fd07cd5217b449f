"""The catalogue holds every control it promises, and one wrong entry refuses the whole."""

from pathlib import Path

import pytest

from onedallmail.evidence import listing
from onedallmail.evidence.controls import Catalogue, CatalogueError, EvidenceKind, load_catalogue
from onedallmail.paths import ROOT

ENTRY = (
    '[[control]]\nid = "{id}"\ntheme = "Physical"\ntitle = "Cables"\nobjective = "Cables are protected."\n'
    'kind = "physical"\nexpects = ["manual"]\nfreshness_days = 365\n'
)
HEAD = 'framework = "iso27001"\nframework_title = "Annex A"\n'


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.mark.parametrize(
    ("theme", "section", "number"),
    [("Organisational", 5, 37), ("People", 6, 8), ("Physical", 7, 14), ("Technological", 8, 34)],
)
def test_annex_a_is_complete(catalogue: Catalogue, theme: str, section: int, number: int) -> None:
    """The 93 controls of Annex A are numbered without gaps, each in its theme."""
    ids = [control.id for control in catalogue.of("iso27001") if control.theme == theme]
    assert ids == [f"iso27001:A.{section}.{index}" for index in range(1, number + 1)]


def test_all_33_common_criteria_are_there(catalogue: Catalogue) -> None:
    sizes = {1: 5, 2: 3, 3: 4, 4: 2, 5: 3, 6: 8, 7: 5, 8: 1, 9: 2}
    expected = [f"soc2:CC{group}.{index}" for group, size in sizes.items() for index in range(1, size + 1)]
    assert [control.id for control in catalogue.of("soc2")] == expected
    assert len(expected) == 33


def test_gdpr_article_32_is_there_and_needs_tests(catalogue: Catalogue) -> None:
    assert catalogue.controls["gdpr:Art.32"].expects == {EvidenceKind.TEST}


def test_what_does_not_apply_says_why_and_expects_nothing(catalogue: Catalogue) -> None:
    excluded = [control for control in catalogue if control.not_applicable]
    assert excluded
    assert all(len(control.not_applicable or "") > 40 and not control.expects for control in excluded)


def test_survives_the_way_into_a_bundle_and_back(catalogue: Catalogue) -> None:
    again = Catalogue.from_document(catalogue.to_document())
    assert list(again) == list(catalogue)
    assert again.frameworks == catalogue.frameworks


def test_the_documentation_lists_exactly_this_catalogue(catalogue: Catalogue) -> None:
    page = (ROOT / "docs" / "controls.md").read_text(encoding="utf-8")
    table = page.partition(listing.BEGIN)[2].partition(listing.END)[0]
    assert table.strip() == listing.markdown(catalogue).strip(), "run: onedallmail evidence controls --markdown"


def _write(folder: Path, *entries: str, head: str = HEAD) -> Path:
    (folder / "one.toml").write_text(head + "".join(entries), encoding="utf-8")
    return folder


def test_an_entry_given_twice_is_refused_by_name(tmp_path: Path) -> None:
    entry = ENTRY.format(id="iso27001:A.7.12")
    with pytest.raises(CatalogueError, match=r"one\.toml: iso27001:A\.7\.12 is already defined in one\.toml"):
        load_catalogue(_write(tmp_path, entry, entry))


def test_an_unknown_field_is_refused_by_name(tmp_path: Path) -> None:
    entry = ENTRY.format(id="iso27001:A.7.12") + 'owner = "nobody"\n'
    with pytest.raises(CatalogueError, match=r"one\.toml: iso27001:A\.7\.12 owner: Extra inputs"):
        load_catalogue(_write(tmp_path, entry))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"physical"', '"magical"', "A.7.12 kind"),
        ('["manual"]', "[]", "expects no evidence"),
        ('["manual"]', '["hearsay"]', "A.7.12 expects"),
        ("365", "0", "A.7.12 freshness_days"),
        ("iso27001:A.7.12", "A.7.12", "String should match pattern"),
        ("iso27001:A.7.12", "soc2:CC1.1", "does not belong to framework 'iso27001'"),
        ("[[control]]", "[[control", "not readable as TOML"),
    ],
)
def test_a_wrong_entry_is_refused(tmp_path: Path, before: str, after: str, said: str) -> None:
    entry = ENTRY.format(id="iso27001:A.7.12").replace(before, after)
    with pytest.raises(CatalogueError) as refused:
        load_catalogue(_write(tmp_path, entry))
    assert said in str(refused.value)


def test_an_empty_folder_is_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="no catalogue file"):
        load_catalogue(tmp_path)
