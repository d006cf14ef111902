"""order-admin: make the servers ready and keep them so. Every command may be run again at any time."""

import asyncio
import time
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from adapters.carts.store import ensure_cart_indexes
from adapters.connections import Connections, connect
from adapters.events import ensure_topics
from adapters.keys import OVERLAP_SECONDS, ensure_signing_key
from adapters.keys import rotate_keys as change_signing_key
from adapters.mysql import migrate as migrations
from adapters.mysql.identity.oauth_clients import FIRST_PARTY_CLIENT, ensure_first_party_client
from adapters.mysql.identity.security_events import SecurityEvents
from adapters.mysql.identity.users import Accounts
from adapters.mysql.outbox import order_outbox, product_outbox
from adapters.mysql.schedule_runs import ScheduleRuns
from adapters.settings import Settings
from adapters.token_versions import LIFETIME_SECONDS
from domain.actors import ORDER_ADMIN_ACTOR
from domain.events import SecurityEventType
from schemas.operator_answers import OperatorAnswer
from schemas.users import Role
from workers.admin_orders import adopt_step, answer_step
from workers.admin_payments import reconcile_payments_step
from workers.admin_products import app as products_app
from workers.admin_search import index_steps, outdated_step, reindex_step
from workers.admin_stock import reconcile_step
from workers.command_settings import settings_or_exit
from workers.schedules import SCHEDULES, ensure_schedules
from workers.service_accounts import ensure_service_accounts
from workers.steps import Step, StepFailed, run_step
from workers.temporal_setup import ensure_namespace_and_search_attributes
from workflows.names import SEARCH_ATTRIBUTES

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(products_app, name="products")
console = Console(highlight=False)

WaitSeconds = Annotated[float, typer.Option("--wait", help="Seconds to wait for each server that is still starting.")]
START_HINT = "Is it running? `make status` shows the development stack, `make up` starts it."


@app.command()
def setup(wait: WaitSeconds = 90) -> None:
    """Schema, outbox, carts, topics, search attributes, schedules, index, key, own clients: whatever is missing."""

    def steps(stores: Connections) -> list[Step]:
        return [
            _migration(stores),
            *_rows(stores),
            _carts(stores),
            _topics(stores),
            _temporal(stores.settings),
            _schedules(stores),
            _signing_key(stores.settings),
            *index_steps(stores, console),
        ]

    _run(steps, wait)
    console.print("Everything the engine needs is in place.")


@app.command()
def migrate(wait: WaitSeconds = 90) -> None:
    """Bring the MySQL schema to the newest revision."""
    _run(lambda stores: [_migration(stores)], wait)


@app.command()
def reindex(
    orders: Annotated[bool, typer.Option("--orders", help="The index of orders instead of that of products.")] = False,
    here: Annotated[bool, typer.Option("--here", help="In this process, without Temporal and a worker.")] = False,
    wait: WaitSeconds = 90,
) -> None:
    """Build a search index from MySQL, beside the one in use, and switch over when it is complete.

    It is the workflow reindex-products or reindex-orders; one that runs already is joined. Interrupting this command
    leaves it running.
    """
    _run(lambda stores: [reindex_step(stores, "orders" if orders else "products", here, console)], wait)


@app.command()
def drop_outdated(wait: WaitSeconds = 90) -> None:
    """Remove the search indices of earlier releases. Only once none of their processes runs any more: they ask them."""
    _run(lambda stores: [outdated_step(stores)], wait)


@app.command()
def reconcile_stock(wait: WaitSeconds = 90) -> None:
    """Prove that the ledger, the balances and the reservations of stock agree; fails when they do not."""
    _run(lambda stores: [reconcile_step(stores, console)], wait)


@app.command()
def reconcile_payments(wait: WaitSeconds = 90) -> None:
    """Prove now that payment provider, ledger and orders agree; fails when they do not.

    It is the workflow that runs every hour; interrupting this command leaves it running.
    """
    _run(lambda stores: [reconcile_payments_step(stores, console)], wait)


@app.command()
def adopt(
    order: Annotated[str, typer.Argument(help="The order's id.")],
    reason: Annotated[str, typer.Option(help="Stands in the workflow's timeline.")],
    wait: WaitSeconds = 90,
) -> None:
    """Take over an order that no workflow looks after: what was dispatched goes on and is paid, the rest is undone.

    The sweep lists such orders, see `GET /v1/ops/tasks`. An order whose workflow runs is left alone, and so is one
    that has ended and of which nothing is held, reserved or under way.
    """
    _run(lambda stores: [adopt_step(stores, order, reason)], wait)


@app.command()
def answer(
    what: Annotated[OperatorAnswer, typer.Argument(help="Of what waits with a code, retry alone.")],
    reason: Annotated[str, typer.Option(help="Stands in the workflows' timelines.")],
    order: Annotated[list[str] | None, typer.Option(help="An order's id; may be given again.")] = None,
    parcel: Annotated[list[str] | None, typer.Option(help="ORDER/NUMBER; may be given again.")] = None,
    code: Annotated[str | None, typer.Option(help="compensation_blocked or parcel_unknown.")] = None,
    limit: Annotated[int, typer.Option(help="With --code: so many, the oldest first.")] = 50,
    wait: WaitSeconds = 90,
) -> None:
    """Give one answer to many orders or parcels that wait for an operator; none fails the others.

    As `POST /v1/ops/orders/answers`; `GET /v1/ops/tasks` lists what waits.
    """
    named = [dict(zip(("order_id", "parcel"), one.rsplit("/", 1), strict=False)) for one in parcel or ()]
    fields = {"answer": what, "reason": reason, "orders": order or None, "parcels": named or None, "code": code}
    _run(lambda stores: [answer_step(stores, fields | {"limit": limit}, console)], wait)


