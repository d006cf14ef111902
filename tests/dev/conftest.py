"""Runs a development service inside the test process, on a free port, over real HTTP."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import httpx2
import pytest
import stripe
import uvicorn
from starlette.types import ASGIApp

from dev.payment_simulator.app import create_app
from dev.payment_simulator.settings import Settings
from dev.service import quiet_lost_connections
from tests.fixture_types import Json

KEY = "sk_test_development"


class RunningApp:
    """A uvicorn server in a thread of its own; `stop` ends it as SIGTERM would."""

    def __init__(self, app: ASGIApp) -> None:
        quiet_lost_connections()
        config = uvicorn.Config(app, port=0, log_level="error", access_log=False, timeout_graceful_shutdown=2)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()), daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, "the server did not start")
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()


RunApp = Callable[[ASGIApp], RunningApp]


class PaymentSimulator:
    """One running simulator, the SDK that talks to it and the control calls a test makes."""

    def __init__(self, settings: Settings, run_app: RunApp) -> None:
        self._run, self._settings = run_app, settings
        self.start()

    def start(self) -> None:
        self.app = self._run(create_app(self._settings))
        self.url = self.app.url
        self.client = stripe.StripeClient(KEY, base_addresses={"api": self.url}, max_network_retries=0)
        # Untyped on purpose: nearly every field of the SDK's objects is optional.
        self.intents: Any = self.client.v1.payment_intents
        self.refunds: Any = self.client.v1.refunds

    def authorise(self, amount: int = 5000, order: str = "o1", key: str | None = None, **more: object) -> Any:
        params = {
            "amount": amount,
            "currency": "eur",
            "capture_method": "manual",
            "confirm": True,
            "payment_method": "pm_card_visa",
            "metadata": {"order_id": order},
            **more,
        }
        return self.intents.create(params, {"idempotency_key": key} if key else {})

    def fault(self, kind: str, operation: str, **more: object) -> None:
        body = {"kind": kind, "match": {"operation": operation}, **more}
        assert httpx2.post(f"{self.url}/_control/faults", json=body).status_code == 201

    def ledger(self, order: str = "o1") -> list[tuple[str, int]]:
        rows = httpx2.get(f"{self.url}/_ledger", params={"order_id": order}).json()["data"]
        return [(row["effect"], row["amount"]) for row in rows]

    def raw(self, path: str, form: dict[str, str], **headers: str) -> httpx2.Response:
        given = {"Authorization": f"Bearer {KEY}", **headers}
        return httpx2.post(f"{self.url}{path}", data=form, headers=given)


class WebhookReceiver:
    """Takes webhooks down, headers and raw bodies; answers 500 as often as `failures` says."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.failures = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                failing = receiver.failures > 0
                if failing:
                    receiver.failures -= 1
                else:
                    receiver.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(500 if failing else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def bodies(self) -> list[Json]:
        return [json.loads(body) for _, body in list(self.received)]

    def types(self) -> list[str]:
        return [body["type"] for body in self.bodies()]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Eventually(Protocol):
    """Waits for a condition, or fails with its message."""

    def __call__(self, condition: Callable[[], object], message: str, seconds: float = ..., /) -> None: ...


def wait_until(condition: Callable[[], object], message: str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(0.01)


@pytest.fixture
def eventually() -> Eventually:
    return wait_until


@pytest.fixture
def run_app() -> Iterator[RunApp]:
    """Start services; whatever still runs at the end of the test is stopped."""
    running: list[RunningApp] = []

    def run(app: ASGIApp) -> RunningApp:
        running.append(RunningApp(app))
        return running[-1]

    yield run
    for app in running:
        app.stop()


@pytest.fixture
def hooks() -> Iterator[WebhookReceiver]:
    """Somebody who takes webhooks."""
    receiver = WebhookReceiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def simulator(run_app: RunApp, hooks: WebhookReceiver, tmp_path: Path) -> PaymentSimulator:
    settings = Settings(KEY, "whsec_development_stripe", hooks.url, str(tmp_path / "payments.sqlite3"))
    return PaymentSimulator(settings, run_app)
