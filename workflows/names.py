"""What Temporal knows our things by: task queues, workflow ids, search attributes. One place, both directions."""

from temporalio.common import SearchAttributeKey

ORDERS_QUEUE = "orders"
PAYMENTS_QUEUE = "payments"
FULFILMENT_QUEUE = "fulfilment"
NOTIFICATIONS_QUEUE = "notifications"
CATALOG_QUEUE = "catalog"

# No personal data here: search attributes are not encrypted.
ORDER_STATUS = SearchAttributeKey.for_keyword("OrderStatus")
PAYMENT_STATUS = SearchAttributeKey.for_keyword("PaymentStatus")
CUSTOMER_ID = SearchAttributeKey.for_keyword("CustomerId")
ORDER_NUMBER = SearchAttributeKey.for_int("OrderNumber")
NEEDS_OPERATOR = SearchAttributeKey.for_keyword_list("NeedsOperator")
STUCK_SINCE = SearchAttributeKey.for_datetime("StuckSince")
SEARCH_ATTRIBUTES = (ORDER_NUMBER, ORDER_STATUS, PAYMENT_STATUS, CUSTOMER_ID, NEEDS_OPERATOR, STUCK_SINCE)


def order_workflow_id(order_id: str) -> str:
    """The id of an order's CheckoutWorkflow."""
    return f"order-{order_id}"


def payment_workflow_id(order_id: str) -> str:
    """The id of the PaymentWorkflow that owns the order's money."""
    return f"payment-{order_id}"


def authorization_void_workflow_id(order_id: str) -> str:
    """The id of the AuthorizationVoidWorkflow that voids what the order has authorized."""
    return f"authorization-void-{order_id}"


def fulfilment_workflow_id(order_id: str, parcel: int) -> str:
    """The id of the FulfilmentWorkflow of the order's parcel, counted from 1."""
    return f"fulfilment-{order_id}-{parcel}"


def parcel_resolution_workflow_id(order_id: str, parcel: int) -> str:
    """The id of the ParcelResolutionWorkflow about the order's parcel, which was lost or returned."""
    return f"parcel-resolution-{order_id}-{parcel}"


def refund_workflow_id(refund_id: str) -> str:
    """The id of the RefundWorkflow that carries the refund out."""
    return f"refund-{refund_id}"


def failed_refund_workflow_id(provider_id: str) -> str:
    """The id of the FailedRefundWorkflow of a refund that had succeeded, by the provider's id of it."""
    return f"failed-refund-{provider_id}"


def dispute_workflow_id(dispute_id: str) -> str:
    """The id of the DisputeWorkflow that follows a dispute, by the provider's id of it."""
    return f"dispute-{dispute_id}"


def orphaned_payment_workflow_id(payment_id: str) -> str:
    """The id of the OrphanedPaymentWorkflow that returns a payment, by the provider's id of it."""
    return f"orphaned-payment-{payment_id}"


def payment_repair_workflow_id(decision_id: str) -> str:
    """The id of the PaymentRepairWorkflow that carries a decision out."""
    return f"payment-repair-{decision_id}"


PAYMENT_RECONCILIATION_ID = "payment-reconciliation"
"""The id of the schedule, and of a run of PaymentReconciliationWorkflow that an operator starts."""

# The ids of the other schedules.
RESERVATION_EXPIRY_ID = "reservation-expiry"
ORDER_SWEEP_ID = "order-sweep"
WATCHDOG_ID = "watchdog"
STOCK_RECONCILIATION_ID = "stock-reconciliation"
CART_REMINDERS_ID = "cart-reminders"
CATALOG_CHANGES_ID = "catalog-changes"
POPULARITY_ID = "popularity"
RETENTION_ID = "retention"


def notification_workflow_id(event_id: str) -> str:
    """The id of the NotificationWorkflow that mails an event."""
    return f"notification-{event_id}"


def account_mail_workflow_id(mail_id: str) -> str:
    """The id of the AccountMailWorkflow that sends a pending mail."""
    return f"account-mail-{mail_id}"


def reindex_workflow_id(subject: str) -> str:
    """The id of the ReindexWorkflow of `products` or `orders`: one at a time."""
    return f"reindex-{subject}"


REINDEX_PROGRESS = "progress"  # the memo field with the progress of a reindex


def catalog_changes_workflow_id(taxon: str, version: int) -> str:
    """The id of the CatalogChangesWorkflow that announces a change of a brand or category, at its new version."""
    return f"catalog-changes-{taxon}-{version}"


# The signal of every workflow that follows something at the payment provider.
PROVIDER_EVENT = "provider_event"

# Signals that other workflows send to the order: by name, because the order's workflow imports its children.
PAYMENT_UPDATED = "payment_updated"
PARCEL_UPDATED = "parcel_updated"
DISPUTE_UPDATED = "dispute_updated"
