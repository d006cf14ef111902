"""Voucher codes as staff keep them."""

import secrets

import httpx2
import pytest

Staff = dict[str, str]


def make(api: httpx2.Client, editor: Staff, **changes: object) -> httpx2.Response:
    body = {"code": f"API-{secrets.token_hex(6)}", "kind": "percent", "basis_points": 1000} | changes
    return api.post("/v1/vouchers", json=body, headers=editor | {"Idempotency-Key": secrets.token_hex(8)})


def test_a_voucher_is_made_read_listed_and_stopped(api: httpx2.Client, editor: Staff) -> None:
    made = make(api, editor, max_uses=5)
    assert made.status_code == 201, made.text
    voucher = made.json()
    address = made.headers["Location"]
    assert (voucher["code"], voucher["uses"], voucher["max_uses"]) == (voucher["code"].upper(), 0, 5)

    read = api.get(address, headers=editor)
    assert (read.json(), read.headers["ETag"]) == (voucher, made.headers["ETag"])
    listed = api.get("/v1/vouchers", params={"cursor": voucher["code"][:-1], "limit": 1}, headers=editor).json()
    assert [one["code"] for one in listed["items"]] == [voucher["code"]]

    terms = {"kind": "percent", "basis_points": 1000, "active": False}
    stopped = api.put(address, json=terms, headers=editor | {"If-Match": read.headers["ETag"]})
    assert (stopped.status_code, stopped.json()["active"]) == (200, False)
    stale = api.put(address, json=terms, headers=editor | {"If-Match": read.headers["ETag"]})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")
    blind = api.put(address, json=terms, headers=editor)
    assert (blind.status_code, blind.json()["code"]) == (428, "precondition_required")


def test_one_key_makes_one_voucher(api: httpx2.Client, editor: Staff) -> None:
    body = {"code": f"API-{secrets.token_hex(6)}", "kind": "free_shipping"}
    headers = editor | {"Idempotency-Key": secrets.token_hex(8)}
    first, second = (api.post("/v1/vouchers", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    other = api.post("/v1/vouchers", json=body, headers=editor | {"Idempotency-Key": secrets.token_hex(8)})
    assert (other.status_code, other.json()["code"]) == (409, "code_taken")


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "A"},
        {"code": "ЅPRING"},
        {"code": "TWO WORDS"},
        {"basis_points": 0},
        {"basis_points": 10_001},
        {"basis_points": None},
        {"kind": "amount"},
        {"kind": "amount", "basis_points": None, "amount": 100},
        {"minimum": 100},
        {"max_uses": 0},
        {"max_uses": 1.5},
        {"valid_from": "2026-05-01T00:00:00Z", "valid_to": "2026-04-01T00:00:00Z"},
        {"valid_from": "2026-05-01T00:00:00"},
        {"uses": 3},
    ],
    ids=str,
)
def test_terms_that_make_no_sense_are_refused(api: httpx2.Client, editor: Staff, changes: dict[str, object]) -> None:
    answer = make(api, editor, **changes)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text
