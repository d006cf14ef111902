"""order-admin: takes over an order that no workflow looks after, and answers many that wait for an operator."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Mapping

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from adapters.connections import Connections
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.mysql.orders.orders import OrderStore
from domain.actors import ORDER_ADMIN_ACTOR
from domain.errors import NothingToAdopt
from schemas.checkout import Adoption, CheckoutInput
from schemas.operator_answers import AnswerOutcome, AnswersGiven, AnswersRequest
from temporal_clients.checkouts import CheckoutClient
from temporal_clients.connection import connect_temporal
from temporal_clients.errors import UpdateRefused
from temporal_clients.operator_answers import OperatorAnswers
from workers.steps import Step, StepFailed
from workflows.names import order_workflow_id

_ANSWER_SECONDS = 600.0  # nobody waits for a request here


def adopt_step(stores: Connections, order_id: str, reason: str) -> Step:
    """Start the workflow that ends the order rightly; fails when one of the order runs, or nothing is left to do."""

    def act() -> str:
        try:
            order = OrderStore(stores.engine).checkout_of(order_id, Adoption(actor=ORDER_ADMIN_ACTOR, reason=reason))
            if order is None:
                message = f"There is no order {order_id}; an order's id is a UUID, `GET /v1/ops/orders` finds it."
                raise StepFailed(message)
            asyncio.run(_adopt(stores, order))
        except (UpdateRefused, NothingToAdopt) as refusal:
            raise StepFailed(f"{refusal.message} Nothing was done.") from refusal
        return f"adopted, its workflow is {order_workflow_id(order_id)}"

    return Step(f"Order {order_id}", act, "Are MySQL and Temporal running? `make status` shows the development stack.")


def answer_step(stores: Connections, fields: Mapping[str, object], console: Console) -> Step:
    """Give one answer to many; fails when it was refused for one of them, or is not answered."""

    def act() -> str:
        try:
            request = AnswersRequest.model_validate(fields)
        except ValidationError as error:
            raise StepFailed("; ".join(one["msg"] for one in error.errors())) from error
        given = asyncio.run(_answer(stores, request)).items
        for item in given:
            subject = item.order_id if item.parcel is None else f"{item.order_id}/{item.parcel}"
            why = f": {item.detail}" if item.detail else ""
            console.print(escape(f"  {subject} {item.outcome}{why}"), soft_wrap=True)
        counts = Counter(str(item.outcome) for item in given)
        text = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "nothing waits"
        if counts.keys() & {AnswerOutcome.REFUSED, AnswerOutcome.NOT_ANSWERED}:
            raise StepFailed(f"{text}. What is not answered may be answered again.")
        return text

    return Step("Answers", act, "Are MySQL and Temporal running? `make status` shows the development stack.")


async def _answer(stores: Connections, request: AnswersRequest) -> AnswersGiven:
    settings, engine = stores.settings, stores.engine
    client = await connect_temporal(settings)
    checkouts = CheckoutClient(client, _ANSWER_SECONDS)
    answers = OperatorAnswers(checkouts, OrderStore(engine), OperatorTaskStore(engine), _ANSWER_SECONDS)
    return await answers.give(request, ORDER_ADMIN_ACTOR, str(uuid.uuid4()))


async def _adopt(stores: Connections, order: CheckoutInput) -> None:
    settings = stores.settings
    client = await connect_temporal(settings)
    await CheckoutClient(client, settings.checkout_answer_seconds).adopt(order, str(uuid.uuid4()))
