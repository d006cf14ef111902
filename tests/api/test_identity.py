"""Who holds a token of ours is who it says; everybody else is nobody."""

import base64
import json
import time
from collections.abc import Callable

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey

from adapters.connections import Connections
from adapters.mysql.identity.users import Accounts
from adapters.mysql.tables.identity import users
from adapters.settings import Settings
from api.tokens import ALGORITHM, TOKEN_TYPE, KeyRing
from tests.fixture_types import PASSWORD, Customer, Json, MakeCustomer


@pytest.fixture
def forge(settings: Settings, customer: Customer) -> Callable[..., str]:
    """A token like ours, but for what the test changes in it."""
    key = KeyRing(settings.auth_keys_dir).signing_key

    def forge(claims: Json | None = None, header: Json | None = None, signer: Key = key) -> str:
        now = int(time.time())
        ours = {
            "iss": settings.auth_issuer,
            "sub": customer.id,
            "aud": settings.auth_audience,
            "exp": now + 600,
            "iat": now,
            "jti": "1",
            "client_id": "storefront",
            "scope": "",
            "roles": ["customer"],
            "tv": 1,
        }
        whole = {name: value for name, value in (ours | (claims or {})).items() if value is not None}
        head: Json = {"alg": ALGORITHM, "kid": key.kid, "typ": TOKEN_TYPE} | (header or {})
        return jwt.encode(head, whole, signer, algorithms=[head["alg"]])

    return forge


def me(api: httpx2.Client, token: str) -> httpx2.Response:
    return api.get("/v1/users/me", headers={"Authorization": f"Bearer {token}"})


def check_refused(answer: httpx2.Response) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.json()["code"] == "invalid_token"
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


def test_who_registers_and_signs_in_is_known(api: httpx2.Client, customer: Customer) -> None:
    answer = api.get("/v1/users/me", headers=customer.headers)
    assert answer.status_code == 200
    assert answer.json()["email"] == customer.email
    assert "password_hash" not in answer.text


def test_the_token_says_what_rfc_9068_asks_for(api: httpx2.Client, customer: Customer, settings: Settings) -> None:
    token = customer.headers["Authorization"].removeprefix("Bearer ")
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    assert (header["alg"], header["typ"]) == ("ES256", "at+jwt")
    assert claims["sub"] == customer.id
    assert claims["exp"] - claims["iat"] == settings.access_token_seconds
    assert {"iss", "aud", "jti", "client_id", "scope", "roles"} <= claims.keys()
    published = {key["kid"]: key for key in api.get("/.well-known/jwks.json").json()["keys"]}
    assert "d" not in published[header["kid"]], "a private key has been published"


def test_a_token_of_ours_is_believed(api: httpx2.Client, forge: Callable[..., str]) -> None:
    assert me(api, forge()).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"exp": int(time.time()) - 60}, id="expired"),
        {"exp": None},
        {"exp": "never"},
        {"iss": "https://elsewhere.example"},
        {"aud": "another-engine"},
        {"aud": None},
        {"sub": "01999999-0000-7000-8000-000000000000"},
        {"sub": None},
        {"tv": 2},
        {"tv": None},
        {"client_id": None},
        pytest.param({"nbf": int(time.time()) + 86_400}, id="of tomorrow"),
    ],
    ids=str,
)
def test_a_signed_token_with_a_claim_out_of_place_is_refused(
    api: httpx2.Client, forge: Callable[..., str], claims: Json
) -> None:
    check_refused(me(api, forge(claims)))


def test_an_id_token_is_not_an_access_token(api: httpx2.Client, forge: Callable[..., str]) -> None:
    check_refused(me(api, forge(header={"typ": "JWT"})))


def test_another_key_under_our_name_is_refused(api: httpx2.Client, forge: Callable[..., str]) -> None:
    check_refused(me(api, forge(signer=ECKey.generate_key("P-256"))))


def test_a_key_we_do_not_have_is_refused(api: httpx2.Client, forge: Callable[..., str]) -> None:
    check_refused(me(api, forge(header={"kid": "../../etc/passwd"}, signer=ECKey.generate_key("P-256"))))


def test_our_public_key_used_as_a_shared_secret_is_refused(api: httpx2.Client, forge: Callable[..., str]) -> None:
    public = json.dumps(api.get("/.well-known/jwks.json").json()["keys"][0])
    check_refused(me(api, forge(header={"alg": "HS256"}, signer=OctKey.import_key(public.encode()))))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE"])
def test_an_unsigned_token_is_refused(api: httpx2.Client, forge: Callable[..., str], algorithm: str) -> None:
    body = forge().split(".")[1]
    head = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "typ": TOKEN_TYPE}).encode()).decode().rstrip("=")
    check_refused(me(api, f"{head}.{body}."))


