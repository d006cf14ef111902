"""Making a search index anew beside the one in use: what the workflow and its activities tell each other."""

from typing import Literal

from schemas.base import Payload

Subject = Literal["products", "orders"]


class Reindex(Payload):
    """Make the index of a subject anew; `chunk` is how many things one activity writes."""

    subject: Subject
    chunk: int = 5000


class MakeIndex(Payload):
    """Make an empty index; `suffix` makes its name, so that a repeat makes no second."""

    subject: Subject
    suffix: str


class IndexMade(Payload):
    """The empty index, and how many things it is to hold."""

    index: str
    total: int


class FillIndex(Payload):
    """Write the next `limit` things that follow `after` into the index."""

    subject: Subject
    index: str
    after: str
    limit: int


class IndexFilled(Payload):
    """How many were written; `after` is empty when none follow."""

    after: str
    count: int


class IndexNamed(Payload):
    """One index of a subject."""

    subject: Subject
    index: str


class IndexVerified(Payload):
    """How many documents the index holds, and how many of them it lacked at first."""

    documents: int
    added: int


class ReindexProgress(Payload):
    """How far it is; `per_second` is the rate since filling began."""

    subject: Subject
    phase: Literal["starting", "filling", "verifying", "switched", "done", "removed"] = "starting"
    index: str | None = None
    done: int = 0
    total: int = 0
    per_second: int = 0


class Reindexed(Payload):
    """The index searches use now."""

    index: str
    documents: int
    seconds: float


class ReindexStatus(Payload):
    """`GET /v1/products:reindex`: the run that is going on, or the last one."""

    state: Literal["running", "completed", "failed", "cancelled"]
    run_id: str
    progress: ReindexProgress
