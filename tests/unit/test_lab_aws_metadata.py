"""Instance metadata in the lab: a token first, then facts and credentials of the instance that asks alone."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from onedallmail.lab.aws.credentials import Issuer
from onedallmail.lab.aws.estate import Guest
from onedallmail.lab.aws.messages import Answer, Incoming
from onedallmail.lab.aws.metadata import Metadata

from .aws_guests import MAIL, WITNESS

SECRET = b"secret of the lab"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TTL, TOKEN = "x-aws-ec2-metadata-token-ttl-seconds", "x-aws-ec2-metadata-token"
ROLE = "/latest/meta-data/iam/security-credentials/"


def ask(
    path: str, headers: dict[str, str] | None = None, *, method: str = "GET", guest: Guest = MAIL, now: datetime = NOW
) -> Answer:
    metadata = Metadata(SECRET, Issuer(SECRET))
    return metadata.answer(guest, Incoming(method, path, headers or {}, b""), now)


def token(guest: Guest = MAIL, seconds: str = "60") -> str:
    answer = ask("/latest/api/token", {TTL: seconds}, method="PUT", guest=guest)
    assert answer.status == 200
    assert answer.headers[TTL] == seconds
    return answer.body.decode()


def test_nothing_is_told_without_a_token() -> None:
    for path in ("/latest/meta-data/instance-id", ROLE, f"{ROLE}mail", "/latest/dynamic/instance-identity/document"):
        assert ask(path) == Answer(401)
        assert ask(path, {TOKEN: "guess"}).status == 401
        assert ask(path, {TOKEN: "é"}).status == 401


@pytest.mark.parametrize("seconds", ["", "0", "21601", "-1", "x", "1e3", "٣", "99999999999"])
def test_a_token_without_a_life_that_is_allowed_is_refused(seconds: str) -> None:
    assert ask("/latest/api/token", {TTL: seconds}, method="PUT").status == 400


def test_a_token_is_given_to_put_only_and_not_through_a_proxy() -> None:
    assert ask("/latest/api/token", {TTL: "60"}).status == 401
    assert ask("/latest/api/token", {TTL: "60"}, method="POST").status == 405
    assert ask("/latest/api/token", {TTL: "60", "x-forwarded-for": "10.0.0.9"}, method="PUT").status == 403


def test_a_token_ends_and_is_of_one_instance() -> None:
    mine, path = token(), "/latest/meta-data/instance-id"
    assert ask(path, {TOKEN: mine}).body == MAIL.id.encode()
    assert ask(path, {TOKEN: mine}, now=NOW + timedelta(seconds=59)).status == 200
    assert ask(path, {TOKEN: mine}, now=NOW + timedelta(seconds=61)).status == 401
    assert ask(path, {TOKEN: mine}, guest=WITNESS).status == 401


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/latest/meta-data/placement/region", MAIL.region),
        ("/latest/meta-data/placement/availability-zone/", MAIL.zone),
        ("/latest/meta-data/local-ipv4", MAIL.address),
        (ROLE, MAIL.role_name),
        (ROLE.rstrip("/"), MAIL.role_name),
    ],
)
def test_facts_are_those_of_the_instance(path: str, body: str) -> None:
    assert ask(path, {TOKEN: token()}).body.decode() == body


def test_credentials_are_of_the_instances_own_role_with_their_end() -> None:
    found = json.loads(ask(f"{ROLE}mail", {TOKEN: token()}).body)
    assert (found["Code"], found["Type"], found["Expiration"]) == ("Success", "AWS-HMAC", "2026-01-02T09:00:00Z")
    known = Issuer(SECRET).recognise(found["Token"])
    assert known is not None
    assert (known.instance, known.access_key_id) == (MAIL.id, found["AccessKeyId"])
    assert known.secret_access_key == found["SecretAccessKey"]
    assert ask(f"{ROLE}witness", {TOKEN: token()}).status == 404


@pytest.mark.parametrize("path", ["/", "/latest", "/latest/user-data", "/latest/meta-data/x", "/moto-api/reset"])
def test_what_is_not_there_is_not_found(path: str) -> None:
    assert ask(path, {TOKEN: token()}).status == 404