@app.command()
def rotate_keys(
    now: Annotated[bool, typer.Option(help="A key has leaked: every other key, and what it signed, stops.")] = False,
    wait: WaitSeconds = 90,
) -> None:
    """Change the key that signs tokens. The new one is published now and signs ten minutes later; nobody is signed out.

    The old one verifies until the last token it signed has expired.
    """
    _run(lambda stores: [_rotation(stores.settings, now)], wait)


@app.command()
def grant_role(email: str, role: Role, wait: WaitSeconds = 90) -> None:
    """Give a registered account one more role; the first administrator is made so. It has to sign in again.

    The address stands for the account that has proven it, else for the newest that carries it.
    """
    _run(lambda stores: [_role(stores, email, role)], wait)


def main() -> None:
    """The console script."""
    app()


def _run(steps: Callable[[Connections], list[Step]], wait: float) -> None:
    with connect(settings_or_exit(console), pool_size=2) as stores:
        try:
            for step in steps(stores):
                run_step(step, console, wait)
        except StepFailed as failure:
            console.print(f"[red]✗[/red] {escape(str(failure))}", soft_wrap=True)
            raise typer.Exit(1) from failure


def _migration(stores: Connections) -> Step:
    def act() -> str:
        before, after = migrations.upgrade(stores.settings)
        return f"schema {after} was there" if before == after else f"schema {before or 'empty'} → {after}"

    return Step(
        f"MySQL at {stores.engine.url.host}:{stores.engine.url.port}",
        act,
        f"{START_HINT} ORDERS_MYSQL_URL names it; its database must exist and its user be allowed to create tables.",
    )


def _rows(stores: Connections) -> list[Step]:
    def partitions() -> str:
        for outbox in (order_outbox(stores.engine), product_outbox(stores.engine)):
            outbox.ensure_partitions()
        return "its partitions are there"

    def client() -> str:
        made = ensure_first_party_client(stores.engine)
        return f"{FIRST_PARTY_CLIENT} {'registered' if made else 'was there'}"

    advice = "Run `order-admin migrate`, then this command again."

    def accounts() -> str:
        done = ensure_service_accounts(stores.engine, stores.settings)
        return ", ".join(f"{client_id} {what}" for client_id, what in done.items())

    return [
        Step("Outbox", partitions, advice),
        Step("OAuth client", client, advice),
        Step("Service accounts", accounts, advice),
    ]


def _role(stores: Connections, email: str, role: Role) -> Step:
    def act() -> str:
        accounts = Accounts(stores.engine)
        account = accounts.by_email(email)
        if account is None:
            raise StepFailed(f"No account has the address {email}; register it first (POST /v1/users).")
        changed = accounts.set_roles(account.id, [*account.roles, role])
        now = [str(granted) for granted in changed.roles]
        log = SecurityEvents(stores.engine)
        log.record(
            SecurityEventType.ACCOUNT_ROLES_CHANGED,
            user_id=account.id,
            actor=ORDER_ADMIN_ACTOR,
            before=account.roles,
            after=now,
        )
        # An API may hold a copy of the old state for that long; the command is done when none does.
        time.sleep(LIFETIME_SECONDS)
        doubt = (
            "" if account.email_verified else "; its email address is not verified, so anybody could have registered it"
        )
        return f"{account.email} ({account.id}) is {', '.join(now)}{doubt}"

    return Step("Roles", act, "Run `order-admin migrate`, then this command again.")


def _carts(stores: Connections) -> Step:
    advice = f"{START_HINT} ORDERS_MONGO_URL names it; its user must be allowed to make indexes."
    return Step("Carts in MongoDB", lambda: ensure_cart_indexes(stores.mongo), advice)


def _topics(stores: Connections) -> Step:
    def act() -> str:
        made = ensure_topics(stores.settings)
        return f"made {', '.join(made)}" if made else "its topics are there"

    return Step(f"Kafka at {stores.settings.kafka_bootstrap}", act, f"{START_HINT} ORDERS_KAFKA_BOOTSTRAP names it.")


def _temporal(settings: Settings) -> Step:
    return Step(
        f"Temporal at {settings.temporal_address}",
        lambda: asyncio.run(ensure_namespace_and_search_attributes(settings)),
        f"{START_HINT} TEMPORAL_ADDRESS names it; the caller must be allowed to make namespaces and search attributes. "
        "Where others make them, as on Temporal Cloud, set ORDERS_TEMPORAL_OPERATOR=false: "
        f"{', '.join(key.name for key in SEARCH_ATTRIBUTES)}.",
    )


def _schedules(stores: Connections) -> Step:
    def act() -> str:
        ScheduleRuns(stores.engine).ensure({row.id: row.every for row in SCHEDULES})
        return asyncio.run(ensure_schedules(stores.settings))

    allowed = f"The caller must be allowed to make schedules in {stores.settings.temporal_namespace}."
    return Step("Temporal's schedules", act, f"{START_HINT} {allowed}")


def _rotation(settings: Settings, at_once: bool) -> Step:
    def act() -> str:
        made, dropped = change_signing_key(settings.auth_keys_dir, at_once)
        begins = "now" if at_once else f"in {OVERLAP_SECONDS // 60} minutes"
        return f"{made.stem} is published and signs {begins}, {len(dropped)} dropped"

    return Step("Signing key", act, "ORDERS_AUTH_KEYS_DIR must be a folder this user may write to.")


def _signing_key(settings: Settings) -> Step:
    def act() -> str:
        path, made = ensure_signing_key(settings.auth_keys_dir)
        return f"{'made' if made else 'found'} {path}"

    return Step("Signing key", act, "ORDERS_AUTH_KEYS_DIR must be a folder this user may write to.")


if __name__ == "__main__":
    main()
