"""What each search index is filled from: MySQL read in snapshots, written under the version of the snapshot."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import sqlalchemy as sa
from elasticsearch import Elasticsearch

from adapters.mysql.catalog import snapshots as product_snapshots
from adapters.mysql.orders import snapshots as order_snapshots
from adapters.search.index import ALIAS
from adapters.search.live_index import Document, IndexNotReady, LiveIndex
from adapters.search.orders import ORDERS_ALIAS, order_document, order_index
from adapters.search.products import product_index, versioned

PAGE = 500


@dataclass(frozen=True)
class Feed:
    """How one kind of thing comes from MySQL into its index. Outages of either raise their client's errors."""

    index: LiveIndex
    count: Callable[[], int]
    next_keys: Callable[[str, int], Sequence[str]]
    documents: Callable[[Collection[str]], list[Document]]

    def update(self, keys: Collection[str]) -> int:
        """Write the present state of these to every live index; answers how many documents.

        MySQL is read before the indices are listed, so that an index created meanwhile either is among them, or is
        filled from a later state than was read here. Raises IndexNotReady, WriteRefused, WriteDelayed.
        """
        documents = self.documents(keys)
        targets = self.index.targets()
        if not targets:
            raise IndexNotReady(f"No index carries {self.index.alias}-write; run `order-admin setup`.")
        return self.index.put(targets, documents, live=True)

    def fill(self, index: str, after: str, limit: int) -> tuple[str, int]:
        """Write the next ones into one index; answers the last key (empty at the end) and their number."""
        keys = self.next_keys(after, limit)
        if keys:
            self.index.put([index], self.documents(keys))
        return (keys[-1] if len(keys) == limit else "", len(keys))

    def complete(self, index: str, heartbeat: Callable[[], None]) -> int:
        """Write those that are missing in the index; answers how many. `heartbeat` is called after each page."""
        written, after = 0, ""
        while keys := self.next_keys(after, PAGE):
            if missing := self.index.missing(index, keys):
                written += self.index.put([index], self.documents(missing))
            after = keys[-1]
            heartbeat()
        self.index.refresh(index)
        return written

    def differing(self) -> Iterator[str]:
        """The keys whose documents in the searched index differ from MySQL or are missing, and those MySQL lacks."""
        after = ""
        while keys := self.next_keys(after, PAGE):
            indexed = self.index.documents(keys)
            yield from (document.id for document in self.documents(keys) if indexed.get(document.id) != document)
            after = keys[-1]
        self.index.refresh(self.index.alias)
        if self.index.count(self.index.alias) > self.count():
            found = self.index.ids()
            while some := list(islice(found, PAGE)):
                known = {document.id for document in self.documents(some)}
                yield from (key for key in some if key not in known)


def product_feed(engine: sa.Engine, elasticsearch: Elasticsearch, prefix: str) -> Feed:
    """Products; their version is their revision."""
    return Feed(
        index=product_index(elasticsearch, f"{prefix}{ALIAS}"),
        count=lambda: product_snapshots.count(engine),
        next_keys=lambda after, limit: product_snapshots.next_codes(engine, after, limit),
        documents=lambda codes: versioned(product_snapshots.snapshots(engine, codes).values()),
    )


def order_feed(engine: sa.Engine, elasticsearch: Elasticsearch, prefix: str) -> Feed:
    """Orders; their version is the `seq` of their last event."""
    return Feed(
        index=order_index(elasticsearch, f"{prefix}{ORDERS_ALIAS}"),
        count=lambda: order_snapshots.count(engine),
        next_keys=lambda after, limit: order_snapshots.next_ids(engine, after, limit),
        documents=lambda ids: [order_document(order) for order in order_snapshots.snapshots(engine, ids)],
    )


def rebuild(feed: Feed, on_page: Callable[[int], None] = lambda _count: None) -> str:
    """Fill a new index in this process, switch searches to it, and answer its name: for set-up, and without a worker.

    The index that was searched before stays, for running searches; the next reindex removes it. When filling fails, the
    half-made index is removed.
    """
    fresh = feed.index.create()
    try:
        after = None
        while after != "":
            after, count = feed.fill(fresh, after or "", PAGE)
            on_page(count)
        feed.index.refresh(fresh)
        feed.index.compact(fresh)
    except BaseException:
        feed.index.drop(fresh)
        raise
    feed.index.switch_to(fresh)
    return fresh
