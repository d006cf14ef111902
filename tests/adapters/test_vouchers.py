"""Vouchers: a use is taken once per order, never beyond its limits, and released once."""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from uuid_utils import uuid7

from adapters.connections import Connections
from adapters.mysql.orders.vouchers import Vouchers, release_use, take_use
from domain.errors import CodeTaken, Conflict, NotFound, StaleVersion, VoucherRefused
from domain.money import Money
from domain.vouchers import Voucher, VoucherKind
from schemas.vouchers import NewVoucher, VoucherTerms

MakeVoucher = Callable[..., str]


@pytest.fixture
def vouchers(connections: Connections) -> Vouchers:
    return Vouchers(connections.engine)


@pytest.fixture
def make_voucher(vouchers: Vouchers) -> MakeVoucher:
    def make(**terms: object) -> str:
        code = f"TEST-{secrets.token_hex(6).upper()}"
        vouchers.create(NewVoucher.model_validate({"code": code, "kind": "free_shipping", **terms}))
        return code

    return make


@pytest.fixture
def take(connections: Connections) -> Callable[..., str]:
    """Take a use for a new order; answers its id."""

    def take(code: str, customer: str | None = None, order: str | None = None) -> str:
        order = order or str(uuid7())
        with connections.engine.begin() as connection:
            take_use(connection, code, order, customer or str(uuid7()))
        return order

    return take


def test_what_staff_makes_is_what_orders_are_priced_with(vouchers: Vouchers, make_voucher: MakeVoucher) -> None:
    end = datetime(2027, 1, 1, tzinfo=UTC)
    code = make_voucher(kind="amount", amount=500, minimum=2000, currency="EUR", valid_to=end)
    assert vouchers.terms(code) == Voucher(
        code, VoucherKind.AMOUNT, amount=Money(500, "EUR"), minimum=Money(2000, "EUR"), valid_to=end
    )
    assert vouchers.get(code).uses == 0


def test_a_code_is_made_once_and_changed_by_who_saw_it_last(vouchers: Vouchers, make_voucher: MakeVoucher) -> None:
    code = make_voucher(kind="percent", basis_points=1000)
    with pytest.raises(CodeTaken):
        vouchers.create(NewVoucher(code=code, kind=VoucherKind.FREE_SHIPPING))
    terms = VoucherTerms(kind=VoucherKind.PERCENT, basis_points=2000, active=False)
    assert vouchers.change(code, terms, expected_version=1).version == 2
    with pytest.raises(StaleVersion):
        vouchers.change(code, terms, expected_version=1)
    assert not vouchers.terms(code).active
    with pytest.raises(NotFound):
        vouchers.change("NO-SUCH-CODE", terms, None)


def test_of_many_orders_at_once_only_as_many_get_a_use_as_there_are(
    vouchers: Vouchers, make_voucher: MakeVoucher, take: Callable[..., str]
) -> None:
    code = make_voucher(max_uses=7)

    def try_it(_number: int) -> str:
        try:
            take(code)
        except VoucherRefused as refused:
            return refused.code
        return "taken"

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(try_it, range(40)))
    assert sorted(answers) == ["taken"] * 7 + ["voucher_used_up"] * 33
    assert vouchers.get(code).uses == 7


def test_a_customer_with_many_tabs_gets_no_more_than_their_share(
    make_voucher: MakeVoucher, take: Callable[..., str]
) -> None:
    code, customer = make_voucher(max_uses_per_customer=2), str(uuid7())

    def try_it(_number: int) -> str:
        try:
            take(code, customer)
        except VoucherRefused as refused:
            return refused.code
        return "taken"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(try_it, range(12)))
    assert sorted(answers) == ["taken"] * 2 + ["voucher_used_by_you"] * 10
    take(code, str(uuid7()))  # somebody else still may


def test_a_released_use_can_be_taken_again_and_is_released_once(
    connections: Connections, vouchers: Vouchers, make_voucher: MakeVoucher, take: Callable[..., str]
) -> None:
    code, customer = make_voucher(max_uses=1, max_uses_per_customer=1), str(uuid7())
    order = take(code, customer)

    def give(_number: int) -> str | None:
        with connections.engine.begin() as connection:
            return release_use(connection, order)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(filter(None, pool.map(give, range(8)))) == [code]
    assert vouchers.get(code).uses == 0
    take(code, customer)
    with pytest.raises(VoucherRefused, match="as often"):
        take(code, customer)


def test_a_limit_below_the_uses_there_are_is_refused(
    vouchers: Vouchers, make_voucher: MakeVoucher, take: Callable[..., str]
) -> None:
    code = make_voucher()
    take(code)
    take(code)
    with pytest.raises(Conflict):
        vouchers.change(code, VoucherTerms(kind=VoucherKind.FREE_SHIPPING, max_uses=1), None)


def test_an_order_without_a_voucher_releases_nothing(connections: Connections) -> None:
    with connections.engine.begin() as connection:
        assert release_use(connection, str(uuid7())) is None
