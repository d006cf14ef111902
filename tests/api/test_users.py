"""From registration to the end of an account: every step proven by the password or by a mailed link, and mailed."""

import hashlib
import re
import time
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import sqlalchemy as sa
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from uuid_utils import uuid7

from activities.account_mails import AccountMailActivities
from adapters.connections import Connections
from adapters.mail.mailer import Mailer
from adapters.mysql.identity.account_mails import WaitingMails
from adapters.mysql.identity.email_tokens import EmailTokens
from adapters.mysql.identity.users import Accounts
from adapters.mysql.tables.identity import (
    account_mails,
    addresses,
    api_keys,
    email_tokens,
    external_identities,
    security_events,
    users,
)
from adapters.settings import Settings
from dev.testbed import free_port
from schemas.account_mails import AccountMailInput, AccountMailKind
from tests.fixture_types import PASSWORD, Customer, Json, Mailed, MakeCustomer


def code_in(text: str) -> str:
    found = re.search(r"\?token=([\w-]+)", text)
    assert found, text
    return found.group(1)


def sign_in(api: httpx2.Client, email: str, password: str = PASSWORD) -> httpx2.Response:
    return api.post("/oauth2/token", data={"grant_type": "password", "username": email, "password": password})


def profile(api: httpx2.Client, customer: Customer) -> Json:
    answer = api.get("/v1/users/me", headers=customer.headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def events_of(connections: Connections, user_id: str) -> list[str]:
    query = sa.select(security_events.c.type).where(security_events.c.user_id == user_id)
    with connections.engine.connect() as connection:
        return list(connection.scalars(query.order_by(security_events.c.id)))


def test_a_new_address_is_verified_by_the_link_mailed_to_it(
    api: httpx2.Client, customer: Customer, mailed: Mailed, connections: Connections
) -> None:
    assert profile(api, customer)["email_verified"] is False
    code = code_in(mailed(customer.email, "confirm your e-mail address"))
    answer = api.post("/v1/email-verifications", json={"token": code})
    assert (answer.status_code, answer.json()) == (200, {"email": customer.email})
    assert profile(api, customer)["email_verified"] is True
    assert events_of(connections, customer.id)[:1] == ["account.registered"]
    assert "email.verified" in events_of(connections, customer.id)


def test_a_verification_link_works_once(api: httpx2.Client, customer: Customer, mailed: Mailed) -> None:
    code = code_in(mailed(customer.email, "confirm your e-mail address"))
    assert api.post("/v1/email-verifications", json={"token": code}).status_code == 200
    again = api.post("/v1/email-verifications", json={"token": code})
    assert (again.status_code, again.json()["code"]) == (422, "invalid_link")


def test_the_verification_mail_can_be_asked_for_again(api: httpx2.Client, customer: Customer, mailed: Mailed) -> None:
    first = code_in(mailed(customer.email, "confirm your e-mail address"))
    answer = api.post("/v1/users/me/email-verification", headers=customer.headers)
    assert answer.status_code == 202
    second = code_in(mailed(customer.email, "confirm your e-mail address", 2))
    assert first != second
    assert api.post("/v1/email-verifications", json={"token": first}).status_code == 200
    assert api.post("/v1/email-verifications", json={"token": second}).status_code == 422, "its sibling was used"


def test_opening_the_mailed_page_changes_nothing_and_its_button_does(
    api: httpx2.Client, customer: Customer, mailed: Mailed
) -> None:
    code = code_in(mailed(customer.email, "confirm your e-mail address"))
    page = api.get("/account/email", params={"token": code})
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (200, "text/html")
    assert profile(api, customer)["email_verified"] is False
    done = api.post("/account/email", data={"token": code})
    assert done.status_code == 200, done.text
    assert customer.email in done.text
    assert profile(api, customer)["email_verified"] is True
    assert api.post("/account/email", data={"token": code}).status_code == 422
    assert '"><script>' not in api.get("/account/email", params={"token": '"><script>'}).text


@pytest.mark.parametrize("token", ["x" * 43, "ü" * 30, "' OR 1=1 -- aaaaaaaaaaaaaaaa"])
def test_a_made_up_link_is_refused(api: httpx2.Client, token: str) -> None:
    answer = api.post("/v1/email-verifications", json={"token": token})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_link")


def test_of_a_mailed_link_only_the_digest_is_kept_and_of_its_mail_nothing(
    customer: Customer, mailed: Mailed, connections: Connections
) -> None:
    code = code_in(mailed(customer.email, "confirm your e-mail address"))
    kept = sa.select(email_tokens.c.digest).where(email_tokens.c.user_id == customer.id)
    waiting = sa.select(sa.func.count()).select_from(account_mails).where(account_mails.c.user_id == customer.id)
    time.sleep(0.5)
    with connections.engine.connect() as connection:
        assert connection.scalars(kept).all() == [hashlib.sha256(code.encode()).hexdigest()]
        assert connection.scalar(waiting) == 0


async def test_a_mail_workflow_knows_only_the_mails_id(
    api: httpx2.Client, customer: Customer, mailed: Mailed, temporal_client: Client
) -> None:
    code = code_in(mailed(customer.email, "confirm your e-mail address"))
    seen = 0
    async for one in temporal_client.list_workflows("WorkflowType = 'AccountMailWorkflow'"):
        history = (await temporal_client.get_workflow_handle(one.id).fetch_history()).to_json()
        assert code not in history
        assert customer.email not in history
        seen += 1
    assert seen


def test_the_name_can_be_changed(api: httpx2.Client, customer: Customer) -> None:
    answer = api.patch("/v1/users/me", headers=customer.headers, json={"name": "Ada King"})
    assert (answer.status_code, answer.json()["name"]) == (200, "Ada King")
    assert profile(api, customer)["name"] == "Ada King"
    assert api.patch("/v1/users/me", headers=customer.headers, json={"email": "x@y.example"}).status_code == 422


def test_changing_the_password_takes_the_old_one_and_ends_other_sessions(
    api: httpx2.Client, customer: Customer, mailed: Mailed, connections: Connections
) -> None:
    change = {"current_password": "not the old one", "new_password": "another long secret"}
    refused = api.put("/v1/users/me/password", headers=customer.headers, json=change)
    assert (refused.status_code, refused.json()["code"]) == (403, "wrong_password")
    change["current_password"] = PASSWORD
    answer = api.put("/v1/users/me/password", headers=customer.headers, json=change)
    assert answer.status_code == 200, answer.text
    assert api.get("/v1/users/me", headers=customer.headers).status_code == 401
    goes_on = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert api.get("/v1/users/me", headers=goes_on).status_code == 200
    assert sign_in(api, customer.email).status_code == 400
    assert sign_in(api, customer.email, "another long secret").status_code == 200
    assert mailed(customer.email, "password was changed")
    assert {"login.failed", "password.changed"} <= set(events_of(connections, customer.id))


def test_changing_the_password_ends_refresh_tokens_too(api: httpx2.Client, customer: Customer) -> None:
    refresh = sign_in(api, customer.email).json().get("refresh_token")
    if refresh is None:
        pytest.skip("the password grant gives no refresh token")
    change = {"current_password": PASSWORD, "new_password": "another long secret"}
    assert api.put("/v1/users/me/password", headers=customer.headers, json=change).status_code == 200
    form = {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": "storefront"}
    assert api.post("/oauth2/token", data=form).json()["error"] == "invalid_grant"


def test_a_new_address_counts_once_its_link_was_used_and_the_old_one_is_mailed(
    api: httpx2.Client, customer: Customer, mailed: Mailed, connections: Connections
) -> None:
    new = f"moved-{customer.email}"
    body = {"email": new.upper(), "password": PASSWORD}
    assert api.post("/v1/users/me/email", headers=customer.headers, json=body).status_code == 202
    code = code_in(mailed(new, "confirm your new e-mail address"))
    assert profile(api, customer)["email"] == customer.email, "nothing changes before the link is used"
    assert api.post("/v1/email-verifications", json={"token": code}).status_code == 200
    assert profile(api, customer)["email"] == new
    assert mailed(customer.email, "e-mail address was changed")
    assert (sign_in(api, customer.email).status_code, sign_in(api, new).status_code) == (400, 200)
    assert "email.changed" in events_of(connections, customer.id)


def test_a_change_of_address_takes_the_password(api: httpx2.Client, customer: Customer) -> None:
    body = {"email": f"new-{customer.email}", "password": "wrong"}
    answer = api.post("/v1/users/me/email", headers=customer.headers, json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_password")


def test_an_address_that_another_has_proven_is_not_revealed_and_gets_no_link(
    api: httpx2.Client, make_customer: MakeCustomer, connections: Connections
) -> None:
    one, other = make_customer(), make_customer()
    Accounts(connections.engine).mark_email_verified(other.id)
    body = {"email": other.email, "password": PASSWORD}
    assert api.post("/v1/users/me/email", headers=one.headers, json=body).status_code == 202
    time.sleep(1)
    query = sa.select(sa.func.count()).where(email_tokens.c.user_id == one.id, email_tokens.c.email == other.email)
    with connections.engine.connect() as connection:
        assert connection.scalar(query) == 0


def test_a_closed_account_leaves_nothing_personal_and_its_address_is_free(
    api: httpx2.Client, make_customer: MakeCustomer, mailed: Mailed, connections: Connections
) -> None:
    customer = make_customer()
    berlin = {"name": "Ada", "line1": "Straße 1", "city": "Berlin", "postal_code": "10117", "country": "DE"}
    assert api.post("/v1/users/me/addresses", headers=customer.headers, json=berlin).status_code == 201
    mailed(customer.email, "confirm your e-mail address")
    moment = datetime.now(UTC).replace(tzinfo=None)
    linked = {"provider": "elsewhere", "subject": customer.id, "email": customer.email, "linked_at": moment}
    key = {"id": str(uuid7()), "name": "mine", "prefix": "oe_x", "digest": customer.id, "scopes": []}
    with connections.engine.begin() as connection:
        connection.execute(sa.insert(external_identities).values(user_id=customer.id, **linked))
        connection.execute(sa.insert(api_keys).values(user_id=customer.id, created_at=moment, **key))
    refused = api.request("DELETE", "/v1/users/me", headers=customer.headers, json={"password": "wrong"})
    assert refused.status_code == 403
    closed = api.request("DELETE", "/v1/users/me", headers=customer.headers, json={"password": PASSWORD})
    assert closed.status_code == 204, closed.text
    assert api.get("/v1/users/me", headers=customer.headers).status_code == 401
    assert sign_in(api, customer.email).status_code == 400
    with connections.engine.connect() as connection:
        row = connection.execute(sa.select(users).where(users.c.id == customer.id)).one()
        for table in (addresses, api_keys, external_identities, email_tokens, account_mails):
            count = sa.select(sa.func.count()).select_from(table).where(table.c.user_id == customer.id)
            assert connection.scalar(count) == 0, table.name
    assert (row.email, row.name) == (f"{customer.id}@closed.invalid", "Closed account")
    assert (row.password_hash, row.email_verified_at, bool(row.active)) == (None, None, False)
    assert mailed(customer.email, "account is closed")
    again = {"email": customer.email, "password": PASSWORD, "name": "Ada again"}
    assert api.post("/v1/users", json=again).status_code == 201
    assert events_of(connections, customer.id)[-1] == "account.closed"


def test_nothing_opens_a_closed_account_again(api: httpx2.Client, make_customer: MakeCustomer, mailed: Mailed) -> None:
    customer = make_customer()
    code = code_in(mailed(customer.email, "confirm your e-mail address"))
    api.request("DELETE", "/v1/users/me", headers=customer.headers, json={"password": PASSWORD})
    assert api.post("/v1/email-verifications", json={"token": code}).status_code == 422
    assert sign_in(api, f"{customer.id}@closed.invalid", "").status_code == 400


def test_a_mail_that_cannot_be_sent_now_leaves_no_link_behind_and_still_waits(
    customer: Customer, connections: Connections, settings: Settings
) -> None:
    engine = connections.engine
    waiting, kind = WaitingMails(engine), AccountMailKind.RESET_PASSWORD
    nobody_listens = Mailer(settings.model_copy(update={"smtp_port": free_port()}))
    lifetimes = {kind: timedelta(minutes=1)}
    activities = AccountMailActivities(waiting, Accounts(engine), EmailTokens(engine), nobody_listens, lifetimes)
    mail_id = waiting.add(kind, customer.email, None)
    with pytest.raises(ApplicationError) as failure:
        activities.send_account_mail(AccountMailInput(mail_id=mail_id))
    assert not failure.value.non_retryable
    assert waiting.get(mail_id)
    links = sa.select(sa.func.count()).where(email_tokens.c.user_id == customer.id, email_tokens.c.purpose == kind)
    with engine.connect() as connection:
        assert connection.scalar(links) == 0
    waiting.remove(mail_id)
    assert activities.send_account_mail(AccountMailInput(mail_id=mail_id)).message_id is None
