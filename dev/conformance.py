"""An unmodified OAuth client library – Authlib's – uses the running server by what it discovers: `make conformance`."""

import argparse
import re
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx2
from authlib.integrations.httpx_client import OAuth2Client  # type: ignore[import-untyped]
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata  # type: ignore[import-untyped]
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.jwk import KeySet
from uuid_utils import uuid7

from adapters.connections import connect
from adapters.mysql.identity.oauth_clients import OAuthClients
from adapters.settings import Settings, load_settings
from schemas.oauth import ChangeOAuthClient, MadeOAuthClient, NewOAuthClient
from schemas.users import Role

_CALLBACK = "https://conformance.example/callback"
_SCOPE = "openid profile email"


class NotConformant(Exception):
    """The server does not conform to the standard."""


@dataclass(frozen=True)
class Applications:
    """The clients this run is registered as."""

    public: MadeOAuthClient
    service: MadeOAuthClient


@dataclass
class Run:
    """One customer, one server and its metadata."""

    url: str
    apps: Applications
    report: Callable[[str], None]
    server: dict[str, Any]
    email: str = ""
    password: str = ""

    def check(self, holds: object, what: str) -> None:
        """Report that it holds; raises NotConformant when it does not."""
        if not holds:
            raise NotConformant(what)
        self.report(what)

    def register(self) -> None:
        """Open an account by the public API."""
        self.email, self.password = f"conformance-{uuid7().hex}@shop.example.com", secrets.token_urlsafe(16)
        body = {"email": self.email, "password": self.password, "name": "Conformance"}
        httpx2.post(f"{self.url}/v1/users", json=body, timeout=30).raise_for_status()

    def agree(self, address: str) -> str:
        """Sign in and allow access as in a browser; answers the address it is redirected to at the end."""
        with httpx2.Client(base_url=self.url, timeout=30) as browser:
            page = browser.get(address)
            fields = {"action": "sign_in", "email": self.email, "password": self.password}
            page = browser.get(_send(browser, page, fields).headers["location"])
            return str(_send(browser, page, {"action": "allow"}).headers["location"])


def _send(browser: httpx2.Client, page: httpx2.Response, fields: dict[str, str]) -> httpx2.Response:
    target = re.search(r'action="([^"]+)"', page.text)
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)
    if target is None or token is None:
        raise NotConformant(f"no form in the page: {page.status_code}")
    return browser.post(unescape(target[1]), data={"form_token": unescape(token[1]), **fields})


def check_discovery(run: Run) -> None:
    """RFC 8414 and OpenID Connect Discovery, each endpoint where the metadata says."""
    AuthorizationServerMetadata(run.server).validate()
    run.check(run.server["issuer"] == run.url, "discovery: complete, and the issuer is the requested address")
    other = httpx2.get(f"{run.url}/.well-known/oauth-authorization-server", timeout=30).json()
    run.check(other == run.server, "discovery: OAuth 2 and OpenID Connect say the same")


