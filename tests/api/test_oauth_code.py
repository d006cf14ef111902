"""Authorization code with PKCE: a customer lets another application act, and only that one."""

import re

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from adapters.settings import Settings
from tests.fixture_types import PASSWORD, Customer, Json, MakeCustomer
from tests.oauth import Browser, Exchange, MakeClient, Pkce, RunFlow, callback_parameters


@pytest.fixture
def pkce() -> Pkce:
    """The pair of RFC 7636, appendix B."""
    pair = Pkce("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert pair.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    return pair


def test_a_customer_signs_in_consents_and_the_client_gets_its_tokens(
    run_flow: RunFlow, api: httpx2.Client, settings: Settings
) -> None:
    flow = run_flow()
    tokens = flow.tokens
    assert tokens["token_type"] == "Bearer"
    assert tokens["scope"] == "openid profile email"
    assert tokens["refresh_token"]
    keys = KeySet.import_key_set(api.get("/.well-known/jwks.json").json())
    found = jwt.decode(tokens["id_token"], keys, algorithms=["ES256"]).claims
    assert (found["iss"], found["aud"], found["sub"]) == (settings.auth_issuer, flow.client.client_id, flow.customer.id)
    assert found["nonce"] == "a nonce"
    assert {"at_hash", "auth_time", "exp", "iat"} <= found.keys()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    claims = api.get("/oauth2/userinfo", headers=headers).json()
    assert claims == {"sub": flow.customer.id, "name": "Test Customer", "email": flow.customer.email} | {
        "email_verified": False
    }


def test_the_answer_names_state_and_issuer(
    browser: Browser, make_client: MakeClient, customer: Customer, pkce: Pkce, settings: Settings
) -> None:
    answer = browser.allow(browser.request(make_client(), pkce), customer.email)
    assert answer["state"] == "a state & more"
    assert answer["iss"] == settings.auth_issuer


def test_a_token_may_do_what_its_customer_agreed_to_and_no_more(run_flow: RunFlow, api: httpx2.Client) -> None:
    headers = {"Authorization": f"Bearer {run_flow(scope='openid').tokens['access_token']}"}
    assert api.get("/oauth2/userinfo", headers=headers).json().keys() == {"sub"}
    assert api.get("/v1/orders", headers=headers).status_code == 403
    headers = {"Authorization": f"Bearer {run_flow(scope='orders').tokens['access_token']}"}
    assert api.get("/v1/orders", headers=headers).status_code == 200
    assert api.get("/oauth2/userinfo", headers=headers).status_code == 403


def test_who_signed_in_and_agreed_before_is_not_asked_again(
    browser: Browser, make_client: MakeClient, customer: Customer, pkce: Pkce
) -> None:
    client = make_client()
    query = browser.request(client, pkce)
    browser.allow(query, customer.email)
    assert callback_parameters(browser.open(query))["code"]
    assert callback_parameters(browser.open(query | {"prompt": "none"}))["code"]
    assert "Allow access?" in browser.open(query | {"scope": "openid profile email orders"}).text
    assert "Allow access?" in browser.open(query | {"prompt": "consent"}).text
    assert "Sign in" in browser.open(query | {"prompt": "login"}).text


def test_a_silent_request_is_refused_to_a_stranger_and_before_consent(
    browser: Browser, make_client: MakeClient, customer: Customer, pkce: Pkce
) -> None:
    query = browser.request(make_client(), pkce)
    assert callback_parameters(browser.open(query | {"prompt": "none"}))["error"] == "login_required"
    browser.sign_in(query, customer.email)
    assert callback_parameters(browser.open(query | {"prompt": "none"}))["error"] == "consent_required"


def test_who_does_not_agree_is_sent_back_without_a_code(
    browser: Browser, make_client: MakeClient, customer: Customer, pkce: Pkce
) -> None:
    page = browser.sign_in(browser.request(make_client(), pkce), customer.email)
    answer = callback_parameters(browser.send(page, "deny"))
    assert answer["error"] == "access_denied"
    assert answer["state"] == "a state & more"
    assert "code" not in answer


def test_another_account_can_be_used(
    browser: Browser, make_client: MakeClient, make_customer: MakeCustomer, pkce: Pkce
) -> None:
    query = browser.request(make_client(), pkce)
    page = browser.sign_in(query, make_customer().email)
    page = browser.http.get(browser.send(page, "switch").headers["location"])
    assert "Password" in page.text


def test_a_wrong_password_stays_on_the_page(
    browser: Browser, make_client: MakeClient, customer: Customer, pkce: Pkce
) -> None:
    page = browser.open(browser.request(make_client(), pkce))
    answer = browser.send(page, "sign_in", email=customer.email, password="wrong")
    assert answer.status_code == 401
    assert "is wrong" in answer.text
    assert "oe_session" not in browser.http.cookies


def test_the_page_is_locked_down(browser: Browser, make_client: MakeClient, pkce: Pkce) -> None:
    page = browser.open(browser.request(make_client(name="<script>alert(1)</script>"), pkce))
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://app.example.com" in policy
    assert page.headers["cache-control"] == "no-store"
    assert "<script>" not in page.text
    cookie = page.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


@pytest.mark.parametrize("token", ["", "forged", None])
def test_a_form_that_is_not_ours_does_nothing(
    browser: Browser, make_client: MakeClient, customer: Customer, pkce: Pkce, token: str | None
) -> None:
    query = browser.request(make_client(), pkce)
    browser.sign_in(query, customer.email)
    form = {"action": "allow"} | ({} if token is None else {"form_token": token})
    answer = browser.http.post("/oauth2/authorize", params=query, data=form)
    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_another_browsers_form_does_nothing(
    browser: Browser, api: httpx2.Client, make_client: MakeClient, customer: Customer, pkce: Pkce
) -> None:
    query = browser.request(make_client(), pkce)
    with httpx2.Client(base_url=api.base_url) as attacker:
        page = attacker.get("/oauth2/authorize", params=query)
    browser.open(query)
    answer = browser.send(page, "sign_in", email=customer.email, password=PASSWORD)
    assert answer.status_code == 400


def test_a_session_cookie_cannot_be_made_up(
    browser: Browser, make_client: MakeClient, customer: Customer, pkce: Pkce
) -> None:
    query = browser.request(make_client(), pkce)
    browser.sign_in(query, customer.email)
    cookie = browser.http.cookies["oe_session"]
    browser.http.cookies.clear()
    changed = ("A" if cookie[0] != "A" else "B") + cookie[1:]
    browser.http.cookies.set("oe_session", changed, path="/oauth2")
    assert "Password" in browser.open(query).text


def test_logout_everywhere_ends_the_browsers_session(
    browser: Browser, api: httpx2.Client, make_client: MakeClient, customer: Customer, pkce: Pkce
) -> None:
    query = browser.request(make_client(), pkce)
    browser.allow(query, customer.email)
    api.post("/v1/users/me/logout-everywhere", headers=customer.headers)
    assert "Password" in browser.open(query).text


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://app.example.com/callback/",
        "https://app.example.com/callback2",
        "https://app.example.com/callback/../evil",
        "https://app.example.com/callback?next=https://evil.example",
        "https://app.example.com/callback#fragment",
        "https://app.example.com/CALLBACK",
        "https://APP.example.com/callback",
        "https://app.example.com:443/callback",
        "https://app.example.com@evil.example/callback",
        "https://app.example.com.evil.example/callback",
        "http://app.example.com/callback",
        "//evil.example/callback",
        "/\\evil.example",
        'https://app.example.com/callback"',
        "https://app.example.com/callback\r\nX: y",
        "javascript:alert(1)",
        "",
        "https://evil.example",
    ],
)
def test_an_address_that_is_not_the_very_one_registered_gets_nothing(
    browser: Browser, make_client: MakeClient, customer: Customer, pkce: Pkce, redirect_uri: str
) -> None:
    client = make_client()
    browser.sign_in(browser.request(client, pkce), customer.email)
    answer = browser.open(browser.request(client, pkce, redirect_uri=redirect_uri))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert not re.search("code=|evil.example/", str(answer.headers))


