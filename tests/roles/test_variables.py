"""defaults/main.yml is the truth about a role's variables; the specification and the group variables agree with it."""

from pathlib import Path

import pytest

from .tree import ANSIBLE, ROLE_NAMES, ROLES, defaults, load, options

GROUP_VARIABLES = sorted((ANSIBLE / "group_vars").glob("*.yml"))
SHARED = ("onedallmail_", "ansible_")
TYPES = {"str", "int", "float", "bool", "list", "dict", "path", "raw"}


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_specification_names_the_variables_of_defaults(role: str) -> None:
    stated, specified = set(defaults(role)), {name for name, spec in options(role).items() if not spec.get("required")}
    assert specified == stated, f"roles/{role}: defaults and argument_specs differ in {sorted(specified ^ stated)}"


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_specification_states_the_values_of_defaults(role: str) -> None:
    actual = defaults(role)
    wrong = {
        name: (spec["default"], actual[name])
        for name, spec in options(role).items()
        if "default" in spec and name in actual and spec["default"] != actual[name]
    }
    assert not wrong, f"roles/{role}: (argument_specs, defaults) differ: {wrong}"


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_specification_has_type_and_description_of_each_variable(role: str) -> None:
    bare = [
        name for name, spec in options(role).items() if spec.get("type") not in TYPES or not spec.get("description")
    ]
    assert not bare, f"roles/{role}/meta/argument_specs.yml: type or description is missing of {bare}"


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_each_default_is_documented_in_place(role: str) -> None:
    bare = undocumented((ROLES / role / "defaults" / "main.yml").read_text())
    assert not bare, f"roles/{role}/defaults/main.yml: no comment above {bare}"


def undocumented(text: str) -> list[str]:
    """Return the variables whose paragraph (up to the blank line above) has no comment before them."""
    bare, commented = [], False
    for line in text.splitlines():
        if not line.strip():
            commented = False
        elif line.startswith("#"):
            commented = True
        elif line[0].isidentifier() and not commented and " #" not in line:
            bare.append(line.partition(":")[0])
    return bare


def test_a_default_without_comment_is_noticed() -> None:
    assert undocumented("---\n# What a is.\na: 1\nb: 2\n\nc: 3\n\nd: 4 # why\n") == ["c"]


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_variables_carry_the_name_of_the_role(role: str) -> None:
    public = [name for name in defaults(role) if not name.startswith(f"{role}_")]
    files = (ROLES / role / "vars").glob("*.yml")
    internal = [name for path in files for name in load(path) or {} if not name.startswith(f"__{role}_")]
    assert not public, f"roles/{role}/defaults: {public} must begin with {role}_"
    assert not internal, f"roles/{role}/vars: {internal} must begin with __{role}_"


@pytest.mark.parametrize("path", GROUP_VARIABLES, ids=lambda path: path.name)
def test_group_variables_are_known_to_their_role(path: Path) -> None:
    known = {name for role in ROLE_NAMES for name in (*defaults(role), *options(role))}
    unknown = [name for name in load(path) or {} if name not in known and not name.startswith(SHARED)]
    assert not unknown, f"ansible/group_vars/{path.name}: no role reads {unknown}"
