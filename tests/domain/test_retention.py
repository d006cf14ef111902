"""How long each kind of data is kept."""

import pytest

from domain.retention import RETENTION, DataKind, retention_days


def test_every_kind_of_data_has_a_rule() -> None:
    assert set(RETENTION) == set(DataKind)
    assert retention_days({}) == {kind: rule.days for kind, rule in RETENTION.items()}


def test_a_shop_keeps_some_kinds_for_longer_and_some_for_ever() -> None:
    days = retention_days({DataKind.NOTIFICATIONS: 365, DataKind.ORDER_EVENTS: 0})
    assert days[DataKind.NOTIFICATIONS] == 365
    assert DataKind.ORDER_EVENTS not in days
    assert len(days) == len(DataKind) - 1


@pytest.mark.parametrize("kind", DataKind)
def test_nothing_goes_that_is_still_read(kind: DataKind) -> None:
    least = RETENTION[kind].least
    assert 0 < least <= RETENTION[kind].days
    assert retention_days({kind: least})[kind] == least
    for days in {least - 1, -1} - {0}:
        with pytest.raises(ValueError, match=f"{kind}: {least} at least"):
            retention_days({kind: days})
