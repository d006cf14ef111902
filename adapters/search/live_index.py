"""An index that is searched and written while another may be filled beside it.

Searches ask `<alias>`, which stands for one index. Writers ask which indices carry `<alias>-write` and write to all of
them, so that an index being filled misses nothing. Each index also has an alias of its own, `<index>-docs`, which
writes go through: a write to an index that was dropped a moment ago then fails instead of creating it again.
"""

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch, NotFoundError
from elasticsearch.helpers import scan

_ADMIN_SECONDS = 60
# The indexer waits no longer, so that it soon retries with a server that went away silently.
_LIVE_SECONDS = 10
_BULK = 500
_LOOK_SECONDS = 0.2
_TOO_OLD, _GONE, _BUSY, _OUR_FAULT_ENDS = 409, 404, 429, 500
# The index takes nothing for now, whatever the reason: under maintenance, or its disk is nearly full.
_BLOCKS = ("cluster_block_exception", "index_closed_exception")
_VERSION = re.compile(r"-v(\d+)-")


@dataclass(frozen=True)
class Document:
    """One thing in an index, as it was at a version."""

    id: str
    version: int
    source: dict[str, Any]


class IndexNotReady(Exception):
    """There is no index to write to; `order-admin setup` makes it."""


class WriteRefused(Exception):
    """The server refuses a document; sending it again cannot help."""


class WriteDelayed(Exception):
    """The server is overloaded, or an index takes no writes for now; send the documents again."""


