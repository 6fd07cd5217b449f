"""The rules of the web application firewall, in the order in which they are tried.

Three facts shape them:
- every mail server of the internet, most of them at hosting providers, fetches the MTA-STS policy: rules about where a
  client comes from leave that name alone;
- a message is free text of any size: rules about bodies only mark requests, and one rule blocks what is marked unless
  the path is one to which messages are written;
- at log-in paths passwords are guessed: they have limits of their own.

Sources: AWS WAF Developer Guide, "AWS Managed Rules rule groups list" (names of groups, rules and labels). The whole
costs about 1400 of the 1500 capacity units that are included.
"""

import re
from collections.abc import Iterator
from typing import Any

from onedallmail.platform.web import AUTODISCOVER_PATH

Rule = dict[str, Any]
Statement = dict[str, Any]

LOGIN_PATHS = ("/login", "/oauth", "/password")
"""Where web mail and OAUTHBEARER clients prove who they are."""
CONTENT_PATHS = ("/compose", "/attachments", AUTODISCOVER_PATH)
"""Where web mail takes messages and files; and where Outlook posts XML, which looks like an attack and is not read."""
POLICY_HOST_PREFIX = "mta-sts."

MAX_URI_BYTES = 2048
MAX_QUERY_BYTES = 4096
MAX_COOKIE_BYTES = 8192
MAX_LOGIN_BODY_BYTES = 8192
"""AWS WAF looks at the first 8 KB of a body behind an application load balancer; what is longer counts as too long."""
REQUESTS_PER_WINDOW = 3000
LOGINS_PER_WINDOW = 100
"""An address may be that of a whole office."""
WINDOW_S = 300
TOO_MANY_REQUESTS = 429

BODY_RULES = {
    "AWSManagedRulesCommonRuleSet": ("SizeRestrictions_BODY", "CrossSiteScripting_BODY", "GenericRFI_BODY"),
    "AWSManagedRulesSQLiRuleSet": ("SQLi_BODY", "SQLiExtendedPatterns_BODY"),
}
BODY_LABELS = (
    "awswaf:managed:aws:core-rule-set:SizeRestrictions_Body",
    "awswaf:managed:aws:core-rule-set:CrossSiteScripting_Body",
    "awswaf:managed:aws:core-rule-set:GenericRFI_Body",
    "awswaf:managed:aws:sql-database:SQLi_Body",
    "awswaf:managed:aws:sql-database:SQLiExtendedPatterns_Body",
)


def web_rules(blocked_countries: tuple[str, ...]) -> list[Any]:
    """Return every rule with its priority; `blocked_countries` are ISO 3166-1 codes."""
    rules = [*_origin(blocked_countries), *_sizes(), *_login(), *_rates(), *_content()]
    return [{**rule, "priority": number} for number, rule in enumerate(rules)]


def _origin(blocked_countries: tuple[str, ...]) -> Iterator[Rule]:
    if blocked_countries:
        countries = {"geo_match_statement": {"country_codes": list(blocked_countries)}}
        yield _own("blocked-countries", _all(countries, _not(_policy_host())))
    yield _managed("AWSManagedRulesAmazonIpReputationList", scope=_not(_policy_host()))
    yield _managed("AWSManagedRulesAnonymousIpList", scope=_not(_policy_host()))


def _sizes() -> Iterator[Rule]:
    yield _own(
        "size-limits",
        _any(
            _longer({"uri_path": {}}, MAX_URI_BYTES),
            _longer({"query_string": {}}, MAX_QUERY_BYTES),
            _longer({"single_header": {"name": "cookie"}}, MAX_COOKIE_BYTES),
        ),
    )


def _login() -> Iterator[Rule]:
    at_login = _path(LOGIN_PATHS)
    expected = {
        "regex_match_statement": {
            "regex_string": "^(get|head|post)$",
            "field_to_match": {"method": {}},
            "text_transformations": _transform("LOWERCASE"),
        }
    }
    yield _own("login-methods", _all(at_login, _not(expected)))
    body = {"body": {"oversize_handling": "MATCH"}}
    yield _own("login-body-size", _all(at_login, _longer(body, MAX_LOGIN_BODY_BYTES)))
    yield _limited("login-rate", LOGINS_PER_WINDOW, at_login)


def _rates() -> Iterator[Rule]:
    yield _limited("request-rate", REQUESTS_PER_WINDOW, None)


def _content() -> Iterator[Rule]:
    yield _managed("AWSManagedRulesKnownBadInputsRuleSet")
    yield _managed("AWSManagedRulesCommonRuleSet")
    yield _managed("AWSManagedRulesSQLiRuleSet")
    marked = _any(*({"label_match_statement": {"scope": "LABEL", "key": label}} for label in BODY_LABELS))
    yield _own("marked-bodies", _all(marked, _not(_path(CONTENT_PATHS))))


def _own(name: str, statement: Statement) -> Rule:
    return {"name": name, "action": {"block": {}}, "statement": statement, "visibility_config": _visible(name)}


def _limited(name: str, limit: int, scope: Statement | None) -> Rule:
    rate = {"limit": limit, "evaluation_window_sec": WINDOW_S, "aggregate_key_type": "IP"}
    block = {"custom_response": {"response_code": TOO_MANY_REQUESTS}}
    statement = {"rate_based_statement": {**rate, **({"scope_down_statement": scope} if scope else {})}}
    return {**_own(name, statement), "action": {"block": block}}


def _managed(group: str, scope: Statement | None = None) -> Rule:
    statement: Statement = {"vendor_name": "AWS", "name": group}
    if scope:
        statement["scope_down_statement"] = scope
    if group in BODY_RULES:
        statement["rule_action_overrides"] = [
            {"name": rule, "action_to_use": {"count": {}}} for rule in BODY_RULES[group]
        ]
    return {
        "name": group,
        "override_action": {"none": {}},
        "statement": {"managed_rule_group_statement": statement},
        "visibility_config": _visible(group),
    }


def _visible(name: str) -> dict[str, Any]:
    return {"cloudwatch_metrics_enabled": True, "metric_name": name, "sampled_requests_enabled": True}


def _all(*statements: Statement) -> Statement:
    return {"and_statement": {"statements": list(statements)}}


def _any(*statements: Statement) -> Statement:
    return {"or_statement": {"statements": list(statements)}}


def _not(statement: Statement) -> Statement:
    return {"not_statement": {"statement": statement}}


def _transform(*kinds: str) -> list[dict[str, Any]]:
    return [{"priority": number, "type": kind} for number, kind in enumerate(kinds)]


def _path(prefixes: tuple[str, ...]) -> Statement:
    """Return what matches a path and all below it, however it is written."""
    names = "|".join(re.escape(prefix.removeprefix("/")) for prefix in prefixes)
    return {
        "regex_match_statement": {
            "regex_string": f"^/({names})(/|$)",
            "field_to_match": {"uri_path": {}},
            "text_transformations": _transform("URL_DECODE", "NORMALIZE_PATH", "LOWERCASE"),
        }
    }


def _policy_host() -> Statement:
    return {
        "byte_match_statement": {
            "search_string": POLICY_HOST_PREFIX,
            "positional_constraint": "STARTS_WITH",
            "field_to_match": {"single_header": {"name": "host"}},
            "text_transformations": _transform("LOWERCASE"),
        }
    }


def _longer(field: dict[str, Any], size_bytes: int) -> Statement:
    return {
        "size_constraint_statement": {
            "comparison_operator": "GT",
            "size": size_bytes,
            "field_to_match": field,
            "text_transformations": _transform("NONE"),
        }
    }
