"""Sign-in by other OpenID Connect providers, through Authlib's client: state, nonce, PKCE with S256.

An account is found by the provider's subject. The first time it is linked by e-mail address, and only when both sides
have proven it: a provider's unproven address neither links nor creates, and an account here that only claims the
address is not taken over, because somebody else may have registered it. Then a new one is made, and owns the address.
"""

from datetime import UTC, datetime
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.starlette_client import OAuth  # type: ignore[import-untyped]
from joserfc.errors import JoseError
from uuid_utils import uuid7

from adapters.mysql.identity.external_identities import ExternalIdentities
from adapters.mysql.identity.users import Accounts
from adapters.settings import OidcProvider, Settings
from api.errors import HttpProblem
from domain.errors import EmailTaken, IdentityLinked, NotFound
from schemas.problem_codes import ProblemCode
from schemas.users import Account, Role

_ALGORITHMS = {"ES256", "ES384", "RS256", "PS256", "EdDSA"}
_LONGEST_SUBJECT = 255
_LONGEST_EMAIL = 254


class ExternalSignIn:
    """The providers of the settings, and which account somebody they vouch for has here."""

    def __init__(self, settings: Settings, accounts: Accounts, identities: ExternalIdentities) -> None:
        self._providers = {provider.name: provider for provider in settings.oidc_providers}
        self._public_url = settings.public_url
        self._accounts = accounts
        self._identities = identities
        self._registry = OAuth()
        for provider in settings.oidc_providers:
            self._register(provider)

    def _register(self, provider: OidcProvider) -> None:
        secret = provider.client_secret
        self._registry.register(
            provider.name,
            client_id=provider.client_id,
            client_secret=secret.get_secret_value() if secret else None,
            server_metadata_url=f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "token_endpoint_auth_method": "client_secret_basic" if secret else "none",
                "timeout": 10,
            },
        )

    async def redirect(self, name: str, request: Any) -> Any:
        """Send the browser to the provider; raises NotFound, HttpProblem 503 when the provider is away."""
        app, provider = await self._app(name)
        del provider
        callback = f"{self._public_url}/v1/auth/{name}/callback"
        try:
            return await app.authorize_redirect(request, callback)
        except httpx2.HTTPError as error:
            raise _away() from error

    async def claims(self, name: str, request: Any) -> dict[str, Any]:
        """What the provider's ID token says, checked; raises HttpProblem 400 when anything about it is wrong."""
        app, provider = await self._app(name)
        # Answers of two providers cannot be exchanged for each other (RFC 9207).
        if request.query_params.get("iss", provider.issuer) != provider.issuer:
            raise _refused("The answer comes from another provider.")
        try:
            token = await app.authorize_access_token(request, leeway=30)
        except (OAuthError, JoseError, ValueError, TypeError, KeyError) as error:
            raise _refused("The provider's answer was refused. Please start again.") from error
        except httpx2.HTTPError as error:
            raise _away() from error
        claims = token.get("userinfo")
        if not claims or not isinstance(claims.get("sub"), str) or len(claims["sub"]) > _LONGEST_SUBJECT:
            raise _refused("The provider did not say who you are.")
        if "email" not in claims and (await app.load_server_metadata()).get("userinfo_endpoint"):
            claims = {**await self._userinfo(app, token, claims["sub"]), **claims}
        return dict(claims)

    async def _userinfo(self, app: Any, token: dict[str, Any], subject: str) -> dict[str, Any]:
        try:
            found = dict(await app.userinfo(token=token))
        except (httpx2.HTTPError, ValueError) as error:
            raise _away() from error
        if found.get("sub") != subject:  # OpenID Connect Core §5.3.2
            raise _refused("The provider answered about another account.")
        return found

    def account(self, name: str, claims: dict[str, Any]) -> tuple[Account, bool]:
        """The account of the provider's subject, and whether it was linked now; raises HttpProblem 400, 403."""
        known = self._identities.account_id(name, claims["sub"])
        if known is not None:
            account = self._accounts.by_id(known)
            if account is None or not account.active:
                raise HttpProblem(403, ProblemCode.ACCOUNT_LOCKED, "This account cannot sign in.")
            return account, False
        email = claims.get("email")
        if not isinstance(email, str) or len(email) > _LONGEST_EMAIL or claims.get("email_verified") is not True:
            raise HttpProblem(403, ProblemCode.EMAIL_NOT_VERIFIED, "The provider has not verified your e-mail address.")
        account = self._accounts.owner_of(email) or self._created(email, str(claims.get("name") or email))
        if not account.active:
            raise HttpProblem(403, ProblemCode.ACCOUNT_LOCKED, "This account cannot sign in.")
        try:
            self._identities.link(name, claims["sub"], account.id, account.email)
        except IdentityLinked as error:  # the same sign-in, twice at once
            raise _refused("This sign-in is already in progress. Please start again.") from error
        return account, True

    def _created(self, email: str, name: str) -> Account:
        shown = "".join(character for character in name if character.isprintable())
        account = Account(
            id=str(uuid7()),
            email=email,
            email_verified=True,
            name=shown[:200] or email[:200],
            password_hash=None,
            roles=[Role.CUSTOMER],
            token_version=1,
            active=True,
            created_at=datetime.now(UTC),
        )
        try:
            return self._accounts.create(account)
        except EmailTaken as error:
            raise _refused("The account was created at the same moment. Please start again.") from error

    async def _app(self, name: str) -> tuple[Any, OidcProvider]:
        provider = self._providers.get(name)
        if provider is None:
            raise NotFound("There is no such provider.")
        app = self._registry.create_client(name)
        try:
            metadata = await app.load_server_metadata()
        except (httpx2.HTTPError, ValueError) as error:
            raise _away() from error
        # What a provider may sign with is ours to say, and whom it speaks for is what we configured.
        allowed = _ALGORITHMS.intersection(metadata.get("id_token_signing_alg_values_supported", ["RS256"]))
        metadata["id_token_signing_alg_values_supported"] = sorted(allowed)
        if metadata.get("issuer") != provider.issuer:
            raise _away("The provider names another issuer.")
        return app, provider


def _refused(detail: str) -> HttpProblem:
    return HttpProblem(400, ProblemCode.EXTERNAL_SIGN_IN_FAILED, detail)


def _away(detail: str = "The provider does not answer. Please try again.") -> HttpProblem:
    return HttpProblem(503, ProblemCode.UNAVAILABLE, detail, {"Retry-After": "5"})
