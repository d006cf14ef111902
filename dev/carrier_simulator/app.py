"""Puts the carrier simulator together: its API, its controls and its two background tasks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from html import escape

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from standardwebhooks import Webhook

from dev.carrier_simulator.gateway import InFlight, problem, require_key, with_faults
from dev.carrier_simulator.labels import label_of
from dev.carrier_simulator.movement import Movement
from dev.carrier_simulator.rates import Rates
from dev.carrier_simulator.settings import Settings
from dev.carrier_simulator.shipments import SCHEMA, Shipments
from dev.carrier_simulator.wire import Advance, Booking, CarrierError, Json, Resend, Shipment
from dev.database import Database
from dev.faults import Faults, fault_router
from dev.outbox import DeliveryOptions, Outbox, Sign
from dev.service import RequestLog


def create_app(settings: Settings) -> FastAPI:
    """One simulator with its own database, outbox, timers and faults."""
    database = Database(settings.database, SCHEMA)
    outbox = Outbox(database, settings.webhook_url, _signer(settings.webhook_secret), "carrier_simulator")
    rates = Rates(database)
    shipments = Shipments(database, outbox, rates, settings)
    movement, faults = Movement(shipments), Faults()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(outbox.run()), asyncio.create_task(movement.run())]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        database.close()

    app = FastAPI(title="Carrier simulator", description="A parcel carrier, for development.", lifespan=lifespan)
    app.add_middleware(RequestLog, service="carrier_simulator")
    _add_errors(app)
    _add_api(app, settings, shipments, movement, faults)
    _add_rates(app, settings, rates, faults)
    _add_control(app, shipments, movement, outbox)
    _add_pages(app, shipments)
    app.include_router(fault_router(faults))
    return app


def _signer(secret: str) -> Sign:
    webhook = Webhook(secret)

    def sign(event_id: str, body: str) -> dict[str, str]:
        now = datetime.now(UTC)
        signature = webhook.sign(event_id, now, body)
        return {"webhook-id": event_id, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}

    return sign


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(CarrierError)
    async def refused(_request: Request, error: CarrierError) -> Response:
        return problem(error)

    @app.exception_handler(RequestValidationError)
    async def malformed(_request: Request, error: RequestValidationError) -> Response:
        errors = [{"path": list(detail["loc"][1:]), "message": detail["msg"]} for detail in error.errors()]
        return problem(CarrierError(422, "invalid_request", "The request is malformed.", errors=errors))


def _add_api(app: FastAPI, settings: Settings, shipments: Shipments, movement: Movement, faults: Faults) -> None:
    """The carrier's public API."""
    in_flight = InFlight()

    @app.post("/v1/shipments", status_code=201)
    async def book(request: Request, booking: Booking) -> Response:
        require_key(request, settings.api_key)
        key = request.headers.get("idempotency-key", "")
        if not 1 <= len(key) <= 255:
            raise CarrierError(400, "idempotency_key_required", "Send an Idempotency-Key of 1 to 255 characters.")

        def work() -> Response:
            body, replayed = shipments.book(booking, key)
            movement.wake()
            headers = {"Idempotent-Replayed": "true"} if replayed else None
            return JSONResponse(body, status_code=201, headers=headers)

        with in_flight.only(key):
            return await with_faults(faults, "book", booking.reference, work)

    @app.get("/v1/shipments")
    async def find(request: Request, reference: str) -> Response:
        require_key(request, settings.api_key)
        return await with_faults(
            faults, "find", reference, lambda: JSONResponse({"data": shipments.find(reference=reference)})
        )

    @app.get("/v1/shipments/{name}")
    async def retrieve(request: Request, name: str) -> Response:
        require_key(request, settings.api_key)
        reference = shipments.get(name)["reference"]
        return await with_faults(faults, "retrieve", reference, lambda: JSONResponse(shipments.get(name)))

    @app.post("/v1/shipments/{name}/cancel")
    async def cancel(request: Request, name: str) -> Response:
        require_key(request, settings.api_key)
        reference = shipments.get(name)["reference"]
        return await with_faults(faults, "cancel", reference, lambda: JSONResponse(shipments.cancel(name)))


def _add_rates(app: FastAPI, settings: Settings, rates: Rates, faults: Faults) -> None:
    """What the carrier charges, and how tests let that expire."""

    @app.post("/v1/rates")
    async def quote(request: Request, shipment: Shipment) -> Response:
        require_key(request, settings.api_key)
        return await with_faults(
            faults, "rates", shipment.reference, lambda: JSONResponse({"data": rates.quote(shipment)})
        )

    @app.post("/_control/rates/expire")
    async def expire() -> Json:
        return {"expired": rates.expire()}


def _add_control(app: FastAPI, shipments: Shipments, movement: Movement, outbox: Outbox) -> None:
    """How tests move parcels and send their events again."""

    @app.post("/_control/shipments/{name}/advance")
    async def advance(name: str, move: Advance) -> Json:
        moved = shipments.advance(name, move)
        movement.wake()
        return moved

    @app.post("/_control/shipments/{name}/resend", status_code=202)
    async def resend(name: str, request: Resend) -> Json:
        return {"queued": shipments.resend(name, request)}

    @app.get("/_control/shipments/{name}/events")
    async def events(name: str) -> Json:
        return {"data": shipments.events(name)}

    @app.get("/_control/webhooks")
    async def deliveries(limit: int = 100) -> Json:
        return {"data": outbox.deliveries(limit)}

    @app.put("/_control/webhooks")
    async def set_delivery(options: DeliveryOptions) -> DeliveryOptions:
        outbox.set_delivery(options)
        return options

    @app.delete("/_control/webhooks", status_code=204)
    async def reset_delivery() -> None:
        outbox.set_delivery(DeliveryOptions())

    @app.get("/_ledger")
    async def ledger(reference: str | None = None) -> Json:
        return {"data": shipments.find(reference=reference)}


def _add_pages(app: FastAPI, shipments: Shipments) -> None:
    """Health, and the two addresses a booking hands out."""

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/track/{number}")
    async def track(number: str) -> HTMLResponse:
        found = shipments.find(tracking_number=number)
        if not found:
            return HTMLResponse("<p>Unknown parcel.</p>", status_code=404)
        steps = "".join(
            f"<li>{escape(' '.join((event['timestamp'], event['data']['status'], event['data']['location'])))}</li>"
            for event in shipments.events(found[0]["id"])
        )
        return HTMLResponse(
            f"<title>{escape(number)}</title><h1>{escape(number)}: {found[0]['status']}</h1><ol>{steps}</ol>"
        )

    @app.get("/labels/{name}.pdf")
    async def label(name: str) -> Response:
        """For everybody who knows its address, as the id in it is not to be guessed."""
        return Response(label_of(shipments.get(name)), media_type="application/pdf")
