"""What of AWS the lab's servers reach: the APIs on the list, with a signature that holds, as the policies allow."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from onedallmail.lab.aws.api import Apis
from onedallmail.lab.aws.credentials import LIFE, Credentials, Issuer
from onedallmail.lab.aws.messages import Answer, Incoming
from onedallmail.lab.aws.names import Api, api_of, zone_records

from .aws_guests import AWAY, CONTEXT, HOME, KEY, KEY_ID, MAIL, WITNESS, estate, now, signed

BODY = {"KeyId": KEY, "KeySpec": "AES_256", "EncryptionContext": CONTEXT}


class Emulator:
    """Counts what reaches it."""

    def __init__(self) -> None:
        self.seen: list[Incoming] = []

    def __call__(self, request: Incoming) -> Answer:
        self.seen.append(request)
        return Answer(200, b"{}")


@pytest.fixture
def emulator() -> Emulator:
    return Emulator()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(b"secret of the lab")


@pytest.fixture
def apis(emulator: Emulator, issuer: Issuer) -> Apis:
    return Apis(estate(), issuer, emulator)


@pytest.fixture
def mail(issuer: Issuer) -> Credentials:
    return issuer.issue(MAIL.id, now())


def kind(answer: Answer) -> str:
    return str(json.loads(answer.body)["__type"])


@pytest.mark.parametrize("host", [f"kms.{HOME}.amazonaws.com", f"KMS.{AWAY}.amazonaws.com:443"])
def test_the_key_service_of_the_stacks_regions_is_let_through(host: str) -> None:
    assert api_of(host, (HOME, AWAY)) == Api("kms", host.split(".")[1])


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "127.0.0.1:5000",
        "moto_api",
        "kms",
        "kms.amazonaws.com",
        "kms.us-east-1.amazonaws.com",
        f"s3.{HOME}.amazonaws.com",
        f"iam.{HOME}.amazonaws.com",
        f"kms.{HOME}.amazonaws.com.evil.example",
        f"kms.{HOME}.amazonaws.com:80",
        f"x.kms.{HOME}.amazonaws.com",
        f"kms.{HOME}.amazonaws.com.",
    ],
)
def test_every_other_name_is_refused_before_anything_else(apis: Apis, emulator: Emulator, host: str) -> None:
    assert apis.answer(Incoming("POST", "/", {"host": host}, b"{}"), now()).status == 421
    assert not emulator.seen


def test_names_in_the_dns_are_those_that_are_let_through() -> None:
    (records,) = zone_records((HOME, AWAY)).values()
    assert {str(r["name"]) for r in records} == {f"kms.{region}.amazonaws.com" for region in (HOME, AWAY)}
    assert all(api_of(str(r["name"]), (HOME, AWAY)) for r in records)


@pytest.mark.parametrize("path", ["/moto-api/reset", "/moto-api/", "//", "/?x=1", "/.."])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_the_control_interface_of_the_emulator_is_not_reached(
    apis: Apis, emulator: Emulator, mail: Credentials, method: str, path: str
) -> None:
    request = replace(signed(mail, BODY), method=method, path=path)
    assert apis.answer(request, now()).status == 404
    assert not emulator.seen


def test_what_the_sdk_signed_reaches_the_emulator_as_it_came(apis: Apis, emulator: Emulator, mail: Credentials) -> None:
    request = signed(mail, BODY)
    assert apis.answer(request, now()).status == 200
    assert emulator.seen == [request]
    for named in (KEY_ID, "alias/mail"):
        assert apis.answer(signed(mail, {**BODY, "KeyId": named}), now()).status == 200


def test_a_ciphertext_says_which_key_it_is_of(apis: Apis, mail: Credentials) -> None:
    blob = base64.b64encode(KEY_ID.encode() + b"\0" * 60).decode()
    good = {"CiphertextBlob": blob, "EncryptionContext": CONTEXT}
    assert apis.answer(signed(mail, good, operation="Decrypt"), now()).status == 200
    other = base64.b64encode(b"mrk-00000000-0000-0000-0000-000000000002" + b"\0" * 60).decode()
    bad = {**good, "CiphertextBlob": other}
    assert kind(apis.answer(signed(mail, bad, operation="Decrypt"), now())) == "AccessDeniedException"


@pytest.mark.parametrize(
    ("changes", "operation"),
    [
        ({"EncryptionContext": {}}, "GenerateDataKey"),
        ({"EncryptionContext": {"purpose": "other"}}, "GenerateDataKey"),
        ({"KeyId": KEY.replace("0001", "0002")}, "GenerateDataKey"),
        ({"KeyId": "alias/other"}, "GenerateDataKey"),
        ({}, "Encrypt"),
        ({}, "ScheduleKeyDeletion"),
        ({}, "PutKeyPolicy"),
    ],
)
def test_what_the_policies_do_not_grant_is_denied(
    apis: Apis, emulator: Emulator, mail: Credentials, changes: dict[str, Any], operation: str
) -> None:
    answer = apis.answer(signed(mail, {**BODY, **changes}, operation=operation), now())
    assert (answer.status, kind(answer)) == (400, "AccessDeniedException")
    assert MAIL.session_arn in json.loads(answer.body)["message"]
    assert not emulator.seen


def test_the_witness_is_denied(apis: Apis, emulator: Emulator, issuer: Issuer) -> None:
    answer = apis.answer(signed(issuer.issue(WITNESS.id, now()), BODY), now())
    assert kind(answer) == "AccessDeniedException"
    assert not emulator.seen


def test_a_key_whose_own_policy_names_nobody_opens_for_nobody(emulator: Emulator, issuer: Issuer) -> None:
    closed = replace(estate(), key_policies={KEY: {"Statement": []}})
    answer = Apis(closed, issuer, emulator).answer(signed(issuer.issue(MAIL.id, now()), BODY), now())
    assert kind(answer) == "AccessDeniedException"


def test_a_signature_covers_body_headers_region_and_time(apis: Apis, emulator: Emulator, mail: Credentials) -> None:
    good = signed(mail, BODY)
    other_host = {**good.headers, "host": f"kms.{AWAY}.amazonaws.com"}
    other_target = {**good.headers, "x-amz-target": "TrentService.Decrypt"}
    for forged in (
        replace(good, body=good.body.replace(b"AES_256", b"AES_128")),
        replace(good, headers=other_host),
        replace(good, headers=other_target),
        signed(replace(mail, secret_access_key="0" * 40), BODY),
    ):
        assert kind(apis.answer(forged, now())) == "InvalidSignatureException"
    assert kind(apis.answer(good, now() + timedelta(minutes=16))) == "InvalidSignatureException"
    assert not emulator.seen


def test_strangers_and_unsigned_requests_are_refused(apis: Apis, emulator: Emulator, mail: Credentials) -> None:
    good = signed(mail, BODY)
    unsigned = replace(good, headers={k: v for k, v in good.headers.items() if k != "authorization"})
    assert kind(apis.answer(unsigned, now())) == "MissingAuthenticationTokenException"
    stranger = Issuer(b"another lab").issue(MAIL.id, now())
    assert kind(apis.answer(signed(stranger, BODY), now())) == "UnrecognizedClientException"
    borrowed = replace(mail, token=Issuer(b"secret of the lab").issue(WITNESS.id, now()).token)
    assert kind(apis.answer(signed(borrowed, BODY), now())) == "UnrecognizedClientException"
    assert not emulator.seen


def test_credentials_rotate_hourly_last_six_hours_and_outlive_the_process(apis: Apis, issuer: Issuer) -> None:
    old = issuer.issue(MAIL.id, now() - LIFE - timedelta(minutes=1))
    assert kind(apis.answer(signed(old, BODY), now())) == "ExpiredTokenException"
    older = issuer.issue(MAIL.id, now() - LIFE + timedelta(hours=1, minutes=1))
    assert apis.answer(signed(older, BODY), now()).status == 200
    hour = now().replace(minute=0, second=0, microsecond=0)
    first, last = issuer.issue(MAIL.id, hour), issuer.issue(MAIL.id, hour + timedelta(minutes=59))
    assert first == last == Issuer(b"secret of the lab").issue(MAIL.id, hour)
    assert issuer.issue(MAIL.id, hour + timedelta(hours=1)).access_key_id != first.access_key_id
    assert first.expires - first.issued == timedelta(hours=6)


@pytest.mark.parametrize(
    "token", ["", "x", "é", base64.b64encode(b"short").decode(), base64.b64encode(b"0" * 80).decode()]
)
def test_a_token_of_nobody_is_nobodys(issuer: Issuer, token: str) -> None:
    assert issuer.recognise(token) is None
