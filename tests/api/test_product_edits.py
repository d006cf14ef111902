"""Staff edits products over HTTP: checked field by field, once per key, and of two editors exactly one wins."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
import sqlalchemy as sa

from adapters.connections import Connections
from adapters.mysql.tables.catalog import product_events
from adapters.mysql.tables.shared import idempotency_keys
from tests.fixture_types import Customer, Json, MakeProduct

Headers = dict[str, str]
New = Json


@pytest.fixture
def new() -> New:
    """A simple product that is not there yet."""
    return {
        "sku": f"EDIT-{uuid.uuid4().hex[:10].upper()}",
        "name": "Stoneware mug",
        "brand": "testbrand",
        "category": "tests",
        "price": {"amount": 1290, "currency": "EUR"},
        "weight_grams": 380,
    }


def sized(new: New, *sizes: str) -> New:
    """The same with a variant per size."""
    variants = [
        {
            "sku": f"{new['sku']}-{size}",
            "options": {"Size": size},
            "weight_grams": 400,
            "prices": [{"amount": 1500, "currency": "EUR"}],
        }
        for size in sizes
    ]
    kept = {name: value for name, value in new.items() if name not in ("price", "weight_grams")}
    return kept | {"options": ["Size"], "variants": variants}


def post(api: httpx2.Client, headers: Headers, body: object, key: str | None = None) -> httpx2.Response:
    return api.post("/v1/products", json=body, headers=headers | {"Idempotency-Key": key or uuid.uuid4().hex})


Make = Callable[[object], Json]


@pytest.fixture
def make(api: httpx2.Client, editor: Headers) -> Make:
    def make(body: object) -> Json:
        answer = post(api, editor, body)
        assert answer.status_code == 201, answer.text
        page: Json = answer.json()
        return page

    return make


def patch(api: httpx2.Client, headers: Headers, sku: str, body: object, version: object = "*") -> httpx2.Response:
    tag = "*" if version == "*" else f'"{version}"'
    return api.patch(f"/v1/products/{sku}", json=body, headers=headers | {"If-Match": tag})


def faults(answer: httpx2.Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "invalid_request"
    return {one["pointer"]: one["code"] for one in answer.json()["errors"]}


def events_of(connections: Connections, code: str) -> list[tuple[str, Json]]:
    query = sa.select(product_events.c.type, product_events.c.data).where(product_events.c.product == code)
    with connections.engine.connect() as connection:
        return [(row.type, row.data) for row in connection.execute(query.order_by(product_events.c.id))]


# --- making


def test_a_simple_product_has_one_variant_with_its_own_number(api: httpx2.Client, editor: Headers, new: New) -> None:
    answer = post(api, editor, new)
    assert answer.status_code == 201, answer.text
    page = answer.json()
    assert answer.headers["location"] == f"/v1/products/{new['sku']}"
    assert (page["sku"], page["code"], page["status"], page["version"]) == (new["sku"], new["sku"], "active", 1)
    assert [one["sku"] for one in page["variants"]] == [new["sku"]]
    seen = api.get(answer.headers["location"])
    assert seen.json()["price"] == new["price"]
    assert api.get(answer.headers["location"], headers=editor).headers["etag"] == answer.headers["etag"]


def test_a_product_with_everything_is_shown_as_it_was_made(api: httpx2.Client, make: Make, new: New) -> None:
    body = sized(new, "S", "L") | {
        "description": "Thrown by hand.\r\nGlazed inside.",
        "attributes": {"Dishwasher": True, "Volume": 0.33, "Finish": ["matt", "speckled"], "Coldest": "-20 °C"},
        "tax_class": "reduced",
        "popularity": 7,
        "images": [{"url": "https://cdn.example.com/mug.jpg", "alt": "The mug", "sku": f"{new['sku']}-L"}],
    }
    body["variants"][0] |= {"barcode": "4006381333931", "length_mm": 90, "width_mm": 80, "height_mm": 100}
    page = make(body)
    assert page["description"] == "Thrown by hand.\nGlazed inside."
    for name in ("attributes", "tax_class", "popularity", "images", "options", "brand", "category"):
        assert page[name] == body[name], name
    for shown, sent in zip(page["variants"], body["variants"], strict=True):
        assert {name: shown[name] for name in sent if name != "prices"} == {
            k: v for k, v in sent.items() if k != "prices"
        }
        assert shown["prices"][0]["amount"] == 1500
    assert api.get(f"/v1/products/{new['sku']}-L").json()["sku"] == f"{new['sku']}-L"


def test_a_repeat_gets_the_same_answer_and_another_body_none(api: httpx2.Client, editor: Headers, new: New) -> None:
    key = uuid.uuid4().hex
    first, again = post(api, editor, new, key), post(api, editor, new, key)
    assert (again.status_code, again.json(), again.headers["etag"]) == (201, first.json(), first.headers["etag"])
    other = post(api, editor, new | {"name": "Another"}, key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    without = api.post("/v1/products", json=new, headers=editor)
    assert (without.status_code, without.json()["code"]) == (400, "idempotency_key_required")


def test_a_repeat_after_an_api_that_died_before_answering_finds_what_it_made(
    api: httpx2.Client, editor: Headers, new: New, connections: Connections
) -> None:
    key = uuid.uuid4().hex
    first = post(api, editor, new, key)
    with connections.engine.begin() as connection:
        connection.execute(
            idempotency_keys.update()
            .where(idempotency_keys.c.idempotency_key == key)
            .values(status_code=None, response=sa.null(), locked_until=None)
        )
    again = post(api, editor, new, key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert [kind for kind, _ in events_of(connections, new["sku"])] == ["product.created"]


def test_a_refusal_is_not_the_last_word_on_a_key(api: httpx2.Client, editor: Headers, make: Make, new: New) -> None:
    key = uuid.uuid4().hex
    taken = make(sized(new, "S"))
    other = new | {"sku": f"{new['sku']}-S"}
    refused = post(api, editor, other, key)
    assert (refused.status_code, refused.json()["code"], refused.json()["sku"]) == (409, "sku_taken", other["sku"])
    assert taken["version"] == 1
    assert post(api, editor, other, key).status_code == 409


def test_a_number_belongs_to_one_product(api: httpx2.Client, editor: Headers, make: Make, new: New) -> None:
    make(sized(new, "S"))
    code = f"{new['sku']}-2"
    again = post(api, editor, new)
    as_code = post(api, editor, new | {"sku": f"{new['sku']}-S"})
    theirs = sized(new, "S") | {"sku": code}
    as_sku = post(api, editor, theirs)
    theirs["variants"][0]["sku"] = new["sku"]
    code_as_sku = post(api, editor, theirs)
    for answer in (again, as_code, as_sku, code_as_sku):
        assert (answer.status_code, answer.json()["code"]) == (409, "sku_taken"), answer.text
    assert api.get(f"/v1/products/{code}", headers=editor).status_code == 404
    assert api.get(f"/v1/products/{new['sku']}").json()["version"] == 1


def test_many_who_take_one_number_at_once_make_one_product(api: httpx2.Client, editor: Headers, new: New) -> None:
    bodies = [sized(new, "S") | {"sku": f"{new['sku']}-{n}"} for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: post(api, editor, body), bodies))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 7]
    (made,) = (answer.json() for answer in answers if answer.status_code == 201)
    assert api.get(f"/v1/products/{new['sku']}-S").json()["code"] == made["code"]


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"name": "<b>Mug</b>"}, "name", "html"),
        ({"name": "Mug<script src=//evil.example>"}, "name", "html"),
        ({"name": "Mug\u0007"}, "name", "control_characters"),
        ({"name": "Mug\u202egnp"}, "name", "control_characters"),
        ({"name": "=HYPERLINK(1)"}, "name", "formula"),
        ({"name": " @SUM(A1)"}, "name", "formula"),
        ({"name": "\tMug"}, "name", "control_characters"),
        ({"name": "  "}, "name", "string_too_short"),
        ({"name": "x" * 201}, "name", "string_too_long"),
        ({"name": None}, "name", "string_type"),
        ({"description": "a <img src=x onerror=alert(1)>"}, "description", "html"),
        ({"sku": "lower"}, "sku", "string_pattern_mismatch"),
        ({"brand": "no-such-brand"}, "brand", "unknown_brand"),
        ({"category": "no-such-category"}, "category", "unknown_category"),
        ({"tax_class": "none"}, "tax_class", "enum"),
        ({"status": "sold"}, "status", "enum"),
        ({"weight_grams": -1}, "weight_grams", "greater_than_equal"),
        ({"weight_grams": 2_000_000}, "weight_grams", "less_than_equal"),
        ({"weight_grams": "380"}, "weight_grams", "int_type"),
        ({"height_mm": 0}, "height_mm", "greater_than_equal"),
        ({"barcode": "4006381333932"}, "barcode", "not_a_gtin"),
        ({"price": {"amount": -1, "currency": "EUR"}}, "price/amount", "greater_than_equal"),
        ({"price": {"amount": 1.5, "currency": "EUR"}}, "price/amount", "int_type"),
        ({"price": {"amount": 1, "currency": "QQQ"}}, "price/currency", "unknown_currency"),
        (
            {"price": {"amount": 1, "currency": "EUR", "valid_from": "2026-01-01T00:00:00"}},
            "price/valid_from",
            "timezone_aware",
        ),
        ({"images": [{"url": "javascript:alert(1)"}]}, "images/0/url", "not_a_web_address"),
        ({"images": [{"url": "https://cdn.example.com/a.jpg", "sku": "OTHER"}]}, "images/0/sku", "unknown_variant"),
        ({"attributes": {"Size": {"deep": 1}}}, "attributes/Size", "not_an_attribute"),
        ({"attributes": {"Size": ["<i>"]}}, "attributes/Size", "html"),
        ({"attributes": {"=Size": 1}}, "attributes/=Size/[key]", "formula"),
        ({"options": ["Size"]}, "options", "no_variants"),
        ({"colour": "red"}, "colour", "extra_forbidden"),
        ({"variants": [{"sku": "EDIT-V", "weight_grams": 1}]}, "price", "variants_given"),
    ],
)
def test_each_field_that_is_not_acceptable_is_named(
    api: httpx2.Client, editor: Headers, new: New, change: New, pointer: str, code: str
) -> None:
    assert faults(post(api, editor, new | change))[f"body/{pointer}"] == code
    assert api.get(f"/v1/products/{new['sku']}", headers=editor).status_code == 404


def test_what_does_not_fit_together_is_refused_all_at_once(api: httpx2.Client, editor: Headers, new: New) -> None:
    body = sized(new, "S", "S", "L", "XL")
    body["variants"][2]["options"] = {"Colour": "red"}
    body["variants"][3]["sku"] = body["variants"][0]["sku"]
    body["variants"][3]["prices"] *= 2
    assert faults(post(api, editor, body)) == {
        "body/variants/1/sku": "duplicate_sku",
        "body/variants/1/options": "duplicate_variant",
        "body/variants/2/options": "options_do_not_match",
        "body/variants/3/sku": "duplicate_sku",
        "body/variants/3/prices/1/valid_from": "duplicate_price",
    }
    window = {
        "amount": 1,
        "currency": "EUR",
        "valid_from": "2026-02-01T00:00:00Z",
        "valid_to": "2026-02-01T01:00:00+01:00",
    }
    assert faults(post(api, editor, new | {"price": window})) == {"body/price": "ends_before_it_begins"}
    asleep = sized(new, "S")
    asleep["variants"][0]["active"] = False
    assert faults(post(api, editor, asleep)) == {"body/variants": "no_active_variant"}
    assert faults(post(api, editor, {k: v for k, v in new.items() if k != "weight_grams"})) == {
        "body/weight_grams": "missing"
    }


# --- changing


def test_a_patch_changes_what_it_names_and_nothing_else(
    api: httpx2.Client, editor: Headers, make: Make, new: New, connections: Connections
) -> None:
    before = make(new | {"attributes": {"Glaze": "matt", "Volume": 0.3}, "description": "A mug."})
    changed = patch(api, editor, new["sku"], {"name": "Cup", "attributes": {"Glaze": None, "Handle": True}}, 1)
    assert changed.status_code == 200, changed.text
    after = changed.json()
    touched = {"name": "Cup", "attributes": {"Volume": 0.3, "Handle": True}, "version": 2}
    assert after == before | touched | {"updated_at": after["updated_at"]}
    assert api.get(f"/v1/products/{new['sku']}", headers=editor).headers["etag"] == changed.headers["etag"]
    null = patch(api, editor, new["sku"], {"description": None, "attributes": None}, 2).json()
    assert (null["description"], null["attributes"]) == ("", {})
    kind, data = events_of(connections, new["sku"])[1]
    assert (kind, data["fields"]) == ("product.changed", ["attributes", "name"])
    assert data["actor"].startswith("staff:")
    assert data["actor"].endswith(":catalog")


def test_a_patch_that_changes_nothing_leaves_the_version(
    api: httpx2.Client, editor: Headers, make: Make, new: New, connections: Connections
) -> None:
    make(new)
    assert patch(api, editor, new["sku"], {"name": new["name"], "price": new["price"]}, 1).json()["version"] == 1
    assert len(events_of(connections, new["sku"])) == 1


def test_the_price_of_a_simple_product_is_patched_without_its_variant(
    api: httpx2.Client, editor: Headers, make: Make, new: New
) -> None:
    make(new)
    sale = {"amount": 990, "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z", "valid_to": "2199-01-01T00:00:00Z"}
    on_sale = patch(api, editor, new["sku"], {"price": sale}).json()
    assert (on_sale["price"]["amount"], on_sale["regular_price"]["amount"]) == (990, 1290)
    dearer = patch(api, editor, new["sku"], {"price": {"amount": 1390, "currency": "EUR"}, "weight_grams": 390}).json()
    assert (dearer["price"]["amount"], dearer["regular_price"]["amount"]) == (990, 1390)
    assert (len(dearer["variants"][0]["prices"]), dearer["variants"][0]["weight_grams"]) == (2, 390)
    dollars = patch(api, editor, new["sku"], {"price": {"amount": 1500, "currency": "USD"}}).json()
    assert len(dollars["variants"][0]["prices"]) == 3
    assert faults(patch(api, editor, new["sku"], {"price": None})) == {"body/price": "null_not_allowed"}


def test_a_price_given_by_others_is_replaced_too(
    api: httpx2.Client, editor: Headers, make_product: MakeProduct
) -> None:
    sku = make_product(price=1000)
    assert patch(api, editor, sku, {"price": {"amount": 900, "currency": "EUR"}}).json()["price"]["amount"] == 900


def test_which_variant_is_meant_must_be_clear(api: httpx2.Client, editor: Headers, make: Make, new: New) -> None:
    make(sized(new, "S", "L"))
    answer = patch(api, editor, new["sku"], {"weight_grams": 1, "barcode": None})
    assert faults(answer) == {"body/weight_grams": "which_variant", "body/barcode": "which_variant"}


def test_variants_are_replaced_as_a_whole_and_stay_for_their_orders(
    api: httpx2.Client, editor: Headers, make: Make, new: New
) -> None:
    make(sized(new, "S", "M", "L"))
    kept = sized(new, "L", "S")["variants"]
    page = patch(api, editor, new["sku"], {"variants": kept}, 1).json()
    found = [(one["options"]["Size"], one["active"]) for one in page["variants"]]
    assert [one for one in found if one[1]] == [("L", True), ("S", True)]
    assert ("M", False) in found
    colours = [{"sku": f"{new['sku']}-RED", "weight_grams": 1, "options": {"Colour": "red"}}]
    other = patch(api, editor, new["sku"], {"options": ["Colour"], "variants": colours}, 2)
    assert other.status_code == 200, other.text
    assert patch(api, editor, new["sku"], {"name": "Still editable"}, 3).status_code == 200
    assert patch(api, editor, new["sku"], {"variants": sized(new, "S")["variants"]}, 4).status_code == 422


def test_a_patch_is_checked_like_a_new_product(api: httpx2.Client, editor: Headers, make: Make, new: New) -> None:
    make(sized(new, "S", "L"))
    sku = new["sku"]
    assert faults(patch(api, editor, sku, {"name": None})) == {"body/name": "missing"}
    assert faults(patch(api, editor, sku, {"name": "<b>"})) == {"body/name": "html"}
    assert faults(patch(api, editor, sku, {"options": []})).keys() == {
        "body/variants/0/options",
        "body/variants/1/options",
    }
    assert faults(patch(api, editor, sku, {"brand": "nobody"})) == {"body/brand": "unknown_brand"}
    assert faults(patch(api, editor, sku, {"code": "OTHER"})) == {"body/code": "extra_forbidden"}
    assert api.get(f"/v1/products/{sku}").json()["version"] == 1


def test_a_sku_of_another_product_cannot_be_taken_over(
    api: httpx2.Client, editor: Headers, make: Make, new: New, make_product: MakeProduct
) -> None:
    make(sized(new, "S"))
    theirs = make_product()
    variants = sized(new, "S")["variants"] + [{"sku": theirs, "options": {"Size": "L"}, "weight_grams": 1}]
    answer = patch(api, editor, new["sku"], {"variants": variants})
    assert (answer.status_code, answer.json()["code"], answer.json()["sku"]) == (409, "sku_taken", theirs)
    assert api.get(f"/v1/products/{theirs}").json()["code"] == theirs


# --- two editors


def test_an_edit_of_what_has_changed_is_answered_with_what_it_is_now(
    api: httpx2.Client, editor: Headers, make: Make, new: New
) -> None:
    make(new)
    current = patch(api, editor, new["sku"], {"name": "Cup"}, 1).json()
    stale = patch(api, editor, new["sku"], {"name": "Beaker"}, 1)
    assert (stale.status_code, stale.json()["code"], stale.json()["version"]) == (412, "stale_version", 2)
    assert stale.json()["product"] == current
    assert stale.headers["etag"].startswith('"2-')
    gone = api.delete(f"/v1/products/{new['sku']}", headers=editor | {"If-Match": '"1"'})
    assert (gone.status_code, gone.json()["product"]["name"]) == (412, "Cup")


def test_the_etag_of_the_public_page_serves_an_editor(
    api: httpx2.Client, editor: Headers, make: Make, new: New
) -> None:
    make(new)
    tag = api.get(f"/v1/products/{new['sku']}").headers["etag"]
    answer = api.patch(f"/v1/products/{new['sku']}", json={"name": "Cup"}, headers=editor | {"If-Match": tag})
    assert (answer.status_code, answer.json()["version"]) == (200, 2)


def test_of_many_editors_exactly_one_wins(api: httpx2.Client, editor: Headers, make: Make, new: New) -> None:
    make(new)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: patch(api, editor, new["sku"], {"name": f"Cup {n}"}, 1), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 7]
    (winner,) = (answer.json() for answer in answers if answer.status_code == 200)
    page = api.get(f"/v1/products/{new['sku']}").json()
    assert (page["name"], page["version"]) == (winner["name"], 2)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_an_edit_says_what_it_has_seen(api: httpx2.Client, editor: Headers, make: Make, new: New, method: str) -> None:
    make(new)
    address = f"/v1/products/{new['sku']}"
    body: Json | None = {} if method == "PATCH" else None
    without = api.request(method, address, headers=editor, json=body)
    assert (without.status_code, without.json()["code"]) == (428, "precondition_required")
    odd = api.request(method, address, headers=editor | {"If-Match": "one"}, json=body)
    assert (odd.status_code, odd.json()["code"]) == (400, "invalid_if_match")
    missing = api.request(method, "/v1/products/NO-SUCH", headers=editor | {"If-Match": "*"}, json=body)
    assert missing.status_code == 404


# --- archiving


def test_an_archived_product_is_off_sale_and_comes_back(
    api: httpx2.Client, editor: Headers, make: Make, new: New, customer: Customer, connections: Connections
) -> None:
    make(new)
    address = f"/v1/products/{new['sku']}"
    first = api.delete(address, headers=editor | {"If-Match": '"1"'})
    again = api.delete(address, headers=editor | {"If-Match": '"1"'})
    assert (first.status_code, again.status_code, first.content) == (204, 204, b"")
    assert api.get(address).status_code == 404
    cart = api.put(f"/v1/cart/items/{new['sku']}", json={"quantity": 1}, headers=customer.headers)
    assert (cart.status_code, cart.json()["code"]) == (422, "unknown_product")
    archived = api.get(address, headers=editor).json()
    assert (archived["status"], archived["version"]) == ("archived", 2)
    back = patch(api, editor, new["sku"], {"status": "active"}, 2)
    assert (back.status_code, api.get(address).json()["price"]) == (200, new["price"])
    reported = [(kind, data["fields"]) for kind, data in events_of(connections, new["sku"])[1:]]
    assert reported == [("product.archived", ["status"]), ("product.changed", ["status"])]


def test_a_merge_patch_may_be_sent_under_its_own_media_type(
    api: httpx2.Client, editor: Headers, make: Make, new: New
) -> None:
    make(new)
    headers = editor | {"If-Match": '"1"', "Content-Type": "application/merge-patch+json"}
    answer = api.patch(f"/v1/products/{new['sku']}", content=b'{"name": "Cup"}', headers=headers)
    assert (answer.status_code, answer.json()["name"]) == (200, "Cup")
