"""Refresh tokens are good once; whoever uses one again ends the session for everybody who has a part of it."""

import concurrent.futures

import httpx2
import pytest

from adapters.connections import Connections
from adapters.mysql.tables.identity import refresh_tokens, security_events
from tests.fixture_types import PASSWORD, Customer, Json
from tests.oauth import MakeClient, RunFlow


def refresh(api: httpx2.Client, token: str, **fields: str) -> httpx2.Response:
    return api.post("/oauth2/token", data={"grant_type": "refresh_token", "refresh_token": token, **fields})


def works(api: httpx2.Client, access_token: str) -> bool:
    return api.get("/v1/users/me", headers={"Authorization": f"Bearer {access_token}"}).status_code == 200


@pytest.fixture
def tokens(api: httpx2.Client, customer: Customer) -> Json:
    form = {"grant_type": "password", "username": customer.email, "password": PASSWORD}
    answer = api.post("/oauth2/token", data=form)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_the_storefront_stays_signed_in(api: httpx2.Client, tokens: Json) -> None:
    for _ in range(3):
        answer = refresh(api, tokens["refresh_token"])
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["refresh_token"] != tokens["refresh_token"]
        tokens = answer.json()
        assert works(api, tokens["access_token"])


def test_a_refresh_token_that_comes_back_ends_the_whole_session(api: httpx2.Client, tokens: Json) -> None:
    newer = refresh(api, tokens["refresh_token"]).json()
    assert refresh(api, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert refresh(api, newer["refresh_token"]).json()["error"] == "invalid_grant"
    assert not works(api, newer["access_token"])
    assert not works(api, tokens["access_token"])


def test_another_session_of_the_same_customer_goes_on(api: httpx2.Client, tokens: Json, customer: Customer) -> None:
    refresh(api, tokens["refresh_token"])
    refresh(api, tokens["refresh_token"])
    assert api.get("/v1/users/me", headers=customer.headers).status_code == 200


def test_of_many_at_once_at_most_one_succeeds(api: httpx2.Client, tokens: Json) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: refresh(api, tokens["refresh_token"]).status_code, range(8)))
    assert answers.count(200) <= 1
    assert set(answers) <= {200, 400}


def test_only_a_digest_is_kept(tokens: Json, connections: Connections) -> None:
    with connections.engine.connect() as connection:
        rows = connection.execute(refresh_tokens.select()).all()
    assert tokens["refresh_token"] not in str(rows)


def test_a_scope_can_be_narrowed_and_never_widened(api: httpx2.Client, run_flow: RunFlow) -> None:
    flow = run_flow(scope="openid profile email")
    client = {"client_id": flow.client.client_id}
    answer = refresh(api, flow.tokens["refresh_token"], scope="openid profile email orders", **client)
    assert answer.json()["error"] == "invalid_scope"
    narrow = refresh(api, flow.tokens["refresh_token"], scope="profile", **client).json()
    assert narrow["scope"] == "profile"
    assert "id_token" not in narrow
    whole = refresh(api, narrow["refresh_token"], **client).json()
    assert whole["scope"] == "openid profile email"
    assert whole["id_token"]


def test_it_is_only_good_for_the_client_it_was_given_to(
    api: httpx2.Client, run_flow: RunFlow, make_client: MakeClient
) -> None:
    flow = run_flow()
    assert refresh(api, flow.tokens["refresh_token"], client_id=make_client().client_id).json()["error"] == (
        "invalid_grant"
    )
    assert refresh(api, flow.tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert refresh(api, flow.tokens["refresh_token"], client_id=flow.client.client_id).status_code == 200


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_what_is_revoked_stops_at_once(api: httpx2.Client, tokens: Json, kind: str) -> None:
    answer = api.post("/oauth2/revoke", data={"token": tokens[kind], "client_id": "storefront"})
    assert answer.status_code == 200
    assert not works(api, tokens["access_token"])
    assert refresh(api, tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_revoking_nonsense_is_no_error(api: httpx2.Client) -> None:
    assert api.post("/oauth2/revoke", data={"token": "nonsense", "client_id": "storefront"}).status_code == 200


def test_another_client_revokes_nothing(api: httpx2.Client, tokens: Json, make_client: MakeClient) -> None:
    form = {"token": tokens["refresh_token"], "client_id": make_client().client_id}
    assert api.post("/oauth2/revoke", data=form).status_code == 400
    assert works(api, tokens["access_token"])


def test_logout_everywhere_ends_it(api: httpx2.Client, tokens: Json, customer: Customer) -> None:
    assert api.post("/v1/users/me/logout-everywhere", headers=customer.headers).status_code < 300
    assert refresh(api, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert not works(api, tokens["access_token"])


def test_the_reuse_is_in_the_audit_log(api: httpx2.Client, tokens: Json, connections: Connections) -> None:
    refresh(api, tokens["refresh_token"])
    refresh(api, tokens["refresh_token"])
    with connections.engine.connect() as connection:
        kinds = connection.scalars(security_events.select().with_only_columns(security_events.c.type)).all()
    assert "oauth.refresh_reused" in kinds
