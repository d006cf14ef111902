"""Tokens made up, borrowed or out of date; and keys that change while tokens are out."""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from joserfc import jwk, jwt
from joserfc.errors import MissingKeyError
from joserfc.jwk import ECKey

from adapters.keys import OVERLAP_SECONDS, PUBLISHED_AT, live_keys, rotate_keys, signing_key_of
from adapters.settings import Settings
from api.main import create_app
from api.tokens import ALGORITHM, TOKEN_TYPE, AccessTokens, InvalidToken, KeyRing
from dev.testbed import Testbed
from tests.fixture_types import PASSWORD, Customer, Json, MakeCustomer
from tests.oauth import RunFlow


@pytest.fixture
def forge(settings: Settings, customer: Customer) -> Callable[..., str]:
    """A token like ours, but for what the test changes in it."""
    key = KeyRing(settings.auth_keys_dir).signing_key

    def forge(claims: Json | None = None, header: Json | None = None, signer: jwk.Key = key) -> str:
        now = int(time.time())
        ours = {"iss": settings.auth_issuer, "sub": customer.id, "aud": settings.auth_audience, "exp": now + 600}
        ours |= {"iat": now, "jti": "1", "client_id": "storefront", "scope": "", "tv": 1, "fam": "1"}
        head: Json = {"alg": ALGORITHM, "kid": key.kid, "typ": TOKEN_TYPE} | (header or {})
        return jwt.encode(head, ours | (claims or {}), signer, algorithms=[head["alg"]])

    return forge


def me(api: httpx2.Client, token: str) -> int:
    return api.get("/v1/users/me", headers={"Authorization": f"Bearer {token}"}).status_code


def encoded(value: Json) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_the_forger_makes_tokens_that_would_pass(api: httpx2.Client, forge: Callable[..., str]) -> None:
    assert me(api, forge()) == 200


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", ""])
def test_a_token_without_a_signature_is_refused(api: httpx2.Client, forge: Callable[..., str], algorithm: str) -> None:
    body = forge().split(".")[1]
    assert me(api, f"{encoded({'alg': algorithm, 'typ': TOKEN_TYPE})}.{body}.") == 401


@pytest.mark.parametrize("shape", ["jwk", "pem", "der", "x"])
def test_our_public_key_is_no_shared_secret(
    api: httpx2.Client, forge: Callable[..., str], settings: Settings, shape: str
) -> None:
    key = KeyRing(settings.auth_keys_dir).signing_key
    public = key.as_dict(private=False)
    secrets = {"jwk": json.dumps(public).encode(), "pem": key.as_pem(private=False), "der": key.as_der(private=False)}
    secret = secrets.get(shape) or base64.urlsafe_b64decode(str(public["x"]) + "==")
    signed = f"{encoded({'alg': 'HS256', 'kid': key.kid, 'typ': TOKEN_TYPE})}.{forge().split('.')[1]}"
    mac = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), "sha256")).decode().rstrip("=")
    assert me(api, f"{signed}.{mac}") == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": "storefront"},
        {"iss": "https://elsewhere.example"},
        pytest.param({"exp": int(time.time()) - 30}, id="expired"),
        {"iat": "tomorrow"},
        {"tv": "1"},
        {"tv": 0},
        {"sub": ["x"]},
    ],
    ids=str,
)
def test_a_claim_out_of_place_is_refused(api: httpx2.Client, forge: Callable[..., str], claims: Json) -> None:
    assert me(api, forge(claims)) == 401


def test_a_key_that_came_with_the_token_is_not_used(api: httpx2.Client, forge: Callable[..., str]) -> None:
    own = ECKey.generate_key("P-256", private=True)
    for header in (
        {"jwk": own.as_dict(private=False)},
        {"jwk": own.as_dict(private=False), "kid": "mine"},
        {"jku": "https://evil.example/jwks.json", "kid": "mine"},
        {"kid": "unknown"},
        {"kid": "../../../../etc/passwd"},
        {"kid": ""},
    ):
        head: Json = {"alg": ALGORITHM, "typ": TOKEN_TYPE, **header}
        body = forge().split(".")[1]
        signature = jwt.encode({"alg": ALGORITHM}, {"x": 1}, own).split(".")[2]
        assert me(api, f"{encoded(head)}.{body}.{signature}") == 401


def test_an_id_token_opens_nothing(api: httpx2.Client, run_flow: RunFlow) -> None:
    tokens = run_flow().tokens
    assert me(api, tokens["id_token"]) == 401
    assert me(api, tokens["refresh_token"]) == 401


def test_a_token_of_this_server_is_no_session_of_another_audience(settings: Settings) -> None:
    ring = KeyRing(settings.auth_keys_dir)
    other = AccessTokens(ring, settings.model_copy(update={"auth_audience": "another"}))
    token = AccessTokens(ring, settings).issue_to_service("robot", "", [])
    with pytest.raises(InvalidToken):
        other.verify(token)


def test_the_id_token_belongs_to_its_access_token(run_flow: RunFlow) -> None:
    tokens = run_flow().tokens
    claims = json.loads(base64.urlsafe_b64decode(tokens["id_token"].split(".")[1] + "=="))
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert claims["at_hash"] == base64.urlsafe_b64encode(half).decode().rstrip("=")


