"""What is proved on the running containers."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import httpx2

from dev.rehearsal.orders import Customer, different_on_kafka
from dev.stack import containers
from dev.stack.environment import settings
from dev.stack.paths import ROOT, StackError

Report = Callable[[str], None]

_ENDS_SECONDS = 900
_ORDERS_BETWEEN = 1
_PLACED_SECONDS = 300
_SERVICES = ("user", "catalog", "cart", "order", "payment", "notification")


def run(*arguments: str) -> str:
    """A command of this project in this environment; its output, or a StackError with the end of it."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        raise StackError(f"`python -m {' '.join(arguments)}` failed:\n{tail}")
    return done.stdout + done.stderr


def gateway(report: Report) -> None:
    """State and document of the whole system, through the one door."""
    with httpx2.Client(base_url=_url(), timeout=30) as client:
        for path in ("/readyz", *(f"/readyz/{service}" for service in _SERVICES)):
            checks = client.get(path).raise_for_status().json()
            if checks["status"] != "ready":
                raise StackError(f"{path} answers {checks}.")
        paths = client.get("/openapi.json").raise_for_status().json()["paths"]
        if not {"/v1/users", "/v1/products", "/v1/cart", "/v1/checkouts", "/v1/webhooks/stripe"} <= paths.keys():
            raise StackError(f"/openapi.json lacks paths of some service; it has {sorted(paths)}.")
    report(f"/readyz of six services: ready; /openapi.json: {len(paths)} paths of all services")


def everyday_commands(report: Report) -> None:
    """`make restart`, `logs` and `rotate-keys`, as the README says."""
    before = _key_ids()
    run("dev.stack", "admin", "rotate-keys")
    run("dev.stack", "restart", "user-service")
    made = _key_ids() - before
    if len(made) != 1:
        raise StackError(f"rotate-keys has published {len(made)} keys; JWKS had {before}.")
    report("rotate-keys: a new key is published by the user service, the old one still verifies")
    if "user-service" not in run("dev.stack", "logs", "user-service"):
        raise StackError("logs of user-service are empty.")
    report("restart and logs know the containers by name")


def kill_each(report: Report) -> Customer:
    """Kill one container after the other while a customer orders; all orders end right."""
    customer = Customer(httpx2.Client(base_url=_url(), timeout=30))
    thread = threading.Thread(target=customer.run)
    thread.start()
    try:
        for service in containers.lasting_services():
            _until_placed(customer, len(customer.placed) + _ORDERS_BETWEEN)
            started, before = time.monotonic(), customer.asked_again
            containers.compose("kill", "--signal", "KILL", service, quiet=True)
            containers.compose(
                "up", "--detach", "--no-build", "--no-deps", "--no-recreate", "--wait", service, quiet=True
            )
            again = customer.asked_again - before
            report(
                f"{service} killed, healthy again after {time.monotonic() - started:.1f} s; asked again {again} times"
            )
        _until_placed(customer, len(customer.placed) + _ORDERS_BETWEEN)
    finally:
        customer.stop.set()
        thread.join()
    if customer.failure:
        raise StackError(f"A request was refused: {customer.failure}")
    return customer


def all_ended_right(customer: Customer, report: Report) -> None:
    """Delivered, charged once, and every event in the history and on Kafka, without a gap."""
    deadline = time.monotonic() + _ENDS_SECONDS
    while unfinished := customer.unfinished():
        if time.monotonic() > deadline:
            raise StackError(f"Orders have not ended after {_ENDS_SECONDS} s: {unfinished}")
        time.sleep(1)
    while different := different_on_kafka(customer.events):
        if time.monotonic() > deadline:
            raise StackError(f"Kafka has other events than the histories: {different}")
        time.sleep(1)
    report(f"{len(customer.placed)} of {len(customer.placed)} orders delivered and captured, no gap in their events")


def _until_placed(customer: Customer, wanted: int) -> None:
    deadline = time.monotonic() + _PLACED_SECONDS
    while len(customer.placed) < wanted:
        if customer.failure or time.monotonic() > deadline:
            raise StackError(f"No order could be placed: {customer.failure or 'no answer'}")
        time.sleep(0.1)


def _key_ids() -> set[str]:
    return {key["kid"] for key in httpx2.get(f"{_url()}/.well-known/jwks.json", timeout=30).json()["keys"]}


def _url() -> str:
    return settings()["ORDERS_PUBLIC_URL"]
