"""Access tokens: RFC 9068 JWTs signed with ES256. Nothing in a token is believed beyond its signature and claims."""

import json
import threading
import time
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError, MissingKeyError
from joserfc.jwk import ECKey, GuestProtocol, Key, KeySet
from uuid_utils import uuid7

from adapters.keys import PUBLISHED_AT, live_keys, signing_key_of
from adapters.settings import Settings
from schemas.users import Account

ALGORITHM = "ES256"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - the RFC's media type, not a secret
_RELOAD_SECONDS = 5
_LEEWAY_SECONDS = 5
_LONGEST_TOKEN = 4096
_MOST_VERIFIED = 2000


class InvalidToken(Exception):
    """Not a token of ours, or not any more."""


class KeyRing:
    """The live keys of a folder (`adapters/keys.py` says which); one that comes or goes while we run is noticed."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._lock = threading.Lock()
        self._keys: dict[str, ECKey] = {}
        self._signing: ECKey | None = None
        self._loaded_at = 0.0
        self._load()

    @property
    def signing_key(self) -> ECKey:
        """The key that signs now; raises MissingKeyError when the folder holds none."""
        self._refresh()
        if self._signing is None:
            raise MissingKeyError(f"no signing key in {self._folder}: `order-admin setup` makes the first one")
        return self._signing

    def verifying_key(self, signature: GuestProtocol) -> ECKey:
        """The key a token names; raises MissingKeyError for one we do not have."""
        self._refresh()
        key = self._keys.get(str(signature.headers().get("kid")))
        if key is None:
            raise MissingKeyError
        return key

    def holds(self, kid: str) -> bool:
        """Whether tokens signed with this key are still believed."""
        self._refresh()
        return kid in self._keys

    def public_jwks(self) -> dict[str, Any]:
        """The public halves, as `/.well-known/jwks.json` shows them."""
        self._refresh()
        keys: list[Key] = list(self._keys.values())
        return dict(KeySet(keys).as_dict(private=False)) if keys else {"keys": []}

    def _refresh(self) -> None:
        if not self._keys or time.monotonic() - self._loaded_at > _RELOAD_SECONDS:
            self._load()

    def _load(self) -> None:
        with self._lock:
            files = live_keys(self._folder)
            signing = signing_key_of(files)
            # A key does not change: only one that is new is read, so that looking again costs next to nothing.
            self._keys = {file.path.stem: self._keys.get(file.path.stem) or _read(file.path) for file in files}
            self._signing = self._keys[signing.path.stem] if signing else None
            self._loaded_at = time.monotonic()


def _read(path: Path) -> ECKey:
    key = json.loads(path.read_text())
    key.pop(PUBLISHED_AT, None)  # for ourselves, not for the readers of our JWKS
    return ECKey.import_key(key, {"kid": path.stem})


class AccessTokens:
    """Signs and checks access tokens for one issuer and one audience."""

    def __init__(self, keys: KeyRing, settings: Settings) -> None:
        self.keys = keys
        self.lifetime_seconds = settings.access_token_seconds
        self._verified: dict[str, tuple[str, dict[str, Any]]] = {}
        self._issuer = settings.auth_issuer
        self._audience = settings.auth_audience
        self._required = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": settings.auth_issuer},
            aud={"essential": True, "value": settings.auth_audience},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            jti={"essential": True},
            client_id={"essential": True},
            tv={"essential": True},
        )

    def issue(self, account: Account, client_id: str, scope: str, family_id: str | None = None) -> str:
        """A token for the account, used by the client, for the scope; revoked together with its family."""
        roles = [str(role) for role in account.roles]
        return self._issue(account.id, client_id, scope, roles=roles, tv=account.token_version, fam=family_id)

    def issue_to_service(self, client_id: str, scope: str, roles: list[str]) -> str:
        """A token for a client that acts for itself: its subject is the client (RFC 9068 §2.2)."""
        return self._issue(client_id, client_id, scope, roles=roles, tv=0, fam=None)

    def _issue(self, subject: str, client_id: str, scope: str, **ours: Any) -> str:
        now, token_id = int(time.time()), str(uuid7())
        claims = {
            "iss": self._issuer,
            "sub": subject,
            "aud": self._audience,
            "exp": now + self.lifetime_seconds,
            "iat": now,
            "jti": token_id,
            "client_id": client_id,
            "scope": scope,
            # A token without a family is one of its own.
            **(ours | {"fam": ours["fam"] or token_id}),
        }
        return self._sign(claims, TOKEN_TYPE)

    def id_token(self, account: Account, client_id: str, claims: dict[str, Any]) -> str:
        """An OpenID Connect ID token that shows the client who signed in; never accepted as an access token."""
        now = int(time.time())
        whole = {"iss": self._issuer, "sub": account.id, "aud": client_id, "iat": now}
        return self._sign({**whole, "exp": now + self.lifetime_seconds, **claims}, "JWT")

    def _sign(self, claims: dict[str, Any], kind: str) -> str:
        key = self.keys.signing_key
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": kind}, claims, key, algorithms=[ALGORITHM])

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token of ours; raises InvalidToken with a reason fit for its bearer."""
        if len(token) > _LONGEST_TOKEN:
            raise InvalidToken("The token is too long.")
        kept = self._verified.get(token)
        if kept is not None and kept[1]["exp"] > time.time() and self.keys.holds(kept[0]):
            return dict(kept[1])
        try:
            decoded = jwt.decode(token, self.keys.verifying_key, algorithms=[ALGORITHM])
            self._required.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            expired = getattr(error, "error", "") == "expired_token"
            raise InvalidToken("The token has expired." if expired else "The token is not valid.") from error
        if decoded.header.get("typ") != TOKEN_TYPE:
            raise InvalidToken("The token is not an access token.")
        # A signature holds as long as its key, and checking it is the dearest part of a request that asks for little.
        if len(self._verified) >= _MOST_VERIFIED:
            self._verified.clear()
        self._verified[token] = (str(decoded.header["kid"]), dict(decoded.claims))
        return decoded.claims
