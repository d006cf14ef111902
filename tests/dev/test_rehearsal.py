"""The rehearsal of the containers: a stand-in for every image, a customer who tells a lost answer from a wrong one."""

import itertools
from pathlib import Path

import httpx2
import pytest

from dev.rehearsal import stand_ins
from dev.rehearsal.images import named_images
from dev.rehearsal.orders import Customer
from dev.stack import go_programs


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[stand_ins.StandIn]:
    monkeypatch.setattr(go_programs, "copy_of_module", lambda module, version, folder: Path("schema"))
    return stand_ins.stand_ins(named_images())


def test_every_image_of_others_has_a_stand_in(made: list[stand_ins.StandIn]) -> None:
    images = named_images()
    python = images.pop("python")
    assert set(images.values()) <= {one.image for one in made}
    # Imported as a whole, like the file system of the servers.
    assert python not in {one.image for one in made}


def test_each_stand_in_is_made_from_one_that_is_there_by_then(made: list[stand_ins.StandIn]) -> None:
    there = {named_images()["python"], stand_ins.SERVERS}
    for one in made:
        assert one.lines[0].removeprefix("FROM ") in there, one.image
        there.add(one.image)


def test_every_script_that_is_started_is_there_and_executable(made: list[stand_ins.StandIn]) -> None:
    folder = Path(stand_ins.__file__).parent / "entrypoints"
    started = {part.split('"')[0] for one in made for line in one.lines for part in line.split("/standin/")[1:]}
    for script in started - {""}:
        assert (folder / script).stat().st_mode & 0o111, script


def test_an_order_without_an_answer_is_asked_for_again_by_its_key() -> None:
    keys: list[str] = []
    lost = (httpx2.Response(502), httpx2.Response(409, json={"code": "request_in_progress"}))
    answers = itertools.chain(lost, itertools.repeat(httpx2.Response(201, json={"id": "order-1"})))

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/v1/products":
            return httpx2.Response(200, json={"items": [{"sku": "A"}]})
        if request.url.path != "/v1/checkouts":
            return httpx2.Response(200, json={"version": 1})
        keys.append(request.headers["Idempotency-Key"])
        found = next(answers)
        if found.is_success:
            customer.stop.set()
        return found

    customer = Customer(httpx2.Client(base_url="http://shop", transport=httpx2.MockTransport(answer)))
    customer.run()
    assert (customer.placed, customer.asked_again, customer.failure) == (["order-1"], 2, "")
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_a_refused_request_ends_the_rehearsal_with_what_was_said() -> None:
    refusal = httpx2.MockTransport(lambda request: httpx2.Response(409, json={"code": "taken"}))
    customer = Customer(httpx2.Client(base_url="http://shop", transport=refusal))
    customer.run()
    assert customer.failure == 'POST /v1/users: 409 {"code":"taken"}'
