"""How changes of the schema are made while orders are taken, and made again after a process died in the middle."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic.ddl.mysql import MySQLImpl
from sqlalchemy.schema import ExecutableDDLElement

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 120
_PAUSE_SECONDS = 1.0
_LOCK_WAIT_TIMEOUT = 1205
# A table, column, key, foreign key or check constraint that is there already; a table, a key or a column that is gone.
_MADE_BEFORE = frozenset({1050, 1060, 1061, 1826, 3822})
_GONE_BEFORE = frozenset({1051, 1054, 1091, 3821})


class Interrupted:
    """Whether what a change makes may be there already.

    Each change commits by itself, so a revision during which a process died has been run in part. Only the first one
    that is missing can be such.
    """

    possible = True

    def is_over(self, *_: object, **_step: object) -> None:
        """A revision has been run whole."""
        self.possible = False


class PatientImpl(MySQLImpl):
    """Makes changes one after the other, letting everybody by who waits behind one that must wait."""

    __dialect__ = "mysql"

    def _exec(
        self,
        construct: Any,
        execution_options: Mapping[str, Any] | None = None,
        multiparams: Sequence[Mapping[str, Any]] | None = None,
        params: Mapping[str, Any] = sa.util.immutabledict(),
    ) -> sa.CursorResult[Any] | None:
        if self.as_sql or not isinstance(construct, ExecutableDDLElement):
            return super()._exec(construct, execution_options, multiparams, params)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return super()._exec(construct, execution_options, multiparams, params)
            except sa.exc.DBAPIError as error:
                code = error.orig.args[0] if error.orig and error.orig.args else None
                if code in _MADE_BEFORE | _GONE_BEFORE and self._interrupted():
                    log.warning("an interrupted revision has done this already: %s", error.orig)
                    return None
                if code != _LOCK_WAIT_TIMEOUT:
                    raise
                if time.monotonic() >= deadline:
                    raise TimeoutError(f"a transaction keeps a table for over {_PATIENCE_SECONDS} s") from error
            time.sleep(_PAUSE_SECONDS)

    def _interrupted(self) -> bool:
        first = self.context_opts.get("interrupted")
        return isinstance(first, Interrupted) and first.possible
