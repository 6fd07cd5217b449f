"""What the web side serves and refuses, as the role writes it: settings that are true, nothing but them."""

import re

import pytest

from onedallmail.platform.ports import Port
from onedallmail.platform.records import sender_policy
from onedallmail.platform.web import AUTOCONFIG_PATHS, AUTODISCOVER_PATH, HEALTH_PATH, POLICY_PATH
from onedallmail.stackfile import load_platform
from tests.xml_text import parsed

from .rendering import Outcome
from .site import STACK

RESPONSE = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"
AUTODISCOVER = "{http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006}"
FILES = "/var/lib/onedallmail/web"


def text(outcome: Outcome, dest: str) -> str:
    return next(f.text for f in outcome.files if f.host == "a1" and f.dest == dest)


@pytest.fixture(scope="module")
def configuration(outcome: Outcome) -> str:
    return text(outcome, "/etc/onedallmail/web.conf")


def test_mozillas_programs_are_told_imap_and_both_ways_of_submission(outcome: Outcome) -> None:
    root = parsed(text(outcome, f"{FILES}/autoconfig/acme.example.xml"))
    assert (root.tag, root.get("version")) == ("clientConfig", "1.1")
    provider = root.find("emailProvider")
    assert provider is not None
    assert [d.text for d in provider.findall("domain")] == ["acme.example"]
    servers = [*provider.findall("incomingServer"), *provider.findall("outgoingServer")]
    found = [tuple(s.findtext(key) for key in ("hostname", "port", "socketType")) for s in servers]
    assert found == [
        ("imap.acme.example", str(Port.IMAPS.value), "SSL"),
        ("smtp.acme.example", str(Port.SUBMISSIONS.value), "SSL"),
        ("smtp.acme.example", str(Port.SUBMISSION.value), "STARTTLS"),
    ]
    assert {s.findtext("username") for s in servers} == {"%EMAILADDRESS%"}


def test_outlook_is_told_one_service_of_each_protocol_in_the_schema_it_asks_for(outcome: Outcome) -> None:
    root = parsed(text(outcome, f"{FILES}/autodiscover/acme.example.xml"))
    assert root.tag == f"{AUTODISCOVER}Autodiscover"
    account = root.find(f"{RESPONSE}Response/{RESPONSE}Account")
    assert account is not None
    assert account.findtext(f"{RESPONSE}AccountType") == "email"
    assert account.findtext(f"{RESPONSE}Action") == "settings"
    keys = ("Type", "Server", "Port", "SSL", "AuthRequired")
    found = [tuple(p.findtext(RESPONSE + key) for key in keys) for p in account.findall(f"{RESPONSE}Protocol")]
    assert found == [
        ("IMAP", "imap.acme.example", "993", "on", "on"),
        ("SMTP", "smtp.acme.example", "465", "on", "on"),
    ]
    assert not list(root.iter(f"{RESPONSE}LoginName")), "the same file answers every user"


def test_the_policy_is_the_text_whose_id_dns_announces(outcome: Outcome) -> None:
    assert text(outcome, f"{FILES}/mta-sts.txt") == sender_policy(load_platform(STACK))


@pytest.mark.control("iso27001:A.8.24", "iso27001:A.8.9", "soc2:CC6.7", basis="recorded")
def test_tls_is_that_of_the_platform(configuration: str) -> None:
    tls = load_platform(STACK).tls
    assert f"ssl_protocols {tls.minimum};" in configuration
    assert f"ssl_ecdh_curve {':'.join(tls.groups)};" in configuration
    assert f"ssl_conf_command Ciphersuites {':'.join(tls.ciphersuites)};" in configuration
    assert "ssl_certificate /etc/onedallmail/tls/public.crt;" in configuration
    listens = re.findall(r"listen (.*);", configuration)
    assert listens
    assert all(words.split()[1] == "ssl" for words in listens)


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.21", "soc2:CC6.6", basis="recorded")
def test_only_the_declared_paths_are_served_and_requests_are_bounded(configuration: str) -> None:
    locations = set(re.findall(r"location (?:= |~\* )?(\S+) \{", configuration))
    outlook = f'"^{re.escape(AUTODISCOVER_PATH)}$"'
    assert locations == {"/", "/answer", HEALTH_PATH, POLICY_PATH, *AUTOCONFIG_PATHS, outlook}
    for block in re.findall(r"location / \{(.*?)\}", configuration, re.DOTALL):
        assert block.strip() in ("return 404;", "return 421;")
    for wanted in ("limit_req zone=", "limit_conn ", "client_max_body_size 16k", "server_tokens off", "autoindex off"):
        assert wanted in configuration
    assert "set_real_ip_from" not in configuration, "nobody stands before the lab's servers: the header is a client's"


@pytest.mark.control("iso27001:A.8.9", "iso27001:A.8.27", basis="recorded")
def test_the_service_runs_without_root_and_the_packages_own_is_masked(outcome: Outcome) -> None:
    unit = text(outcome, "/etc/systemd/system/onedallmail-web.service")
    for setting in (
        "User=www-data",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "MemoryDenyWriteExecute=yes",
    ):
        assert f"{setting}\n" in unit
