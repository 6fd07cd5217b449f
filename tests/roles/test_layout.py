"""Every role has the same files in the same places, so that a reader knows where to look."""

import pytest

from .tree import ROLE_NAMES, ROLES, SITE, load

FILES = (
    "README.md",
    "defaults/main.yml",
    "vars/Debian.yml",
    "meta/main.yml",
    "meta/argument_specs.yml",
    "handlers/main.yml",
    "tasks/main.yml",
    "tasks/install.yml",
    "tasks/configure.yml",
    "tasks/service.yml",
    "tasks/verify.yml",
)
INDEX_ENTRIES = {"ansible.builtin.import_tasks", "ansible.builtin.include_tasks", "ansible.builtin.meta"}
LONGEST_TASK_FILE = 140


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_role_has_every_file_of_the_layout(role: str) -> None:
    missing = [name for name in FILES if not (ROLES / role / name).is_file()]
    assert not missing, f"roles/{role} lacks {', '.join(missing)}"


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_tasks_main_is_an_index(role: str) -> None:
    entries = load(ROLES / role / "tasks" / "main.yml")
    own_work = [entry["name"] for entry in entries if not INDEX_ENTRIES & set(entry)]
    assert not own_work, f"roles/{role}/tasks/main.yml does work itself ({own_work}): move it to a file of its own"


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_task_files_are_short(role: str) -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in (ROLES / role / "tasks").glob("*.yml")}
    long = {name: lines for name, lines in lengths.items() if lines > LONGEST_TASK_FILE}
    assert not long, f"roles/{role}/tasks: split {long} (at most {LONGEST_TASK_FILE} lines)"


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_role_lists_its_packages_for_the_image(role: str) -> None:
    packages = load(ROLES / role / "vars" / "Debian.yml").get(f"__{role}_packages")
    assert isinstance(packages, list), f"roles/{role}/vars/Debian.yml must list __{role}_packages (it may be empty)"
    assert packages == sorted(set(packages)), f"__{role}_packages is to be sorted, without repeats"


def test_site_playbook_applies_every_role() -> None:
    applied = {r if isinstance(r, str) else r["role"] for play in load(SITE) for r in play.get("roles", ())}
    assert applied == set(ROLE_NAMES)


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_roles_readme_lists_the_role(role: str) -> None:
    assert f"`{role}`" in (ROLES / "README.md").read_text(), f"roles/README.md has no line about {role}"