def check_code_flow(run: Run) -> dict[str, Any]:
    """Code with PKCE, and the ID token; answers the tokens."""
    nonce, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(48)
    with _client(run.apps.public, redirect_uri=_CALLBACK, scope=_SCOPE, code_challenge_method="S256") as client:
        address, state = client.create_authorization_url(
            run.server["authorization_endpoint"], code_verifier=verifier, nonce=nonce
        )
        back = run.agree(address)
        run.check(httpx2.URL(back).params["iss"] == run.url, "code + PKCE: the answer names its issuer (RFC 9207)")
        token = client.fetch_token(
            run.server["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier
        )
        run.check(token["access_token"] and token["refresh_token"], "code + PKCE: tokens for a code")
        _check_id_token(run, token, nonce)
        claims = client.get(run.server["userinfo_endpoint"]).json()
        run.check(claims["email"] == run.email, "userinfo: who signed in")
    return dict(token)


def _check_id_token(run: Run, token: dict[str, Any], nonce: str) -> None:
    keys = KeySet.import_key_set(httpx2.get(run.server["jwks_uri"], timeout=30).json())
    run.check(keys.keys, f"JWKS: {len(keys.keys)} public key(s)")
    decoded = jwt.decode(token["id_token"], keys, algorithms=run.server["id_token_signing_alg_values_supported"])
    known = {"nonce": nonce, "client_id": run.apps.public.client_id, "access_token": token["access_token"]}
    required = {"iss": {"essential": True, "value": run.url}, "auth_time": {"essential": True}}
    CodeIDToken(decoded.claims, decoded.header, required, known).validate(leeway=10)
    run.check(decoded.claims["sub"], "ID token: signature, issuer, audience, nonce and at_hash hold")


def check_refresh_and_revocation(run: Run, token: dict[str, Any]) -> None:
    """Rotation, reuse, RFC 7009."""
    with _client(run.apps.public, token=token) as client:
        newer = dict(client.refresh_token(run.server["token_endpoint"], refresh_token=token["refresh_token"]))
        run.check(newer["refresh_token"] != token["refresh_token"], "refresh: a new refresh token each time")
        answer = client.get(run.server["userinfo_endpoint"])
        run.check(answer.status_code == httpx2.codes.OK, "refresh: the new access token is accepted")
        revoked = client.revoke_token(run.server["revocation_endpoint"], token=newer["refresh_token"])
        run.check(revoked.status_code == httpx2.codes.OK, "revocation: answered")
        answer = client.get(run.server["userinfo_endpoint"])
        run.check(answer.status_code == httpx2.codes.UNAUTHORIZED, "revocation: the access token stopped at once")


def check_service(run: Run) -> None:
    """client_credentials with the secret in the header and in the form, and RFC 7662."""
    for method in ("client_secret_basic", "client_secret_post"):
        with _client(run.apps.service, token_endpoint_auth_method=method) as client:
            token = client.fetch_token(run.server["token_endpoint"], grant_type="client_credentials")
            run.check(token["access_token"], f"client_credentials: a token by {method}")
            shown = client.introspect_token(run.server["introspection_endpoint"], token=token["access_token"]).json()
            same = shown["active"] and shown["client_id"] == run.apps.service.client_id
            run.check(same, f"introspection: the token is live, by {method}")


def _client(app: MadeOAuthClient, **options: Any) -> Any:
    method = options.pop("token_endpoint_auth_method", "none" if app.client_secret is None else "client_secret_basic")
    return OAuth2Client(app.client_id, app.client_secret, token_endpoint_auth_method=method, timeout=30, **options)


def run_conformance(url: str, apps: Applications, report: Callable[[str], None]) -> int:
    """Every check against the server at the address; answers how many passed; raises NotConformant otherwise."""
    passed: list[str] = []

    def count(what: str) -> None:
        passed.append(what)
        report(what)

    found = httpx2.get(f"{url}/.well-known/openid-configuration", timeout=30).raise_for_status().json()
    run = Run(url, apps, count, found)
    run.register()
    check_discovery(run)
    check_refresh_and_revocation(run, check_code_flow(run))
    check_service(run)
    return len(passed)


def register_applications(clients: OAuthClients) -> Applications:
    """Two clients of their own for one run."""
    name, number = "Conformance", uuid7().hex
    public = NewOAuthClient(
        client_id=f"conformance-app-{number}",
        name=name,
        confidential=False,
        grant_types=["authorization_code", "refresh_token"],
        redirect_uris=[_CALLBACK],
        scopes=["openid", "profile", "email"],
    )
    service = NewOAuthClient(
        client_id=f"conformance-service-{number}",
        name=name,
        confidential=True,
        grant_types=["client_credentials"],
        scopes=["orders"],
        roles=[Role.SUPPORT],
    )
    return Applications(clients.create(public), clients.create(service))


def main(settings: Settings | None = None) -> int:
    """Check the development stack; the clients made for it are deactivated afterwards."""
    settings = settings or load_settings()
    with connect(settings, pool_size=2) as stores:
        clients = OAuthClients(stores.engine)
        apps = register_applications(clients)
        try:
            passed = run_conformance(settings.public_url, apps, lambda what: print(f"✓ {what}"))
        except NotConformant as failure:
            print(f"✗ {failure}")
            return 1
        finally:
            for app in (apps.public, apps.service):
                clients.change(app.client_id, ChangeOAuthClient(active=False))
    print(f"{passed} checks passed against {settings.public_url}")
    return 0


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m dev.conformance", description=__doc__).parse_args()
    sys.exit(main())