def kids(api: httpx2.Client) -> set[str]:
    return {key["kid"] for key in api.get("/.well-known/jwks.json").json()["keys"]}


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def publish_at(path: Path, moment: float) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {PUBLISHED_AT: moment}))


def test_keys_are_rotated_and_nobody_is_signed_out(
    api: httpx2.Client, bed: Testbed, make_customer: MakeCustomer
) -> None:
    before, folder = kids(api), Path(bed.settings.auth_keys_dir)
    customer = make_customer()

    def signed_by() -> str:
        form = {"grant_type": "password", "username": customer.email, "password": PASSWORD}
        token = api.post("/oauth2/token", data=form).json()["access_token"]
        assert me(api, token) == 200
        return str(json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"])

    old = signed_by()
    bed.run([sys.executable, "-m", "workers.admin", "rotate-keys"])
    wait_until(lambda: len(kids(api)) == len(before) + 1)
    (new,) = kids(api) - before
    assert signed_by() == old, "the new key signs before everybody has fetched it"
    ripe = time.time() - OVERLAP_SECONDS - 1
    for file in live_keys(folder):
        moved = ripe if file.path.stem == new else file.published_at - OVERLAP_SECONDS - 60
        publish_at(file.path, moved)
    wait_until(lambda: signed_by() == new)
    assert kids(api) >= {old, new}
    assert api.get("/v1/users/me", headers=customer.headers).status_code == 200


def test_a_key_verifies_until_its_last_token_has_expired_and_is_then_dropped(tmp_path: Path) -> None:
    first, _ = rotate_keys(tmp_path)
    second, dropped = rotate_keys(tmp_path)
    assert dropped == []
    keys = live_keys(tmp_path)
    assert {key.path for key in keys} == {first, second}
    later = time.time() + OVERLAP_SECONDS + 1
    assert (signing_key_of(keys), signing_key_of(keys, later)) == (keys[0], keys[1])
    assert len(live_keys(tmp_path, later + 3600)) == 2
    assert [key.path for key in live_keys(tmp_path, later + 3700)] == [keys[1].path]
    for key in keys:
        publish_at(key.path, key.published_at - 2 * 3600)
    assert rotate_keys(tmp_path)[1] == [keys[0].path]


def test_a_leaked_key_is_replaced_at_once(tmp_path: Path) -> None:
    rotate_keys(tmp_path)
    made, dropped = rotate_keys(tmp_path, at_once=True)
    assert len(dropped) == 1
    assert [key.path for key in live_keys(tmp_path)] == [made]
    assert KeyRing(str(tmp_path)).signing_key.kid == made.stem
    assert made.stat().st_mode & 0o077 == 0


def test_hosts_with_folders_of_their_own_accept_each_others_tokens(
    bed: Testbed, make_customer: MakeCustomer, tmp_path: Path
) -> None:
    """A secret store copies the folder; the copies' own times say nothing, and say it wrongly here."""
    source, folders = tmp_path / "store", [tmp_path / "one", tmp_path / "two"]
    form = {"grant_type": "password", "username": make_customer().email, "password": PASSWORD}
    rotate_keys(source)

    def distribute() -> None:
        for day, folder in enumerate(folders):
            folder.mkdir(exist_ok=True)
            for path in source.glob("*.json"):
                draft = folder / f".{path.name}"
                draft.write_bytes(path.read_bytes())
                os.utime(draft, (day * 86400, day * 86400))
                draft.rename(folder / path.name)

    def signs(host: httpx2.Client) -> str:
        token = host.post("/oauth2/token", data=form).json()["access_token"]
        assert [me(other, token) for other in hosts] == [200, 200]
        return str(json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"])

    distribute()
    with (
        bed.another_api(ORDERS_AUTH_KEYS_DIR=str(folders[0])) as one,
        bed.another_api(ORDERS_AUTH_KEYS_DIR=str(folders[1])) as two,
        httpx2.Client(base_url=one, timeout=30) as first,
        httpx2.Client(base_url=two, timeout=30) as second,
    ):
        hosts = [first, second]
        (old,) = {signs(host) for host in hosts}
        new, _ = rotate_keys(source)
        distribute()
        wait_until(lambda: all(kids(host) == {old, new.stem} for host in hosts))
        assert {signs(host) for host in hosts} == {old}
        ripe = time.time() - OVERLAP_SECONDS - 1
        publish_at(source / f"{old}.json", ripe - 60)
        publish_at(new, ripe)
        distribute()
        wait_until(lambda: all(signs(host) == new.stem for host in hosts))


async def test_an_api_without_keys_does_not_make_one_of_its_own(settings: Settings, tmp_path: Path) -> None:
    app = create_app(settings.model_copy(update={"auth_keys_dir": str(tmp_path)}))
    with pytest.raises(MissingKeyError, match="order-admin setup"):
        async with app.router.lifespan_context(app):
            pytest.fail("it started")
    assert list(tmp_path.iterdir()) == []
