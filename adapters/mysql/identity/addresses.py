"""The address book: an account's addresses, of which exactly one is the default."""

from datetime import UTC
from typing import Any

import sqlalchemy as sa
from uuid_utils import uuid7

from adapters.mysql.clock import now
from adapters.mysql.tables.identity import addresses, users
from domain.errors import AddressBookFull, NotFound
from schemas.addresses import SaveAddress, SavedAddress

MOST = 50
_C = addresses.c


class AddressBook:
    """Every method takes the owner, and finds nothing of anybody else's."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def all_of(self, user_id: str) -> list[SavedAddress]:
        """The default first, then the newest."""
        query = sa.select(addresses).where(_C.user_id == user_id).order_by(_C.is_default.desc(), _C.id.desc())
        with self._engine.connect() as connection:
            return [_saved(row) for row in connection.execute(query).mappings()]

    def get(self, user_id: str, address_id: str) -> SavedAddress:
        """One address; raises NotFound."""
        with self._engine.connect() as connection:
            return _get(connection, user_id, address_id)

    def add(self, user_id: str, new: SaveAddress) -> SavedAddress:
        """Keep a new address; the first is the default. Raises AddressBookFull."""
        moment, address_id = now(), str(uuid7())
        with self._engine.begin() as connection:
            count = _lock(connection, user_id)
            if count >= MOST:
                raise AddressBookFull(f"An address book holds {MOST} addresses; delete one first.", most=MOST)
            default = new.is_default or count == 0
            if default:
                _clear_default(connection, user_id)
            row = _columns(new) | {"is_default": default, "created_at": moment, "updated_at": moment}
            connection.execute(sa.insert(addresses).values(id=address_id, user_id=user_id, **row))
            return _get(connection, user_id, address_id)

    def replace(self, user_id: str, address_id: str, new: SaveAddress) -> SavedAddress:
        """Change an address; the default stays it until another one becomes it. Raises NotFound."""
        with self._engine.begin() as connection:
            _lock(connection, user_id)
            default = _get(connection, user_id, address_id).is_default or new.is_default
            if new.is_default:
                _clear_default(connection, user_id)
            row = _columns(new) | {"is_default": default, "updated_at": now()}
            connection.execute(sa.update(addresses).where(_C.id == address_id).values(row))
            return _get(connection, user_id, address_id)

    def remove(self, user_id: str, address_id: str) -> None:
        """Forget an address; when it was the default the newest of the others is now. Raises NotFound."""
        with self._engine.begin() as connection:
            _lock(connection, user_id)
            removed = _get(connection, user_id, address_id)
            connection.execute(sa.delete(addresses).where(_C.id == address_id))
            if removed.is_default:
                newest = connection.scalar(sa.select(sa.func.max(_C.id)).where(_C.user_id == user_id))
                connection.execute(sa.update(addresses).where(_C.id == newest).values(is_default=True))


def _lock(connection: sa.Connection, user_id: str) -> int:
    """One change of an address book at a time; answers how many addresses it holds."""
    connection.execute(sa.select(users.c.id).where(users.c.id == user_id).with_for_update())
    return connection.scalar(sa.select(sa.func.count()).where(_C.user_id == user_id)) or 0


def _clear_default(connection: sa.Connection, user_id: str) -> None:
    connection.execute(sa.update(addresses).where(_C.user_id == user_id, _C.is_default).values(is_default=False))


def _get(connection: sa.Connection, user_id: str, address_id: str) -> SavedAddress:
    query = sa.select(addresses).where(_C.id == address_id, _C.user_id == user_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound("There is no such address.")
    return _saved(row)


def _columns(new: SaveAddress) -> dict[str, Any]:
    return new.model_dump(exclude={"is_default"}) | {"postal_code": new.postal_code or ""}


def _saved(row: sa.RowMapping) -> SavedAddress:
    moments = {name: row[name].replace(tzinfo=UTC) for name in ("created_at", "updated_at")}
    return SavedAddress.model_validate({**row, **moments, "postal_code": row["postal_code"] or None})
