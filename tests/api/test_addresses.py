"""The address book: checked by the rules of each country, one default, nobody else's."""

import httpx2
import pytest

from tests.fixture_types import Customer, Json, MakeCustomer

BERLIN = {"name": "Ada", "line1": "Straße 1", "city": "Berlin", "postal_code": "10117", "country": "DE"}
NEW_YORK = {"name": "Ada", "line1": "1 Main St", "city": "New York", "postal_code": "10001", "country": "US"}
BOOK = "/v1/users/me/addresses"


def add(api: httpx2.Client, customer: Customer, **fields: object) -> Json:
    answer = api.post(BOOK, headers=customer.headers, json=BERLIN | fields)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def listed(api: httpx2.Client, customer: Customer) -> list[Json]:
    return list(api.get(BOOK, headers=customer.headers).json()["items"])


def test_an_address_is_kept_changed_and_forgotten(api: httpx2.Client, customer: Customer) -> None:
    answer = api.post(BOOK, headers=customer.headers, json=BERLIN | {"label": "Home"})
    saved = answer.json()
    assert answer.status_code == 201
    where = answer.headers["location"]
    assert api.get(where, headers=customer.headers).json() == saved
    assert (saved["label"], saved["postal_code"], saved["is_default"]) == ("Home", "10117", True)
    changed = api.put(where, headers=customer.headers, json=BERLIN | {"postal_code": "10119"})
    assert (changed.status_code, changed.json()["postal_code"], changed.json()["label"]) == (200, "10119", None)
    assert api.delete(where, headers=customer.headers).status_code == 204
    assert api.get(where, headers=customer.headers).status_code == 404
    assert api.delete(where, headers=customer.headers).status_code == 404


def test_there_is_always_exactly_one_default(api: httpx2.Client, customer: Customer) -> None:
    first, second = add(api, customer), add(api, customer)
    third = add(api, customer, is_default=True)
    assert [one["id"] for one in listed(api, customer) if one["is_default"]] == [third["id"]]
    back = api.put(f"{BOOK}/{first['id']}", headers=customer.headers, json=BERLIN | {"is_default": True})
    assert back.json()["is_default"] is True
    api.put(f"{BOOK}/{first['id']}", headers=customer.headers, json=BERLIN)
    assert [one["id"] for one in listed(api, customer) if one["is_default"]] == [first["id"]]
    assert listed(api, customer)[0]["id"] == first["id"]
    api.delete(f"{BOOK}/{first['id']}", headers=customer.headers)
    assert [one["id"] for one in listed(api, customer) if one["is_default"]] == [third["id"]]
    api.delete(f"{BOOK}/{third['id']}", headers=customer.headers)
    assert [(one["id"], one["is_default"]) for one in listed(api, customer)] == [(second["id"], True)]


@pytest.mark.parametrize(
    ("address", "field", "code"),
    [
        (BERLIN | {"postal_code": "1011"}, "postal_code", "invalid"),
        (BERLIN | {"postal_code": None}, "postal_code", "required"),
        (BERLIN | {"country": "XX"}, "country", "invalid"),
        (NEW_YORK, "region", "required"),
        (NEW_YORK | {"region": "Bavaria"}, "region", "invalid"),
        (NEW_YORK | {"region": "CA"}, "postal_code", "invalid"),
        (BERLIN | {"country": "GB", "city": "London"}, "postal_code", "invalid"),
    ],
    ids=str,
)
def test_an_address_its_country_would_not_deliver_to_is_refused_field_by_field(
    api: httpx2.Client, customer: Customer, address: dict[str, object], field: str, code: str
) -> None:
    answer = api.post(BOOK, headers=customer.headers, json=address)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_address")
    assert (f"body/{field}", code) in {(one["pointer"], one["code"]) for one in answer.json()["errors"]}
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_refusal_says_what_would_be_accepted(api: httpx2.Client, customer: Customer) -> None:
    answer = api.post(BOOK, headers=customer.headers, json=NEW_YORK | {"region": "Bavaria"})
    (error,) = [one for one in answer.json()["errors"] if one["pointer"] == "body/region"]
    assert {"NY", "CA"} <= set(error["choices"])


def test_region_and_postal_code_are_kept_as_their_country_spells_them(api: httpx2.Client, customer: Customer) -> None:
    london = add(api, customer, country="GB", city="London", postal_code="sw1a 1aa")
    assert (london["postal_code"], london["city"]) == ("SW1A 1AA", "London")
    assert add(api, customer, **NEW_YORK, region="new york")["region"] == "NY"
    kowloon = add(api, customer, country="HK", city="Mong Kok", region="Kowloon", postal_code=None)
    assert (kowloon["region"], kowloon["postal_code"]) == ("Kowloon", None)


def test_the_address_of_another_is_answered_as_one_that_does_not_exist(
    api: httpx2.Client, make_customer: MakeCustomer
) -> None:
    owner, stranger = make_customer(), make_customer()
    where = f"{BOOK}/{add(api, owner)['id']}"
    for method, body in (("GET", None), ("PUT", BERLIN), ("DELETE", None)):
        answer = api.request(method, where, headers=stranger.headers, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), method
    assert len(listed(api, owner)) == 1
    for nonsense in ("x", "ü", "%27%20OR%201=1", "0" * 36):
        assert api.get(f"{BOOK}/{nonsense}", headers=owner.headers).status_code == 404


def test_an_address_book_does_not_grow_without_end(api: httpx2.Client, make_customer: MakeCustomer) -> None:
    customer = make_customer()
    for _ in range(50):
        add(api, customer)
    answer = api.post(BOOK, headers=customer.headers, json=BERLIN)
    assert (answer.status_code, answer.json()["code"]) == (409, "address_book_full")
