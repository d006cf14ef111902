"""Search among orders for staff. The index finds; what is shown of an order is read from MySQL.

Personal data in it: the e-mail address, the city and the postal code, because staff search by them; no name, no street,
and nothing of anybody who has closed the account.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from elasticsearch import Elasticsearch

from adapters.mysql.orders.snapshots import found_orders
from adapters.search.live_index import Document, LiveIndex
from adapters.search.words import fold, query_words, stem, stems
from domain.errors import InvalidRequest
from domain.orders import FINAL_STATUSES, OrderStatus
from schemas.order_search import FoundOrders, IndexedOrder, OrderQuery

ORDERS_INDEX_VERSION = 1
ORDERS_ALIAS = f"orders-v{ORDERS_INDEX_VERSION}"
_TIMEOUT_SECONDS = 2.0
_WORDS = {"type": "text", "analyzer": "whitespace", "norms": False}
_SETTINGS: dict[str, Any] = {"number_of_shards": 1, "auto_expand_replicas": "0-1", "refresh_interval": "500ms"}
_MAPPING: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "id": {"type": "keyword"},
        "number": {"type": "long"},
        "status": {"type": "keyword"},
        "email": {"type": "keyword"},
        "postal_code": {"type": "keyword"},
        "skus": {"type": "keyword"},
        "words": {**_WORDS, "index_prefixes": {"min_chars": 1, "max_chars": 15}},
        "updated_at": {"type": "date"},
    },
}
_OPEN = sorted(status.value for status in OrderStatus if status not in FINAL_STATUSES)
_BLOCKED, _STUCK = 2.0, 1.0  # the most urgent first


def order_index(elasticsearch: Elasticsearch, alias: str = ORDERS_ALIAS) -> LiveIndex:
    """The index of orders; `alias` carries the engine's prefix."""
    return LiveIndex(elasticsearch, alias, _SETTINGS, _MAPPING)


def order_document(order: IndexedOrder) -> Document:
    """What is indexed of an order."""
    texts = [*order.names, order.city or "", order.postal_code or ""]
    source = {
        "id": order.id,
        "number": order.number,
        "status": str(order.status),
        "email": fold(order.email) if order.email else None,
        "postal_code": fold(order.postal_code) if order.postal_code else None,
        "skus": sorted({sku.upper() for sku in order.skus}),
        "words": " ".join(dict.fromkeys(stems(" ".join(texts)).split())),
        "updated_at": order.updated_at.isoformat(),
    }
    return Document(order.id, order.last_seq, source)


class OrderSearch:
    """Find orders. Outages raise their client's errors, within a few seconds."""

    def __init__(self, elasticsearch: Elasticsearch, engine: sa.Engine, alias: str, stuck_after: timedelta) -> None:
        self._client = elasticsearch.options(request_timeout=_TIMEOUT_SECONDS)
        self._engine = engine
        self._alias = alias
        self._stuck_after = stuck_after

    def search(self, query: OrderQuery) -> FoundOrders:
        """One page; raises InvalidRequest for a cursor of another search."""
        # The moment travels with the cursor, so that no order changes its place between two pages by getting older.
        after, moment = _unseal(query)
        since = moment - self._stuck_after
        answer = self._client.search(
            index=self._alias,
            query=_matching(query, since.isoformat()),
            sort=[{"_score": "desc"}, {"number": "desc"}],
            size=query.limit + 1,
            source=False,
            track_total_hits=False,
            allow_partial_search_results=False,
            search_after=after,
        )
        hits = answer["hits"]["hits"]
        shown = hits[: query.limit]
        more = len(hits) > query.limit
        return FoundOrders(
            items=found_orders(self._engine, [hit["_id"] for hit in shown], since),
            next_cursor=_seal(query, shown[-1]["sort"], moment) if more else None,
        )


def _matching(query: OrderQuery, since: str) -> dict[str, Any]:
    filters: list[dict[str, Any]] = []
    exact = {"number": query.number, "status": query.status.value if query.status else None}
    exact |= {"email": fold(query.email) if query.email else None, "skus": query.sku.upper() if query.sku else None}
    filters += [{"term": {field: value}} for field, value in exact.items() if value is not None]
    if query.q.strip():
        filters.append({"bool": {"should": _meanings(query.q), "minimum_should_match": 1}})
    blocked = {"term": {"status": OrderStatus.COMPENSATION_BLOCKED.value}}
    stuck = {"bool": {"filter": [{"terms": {"status": _OPEN}}, {"range": {"updated_at": {"lt": since}}}]}}
    stuck["bool"]["must_not"] = [blocked]
    needed = [
        {"constant_score": {"filter": blocked, "boost": _BLOCKED}},
        {"constant_score": {"filter": stuck, "boost": _STUCK}},
    ]
    conditions: dict[str, Any] = {"filter": filters, "should": needed, "minimum_should_match": 0}
    if query.stuck is not None:
        conditions |= {"minimum_should_match": 1} if query.stuck else {"should": [], "must_not": [blocked, stuck]}
    # Not scored at all where nothing is stuck, and sorted by number alone.
    return {"bool": conditions if filters else conditions | {"filter": [{"match_all": {}}]}}


def _meanings(typed: str) -> list[dict[str, Any]]:
    text = fold(typed.strip())
    found = query_words(typed)
    ways: list[dict[str, Any]] = [
        {"term": {"id": text}},
        {"term": {"email": text}},
        {"term": {"postal_code": text}},
        {"term": {"skus": typed.strip().upper()}},
    ]
    number = text.removeprefix("#")
    if number.isascii() and number.isdigit() and len(number) <= 18:
        ways.append({"term": {"number": int(number)}})
    if "@" in text:
        ways.append({"prefix": {"email": text}})
    if found:
        whole = [{"term": {"words": stem(word)}} for word in found[:-1]]
        last = [{"prefix": {"words": found[-1]}}, {"term": {"words": stem(found[-1])}}]
        ways.append({"bool": {"filter": [*whole, {"bool": {"should": last, "minimum_should_match": 1}}]}})
    return ways


def _seal(query: OrderQuery, values: Sequence[Any], moment: datetime) -> str:
    parts = [_fingerprint(query), *values, moment.timestamp()]
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _unseal(query: OrderQuery) -> tuple[list[Any] | None, datetime]:
    if query.cursor is None:
        return None, datetime.now(UTC)
    try:
        same, score, number, moment = json.loads(
            base64.urlsafe_b64decode(query.cursor + "=" * (-len(query.cursor) % 4))
        )
        begun = datetime.fromtimestamp(moment, UTC)
        after = [float(score), int(number)]
    except (binascii.Error, ValueError, TypeError, OverflowError, OSError, RecursionError) as error:
        raise InvalidRequest("The cursor is not valid here.", parameter="cursor") from error
    if same != _fingerprint(query) or abs(after[1]) >= 2**62 or not 0 <= after[0] <= _BLOCKED:
        raise InvalidRequest("This cursor belongs to another search.", parameter="cursor")
    return after, begun


def _fingerprint(query: OrderQuery) -> str:
    """What makes two queries the same search; a digest, because a cursor may end up in a log."""
    request = query.model_dump_json(exclude={"cursor", "limit"})
    return blake2b(request.encode(), digest_size=6).hexdigest()
