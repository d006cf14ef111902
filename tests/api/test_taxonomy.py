"""Brands and categories over HTTP: a tree without circles, edited by versions, and every product of it announced."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
import sqlalchemy as sa

from adapters.connections import Connections
from adapters.mysql.catalog.taxonomy import DEEPEST
from adapters.mysql.tables.catalog import product_events, taxonomy_changes
from tests.conftest import eventually
from tests.fixture_types import Json, MakeProduct

Headers = dict[str, str]


@pytest.fixture
def mark() -> str:
    """What this test's codes begin with."""
    return f"t{uuid.uuid4().hex[:10]}"


def post(api: httpx2.Client, headers: Headers, what: str, key: str | None = None, **body: object) -> httpx2.Response:
    return api.post(f"/v1/{what}", json=body, headers=headers | {"Idempotency-Key": key or uuid.uuid4().hex})


def patch(api: httpx2.Client, headers: Headers, path: str, version: object = 1, **body: object) -> httpx2.Response:
    return api.patch(f"/v1/{path}", json=body, headers=headers | {"If-Match": f'"{version}"'})


def grow(api: httpx2.Client, headers: Headers, mark: str, **parents: str | None) -> None:
    """Make categories, each under its parent."""
    for name, parent in parents.items():
        above = None if parent is None else f"{mark}-{parent}"
        answer = post(api, headers, "categories", code=f"{mark}-{name}", name=name.title(), parent=above)
        assert answer.status_code == 201, answer.text


def announced(connections: Connections, *codes: str) -> dict[str, list[Json]]:
    """What was said of each product after it was made."""
    query = sa.select(product_events.c.product, product_events.c.data).where(
        product_events.c.product.in_(codes), product_events.c.type == "product.changed"
    )
    with connections.engine.connect() as connection:
        rows = connection.execute(query.order_by(product_events.c.id)).all()
    return {code: [row.data for row in rows if row.product == code] for code in codes}


def test_a_brand_is_made_renamed_and_removed(api: httpx2.Client, editor: Headers, mark: str) -> None:
    made = post(api, editor, "brands", code=mark, name=" Näm <3 ")
    assert (made.status_code, made.json()) == (201, {"code": mark, "name": "Näm <3", "version": 1})
    address = made.headers["location"]
    assert (address, made.headers["etag"]) == (f"/v1/brands/{mark}", '"1"')
    renamed = patch(api, editor, f"brands/{mark}", name="Other")
    assert (renamed.json()["name"], renamed.headers["etag"]) == ("Other", '"2"')
    assert api.get(address).json() == renamed.json()
    same = patch(api, editor, f"brands/{mark}", 2, name="Other")
    assert same.headers["etag"] == '"2"'
    assert api.delete(address, headers=editor | {"If-Match": '"1"'}).status_code == 412
    assert api.delete(address, headers=editor | {"If-Match": '"2"'}).status_code == 204
    assert api.get(address).status_code == 404


