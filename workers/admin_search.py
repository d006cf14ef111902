"""order-admin: the search indices. Set-up creates what is missing; `reindex` rebuilds one under live traffic."""

import asyncio
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from temporalio.client import Client
from temporalio.service import RPCError

from adapters.connections import Connections
from adapters.search.feeds import Feed, order_feed, product_feed, rebuild
from schemas.reindex import ReindexProgress, ReindexStatus, Subject
from temporal_clients.catalog import reindex_status, start_reindex
from temporal_clients.connection import connect_temporal
from workers.steps import Step, StepFailed

_START_HINT = "Is it running? `make status` shows the development stack, `make up` starts it."
_LOOK_SECONDS = 0.5
_NO_WORKER_SECONDS = 15.0


def feeds(stores: Connections) -> dict[Subject, Feed]:
    """What each index is filled from."""
    prefix = stores.settings.name_prefix
    return {
        "products": product_feed(stores.engine, stores.elasticsearch, prefix),
        "orders": order_feed(stores.engine, stores.elasticsearch, prefix),
    }


def index_steps(stores: Connections, console: Console) -> list[Step]:
    """Each index this release asks, filled from MySQL unless it is there.

    A release with another mapping asks an index of another name: it is made here, before the release serves, while
    the one before continues with its own.
    """
    return [_ensured(stores, subject, feed, console) for subject, feed in feeds(stores).items()]


def reindex_step(stores: Connections, subject: Subject, here: bool, console: Console) -> Step:
    """Rebuild an index: by the workflow where Temporal and a worker run, else in this process."""

    def act() -> str:
        client = None if here else asyncio.run(_temporal(stores))
        if client is None:
            return _built_here(subject, feeds(stores)[subject], console)
        return asyncio.run(_followed(stores, subject, console))

    return Step(
        f"Search index of {subject}",
        act,
        f"The index in use is unchanged. {_START_HINT} The workflow reindex-{subject} in the Temporal Web UI shows"
        " more; `--here` does without it.",
    )


def outdated_step(stores: Connections) -> Step:
    """Remove the indices of earlier releases; no other step and no reindex does, because they may be in use."""

    def act() -> str:
        dropped = []
        for feed in feeds(stores).values():
            for name in feed.index.outdated():
                feed.index.drop(name)
                dropped.append(name)
        return f"dropped {', '.join(dropped)}" if dropped else "nothing is left of earlier releases"

    return Step(
        f"Elasticsearch at {stores.settings.elasticsearch_url}, earlier releases",
        act,
        f"{_START_HINT} ORDERS_ELASTICSEARCH_URL names it.",
    )


def _ensured(stores: Connections, subject: Subject, feed: Feed, console: Console) -> Step:
    def act() -> str:
        there = feed.index.current()
        text = f"{there} is there" if there else _built_here(subject, feed, console)
        if left := feed.index.leftovers():
            text += f"; {', '.join(left)} no longer searched (the next `order-admin reindex` removes it)"
        # Kept, because the release before this one may still be asking it.
        if old := feed.index.outdated():
            text += f"; {', '.join(old)} not needed once this release alone runs (`order-admin drop-outdated`)"
        return text

    return Step(
        f"Elasticsearch at {stores.settings.elasticsearch_url}, {subject}",
        act,
        f"{_START_HINT} ORDERS_ELASTICSEARCH_URL names it.",
    )


def _built_here(subject: Subject, feed: Feed, console: Console) -> str:
    with _bar(console) as progress:
        task = progress.add_task(subject, total=feed.count())
        index = rebuild(feed, lambda count: progress.advance(task, count))
        done = progress.tasks[0].completed
    return f"{done:.0f} {subject} are in {index}, which searches use now"


async def _temporal(stores: Connections) -> Client | None:
    settings = stores.settings
    try:
        return await asyncio.wait_for(connect_temporal(settings), 5)
    except (RuntimeError, RPCError, TimeoutError):
        return None


async def _followed(stores: Connections, subject: Subject, console: Console) -> str:
    """Start the workflow, or join the one that runs, and show its progress until it ends."""
    client = await connect_temporal(stores.settings)
    status = await start_reindex(client, subject)
    began = time.monotonic()
    with _bar(console) as progress:
        task = progress.add_task(subject, total=None)
        while status.state == "running":
            if status.progress.phase == "starting" and time.monotonic() - began > _NO_WORKER_SECONDS:
                progress.update(
                    task, description=f"{subject}: no worker has started it; one must poll the queue `catalog`"
                )
            await asyncio.sleep(_LOOK_SECONDS)
            status = await reindex_status(client, subject) or status
            _advance(progress, task, status.progress)
    return _said(status)


def _said(status: ReindexStatus) -> str:
    now = status.progress
    if status.state != "completed":
        raise StepFailed(f"The reindex of {now.subject} {status.state}; the index in use is as it was.")
    return f"{now.done} {now.subject} are in {now.index}, which searches use now ({now.per_second} a second)"


def _advance(progress: Progress, task: TaskID, now: ReindexProgress) -> None:
    if now.phase != "starting":
        progress.update(task, description=f"{now.subject}, {now.phase}", total=now.total, completed=now.done)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)
