"""Who did something, as history, the ledgers and the audit log name them: what they are, then which of these."""

SYSTEM_ACTOR = "system"
PROVIDER_ACTOR = "provider"
CARRIER_ACTOR = "carrier"
GUEST_ACTOR = "guest"
ORDER_ADMIN_ACTOR = "order-admin"
"""Whoever runs the command of that name."""


def customer_actor(customer_id: str) -> str:
    """A customer, on their own order."""
    return f"customer:{customer_id}"


def user_actor(user_id: str) -> str:
    """A user, on their own account."""
    return f"user:{user_id}"


def staff_actor(user_id: str, role: str | None = None) -> str:
    """A member of staff, in the role that permits it."""
    return f"staff:{user_id}:{role}" if role else f"staff:{user_id}"


def service_actor(client_id: str) -> str:
    """A program that acts for itself."""
    return f"service:{client_id}"


def system_actor(part: str) -> str:
    """A part of ours that works without being asked."""
    return f"{SYSTEM_ACTOR}:{part}"


WATCHDOG_ACTOR = system_actor("watchdog")
"""What decides by rule when nobody has answered in time."""
