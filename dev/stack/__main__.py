"""`python -m dev.stack`: up, down, status, logs, restart, seed, admin, reset."""

import subprocess
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from dev.stack import containers, control, lifecycle
from dev.stack.environment import process_environment
from dev.stack.parts import PARTS, select
from dev.stack.paths import ROOT, StackError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
console = Console(soft_wrap=True)

Names = Annotated[list[str] | None, typer.Argument(help="Only these parts; all when none is named.")]


@app.command()
def up(
    names: Names = None,
    only_servers: Annotated[bool, typer.Option(help="Without API and workers, as the tests need it.")] = False,
) -> None:
    """Bring everything up; what runs already is left alone."""
    lifecycle.up(console, names or [], only_servers)


@app.command()
def down() -> None:
    """Stop everything; data stays."""
    lifecycle.down(console)


@app.command()
def status() -> None:
    """Show what runs where."""
    if containers.chosen():
        containers.compose("ps")
    else:
        console.print(lifecycle.status_table())


@app.command()
def restart(
    names: Annotated[list[str] | None, typer.Argument(help="Our own programs when none is named.")] = None,
) -> None:
    """Stop the named parts and start them again, with the code as it is now."""
    if containers.chosen():
        containers.restart(names or [])
        return
    ours = [part.name for part in PARTS if part.kind == "application"]
    for part in select(names or ours, only_servers=False):
        control.restart(part.name)
        console.print(f"[green]✓[/green] {part.name} runs again")


@app.command()
def logs(names: Names = None, follow: Annotated[bool, typer.Option("--follow", "-f")] = False) -> None:
    """Show the last lines of the logs."""
    lifecycle.follow_logs(names or [], follow)


@app.command()
def seed() -> None:
    """Migrate, and fill the stores with sample data."""
    if containers.chosen():
        containers.seed()
        return
    _run("order-admin", "setup")
    _run(sys.executable, "-m", "dev.seed")


@app.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
def admin(arguments: Annotated[list[str], typer.Argument(help="What order-admin is to do.")]) -> None:
    """Run order-admin where the stack has its stores and its signing keys."""
    if containers.chosen():
        containers.admin(arguments)
    else:
        _run("order-admin", *arguments)


def _run(*command: str) -> None:
    status = subprocess.run(command, cwd=ROOT, env=process_environment(), check=False).returncode
    if status != 0:
        sys.exit(status)


@app.command()
def reset() -> None:
    """Stop everything and delete all data; downloaded servers stay."""
    lifecycle.reset(console)


def main() -> None:
    """Run a command; an error that the user can correct is one sentence, not a traceback."""
    try:
        app()
    except StackError as error:
        Console(stderr=True).print(f"[red]✗[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
