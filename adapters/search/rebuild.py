"""Make an index again from MySQL in this process: for the first set-up, and where no worker is there to do it."""

from collections.abc import Callable

from adapters.search.feeds import PAGE, Feed


def rebuild(feed: Feed, on_page: Callable[[int], None] = lambda _count: None) -> str:
    """Fill a fresh index, have searches ask it from one moment to the next, and answer its name.

    What searches asked before stays, for those that still run; the next reindex removes it. When filling fails, the
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
