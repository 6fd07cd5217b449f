"""Reads Pulumi.yaml and Pulumi.<stack>.yaml as the pulumi command does: defaults, types, secrets, nested values."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .crypter import Crypter
from .deployment import Target
from .errors import EngineError

TYPES: dict[str, type | tuple[type, ...]] = {
    "string": (str, int, float, bool),
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
}
LAB_TARGET = "lab"


@dataclass(frozen=True, kw_only=True)
class Project:
    """A Pulumi project: its name, the folder of its program, and its configuration schema."""

    name: str
    root: Path
    program: Path
    schema: Mapping[str, Any]


def load_yaml(path: Path) -> dict[str, Any]:
    """Return a YAML mapping; raises EngineError when the file is missing or is none."""
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except OSError as error:
        msg = f"{path} can't be read: {error.strerror}"
        raise EngineError(msg) from error
    except yaml.YAMLError as error:
        msg = f"{path} is no YAML: {error}"
        raise EngineError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path} must be a mapping of keys to values, not a {type(content).__name__}"
        raise EngineError(msg)
    return content


def load_project(root: Path) -> Project:
    """Return the project of `root`."""
    content = load_yaml(root / "Pulumi.yaml")
    if not isinstance(content.get("name"), str):
        msg = f"{root / 'Pulumi.yaml'} has no name: add `name: PROJECT`"
        raise EngineError(msg)
    runtime = content.get("runtime")
    language = runtime.get("name") if isinstance(runtime, dict) else runtime
    if language != "python":
        msg = f"{root / 'Pulumi.yaml'}: the embedded engine runs Python programs only, not '{language}'"
        raise EngineError(msg)
    program = root / str(content.get("main", "."))
    schema = content.get("config") or {}
    _check_schema(schema, root / "Pulumi.yaml")
    return Project(name=content["name"], root=root, program=program, schema=schema)


def load_target(
    project: Project,
    stack: str,
    open_crypter: Callable[[str | None], Crypter],
    config: Mapping[str, str],
    secret_config: Mapping[str, str],
    *,
    offline: bool = False,
) -> Target:
    """Return the stack with its whole configuration: defaults, stack file, then the overrides of the caller.

    Raises:
        EngineError: a required value is missing, a value has another type than the schema says, or the
            stack is not one of the lab and this is no offline run.
    """
    content = load_yaml(project.root / f"Pulumi.{stack}.yaml")
    schema = {_qualified(project, k): v if isinstance(v, dict) else {"default": v} for k, v in project.schema.items()}
    values = {
        k: v["value"] if "value" in v else v["default"] for k, v in schema.items() if {"value", "default"} & set(v)
    }
    stated = {_qualified(project, k): v for k, v in (content.get("config") or {}).items()}
    sealed = {k for k, v in stated.items() if isinstance(v, dict) and set(v) == {"secure"}}
    if sealed:
        crypter = open_crypter(content.get("encryptionsalt"))
        stated |= {k: crypter.decrypt(stated[k]["secure"]) for k in sealed}
    values |= stated
    values |= {_qualified(project, k): v for k, v in (*config.items(), *secret_config.items())}
    _check(schema, values, stack, given={_qualified(project, k) for k in (*config, *secret_config)})
    declared = {k for k, v in schema.items() if v.get("secret")}
    hidden = sealed | (declared & set(values)) | {_qualified(project, k) for k in secret_config}
    if (target := values.get(f"{project.name}:target", LAB_TARGET)) != LAB_TARGET and not offline:
        msg = (
            f"stack '{stack}' has the target '{target}': this command serves the lab, run `pulumi up -s {stack}`, "
            "or try it without an account with --offline"
        )
        raise EngineError(msg)
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
    return Target(
        project=project.name, program=project.program, stack=stack, config=texts, secret_keys=frozenset(hidden)
    )


def _qualified(project: Project, key: str) -> str:
    return key if ":" in key else f"{project.name}:{key}"


def _check_schema(schema: Mapping[str, Any], file: Path) -> None:
    """Raise EngineError for a declaration that the pulumi command refuses as well."""
    for key, rule in schema.items():
        if not isinstance(rule, dict):
            continue
        if rule.get("type") == "array" and not (rule.get("items") or {}).get("type"):
            msg = f"{file}: {key} is an array of nothing known: say what it holds, such as `items: {{type: object}}`"
            raise EngineError(msg)
        if rule.get("secret") and "default" in rule:
            msg = f"{file}: {key} is secret, so it can't have a default, which would lie there in plain text"
            raise EngineError(msg)


def _check(schema: Mapping[str, Any], values: Mapping[str, Any], stack: str, given: set[str]) -> None:
    """Raise EngineError for missing and mistyped values (overrides are text, so their type is not checked)."""
    wrong = []
    for key, rule in schema.items():
        kind = rule.get("type")
        if kind and key not in values:
            wrong.append(f"{key}: is missing; set it in Pulumi.{stack}.yaml ({rule.get('description', kind)})")
        expected = TYPES.get(kind) if kind and key in values and key not in given else None
        value = values.get(key)
        if expected and (not isinstance(value, expected) or (kind == "integer" and isinstance(value, bool))):
            wrong.append(f"{key}: must be of type {kind}, not {type(value).__name__}")
    if wrong:
        msg = "the configuration is not complete: " + "; ".join(wrong)
        raise EngineError(msg)
