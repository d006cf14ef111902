"""Where the mail catcher listens and stores the mails."""

import os
from dataclasses import dataclass

from dev.service import bind_host, load_environment, state_path


@dataclass(frozen=True)
class Settings:
    """The catcher's settings."""

    database: str
    host: str = "127.0.0.1"
    smtp_port: int = 11025
    ui_port: int = 18025

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the process environment, which .env completes."""
        load_environment()
        return cls(
            database=state_path("MAIL_DB", ".state/mail/mail.sqlite3"),
            host=bind_host(),
            smtp_port=int(os.environ.get("SMTP_PORT", "11025")),
            ui_port=int(os.environ.get("MAIL_UI_PORT", "18025")),
        )
