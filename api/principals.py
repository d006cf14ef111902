"""The caller of a request: a person, a person's API key, or a service that acts for itself."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from domain.actors import service_actor, user_actor
from schemas.base import Open
from schemas.users import Role


@dataclass(frozen=True)
class Principal:
    """The bearer of a token or key, with the roles it has at this moment.

    `id` is the account's id, for a service its client id. `limits` are the only permissions the token or key was
    made for; None when it may do all that its roles may.
    """

    kind: Literal["person", "service"]
    id: str
    roles: frozenset[Open[Role]]
    limits: AbstractSet[str] | None = None

    @property
    def name(self) -> str:
        """Its name in rate limits, idempotency keys and the audit log."""
        return user_actor(self.id) if self.kind == "person" else service_actor(self.id)