def test_a_token_with_one_letter_changed_is_refused(api: httpx2.Client, forge: Callable[..., str]) -> None:
    header, body, signature = forge().split(".")
    check_refused(me(api, f"{header}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"))


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "[" * 4000, "x" * 10_000, "e30.e30.e30"])
def test_nonsense_is_refused(api: httpx2.Client, token: str) -> None:
    check_refused(me(api, token))


@pytest.mark.parametrize("header", [None, "Basic YTpi", "Bearer"])
def test_without_a_token_one_is_asked_to_sign_in(api: httpx2.Client, header: str | None) -> None:
    answer = api.get("/v1/users/me", headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_revoked_token_stops_at_once(api: httpx2.Client, customer: Customer, connections: Connections) -> None:
    with connections.engine.begin() as connection:
        connection.execute(users.update().where(users.c.id == customer.id).values(token_version=2))
    check_refused(api.get("/v1/users/me", headers=customer.headers))


def test_a_closed_account_can_neither_act_nor_sign_in(
    api: httpx2.Client, connections: Connections, make_customer: MakeCustomer
) -> None:
    customer = make_customer()
    with connections.engine.begin() as connection:
        connection.execute(users.update().where(users.c.id == customer.id).values(active=False))
    check_refused(api.get("/v1/users/me", headers=customer.headers))


def token_request(api: httpx2.Client, **form: str) -> httpx2.Response:
    answer = api.post("/oauth2/token", data=form)
    assert answer.headers["cache-control"] == "no-store"
    return answer


def sign_in(api: httpx2.Client, customer: Customer, password: str = PASSWORD) -> httpx2.Response:
    return token_request(api, grant_type="password", username=customer.email, password=password)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"password": "wrong"}, "invalid_grant"),
        ({"username": "nobody@shop.example.com"}, "invalid_grant"),
        ({"username": "' OR 1=1 --"}, "invalid_grant"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "unsupported_grant_type"),
        ({"client_id": "unknown"}, "invalid_client"),
        ({"client_id": "ünknown"}, "invalid_client"),
    ],
    ids=str,
)
def test_the_token_endpoint_refuses_in_the_words_of_rfc_6749(
    api: httpx2.Client, customer: Customer, change: dict[str, str], error: str
) -> None:
    form = {"grant_type": "password", "username": customer.email, "password": PASSWORD} | change
    answer = token_request(api, **form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_a_token_request_without_a_password_is_invalid(api: httpx2.Client, customer: Customer) -> None:
    answer = token_request(api, grant_type="password", username=customer.email)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_password_in_the_address_is_not_looked_at(api: httpx2.Client, customer: Customer) -> None:
    query = {"grant_type": "password", "username": customer.email, "password": PASSWORD}
    answer = api.post("/oauth2/token", params=query)
    assert answer.status_code == 400


def test_a_stranger_is_refused_as_slowly_as_a_customer_with_a_wrong_password(
    costly_api: httpx2.Client, customer: Customer
) -> None:
    def seconds(username: str) -> float:
        started = time.perf_counter()
        token_request(costly_api, grant_type="password", username=username, password="wrong")
        return time.perf_counter() - started

    sign_in(costly_api, customer)  # so that the hash that is kept costs what a new one does
    known = min(seconds(customer.email) for _ in range(3))
    unknown = min(seconds("nobody@shop.example.com") for _ in range(3))
    assert 0.3 < unknown / known < 3


def test_a_hash_of_another_cost_is_replaced_at_sign_in_and_nobody_signed_out(
    api: httpx2.Client, costly_api: httpx2.Client, customer: Customer, connections: Connections
) -> None:
    def kept() -> str:
        account = Accounts(connections.engine).by_id(customer.id)
        return str(account and account.password_hash)

    assert "$m=64," in kept()
    assert sign_in(costly_api, customer, "wrong").status_code == 400
    assert "$m=64," in kept()
    assert sign_in(costly_api, customer).status_code == 200
    assert "$m=65536," in (renewed := kept())
    assert sign_in(costly_api, customer).status_code == 200
    assert kept() == renewed
    assert api.get("/v1/users/me", headers=customer.headers).status_code == 200


def test_only_what_is_true_is_announced(api: httpx2.Client, settings: Settings) -> None:
    announced = api.get("/.well-known/openid-configuration").json()
    assert announced["issuer"] == settings.auth_issuer
    assert "implicit" not in announced["grant_types_supported"]
    assert announced["code_challenge_methods_supported"] == ["S256"]
    endpoints = {name: address for name, address in announced.items() if name.endswith(("_endpoint", "_uri"))}
    assert len(endpoints) == 6
    for address in endpoints.values():
        assert api.get(address.removeprefix(settings.public_url)).status_code in (200, 400, 401, 405)
