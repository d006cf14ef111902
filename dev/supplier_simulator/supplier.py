"""One delivery for each event of stock that runs low or out, posted by the supplier's own service account."""

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any, cast

import httpx2
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.httpx_client import OAuth2Client  # type: ignore[import-untyped]
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from confluent_kafka import Consumer, Message

from dev.service import log_line
from dev.supplier_simulator.settings import Settings

_EVENT_TYPES = ("com.orderengine.stock.low.v1", "com.orderengine.stock.out.v1")
_PAUSE_SECONDS = 2.0
_LOG = logging.getLogger("dev.supplier_simulator")


@dataclass(frozen=True)
class Replenishment:
    """What a stock event asks for; `key` is the event's id, so that a repeated event delivers nothing more."""

    sku: str
    key: str
    at: float


class Supplier:
    """Reads an event, waits for the delivery time, delivers, and then reads the next event."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer = Consumer(
            {
                **settings.kafka,
                "group.id": settings.group,
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",  # events from before this supplier existed are not its own
            }
        )
        self._shop = OAuth2Client(
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            grant_type="client_credentials",
            token_endpoint=f"{settings.api_url}/oauth2/token",
            base_url=settings.api_url,
            timeout=30.0,
        )

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set."""
        self._consumer.subscribe([self._settings.topic])
        log_line(_LOG, "waiting for stock events", topic=self._settings.topic)
        try:
            while not stop.is_set():
                self._show_life()
                message = self._consumer.poll(0.5)
                if message is None or message.error():
                    continue
                request = _read(message)
                if request is not None and not self._deliver(request, stop):
                    return
                self._consumer.commit(message=message, asynchronous=False)
        finally:
            self._consumer.close()

    def _show_life(self) -> None:
        """It serves nothing that could be asked for its health; the age of this file tells."""
        if self._settings.alive_file is not None:
            self._settings.alive_file.touch()

    def _deliver(self, request: Replenishment, stop: threading.Event) -> bool:
        """Post the delivery, retried until the shop answers; False when `stop` is set before that."""
        stop.wait(max(0.0, request.at + self._settings.delivery_seconds - time.time()))
        while not stop.is_set():
            self._show_life()
            try:
                answer = self._post(request)
            except (httpx2.HTTPError, OAuthError) as error:
                log_line(_LOG, "the shop does not answer", sku=request.sku, error=str(error), retry_in=_PAUSE_SECONDS)
                stop.wait(_PAUSE_SECONDS)
                continue
            log_line(_LOG, "delivered", sku=request.sku, units=self._settings.units, status=answer.status_code)
            return True
        return False

    def _post(self, request: Replenishment) -> httpx2.Response:
        if not self._shop.token or self._shop.token.is_expired():
            self._shop.fetch_token()
        warehouse = self._request("GET", "/v1/warehouses").json()["items"][0]["code"]
        reason = "ordered when stock ran low"
        body = {"kind": "received", "warehouse": warehouse, "quantity": self._settings.units, "reason": reason}
        headers = {"Idempotency-Key": request.key}
        return self._request("POST", f"/v1/stock/{request.sku}/movements", json=body, headers=headers)

    def _request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send a request; 429 and server errors are raised to be retried, other errors are returned as final."""
        answer: httpx2.Response = self._shop.request(method, path, **options)
        if answer.status_code == httpx2.codes.UNAUTHORIZED:
            self._shop.fetch_token()
            answer = self._shop.request(method, path, **options)
        if answer.status_code == httpx2.codes.TOO_MANY_REQUESTS or answer.is_server_error:
            answer.raise_for_status()
        return answer


def _read(message: Message) -> Replenishment | None:
    """The replenishment an event asks for, or None for events of other types."""
    pairs = cast("list[tuple[str, str | bytes | None]]", message.headers() or [])
    headers = {name: value for name, value in pairs if isinstance(value, bytes)}
    if headers.get("ce_type", b"").decode() not in _EVENT_TYPES:
        return None
    event = from_binary_event(KafkaMessage(headers=headers, key=message.key(), value=message.value() or b""))
    data = event.get_data()
    if not isinstance(data, dict):
        return None
    moment = event.get_time()
    return Replenishment(data["data"]["sku"], event.get_id(), moment.timestamp() if moment else time.time())
