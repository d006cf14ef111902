"""Scheduled purges of what is kept for some time only."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from temporalio import activity

from domain.retention import DataKind
from schemas.retention import PurgeRows, RetentionRule, RetentionRules, RowsPurged

if TYPE_CHECKING:
    from adapters.mysql.retention import Purges


class RetentionActivities:
    """Many short transactions on our own database; a repeat goes on with what is left."""

    def __init__(self, purges: "Purges", days: Mapping[DataKind, int]) -> None:
        self._purges = purges
        self._days = days

    @activity.defn
    def read_retention(self) -> RetentionRules:
        """Which kinds of data this shop does not keep for ever, and for how many days it keeps them."""
        return RetentionRules(rules=[RetentionRule(kind=kind, days=days) for kind, days in self._days.items()])

    @activity.defn
    def purge_rows(self, command: PurgeRows) -> RowsPurged:
        """Delete, or archive, what is older; a bounded number of rows, counted on from the last heartbeat."""
        return self._purges.purge(command.kind, command.before, activity.heartbeat, *activity.info().heartbeat_details)
