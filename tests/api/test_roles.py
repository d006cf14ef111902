"""Whoever's role, lock or sessions change, the tokens already issued follow at once."""

import asyncio
import threading
import uuid

import httpx2
import pytest
import sqlalchemy as sa

from adapters.connections import Connections
from adapters.mysql.identity.users import Accounts
from adapters.mysql.tables.identity import user_roles
from dev.testbed import Testbed
from domain.errors import LastAdmin
from schemas.users import Role
from tests.conftest import eventually
from tests.fixture_types import PASSWORD, Customer, MakeCustomer, MakeProduct


def sign_in(api: httpx2.Client, account: Customer) -> dict[str, str]:
    form = {"grant_type": "password", "username": account.email, "password": PASSWORD}
    answer = api.post("/oauth2/token", data=form)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def refused(answer: httpx2.Response) -> bool:
    return (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


@pytest.fixture
def admin(api: httpx2.Client, make_customer: MakeCustomer, connections: Connections) -> dict[str, str]:
    account = make_customer()
    Accounts(connections.engine).set_roles(account.id, [Role.ADMIN])
    return sign_in(api, account)


def set_roles(api: httpx2.Client, admin: dict[str, str], account: Customer, *roles: Role) -> None:
    answer = api.put(f"/v1/users/{account.id}/roles", json={"roles": roles}, headers=admin)
    assert answer.status_code == 200, answer.text
    assert answer.json()["roles"] == sorted(roles)


def test_a_new_role_counts_from_the_next_token_and_a_lost_one_ends_the_old(
    api: httpx2.Client, customer: Customer, admin: dict[str, str], make_product: MakeProduct
) -> None:
    path = f"/v1/stock/{make_product()}"
    assert api.get(path, headers=customer.headers).status_code == 403
    set_roles(api, admin, customer, Role.CUSTOMER, Role.WAREHOUSE)
    assert refused(api.get("/v1/cart", headers=customer.headers))
    headers = sign_in(api, customer)
    for _ in range(3):
        assert api.get(path, headers=headers).status_code == 200
    set_roles(api, admin, customer, Role.CUSTOMER)
    assert refused(api.get(path, headers=headers))
    assert api.get(path, headers=sign_in(api, customer)).status_code == 403


def test_a_lock_shuts_out_at_once_until_it_is_taken_off(
    api: httpx2.Client, customer: Customer, admin: dict[str, str]
) -> None:
    assert api.get("/v1/cart", headers=customer.headers).status_code == 200
    locked = api.post(f"/v1/users/{customer.id}/lock", headers=admin)
    assert (locked.status_code, locked.json()["active"]) == (200, False)
    assert refused(api.get("/v1/cart", headers=customer.headers))
    form = {"grant_type": "password", "username": customer.email, "password": PASSWORD}
    assert api.post("/oauth2/token", data=form).status_code == 400
    assert api.post(f"/v1/users/{customer.id}/unlock", headers=admin).json()["active"] is True
    assert refused(api.get("/v1/cart", headers=customer.headers))
    assert api.get("/v1/cart", headers=sign_in(api, customer)).status_code == 200


@pytest.mark.parametrize("by", ["owner", "admin"])
def test_signing_out_everywhere_ends_every_session(
    api: httpx2.Client, customer: Customer, admin: dict[str, str], by: str
) -> None:
    sessions = [customer.headers, sign_in(api, customer)]
    for headers in sessions:
        assert api.get("/v1/cart", headers=headers).status_code == 200
    who, headers = ("me", customer.headers) if by == "owner" else (customer.id, admin)
    assert api.post(f"/v1/users/{who}/logout-everywhere", headers=headers).status_code == 204
    assert all(refused(api.get("/v1/cart", headers=headers)) for headers in sessions)
    assert api.get("/v1/cart", headers=sign_in(api, customer)).status_code == 200


def test_two_changes_at_once_leave_no_old_state_behind(
    api: httpx2.Client, make_customer: MakeCustomer, admin: dict[str, str]
) -> None:
    account, stop = make_customer(), threading.Event()

    def keep_asking() -> None:
        with httpx2.Client(base_url=api.base_url, timeout=30) as client:
            while not stop.is_set():
                client.get("/v1/cart", headers=account.headers)

    threads = [threading.Thread(target=keep_asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            account = type(account)(account.id, account.email, sign_in(api, account))
            assert api.get("/v1/cart", headers=account.headers).status_code == 200
            set_roles(api, admin, account, Role.CUSTOMER)
            assert refused(api.get("/v1/cart", headers=account.headers))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_support_may_lock_customers_and_no_staff(
    api: httpx2.Client, make_customer: MakeCustomer, admin: dict[str, str]
) -> None:
    supporter, colleague, customer = make_customer(), make_customer(), make_customer()
    set_roles(api, admin, supporter, Role.SUPPORT)
    set_roles(api, admin, colleague, Role.SUPPORT)
    headers = sign_in(api, supporter)
    for action in ("lock", "unlock"):
        assert api.post(f"/v1/users/{customer.id}/{action}", headers=headers).status_code == 200
        assert api.post(f"/v1/users/{colleague.id}/{action}", headers=headers).status_code == 403


def test_the_last_administrator_can_neither_be_demoted_nor_locked(
    api: httpx2.Client, make_customer: MakeCustomer, connections: Connections, admin: dict[str, str]
) -> None:
    mine = api.get("/v1/users/me", headers=admin).json()["id"]
    demote_other_admins(connections, mine)
    for method, path, body in (("PUT", "roles", {"roles": ["customer"]}), ("POST", "lock", None)):
        answer = api.request(method, f"/v1/users/{mine}/{path}", json=body, headers=admin)
        assert (answer.status_code, answer.json()["code"]) == (409, "last_admin")
    assert api.get(f"/v1/users/{mine}", headers=admin).json()["active"] is True


def test_two_administrators_who_demote_each_other_leave_one(
    make_customer: MakeCustomer, connections: Connections
) -> None:
    accounts = Accounts(connections.engine)
    both = [make_customer().id, make_customer().id]
    for one in both:
        accounts.set_roles(one, [Role.ADMIN])
    others = demote_other_admins(connections, *both)
    try:
        outcomes: list[str] = []
        gate = threading.Barrier(2)

        def demote(user_id: str) -> None:
            gate.wait()
            try:
                accounts.set_roles(user_id, [Role.CUSTOMER])
                outcomes.append("done")
            except LastAdmin:
                outcomes.append("refused")

        threads = [threading.Thread(target=demote, args=(one,)) for one in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["done", "refused"]
    finally:
        for one in others:
            accounts.set_roles(one, [Role.ADMIN])


def demote_other_admins(connections: Connections, *kept: str) -> list[str]:
    with connections.engine.connect() as connection:
        admins = set(connection.scalars(sa.select(user_roles.c.user_id).where(user_roles.c.role == "admin")))
    for one in sorted(admins - set(kept)):
        Accounts(connections.engine).set_roles(one, [])
    return sorted(admins - set(kept))


def test_the_audit_log_shows_who_did_what_to_whom(
    api: httpx2.Client, make_customer: MakeCustomer, admin: dict[str, str]
) -> None:
    account = make_customer()
    mine = api.get("/v1/users/me", headers=admin).json()["id"]
    set_roles(api, admin, account, Role.CATALOG)
    api.post(f"/v1/users/{account.id}/lock", headers=admin)
    page = api.get("/v1/security-events", params={"user_id": account.id, "limit": 1}, headers=admin).json()
    rest = api.get(
        "/v1/security-events", params={"user_id": account.id, "cursor": page["next_cursor"]}, headers=admin
    ).json()
    (locked,), changed = page["items"], rest["items"][0]
    assert (locked["type"], changed["type"]) == ("account.locked", "account.roles_changed")
    assert {locked["actor"], changed["actor"]} == {f"staff:{mine}:admin"}
    assert (changed["data"]["before"], changed["data"]["after"]) == (["customer"], ["catalog"])
    assert locked["address"] == "127.0.0.1"


async def test_history_says_in_which_role_an_order_was_cancelled(
    engine: Testbed, api: httpx2.Client, make_customer: MakeCustomer, make_product: MakeProduct, admin: dict[str, str]
) -> None:
    buyer, supporter = make_customer(), make_customer()
    set_roles(api, admin, supporter, Role.SUPPORT)
    staff = sign_in(api, supporter)
    address = {"name": "A", "line1": "Lindenweg 1", "city": "Berlin", "postal_code": "10117", "country": "DE"}
    cart = api.put(f"/v1/cart/items/{make_product()}", json={"quantity": 1}, headers=buyer.headers).json()
    body = {"cart_version": cart["version"], "shipping_address": address, "payment_method": "pm_card_visa"}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    # The order is in the database while its payment takes its time: long enough to be cancelled by somebody else.
    late = {"kind": "latency", "seconds": 5, "times": 1}
    httpx2.post(f"{engine.url('PAYMENT_SIMULATOR_PORT')}/_control/faults", json=late).raise_for_status()
    placing = asyncio.create_task(asyncio.to_thread(api.post, "/v1/checkouts", json=body, headers=buyer.headers | key))
    placed = await eventually(lambda: api.get("/v1/orders", headers=buyer.headers).json()["items"], bool)
    path = f"/v1/orders/{placed[0]['id']}"
    answer = await asyncio.to_thread(api.post, f"{path}/cancel", headers=staff)
    assert answer.status_code in (200, 202), answer.text
    await placing
    await eventually(lambda: api.get(path, headers=staff).json()["status"], lambda status: status == "cancelled", 60)
    history = api.get(f"{path}/history", headers=staff).json()["items"]
    actors = {event["type"]: event["actor"] for event in history}
    assert actors["order.cancelled"] == f"staff:{supporter.id}:support"
