"""The outbox of the catalog: what changed about a product or its availability, in the caller's transaction."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
import uuid_utils
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.bulk import insert_rows
from adapters.mysql.clock import now
from adapters.mysql.tables.catalog import product_events, product_revisions
from adapters.mysql.tables.schema import OUTBOX_PARTITIONS
from domain.events import EventType


@dataclass(frozen=True)
class ProductAnnouncement:
    """What happened to a product."""

    product: str
    type: EventType
    data: Mapping[str, object] = field(default_factory=dict)


def announce(connection: sa.Connection, announcements: Iterable[ProductAnnouncement]) -> None:
    """Write the events and raise each product's revision. Call it last in the transaction.

    The row of the revision stays locked until the commit, so the revisions of a product are in the order in which its
    changes became visible, whoever made them: what was read at revision N holds every change up to N. The rows are
    locked in the order of the codes, so that two transactions cannot deadlock on them.
    """
    ordered = sorted(announcements, key=lambda announcement: announcement.product)
    if not ordered:
        return
    revisions = _raise_revisions(connection, sorted({announcement.product for announcement in ordered}))
    moment = now()
    insert_rows(
        connection,
        sa.insert(product_events),
        [
            {
                "event_id": str(uuid_utils.uuid7()),
                "product": announcement.product,
                "revision": revisions[announcement.product],
                "type": announcement.type,
                "data": dict(announcement.data),
                "occurred_at": moment,
                "partition_no": zlib.crc32(announcement.product.encode()) % OUTBOX_PARTITIONS,
            }
            for announcement in ordered
        ],
    )


def _raise_revisions(connection: sa.Connection, codes: Sequence[str]) -> dict[str, int]:
    statement = mysql_insert(product_revisions)
    # A literal, because the driver takes no parameter behind the rows it writes many of at once.
    insert_rows(
        connection,
        statement.on_duplicate_key_update(revision=product_revisions.c.revision + sa.literal_column("1")),
        [{"product": code, "revision": 1} for code in codes],
    )
    found = connection.execute(
        sa.select(product_revisions.c.product, product_revisions.c.revision).where(
            product_revisions.c.product.in_(codes)
        )
    )
    return {row.product: row.revision for row in found}