def test_an_unknown_client_is_not_sent_anywhere(browser: Browser, make_client: MakeClient, pkce: Pkce) -> None:
    answer = browser.open(browser.request(make_client(), pkce, client_id="unknown"))
    assert answer.status_code in (400, 401)
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"scope": "root"}, "invalid_scope"),
        ({"prompt": "none login"}, "invalid_request"),
    ],
    ids=str,
)
def test_the_client_learns_what_is_wrong_with_its_request(
    browser: Browser, make_client: MakeClient, pkce: Pkce, changes: dict[str, str | None], error: str
) -> None:
    answer = callback_parameters(browser.open(browser.request(make_client(), pkce, **changes)))
    assert answer["error"] == error
    assert answer["state"] == "a state & more"
    assert "iss" in answer


@pytest.mark.parametrize("name", ["response_type", "state", "client_id", "redirect_uri", "code_challenge", "nonce"])
def test_a_parameter_sent_twice_is_refused(browser: Browser, make_client: MakeClient, pkce: Pkce, name: str) -> None:
    query = list(browser.request(make_client(), pkce).items())
    answer = browser.http.get("/oauth2/authorize", params=[*query, (name, dict(query)[name])])
    assert answer.status_code in (302, 400)
    assert "Password" not in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"redirect_uri": "https://app.example.com/other"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"code": "made up"}, "invalid_grant"),
    ],
    ids=str,
)
def test_a_stolen_code_is_worth_nothing_without_what_only_the_client_has(
    browser: Browser,
    make_client: MakeClient,
    customer: Customer,
    pkce: Pkce,
    exchange: Exchange,
    changes: Json,
    error: str,
) -> None:
    client = make_client()
    code = browser.allow(browser.request(client, pkce), customer.email)["code"]
    answer = exchange(client, code, pkce, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_a_code_that_comes_back_takes_its_tokens_with_it(
    run_flow: RunFlow, exchange: Exchange, api: httpx2.Client
) -> None:
    flow = run_flow(scope="openid profile")
    headers = {"Authorization": f"Bearer {flow.tokens['access_token']}"}
    assert api.get("/v1/users/me", headers=headers).status_code == 200
    answer = exchange(flow.client, flow.code, flow.pkce)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert api.get("/v1/users/me", headers=headers).status_code == 401
    form = {"grant_type": "refresh_token", "refresh_token": flow.tokens["refresh_token"]}
    refreshed = api.post("/oauth2/token", data=form | {"client_id": flow.client.client_id})
    assert refreshed.json()["error"] == "invalid_grant"


def test_a_code_is_only_good_for_the_client_it_was_given_to(
    browser: Browser, make_client: MakeClient, customer: Customer, pkce: Pkce, exchange: Exchange
) -> None:
    code = browser.allow(browser.request(make_client(), pkce), customer.email)["code"]
    assert exchange(make_client(), code, pkce).json()["error"] == "invalid_grant"


def test_a_request_may_come_as_a_form(browser: Browser, make_client: MakeClient, pkce: Pkce) -> None:
    answer = browser.http.post("/oauth2/authorize", data=browser.request(make_client(), pkce))
    assert answer.status_code == 303
    assert "Password" in browser.http.get(answer.headers["location"]).text
