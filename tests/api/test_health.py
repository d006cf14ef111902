"""Health shows what is so."""

import httpx2


def test_the_process_is_alive(api: httpx2.Client) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}


def test_every_part_is_named_and_reached(api: httpx2.Client) -> None:
    answer = api.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["checks"] == dict.fromkeys(("mysql", "mongo", "redis", "elasticsearch", "temporal"), "ok")
