"""What servers in AWS get that the lab's do not: Session Manager's way in, PROXY protocol, names of the network."""

import re

import pytest

from onedallmail import inventory
from onedallmail.stackfile import load_platform

from .rendering import Outcome
from .site import MAIL_KEY, outputs

STACK = "example"


def text(outcome: Outcome, host: str, dest: str) -> str:
    return next(f.text for f in outcome.files if f.host == host and f.dest == dest)


def test_ansible_goes_through_session_manager_as_an_account_that_is_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "read_outputs", lambda _: outputs(load_platform(STACK)))
    document = inventory.inventory(STACK)
    assert document["aws"]["hosts"] == ["a1", "a2", "b1", "b2", "c1"]
    for facts in document["_meta"]["hostvars"].values():
        assert facts["ansible_host"].startswith("i-")
        assert "aws ssm start-session" in facts["ansible_ssh_common_args"]
        assert facts["onedallmail_server"]["region"] in facts["ansible_ssh_common_args"]


def test_mail_servers_know_the_mail_keys_their_own_regions_first_and_the_witness_knows_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inventory, "read_outputs", lambda _: outputs(load_platform(STACK)))
    hosts = inventory.inventory(STACK)["_meta"]["hostvars"]
    regions = {region.name for region in load_platform(STACK).config.regions}
    for name in ("a1", "b1"):
        facts = hosts[name]["onedallmail_server"]
        assert facts["mail_key_arns"][0] == MAIL_KEY.format(region=facts["region"])
        assert set(facts["mail_key_arns"]) == {MAIL_KEY.format(region=region) for region in regions}
        assert facts["mail_key_context"] == {"purpose": "mail-copies"}
    assert hosts["c1"]["onedallmail_server"]["mail_key_arns"] == []


def test_no_template_fails_for_a_stack_in_aws(aws_outcome: Outcome) -> None:
    assert not {k: v for k, v in aws_outcome.errors.items() if not k.startswith("canary/")}
    assert not {k: v for k, v in aws_outcome.arguments.items() if k != "canary"}


@pytest.mark.control("iso27001:A.8.20", "soc2:CC6.6", basis="recorded")
def test_mail_ports_take_the_clients_address_from_the_load_balancer_only(aws_outcome: Outcome) -> None:
    master = text(aws_outcome, "a1", "/etc/postfix/master.cf")
    assert len(re.findall(r"smtpd_upstream_proxy_protocol=haproxy", master)) == 3
    handover = master.partition(":10025 inet")[2].partition("\nhandover")[0]
    assert "proxy_protocol" not in handover, "servers come to the hand-over port themselves"
    dovecot = text(aws_outcome, "a1", "/etc/dovecot/dovecot.conf")
    trusted = re.search(r"haproxy_trusted_networks = (.+)", dovecot)
    assert trusted
    assert trusted[1].split() == ["127.0.0.1/32", "10.10.0.0/20", "10.10.16.0/20", "10.10.32.0/20"]
    rules = text(aws_outcome, "a1", "/etc/nftables.conf")
    assert "0.0.0.0/0" not in rules.partition("set in_1_tcp_25")[2].partition("}")[0]


@pytest.mark.control("iso27001:A.8.21", basis="recorded")
def test_helo_is_the_name_of_the_address_that_mail_leaves_from(aws_outcome: Outcome) -> None:
    main = text(aws_outcome, "a1", "/etc/postfix/main.cf")
    assert "smtp_helo_name = out-a.eu-central-1.example.com\n" in main


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.24", "soc2:CC6.7", basis="recorded")
def test_the_web_side_trusts_the_balancers_subnets_for_the_clients_address_and_shows_the_servers_own_certificate(
    aws_outcome: Outcome,
) -> None:
    web = text(aws_outcome, "a1", "/etc/onedallmail/web.conf")
    assert re.findall(r"set_real_ip_from (\S+);", web) == ["10.10.0.0/20", "10.10.16.0/20", "10.10.32.0/20"]
    assert "real_ip_recursive off;" in web, "all but the last address of the header are the client's own word"
    assert "ssl_certificate /etc/onedallmail/tls/chain.crt;" in web


def test_names_of_aws_are_asked_of_the_network_and_may_be_private(aws_outcome: Outcome) -> None:
    unbound = text(aws_outcome, "c1", next(f.dest for f in aws_outcome.files if f.src == "unbound.conf.j2"))
    assert 'private-domain: "amazonaws.com."' in unbound
    assert "forward-addr: 169.254.169.253" in unbound


def test_ssh_admits_the_administrator_and_not_root(aws_outcome: Outcome) -> None:
    sshd = text(aws_outcome, "c1", "/etc/ssh/sshd_config")
    assert "AllowUsers admin\n" in sshd
    assert "PermitRootLogin no\n" in sshd
    assert "ListenAddress 127.0.0.1\n" in sshd


def test_a_certificate_names_every_regions_exchanger_because_each_leads_elsewhere_after_a_failover(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inventory, "read_outputs", lambda _: outputs(load_platform(STACK)))
    variables = inventory.inventory(STACK)["all"]["vars"]["onedallmail_platform"]
    assert variables["web"]["certificate_names"] == [], "the balancer has the certificate of the web names"
    assert variables["exchangers"] == ["mx.eu-central-1.example.com", "mx.eu-west-1.example.com"]
