"""The settings of a command: a missing or invalid one is named, and the command ends."""

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.markup import escape

from adapters.settings import Settings, load_settings


def settings_or_exit(console: Console) -> Settings:
    """The settings of this process; ends with status 1 when they are not complete."""
    try:
        return load_settings()
    except SettingsError as error:
        console.print(f"[red]✗[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from error
    except ValidationError as error:
        # Never the error itself: it quotes what was set, secrets and all.
        for fault in error.errors(include_input=False, include_url=False, include_context=False):
            name = ".".join(str(part) for part in fault["loc"]) or "Settings"
            console.print(f"[red]✗[/red] {escape(name)}: {escape(fault['msg'])}", soft_wrap=True)
        console.print(
            "Set them in the environment or in .env; .env.example lists all of them with their development values."
        )
        raise typer.Exit(1) from error
