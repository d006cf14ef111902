"""The steps of rebuilding a search index. Each may be repeated; only the switch touches the searched index."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.exceptions import ApplicationError

from schemas.reindex import FillIndex, IndexFilled, IndexMade, IndexNamed, IndexVerified, MakeIndex, Subject

if TYPE_CHECKING:
    from adapters.search.feeds import Feed

_STEP = 500  # as many are read and written between two heartbeats


class SearchActivities:
    """Reads from MySQL and writes to Elasticsearch; an outage of either is retried."""

    def __init__(self, feeds: "Mapping[Subject, Feed]") -> None:
        self._feeds = feeds

    def _feed(self, command: FillIndex | IndexNamed) -> "Feed":
        """The feed of an index of this release. Another release's is left to its workers."""
        feed = self._feeds[command.subject]
        if not feed.index.owns(command.index):
            message = f"{command.index} is not an index of this release, whose are named {feed.index.alias}-…"
            raise ApplicationError(message, type="index_of_another_release", non_retryable=True)
        return feed

    @activity.defn
    def make_index(self, command: MakeIndex) -> IndexMade:
        """Create the empty index; from here on every change is written to it as well."""
        feed = self._feeds[command.subject]
        name = f"{feed.index.alias}-{command.suffix}"
        feed.index.create(name)
        return IndexMade(index=name, total=feed.count())

    @activity.defn
    def fill_index(self, command: FillIndex) -> IndexFilled:
        """Write the next things into the index; a repeat continues after the last heartbeat."""
        feed = self._feed(command)
        after, done = command.after, 0
        if activity.info().heartbeat_details:
            after, done = activity.info().heartbeat_details
        while done < command.limit:
            after, written = feed.fill(command.index, after, min(_STEP, command.limit - done))
            done += written
            if not after:
                break
            activity.heartbeat(after, done)
        return IndexFilled(after=after, count=done)

    @activity.defn
    def verify_index(self, command: IndexNamed) -> IndexVerified:
        """Compare the index with MySQL, and add what is missing."""
        feed = self._feed(command)
        expected, added = feed.count(), 0
        feed.index.refresh(command.index)
        if feed.index.count(command.index) < expected:
            added = feed.complete(command.index, activity.heartbeat)
        found = feed.index.count(command.index)
        if found < expected:
            raise ApplicationError(f"{command.index} holds {found} of {expected}", type="index_incomplete")
        return IndexVerified(documents=found, added=added)

    @activity.defn
    def compact_index(self, command: IndexNamed) -> None:
        """Merge the filled index into one segment, so that it is searched quickly from the start."""
        self._feed(command).index.compact(command.index, activity.heartbeat)

    @activity.defn
    def switch_index(self, command: IndexNamed) -> None:
        """Switch searches to this index."""
        self._feed(command).index.switch_to(command.index)

    @activity.defn
    def drop_index(self, command: IndexNamed) -> None:
        """Delete the incomplete index."""
        self._feed(command).index.drop(command.index)

    @activity.defn
    def drop_leftovers(self, command: IndexNamed) -> list[str]:
        """Delete every index of this release that is not searched. Those of another release are left alone."""
        index = self._feed(command).index
        left = [name for name in index.leftovers() if name != command.index]
        for name in left:
            index.drop(name)
        return left
