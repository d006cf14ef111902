"""Customers, to whom saved payment methods belong."""

import time

from dev.payment_simulator import wire
from dev.payment_simulator.errors import Answer, Json, invalid, missing
from dev.payment_simulator.events import Call
from dev.payment_simulator.store import Store, new_id


class Customers:
    """The customer API, as far as off-session payments need it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, call: Call) -> Answer:
        """POST /v1/customers."""
        customer: Json = {
            "id": new_id("cus"),
            "object": "customer",
            "created": int(time.time()),
            "email": wire.text(call.params, "email"),
            "livemode": False,
            "metadata": wire.merged_metadata({}, call.params),
        }
        self._store.save(customer)
        return Answer(200, customer)


def check_customer(store: Store, params: Json) -> None:
    """A customer that is named must exist, and an off-session payment must name one."""
    name = wire.text(params, "customer")
    if name is not None and store.find("customer", name) is None:
        raise missing("customer", name, param="customer", status=400)
    if name is None and wire.flag(params, "off_session"):
        message = "The provided PaymentMethod was not attached to a Customer and may not be used off-session."
        raise invalid(message, param="payment_method")
