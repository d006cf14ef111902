"""Processes that serve no requests tell whether their loops turn."""

import httpx2

from dev.testbed import free_port
from workers.health import Health, serving


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_that_has_not_begun_is_not_healthy_yet() -> None:
    health = Health("orders", "products")
    health.beat("orders")()
    assert health.standing() == ["products"]


def test_a_loop_that_stands_still_is_not_healthy_any_more() -> None:
    clock = Clock()
    health = Health("orders", "products", clock=clock)
    beats = [health.beat("orders"), health.beat("products")]
    for beat in beats:
        beat()
    clock.now = 100.0
    beats[0]()
    clock.now = 130.0
    assert health.standing() == ["products"]
    beats[1]()
    assert health.standing() == []


def test_health_is_answered_at_its_address_and_nothing_else_is() -> None:
    health, address = Health("orders"), f"127.0.0.1:{free_port()}"
    with serving(health, address), httpx2.Client(base_url=f"http://{address}") as client:
        assert client.get("/healthz").status_code == httpx2.codes.SERVICE_UNAVAILABLE
        assert client.get("/healthz").text == "not turning: orders\n"
        health.beat("orders")()
        assert client.get("/healthz").status_code == httpx2.codes.OK
        assert client.get("/metrics").status_code == httpx2.codes.NOT_FOUND


def test_without_an_address_nothing_is_served() -> None:
    with serving(Health("orders"), None):
        pass
