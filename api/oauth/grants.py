"""The grants: how each of them finds out whose tokens are issued, and refuses what was used before."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749.grants import (  # type: ignore[import-untyped]
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    RefreshTokenGrant,
    ResourceOwnerPasswordCredentialsGrant,
)
from authlib.oauth2.rfc7636 import CodeChallenge  # type: ignore[import-untyped]
from uuid_utils import uuid7

from adapters.mysql.clock import now
from adapters.mysql.identity.grants import CodeGrant, RefreshGrant
from domain.events import SecurityEventType
from schemas.users import Account

ALL_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")
SECRET_AUTH_METHODS = ALL_AUTH_METHODS[:2]
_S256_CHALLENGE = re.compile(r"^[A-Za-z0-9_-]{43}$")
_LONGEST_NONCE = 255


@dataclass(frozen=True)
class SignIn:
    """Whose tokens are issued, and the family they belong to; the time is UTC without a zone."""

    account: Account
    family_id: str
    authenticated_at: datetime
    nonce: str | None = None

    @classmethod
    def begin(cls, account: Account) -> "SignIn":
        """A sign-in that has just happened, with a family of its own."""
        return cls(account, str(uuid7()), now())


class PasswordGrant(ResourceOwnerPasswordCredentialsGrant):  # type: ignore[misc]
    """An e-mail address and a password, for our own public client."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def authenticate_user(self, username: str, password: str) -> SignIn:
        """The account; raises InvalidGrantError without saying whether there is one."""
        account: Account | None = self.server.account_with(username, password, self.request.address)
        if account is None:
            raise InvalidGrantError("The e-mail address or the password is wrong.")
        return SignIn.begin(account)


class ServiceGrant(ClientCredentialsGrant):  # type: ignore[misc]
    """A confidential client that acts for itself."""

    TOKEN_ENDPOINT_AUTH_METHODS = SECRET_AUTH_METHODS


class CodeFlow(AuthorizationCodeGrant):  # type: ignore[misc]
    """A code that the customer's browser carries to the client, and the client exchanges once."""

    TOKEN_ENDPOINT_AUTH_METHODS = ALL_AUTH_METHODS

    def save_authorization_code(self, code: str, request: Any) -> None:
        """Keep what was allowed under the code."""
        signed_in, data = request.user, request.payload.data
        grant = CodeGrant(
            client_id=request.client.get_client_id(),
            user_id=signed_in.account.id,
            redirect_uri=request.payload.redirect_uri,
            scope=request.scope,
            nonce=data.get("nonce") or None,
            code_challenge=data["code_challenge"],
            family_id=signed_in.family_id,
            authenticated_at=signed_in.authenticated_at,
        )
        self.server.grants.save_code(code, grant)

    def query_authorization_code(self, code: str, client: Any) -> CodeGrant | None:
        """What the code stands for; one that comes back takes everything with it that it was good for."""
        found = self.server.grants.code(code, client.get_client_id())
        if found is None:
            return None
        grant: CodeGrant = found[0]
        if found[1]:
            self.server.revoke_family(
                grant.family_id, SecurityEventType.OAUTH_CODE_REPLAYED, grant.user_id, self.request.address
            )
            return None
        return grant

    def authenticate_user(self, authorization_code: CodeGrant) -> SignIn | None:
        """Spend the code, now that everything about the request is right; None when its account may not sign in."""
        if not self.server.grants.use_code(self.request.form["code"]):
            family, user = authorization_code.family_id, authorization_code.user_id
            self.server.revoke_family(family, SecurityEventType.OAUTH_CODE_REPLAYED, user, self.request.address)
            return None
        account = self.server.active_account(authorization_code.user_id)
        if account is None:
            return None
        return SignIn(
            account, authorization_code.family_id, authorization_code.authenticated_at, authorization_code.nonce
        )

    def delete_authorization_code(self, authorization_code: CodeGrant) -> None:
        """Kept as used, so that a replay is noticed."""


class RefreshFlow(RefreshTokenGrant):  # type: ignore[misc]
    """A refresh token is good once; its successor keeps the scope, and one that comes back ends the family."""

    TOKEN_ENDPOINT_AUTH_METHODS = ALL_AUTH_METHODS

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshGrant | None:
        """What the token stands for; reuse revokes the family."""
        found = self.server.grants.refresh_token(refresh_token)
        if found is None or not found[0].check_client(self.request.client):
            return None
        grant: RefreshGrant = found[0]
        if found[1]:
            self.server.revoke_family(
                grant.family_id, SecurityEventType.OAUTH_REFRESH_REUSED, grant.user_id, self.request.address
            )
            return None
        return grant

    def authenticate_user(self, refresh_token: RefreshGrant) -> SignIn:
        """Spend the token; raises InvalidGrantError when somebody was faster or the account signed out everywhere."""
        if not self.server.grants.use_refresh_token(self.request.form["refresh_token"]):
            family, user = refresh_token.family_id, refresh_token.user_id
            self.server.revoke_family(family, SecurityEventType.OAUTH_REFRESH_REUSED, user, self.request.address)
            raise InvalidGrantError
        account = self.server.active_account(refresh_token.user_id)
        if account is None or account.token_version != refresh_token.token_version:
            raise InvalidGrantError
        return SignIn(account, refresh_token.family_id, refresh_token.authenticated_at)

    def revoke_old_credential(self, refresh_token: RefreshGrant) -> None:
        """Spent already."""


class OnlyS256(CodeChallenge):  # type: ignore[misc]
    """PKCE for every client, with SHA-256: nothing else is understood, and leaving it out is refused."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Called for an authorization request; raises InvalidRequestError."""
        data, several = grant.request.payload.data, grant.request.payload.datalist
        if not data.get("code_challenge"):
            raise InvalidRequestError("Missing 'code_challenge'")
        if data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("Unsupported 'code_challenge_method'")
        if not _S256_CHALLENGE.fullmatch(data["code_challenge"]):
            raise InvalidRequestError("Invalid 'code_challenge'")
        if len(data.get("nonce", "")) > _LONGEST_NONCE:
            raise InvalidRequestError("The 'nonce' is too long.")
        if not grant.request.payload.redirect_uri:
            raise InvalidRequestError("Missing 'redirect_uri' in request.")
        super().validate_code_challenge(grant, redirect_uri)
        wishes = data.get("prompt", "").split()
        if "none" in wishes and len(wishes) > 1:
            raise InvalidRequestError("Invalid 'prompt' parameter.")
        if any(len(several[name]) > 1 for name in ("nonce", "prompt", "max_age")):
            raise InvalidRequestError("A parameter was sent twice.")

    def get_authorization_code_challenge_method(self, authorization_code: CodeGrant) -> str:
        """The only one there is."""
        del authorization_code
        return "S256"
