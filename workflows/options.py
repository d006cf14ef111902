"""Named activity options: how long an attempt may take and how it is retried. None of them gives up on an outage."""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType


class LocalOptions(TypedDict):
    """Options of a local activity; the SDK's own type also holds what a call site says itself, such as a summary."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


class CallOptions(TypedDict):
    """Options of a regular activity."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


class StoreCallOptions(CallOptions):
    """Options of a step on our own stores that is run as a regular activity."""

    cancellation_type: ActivityCancellationType


class LiveCallOptions(CallOptions):
    """Options of a regular activity that sends heartbeats."""

    heartbeat_timeout: timedelta


# One short transaction on our own stores. A write that was begun must not land after what compensates it, so the end of
# a cancelled one is waited for.
_TRANSACTION, _WAIT_FOR_ITS_END = timedelta(seconds=20), ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
# A local activity has its workflow task renewed, three events each, for as long as it is retried: two seconds, no more.
STORE = LocalOptions(
    start_to_close_timeout=_TRANSACTION,
    retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100), backoff_coefficient=4, maximum_attempts=4),
    cancellation_type=_WAIT_FOR_ITS_END,
)
# For what has another way where the store does not answer at once.
STORE_ONCE = LocalOptions(
    start_to_close_timeout=_TRANSACTION,
    retry_policy=RetryPolicy(maximum_attempts=1),
    cancellation_type=_WAIT_FOR_ITS_END,
)
# The same step while its store is away. The server retries it, and writes nothing into the history for that.
STORE_AWAY = StoreCallOptions(
    start_to_close_timeout=_TRANSACTION,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(seconds=30)
    ),
    cancellation_type=_WAIT_FOR_ITS_END,
)

# The same where nothing waits for it: the server's own retries write no history, however long the store is away.
STORE_IN_BACKGROUND = CallOptions(
    start_to_close_timeout=timedelta(seconds=20),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=500), backoff_coefficient=2, maximum_interval=timedelta(minutes=1)
    ),
)

# A worker that was killed in the middle of a call is noticed by missing heartbeats (workers/heartbeats.py), long before
# the call has had its time.
_HEARTBEAT = timedelta(seconds=10)

# The payment provider: every attempt carries the same idempotency key, so a retry after a lost answer is safe.
PROVIDER = LiveCallOptions(
    start_to_close_timeout=timedelta(seconds=40),
    heartbeat_timeout=_HEARTBEAT,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=500), backoff_coefficient=2, maximum_interval=timedelta(seconds=30)
    ),
)

# The carrier. A booking is a command and up to two questions, which have their time-outs in adapters/carrier.py.
CARRIER = LiveCallOptions(
    start_to_close_timeout=timedelta(seconds=60),
    heartbeat_timeout=_HEARTBEAT,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=1)
    ),
)

# A mail server that is away is waited for; what it refuses for good is final (adapters/mail/mailer.py). A mail that was
# sent and not recorded is sent again with the same id.
MAIL = CallOptions(
    start_to_close_timeout=timedelta(seconds=60),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=1)
    ),
)

# What the search server refuses once it always refuses; while it or MySQL is away the index waits.
_INDEX_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=500),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=15),
    non_retryable_error_types=["WriteRefused"],
)
INDEX = CallOptions(start_to_close_timeout=timedelta(minutes=2), retry_policy=_INDEX_RETRY)
INDEX_FILL = LiveCallOptions(
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=timedelta(seconds=20),
    retry_policy=_INDEX_RETRY,
)

# Many short transactions on our own store, each of which records where the next continues.
CATALOG_CHANGES = LiveCallOptions(
    start_to_close_timeout=timedelta(minutes=10),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=500), backoff_coefficient=2, maximum_interval=timedelta(seconds=15)
    ),
)

# Reads provider, ledger and orders page by page. Its place is in its heartbeats, which a worker throttles.
RECONCILIATION = LiveCallOptions(
    start_to_close_timeout=timedelta(hours=2),
    heartbeat_timeout=timedelta(seconds=15),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=1)
    ),
)

# The same for stock and for abandoned carts; what one run has started is not started again. A purge ends by itself
# before.
STOCK_UPKEEP = CART_REMINDERS = RETENTION = LiveCallOptions(
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=timedelta(seconds=60),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=1)
    ),
)