class LiveIndex:
    """The index of one kind of thing behind its alias. Outages raise elasticsearch's errors."""

    def __init__(
        self, elasticsearch: Elasticsearch, alias: str, settings: dict[str, Any], mapping: dict[str, Any]
    ) -> None:
        self._client = elasticsearch.options(request_timeout=_ADMIN_SECONDS)
        self._live = elasticsearch.options(request_timeout=_LIVE_SECONDS)
        self.alias = alias
        self._settings = settings
        self._mapping = mapping

    @property
    def _write_alias(self) -> str:
        return f"{self.alias}-write"

    def exists(self) -> bool:
        """Whether there is an index to search."""
        return bool(self._client.indices.exists_alias(name=self.alias))

    def current(self) -> str | None:
        """The searched index."""
        return next(iter(self._behind(self.alias)), None)

    def targets(self) -> list[str]:
        """The indices that every change must reach."""
        return self._behind(self._write_alias, self._live)

    def create(self, name: str | None = None) -> str:
        """An empty index that changes are written to from now on and nobody searches yet; its name.

        One that is there already under a given name is left as it is.
        """
        fresh = name or f"{self.alias}-{datetime.now(UTC):%Y%m%d%H%M%S%f}"
        try:
            self._client.indices.create(
                index=fresh,
                settings=self._settings,
                mappings=self._mapping,
                aliases={self._write_alias: {}, _write_name(fresh): {}},
            )
        except BadRequestError as error:
            if error.error != "resource_already_exists_exception":
                raise
        return fresh

    def put(
        self, targets: Collection[str], documents: Iterable[Document], *, refresh: bool = False, live: bool = False
    ) -> int:
        """Write the documents to each target; an older version than what is there is left out. How many documents.

        `live` is for the indexer: it waits for no slow answer, and is delayed by a target that takes no writes for now,
        where filling an index fails. Raises WriteDelayed, and WriteRefused
        once all the others are written.
        """
        done, client = 0, self._live if live else self._client
        refused: list[str] = []
        for batch in _batches(documents):
            operations: list[dict[str, Any]] = []
            for document in batch:
                for target in targets:
                    operations += (_operation(target, document), document.source)
            if operations:
                answer = client.bulk(operations=operations, refresh="wait_for" if refresh else False)
                if answer["errors"]:
                    refused += _refused(answer["items"], _BLOCKS if live else ())
            done += len(batch)
        if refused:
            raise WriteRefused("; ".join(refused[:3]))
        return done

    def refresh(self, index: str) -> None:
        """Make everything written to the index findable."""
        self._client.indices.refresh(index=index)

    def compact(self, index: str, heartbeat: Callable[[], None] = lambda: None) -> None:
        """Merge a filled index into one segment, which is searched twice as fast; calls `heartbeat` meanwhile."""
        self._client.indices.forcemerge(index=index, max_num_segments=1, wait_for_completion=False)
        merging = True
        while merging:
            heartbeat()
            time.sleep(_LOOK_SECONDS)
            merging = (
                self._client.indices.stats(index=index, metric="merge")["_all"]["primaries"]["merges"]["current"] > 0
            )

    def count(self, index: str) -> int:
        """How many documents can be found in the index."""
        return int(self._client.count(index=index)["count"])

    def missing(self, index: str, ids: Collection[str]) -> list[str]:
        """Those of the ids that the index has no document of."""
        found = self._get(index, ids, source=False)
        return [hit["_id"] for hit in found if not hit.get("found")]

    def documents(self, ids: Collection[str]) -> dict[str, Document]:
        """Their documents in the searched index."""
        found = self._get(self.alias, ids, source=True)
        return {hit["_id"]: Document(hit["_id"], hit["_version"], hit["_source"]) for hit in found if hit.get("found")}

    def ids(self) -> Iterator[str]:
        """The ids of all documents in the searched index."""
        return (str(hit["_id"]) for hit in scan(self._client, index=self.alias, _source=False))

    def _get(self, index: str, ids: Collection[str], *, source: bool) -> list[Any]:
        return list(self._client.mget(index=index, ids=list(ids), source=source)["docs"]) if ids else []

    def switch_to(self, index: str) -> list[str]:
        """Switch searches to this index atomically; answers those that were searched before."""
        old = [name for name in self._behind(self.alias) if name != index]
        removals = [{"remove": {"index": name, "alias": self.alias}} for name in old]
        self._client.indices.update_aliases(actions=[*removals, {"add": {"index": index, "alias": self.alias}}])
        return old

    def owns(self, index: str) -> bool:
        """Whether it is one of this version's indices: another release has its own."""
        return index.startswith(f"{self.alias}-")

    def drop(self, index: str) -> None:
        """Delete an index if it exists; never the searched one."""
        if index != self.current():
            self._client.indices.delete(index=index, ignore_unavailable=True)

    def leftovers(self) -> list[str]:
        """Indices of this version that are not searched: earlier ones, or of an interrupted rebuild."""
        return [name for name in self._named(f"{self.alias}-*") if name != self.current()]

    def outdated(self) -> list[str]:
        """Indices of earlier versions, which the release before may still search."""
        kind, _, version = self.alias.rpartition("-v")
        return [
            name
            for name in self._named(f"{kind}-v*")
            if (found := _VERSION.match(name, len(kind))) and int(found[1]) < int(version)
        ]

    def _named(self, pattern: str) -> list[str]:
        return sorted(self._client.indices.get(index=pattern, ignore_unavailable=True))

    def _behind(self, alias: str, client: Elasticsearch | None = None) -> list[str]:
        try:
            return sorted((client or self._client).indices.get_alias(name=alias))
        except NotFoundError:
            return []


def _write_name(index: str) -> str:
    return f"{index}-docs"


def _operation(target: str, document: Document) -> dict[str, Any]:
    where = {"_index": _write_name(target), "require_alias": True}
    return {"index": {**where, "_id": document.id, "version": document.version, "version_type": "external_gte"}}


def _refused(items: Iterable[dict[str, Any]], temporary: Collection[str]) -> list[str]:
    """What went wrong: a newer version is as good as ours, and a deleted index needs nothing."""
    refused = []
    for item in items:
        status, error = item["index"]["status"], item["index"].get("error")
        if error is None or status in (_TOO_OLD, _GONE):
            continue
        about = f"{item['index']['_id']}: {error['type']}: {error.get('reason')}"
        if status == _BUSY or status >= _OUR_FAULT_ENDS or error["type"] in temporary:
            raise WriteDelayed(about)
        refused.append(about)
    return refused


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    left = iter(documents)
    while batch := list(islice(left, _BULK)):
        yield batch
