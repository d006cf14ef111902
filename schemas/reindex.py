"""Reindexing: building a search index beside the one in use."""

from typing import Literal

from schemas.base import Open, Payload

Subject = Literal["products", "orders"]
Phase = Literal["starting", "filling", "verifying", "switched", "done", "removed"]


class Reindex(Payload):
    """Rebuild the index of a subject; `chunk` is how many documents one activity writes."""

    subject: Subject
    chunk: int = 5000


class MakeIndex(Payload):
    """Create an empty index; `suffix` determines its name, so that a repeat creates no second one."""

    subject: Subject
    suffix: str


class IndexMade(Payload):
    """The empty index, and how many documents it is to hold."""

    index: str
    total: int


class FillIndex(Payload):
    """Write the next `limit` documents after `after` into the index."""

    subject: Subject
    index: str
    after: str
    limit: int


class IndexFilled(Payload):
    """How many were written; `after` is empty when no more follow."""

    after: str
    count: int


class IndexNamed(Payload):
    """One index of a subject."""

    subject: Subject
    index: str


class IndexVerified(Payload):
    """How many documents the index holds, and how many of them were missing at first."""

    documents: int
    added: int


class ReindexProgress(Payload):
    """The progress; `per_second` is the rate since filling began."""

    subject: Subject
    phase: Open[Phase] = "starting"
    index: str | None = None
    done: int = 0
    total: int = 0
    per_second: int = 0


class Reindexed(Payload):
    """The index now in use."""

    index: str
    documents: int
    seconds: float


class ReindexStatus(Payload):
    """`GET /v1/products:reindex`: the current run, or the last one."""

    state: Literal["running", "completed", "failed", "cancelled"]
    run_id: str
    progress: ReindexProgress
