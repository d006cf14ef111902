"""Retention: what is purged, and how many rows of it were."""

from datetime import datetime

from domain.retention import DataKind
from schemas.base import Payload


class RetentionRule(Payload):
    """A kind of data, and for how many days it is kept."""

    kind: DataKind
    days: int


class RetentionRules(Payload):
    """Every kind of data that is not kept for ever."""

    rules: list[RetentionRule]


class PurgeRows(Payload):
    """Delete, or archive, what is older."""

    kind: DataKind
    before: datetime


class RowsPurged(Payload):
    """How many rows went; an unfinished purge has reached the bound of one run, and the next goes on."""

    kind: DataKind
    rows: int
    finished: bool


class RetentionApplied(Payload):
    """The result of a run, by kind."""

    purged: list[RowsPurged]
