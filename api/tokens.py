"""Access tokens: RFC 9068 JWTs signed with ES256. Nothing in a token is believed beyond its signature and claims."""

import json
import threading
import time
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError, MissingKeyError
from joserfc.jwk import ECKey, GuestProtocol, KeySet
from uuid_utils import uuid7

from adapters.settings import Settings
from schemas.users import Account

ALGORITHM = "ES256"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - the RFC's media type, not a secret
_RELOAD_SECONDS = 5
_LEEWAY_SECONDS = 5
_LONGEST_TOKEN = 4096


class InvalidToken(Exception):
    """Not a token of ours, or not any more."""


class KeyRing:
    """The keys of a folder: the newest signs, all verify. A key added while we run is found when first needed."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._lock = threading.Lock()
        self._keys: dict[str, ECKey] = {}
        self._signing_kid = ""
        self._loaded_at = 0.0
        self._load()

    @property
    def signing_key(self) -> ECKey:
        """The newest key; raises MissingKeyError when the folder holds none."""
        if not self._keys:
            self._load()
        if not self._keys:
            raise MissingKeyError(f"no signing key in {self._folder}")
        return self._keys[self._signing_kid]

    def verifying_key(self, signature: GuestProtocol) -> ECKey:
        """The key a token names; raises MissingKeyError for one we do not have."""
        kid = str(signature.headers().get("kid"))
        if kid not in self._keys and time.monotonic() - self._loaded_at > _RELOAD_SECONDS:
            self._load()
        if kid not in self._keys:
            raise MissingKeyError
        return self._keys[kid]

    def public_jwks(self) -> dict[str, Any]:
        """The public halves, as `/.well-known/jwks.json` shows them."""
        return dict(KeySet(list(self._keys.values())).as_dict(private=False)) if self._keys else {"keys": []}

    def _load(self) -> None:
        with self._lock:
            files = sorted(self._folder.glob("*.json"), key=lambda path: (path.stat().st_mtime, path.name))
            keys = {path.stem: ECKey.import_key(json.loads(path.read_text()), {"kid": path.stem}) for path in files}
            self._keys, self._signing_kid = keys, files[-1].stem if files else ""
            self._loaded_at = time.monotonic()


class AccessTokens:
    """Signs and checks access tokens for one issuer and one audience."""

    def __init__(self, keys: KeyRing, settings: Settings) -> None:
        self.keys = keys
        self.lifetime_seconds = settings.access_token_seconds
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

    def issue(self, account: Account, client_id: str, scope: str) -> str:
        """A token for the account, used by the client, for the scope."""
        key, now = self.keys.signing_key, int(time.time())
        claims = {
            "iss": self._issuer,
            "sub": account.id,
            "aud": self._audience,
            "exp": now + self.lifetime_seconds,
            "iat": now,
            "jti": str(uuid7()),
            "client_id": client_id,
            "scope": scope,
            "roles": [role.value for role in account.roles],
            "tv": account.token_version,
        }
        header = {"alg": ALGORITHM, "kid": key.kid, "typ": TOKEN_TYPE}
        return jwt.encode(header, claims, key, algorithms=[ALGORITHM])

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token of ours; raises InvalidToken with a reason fit for its bearer."""
        if len(token) > _LONGEST_TOKEN:
            raise InvalidToken("The token is too long.")
        try:
            decoded = jwt.decode(token, self.keys.verifying_key, algorithms=[ALGORITHM])
            self._required.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            expired = getattr(error, "error", "") == "expired_token"
            raise InvalidToken("The token has expired." if expired else "The token is not valid.") from error
        if decoded.header.get("typ") != TOKEN_TYPE:
            raise InvalidToken("The token is not an access token.")
        return decoded.claims
