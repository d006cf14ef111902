"""How long a guesser waits."""

from domain.login_throttle import LONGEST_PAUSE_SECONDS, pause_seconds


def test_after_the_first_failures_each_pause_doubles_up_to_a_quarter_of_an_hour() -> None:
    assert [pause_seconds(n, free=5) for n in range(12)] == [0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32]
    assert {pause_seconds(n, free=5) for n in (16, 100, 10**9)} == {LONGEST_PAUSE_SECONDS}
