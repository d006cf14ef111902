"""Where a customer's next page begins, and the view of the index it is read from.

From the second page on hits are read from a point in time that is chosen with the first page, so that what changes
while a customer turns pages neither repeats nor hides a hit. The first page itself is read from the index as it is: a
change is found as soon as can be, and only what changed within the second around the first page may be on two pages or
on none. Who comes back after the point has ended goes on behind the last hit they saw, in a new view.

A point costs the server the segments it holds on to, so it is opened only where a page follows, and all within a second
share one. Hence nobody closes it: it ends a minute after its last use, and a process has at most one for each second of
that minute, plus those still in use.
"""

import base64
import binascii
import json
import threading
import time
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from elasticsearch import ConnectionTimeout, Elasticsearch

from domain.errors import InvalidRequest
from schemas.search import ProductQuery

KEEP_ALIVE = "1m"
_SHARED_SECONDS = 1.0
_PARTS = 6
_LONGEST_QUERY = 200


@dataclass(frozen=True)
class Place:
    """Behind which hit a page begins; `total` is what the first page counted, `point` the view it is read from.

    `meant` are the corrected words, where those that were typed find nothing.
    """

    after: list[Any]
    total: int
    meant: str | None
    point: str | None


class SharedPoint:
    """The point in time this process opened last."""

    def __init__(self, elasticsearch: Elasticsearch, alias: str) -> None:
        self._client = elasticsearch
        self._alias = alias
        self._lock = threading.Lock()
        self._id = ""
        self._opened = float("-inf")

    def get(self, *, instead_of: str | None = None) -> str:
        """A view of the index as it was at most a second ago; never the one that has expired."""
        # Others wait for the one who opens it, but not one after the other for a server that hangs.
        if not self._lock.acquire(timeout=_SHARED_SECONDS):
            raise ConnectionTimeout("a point in time is being opened")
        try:
            if time.monotonic() - self._opened > _SHARED_SECONDS or self._id == instead_of:
                begun = time.monotonic()
                self._id = self._client.open_point_in_time(index=self._alias, keep_alive=KEEP_ALIVE)["id"]
                self._opened = begun
            return self._id
        finally:
            self._lock.release()


def seal(query: ProductQuery, place: Place) -> str:
    """The place as the customer holds it."""
    parts = [_fingerprint(query), place.after, place.total, place.meant, place.point]
    return base64.urlsafe_b64encode(json.dumps([1, *parts], separators=(",", ":")).encode()).decode().rstrip("=")


def unseal(query: ProductQuery) -> Place | None:
    """The place a query goes on from; None for the first page. Raises InvalidRequest for another search's cursor."""
    if query.cursor is None:
        return None
    try:
        parts = json.loads(base64.urlsafe_b64decode(query.cursor + "=" * (-len(query.cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise InvalidRequest("The cursor is not valid here.", parameter="cursor") from error
    if not isinstance(parts, list) or len(parts) != _PARTS or parts[1] != _fingerprint(query):
        raise InvalidRequest("This cursor belongs to another search.", parameter="cursor")
    _, _, after, total, meant, point = parts
    sound = _is_position(after) and type(total) is int and 0 <= total < 2**31
    if not sound or not all(part is None or isinstance(part, str) for part in (meant, point)):
        raise InvalidRequest("The cursor is not valid here.", parameter="cursor")
    return Place(after, total, meant and meant[:_LONGEST_QUERY], point)


def _is_position(after: object) -> bool:
    """A sort value that the server can read, and a product's code."""
    return (
        isinstance(after, list)
        and len(after) == 2
        and type(after[0]) in (int, float)
        and abs(after[0]) < 2**63
        and isinstance(after[1], str)
    )


def _fingerprint(query: ProductQuery) -> str:
    """What makes two queries the same search; how much of it is shown at once does not."""
    request = query.model_dump(mode="json", exclude={"cursor", "limit", "facets", "sort"}) | {"order": query.order}
    return blake2b(json.dumps(request, sort_keys=True).encode(), digest_size=6).hexdigest()
