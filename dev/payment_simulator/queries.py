"""Reading: lists, search and expansion."""

import re
import time

from dev.payment_simulator import shapes, wire
from dev.payment_simulator.errors import Answer, Json, invalid, missing
from dev.payment_simulator.events import Call
from dev.payment_simulator.store import Store

_CLAUSE = re.compile(r"""(?:metadata\[(["'])(?P<meta>[^"']+)\1\]|(?P<field>[a-z_]+))\s*:\s*(["'])(?P<value>[^"']*)\4""")
_EXPANDABLE = {
    "latest_charge": "charge",
    "charge": "charge",
    "payment_intent": "payment_intent",
    "balance_transaction": "balance_transaction",
}
_COMPARE = {
    "gt": lambda created, bound: created > bound,
    "gte": lambda created, bound: created >= bound,
    "lt": lambda created, bound: created < bound,
    "lte": lambda created, bound: created <= bound,
}


class Queries:
    """Everything that changes nothing."""

    def __init__(self, store: Store, search_lag: float) -> None:
        self._store = store
        self._search_lag = search_lag

    def one(self, kind: str, call: Call) -> Answer:
        """GET /v1/<kind>s/{id}."""
        found = self._store.find(kind, call.target)
        if found is None:
            raise missing(kind, str(call.target), param="id")
        return Answer(200, found)

    def many(self, kind: str, call: Call) -> Answer:
        """GET /v1/<kind>s, newest first, filtered and paged as Stripe's lists are."""
        data = self._store.newest(kind, intent=wire.text(call.params, "payment_intent"))
        for field in ("customer", "charge", "type"):
            if value := wire.text(call.params, field):
                data = [item for item in data if item.get(field) == value]
        data = _created_within(data, call.params)
        page, more = _page(data, call.params)
        return Answer(200, shapes.listing(call.path, page, more))

    def search(self, call: Call) -> Answer:
        """GET /v1/payment_intents/search: clauses joined by AND, over metadata and a few fields."""
        query = wire.required(call.params, "query")
        clauses = list(_CLAUSE.finditer(query))
        if not clauses or re.sub(r"\band\b|\s", "", _CLAUSE.sub("", query), flags=re.IGNORECASE):
            raise invalid("We were unable to parse your search query.", param="query")
        known = self._store.newest("payment_intent", saved_before=time.time() - self._search_lag)
        data = [intent for intent in known if all(_matches(intent, clause) for clause in clauses)]
        limit, start = _limit(call.params), wire.integer(call.params, "page") or 0
        more = len(data) > start + limit
        following = str(start + limit) if more else None
        return Answer(200, shapes.search_result(call.path, data[start : start + limit], more, following))

    def expand(self, body: Json, paths: object) -> Json:
        """Replace ids by their objects where `expand[]` asks for it, also inside lists (`data.…`) and one another."""
        for path in paths if isinstance(paths, list) else []:
            holders = body.get("data", []) if str(path).startswith("data.") else [body]
            for field in str(path).removeprefix("data.").split("."):
                for holder in holders:
                    if field in _EXPANDABLE and isinstance(holder.get(field), str):
                        holder[field] = self._store.find(_EXPANDABLE[field], holder[field])
                holders = [holder[field] for holder in holders if isinstance(holder.get(field), dict)]
        return body


def _matches(intent: Json, clause: re.Match[str]) -> bool:
    if clause["meta"]:
        return bool(intent["metadata"].get(clause["meta"]) == clause["value"])
    return str(intent.get(clause["field"], "")) == clause["value"]


def _created_within(data: list[Json], params: Json) -> list[Json]:
    bounds = params.get("created")
    if bounds is None:
        return data
    if not isinstance(bounds, dict) or set(bounds) - set(_COMPARE):
        raise invalid("Invalid created filter.", param="created")
    for name in bounds:
        bound = wire.integer(bounds, name) or 0
        data = [item for item in data if _COMPARE[name](item["created"], bound)]
    return data


def _limit(params: Json) -> int:
    limit = wire.integer(params, "limit")
    if limit is not None and not 1 <= limit <= 100:
        raise invalid("Invalid limit: must be between 1 and 100.", param="limit")
    return limit or 10


def _page(data: list[Json], params: Json) -> tuple[list[Json], bool]:
    limit = _limit(params)
    after = wire.text(params, "starting_after")
    if after:
        places = [place for place, item in enumerate(data) if item["id"] == after]
        if not places:
            raise missing("object", after, param="starting_after", status=400)
        data = data[places[0] + 1 :]
    return data[:limit], len(data) > limit