def test_brands_are_listed_by_name_page_by_page(api: httpx2.Client, editor: Headers, mark: str) -> None:
    # Names that the database takes for equal, and one that it does not.
    for n, name in enumerate(["Zz élan", "zz elan", "ZZ Elan", "zz emil"]):
        post(api, editor, "brands", code=f"{mark}-{n}", name=f"{name} {mark}")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": "1"} if cursor is None else {"limit": "1", "cursor": cursor}
        page = api.get("/v1/brands", params=query).json()
        seen += [brand["code"] for brand in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    mine = [code for code in seen if code.startswith(mark)]
    assert (sorted(mine), mine[-1]) == ([f"{mark}-{n}" for n in range(4)], f"{mark}-3")
    assert len(set(seen)) == len(seen)
    assert seen == [brand["code"] for brand in api.get("/v1/brands", params={"limit": 500}).json()["items"]]
    for wrong in ("abc", "WzEsIDJd", "bnVsbA"):
        assert api.get("/v1/brands", params={"cursor": wrong}).json()["code"] == "invalid_request"


def test_the_tree_is_shown_whole_and_in_order(api: httpx2.Client, editor: Headers, mark: str) -> None:
    grow(api, editor, mark, home=None, light="home", bath="home", table="light")
    first = api.get("/v1/categories")
    (home,) = (root for root in first.json()["items"] if root["code"] == f"{mark}-home")
    assert [child["code"] for child in home["children"]] == [f"{mark}-bath", f"{mark}-light"]
    assert home["children"][1]["children"][0] == {
        "code": f"{mark}-table",
        "name": "Table",
        "parent": f"{mark}-light",
        "position": 0,
        "version": 1,
        "children": [],
    }
    assert api.get("/v1/categories", headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    patch(api, editor, f"categories/{mark}-bath", position=5)
    second = api.get("/v1/categories", headers={"If-None-Match": first.headers["etag"]})
    (home,) = (root for root in second.json()["items"] if root["code"] == f"{mark}-home")
    assert [child["code"] for child in home["children"]] == [f"{mark}-light", f"{mark}-bath"]


def test_a_category_moves_with_all_below_it_and_never_below_itself(
    api: httpx2.Client, editor: Headers, mark: str
) -> None:
    grow(api, editor, mark, home=None, light="home", table="light")
    for parent in ("home", "light", "table"):
        circle = patch(api, editor, f"categories/{mark}-home", parent=f"{mark}-{parent}")
        assert (circle.status_code, circle.json()["errors"][0]["code"]) == (422, "circle")
    unknown = patch(api, editor, f"categories/{mark}-home", parent=f"{mark}-nowhere")
    assert unknown.json()["errors"][0] | {"detail": ""} == {
        "pointer": "body/parent",
        "code": "unknown_category",
        "detail": "",
    }
    assert patch(api, editor, f"categories/{mark}-light", parent=None).json()["parent"] is None
    assert patch(api, editor, f"categories/{mark}-home", parent=f"{mark}-table").status_code == 200
    assert patch(api, editor, f"categories/{mark}-light", 2, name=None).status_code == 422


def test_two_moves_at_once_make_no_circle(api: httpx2.Client, editor: Headers, mark: str) -> None:
    names = [f"c{n}" for n in range(6)]
    grow(api, editor, mark, **dict.fromkeys(names))
    pairs = list(zip(names, [*names[1:], names[0]], strict=True))
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda pair: patch(api, editor, f"categories/{mark}-{pair[0]}", parent=f"{mark}-{pair[1]}"), pairs)
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [422]

    def size(node: Json) -> int:
        return 1 + sum(size(child) for child in node["children"])

    roots = [root for root in api.get("/v1/categories").json()["items"] if root["code"].startswith(mark)]
    assert [size(root) for root in roots] == [6]


def test_the_tree_has_an_end(api: httpx2.Client, editor: Headers, mark: str) -> None:
    grow(api, editor, mark, c0=None, **{f"c{n}": f"c{n - 1}" for n in range(1, DEEPEST)}, top=None)
    deeper = post(api, editor, "categories", code=f"{mark}-x", name="X", parent=f"{mark}-c{DEEPEST - 1}")
    assert (deeper.status_code, deeper.json()["errors"][0]["code"]) == (422, "too_deep")
    pushed = patch(api, editor, f"categories/{mark}-c0", parent=f"{mark}-top")
    assert (pushed.status_code, pushed.json()["errors"][0]["code"]) == (422, "too_deep")


def test_a_brand_or_category_in_use_stays(
    api: httpx2.Client, editor: Headers, mark: str, make_product: MakeProduct
) -> None:
    post(api, editor, "brands", code=mark, name="Brand")
    grow(api, editor, mark, home=None, light="home")
    make_product(brand=mark, category=f"{mark}-light")
    for path in (f"brands/{mark}", f"categories/{mark}-light", f"categories/{mark}-home"):
        answer = api.delete(f"/v1/{path}", headers=editor | {"If-Match": "*"})
        assert (answer.status_code, answer.json()["code"]) == (409, "taxonomy_in_use"), path


@pytest.mark.parametrize("what", ["brands", "categories"])
def test_posts_are_made_once_and_codes_are_unique(api: httpx2.Client, editor: Headers, mark: str, what: str) -> None:
    key = uuid.uuid4().hex
    first, again = (post(api, editor, what, key, code=mark, name="One") for _ in range(2))
    assert (again.status_code, again.json()) == (201, first.json())
    other = post(api, editor, what, code=mark, name="One")
    assert (other.status_code, other.json()["code"]) == (409, "code_taken")
    assert api.post(f"/v1/{what}", json={"code": mark, "name": "x"}, headers=editor).status_code == 400


@pytest.mark.parametrize("what", ["brands", "categories"])
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "<i>"}, "name"),
        ({"name": "=1+1"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"code": "No Code"}, "code"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_not_acceptable_is_refused_with_its_field(
    api: httpx2.Client, editor: Headers, mark: str, what: str, body: dict[str, str], pointer: str
) -> None:
    answer = post(api, editor, what, **({"code": mark, "name": "One"} | body))
    assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (422, [f"body/{pointer}"])


@pytest.mark.parametrize("what", ["brands", "categories"])
def test_of_many_editors_exactly_one_wins(api: httpx2.Client, editor: Headers, mark: str, what: str) -> None:
    post(api, editor, what, code=mark, name="One")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: patch(api, editor, f"{what}/{mark}", name=f"Name {n}"), range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 5]
    without = api.patch(f"/v1/{what}/{mark}", json={"name": "x"}, headers=editor)
    assert (without.status_code, without.json()["code"]) == (428, "precondition_required")


async def test_every_product_in_and_below_a_category_is_announced(
    api: httpx2.Client, editor: Headers, mark: str, make_product: MakeProduct, connections: Connections
) -> None:
    post(api, editor, "brands", code=mark, name="Brand")
    grow(api, editor, mark, home=None, light="home", table="light", garden=None)
    on_home, on_table = (make_product(category=f"{mark}-{name}") for name in ("home", "table"))
    apart = make_product(category=f"{mark}-garden", brand=mark)

    async def announcements(**counts: int) -> dict[str, list[Json]]:
        return await eventually(
            lambda: announced(connections, on_home, on_table, apart),
            lambda found: [len(found[code]) for code in (on_home, on_table, apart)] == list(counts.values()),
        )

    patch(api, editor, f"categories/{mark}-home", name="House")
    (said,) = (await announcements(home=1, table=1, apart=0))[on_table]
    assert said["fields"] == ["category_name"]
    assert said["actor"].endswith(":catalog")
    patch(api, editor, f"categories/{mark}-light", parent=f"{mark}-garden")
    assert (await announcements(home=1, table=2, apart=0))[on_table][1]["fields"] == ["category_path"]
    patch(api, editor, f"brands/{mark}", name="Other")
    assert (await announcements(home=1, table=2, apart=1))[apart][0]["fields"] == ["brand_name"]
    # Where it stands among its siblings shows on no product.
    patch(api, editor, f"categories/{mark}-garden", position=3)
    with connections.engine.connect() as connection:
        waiting = connection.scalars(
            sa.select(taxonomy_changes.c.code).where(taxonomy_changes.c.code.startswith(mark))
        ).all()
    assert waiting == []
