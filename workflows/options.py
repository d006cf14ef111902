"""Named activity options: how long an attempt may take and how it is retried. None of them gives up on an outage."""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType


class LocalOptions(TypedDict):
    """Options of a local activity; the SDK's own type also holds what a call site says itself, such as a summary."""

    start_to_close_timeout: timedelta
    local_retry_threshold: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


class CallOptions(TypedDict):
    """Options of a regular activity."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


class LiveCallOptions(CallOptions):
    """Options of a regular activity that sends heartbeats."""

    heartbeat_timeout: timedelta


# One short transaction on our own stores. Past the threshold the retry waits on a durable timer instead of
# in the worker, so a database that is away for minutes delays the order and holds up nothing else.
STORE = LocalOptions(
    start_to_close_timeout=timedelta(seconds=20),
    local_retry_threshold=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=100), backoff_coefficient=2, maximum_interval=timedelta(seconds=15)
    ),
    # A write that was begun must not land after what compensates it.
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
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

CARRIER = LiveCallOptions(
    start_to_close_timeout=timedelta(seconds=30),
    heartbeat_timeout=_HEARTBEAT,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=1)
    ),
)

# The mail server. A mail that was sent and not recorded is sent again with the same id.
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

# The same for stock and for abandoned carts; what one run has started is not started again.
STOCK_UPKEEP = CART_REMINDERS = LiveCallOptions(
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=timedelta(seconds=60),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=1)
    ),
)
