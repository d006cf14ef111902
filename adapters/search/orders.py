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
import structlog
from elasticsearch import ApiError, Elasticsearch, TransportError

from adapters.mysql.orders.order_list import NEEDS_OPERATOR, STUCK, Place, listed, needing_operator
from adapters.mysql.orders.snapshots import found_orders
from adapters.search.live_index import Document, LiveIndex
from adapters.search.words import fold, query_words, stem, stems
from domain.errors import InvalidRequest
from domain.orders import FINAL_STATUSES, NEEDS_OPERATOR_STATUSES, OrderStatus
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
_NEEDING = 1000  # of more than so many orders that need an operator, a search by words puts the oldest first
_log = structlog.get_logger(__name__)


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
        """One page; raises InvalidRequest for a cursor of another search.

        What MySQL can find by itself is asked of MySQL: what needs an operator is listed while the index is away.
        """
        # The moment travels with the cursor, so that no order changes its place between two pages by getting older.
        after, moment = _unseal(query)
        since = moment - self._stuck_after
        words = query.q.strip() or query.email or query.sku
        try:
            found = self._indexed(query, after, since) if words else self._listed(query, after, since)
        except (TransportError, ApiError) as outage:
            if query.q.strip():
                raise
            _log.warning("the index of orders is away: MySQL answers alone", error=str(outage)[:200])
            found = self._listed(query, after, since)
        shown = found[: query.limit]
        return FoundOrders(
            items=found_orders(self._engine, [order_id for order_id, _ in shown], since),
            next_cursor=_seal(query, shown[-1][1], moment) if len(found) > query.limit else None,
        )

    def _listed(self, query: OrderQuery, after: Place | None, since: datetime) -> list[tuple[str, Place]]:
        return listed(self._engine, query, after, since, query.limit + 1)

    def _indexed(self, query: OrderQuery, after: Place | None, since: datetime) -> list[tuple[str, Place]]:
        answer = self._client.search(
            index=self._alias,
            query=_matching(query, since.isoformat(), needing_operator(self._engine, _NEEDING)),
            sort=[{"_score": "desc"}, {"number": "desc"}],
            size=query.limit + 1,
            source=False,
            track_total_hits=False,
            allow_partial_search_results=False,
            search_after=list(after) if after else None,
        )
        return [(hit["_id"], (float(hit["sort"][0]), int(hit["sort"][1]))) for hit in answer["hits"]["hits"]]


def _matching(query: OrderQuery, since: str, needing: list[str]) -> dict[str, Any]:
    filters: list[dict[str, Any]] = []
    exact = {"number": query.number, "status": query.status.value if query.status else None}
    exact |= {"email": fold(query.email) if query.email else None, "skus": query.sku.upper() if query.sku else None}
    filters += [{"term": {field: value}} for field, value in exact.items() if value is not None]
    if query.q.strip():
        filters.append({"bool": {"should": _meanings(query.q), "minimum_should_match": 1}})
    waiting = [{"terms": {"status": sorted(NEEDS_OPERATOR_STATUSES)}}, {"terms": {"id": needing}}]
    needs: dict[str, Any] = {"bool": {"should": waiting, "minimum_should_match": 1}}
    stuck: dict[str, Any] = {
        "bool": {
            "filter": [{"terms": {"status": _OPEN}}, {"range": {"updated_at": {"lt": since}}}],
            "must_not": [needs],
        }
    }
    if query.needs_operator is not None:
        filters.append(needs if query.needs_operator else {"bool": {"must_not": [needs]}})
    if query.stuck is not None:
        either = {"should": [needs, stuck], "minimum_should_match": 1}
        filters.append({"bool": either if query.stuck else {"must_not": [needs, stuck]}})
    urgency = [
        {"constant_score": {"filter": needs, "boost": NEEDS_OPERATOR}},
        {"constant_score": {"filter": stuck, "boost": STUCK}},
    ]
    # Not scored at all where nothing is urgent, and sorted by number alone.
    return {"bool": {"filter": filters or [{"match_all": {}}], "should": urgency, "minimum_should_match": 0}}


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


def _unseal(query: OrderQuery) -> tuple[Place | None, datetime]:
    if query.cursor is None:
        return None, datetime.now(UTC)
    try:
        same, score, number, moment = json.loads(
            base64.urlsafe_b64decode(query.cursor + "=" * (-len(query.cursor) % 4))
        )
        begun = datetime.fromtimestamp(moment, UTC)
        after = (float(score), int(number))
    except (binascii.Error, ValueError, TypeError, OverflowError, OSError, RecursionError) as error:
        raise InvalidRequest("The cursor is not valid here.", parameter="cursor") from error
    if same != _fingerprint(query) or abs(after[1]) >= 2**62 or not 0 <= after[0] <= NEEDS_OPERATOR:
        raise InvalidRequest("This cursor belongs to another search.", parameter="cursor")
    return after, begun


def _fingerprint(query: OrderQuery) -> str:
    """What makes two queries the same search; a digest, because a cursor may end up in a log."""
    request = query.model_dump_json(exclude={"cursor", "limit"})
    return blake2b(request.encode(), digest_size=6).hexdigest()
