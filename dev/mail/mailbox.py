"""The received mails, parsed once when they arrive."""

import json
import secrets
import sqlite3
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses
from typing import Any

from dev.database import Database

Json = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS mails (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, summary TEXT NOT NULL, recipients TEXT NOT NULL,
    subject TEXT NOT NULL, headers TEXT NOT NULL, text TEXT NOT NULL, html TEXT NOT NULL, raw BLOB NOT NULL);
"""


class Mailbox:
    """One inbox for all recipients, newest mail first."""

    def __init__(self, path: str) -> None:
        self._database = Database(path, SCHEMA)

    def add(self, raw: bytes, sender: str, recipients: list[str]) -> str:
        """Keep one mail; recipients of the envelope who stand in no header were blind copies."""
        parsed = message_from_bytes(raw, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        name = secrets.token_hex(11)
        text, html = _body(parsed, "plain"), _body(parsed, "html")
        to, cc = _addresses(parsed, "to"), _addresses(parsed, "cc")
        shown = {recipient["Address"].lower() for recipient in to + cc}
        summary = {
            "ID": name,
            "MessageID": str(parsed.get("message-id", "")).strip("<> "),
            "Read": False,
            "From": (_addresses(parsed, "from") or [{"Name": "", "Address": sender}])[0],
            "To": to,
            "Cc": cc,
            "Bcc": [{"Name": "", "Address": address} for address in recipients if address.lower() not in shown],
            "ReplyTo": _addresses(parsed, "reply-to"),
            "Subject": str(parsed.get("subject", "")),
            "Created": datetime.now(UTC).isoformat(),
            "Tags": [],
            "Size": len(raw),
            "Attachments": sum(1 for _ in parsed.iter_attachments()),
            "Snippet": " ".join(text.split())[:250],
        }
        headers: dict[str, list[str]] = {}
        for header, value in parsed.items():
            headers.setdefault(header, []).append(str(value))
        all_recipients = " ".join(sorted(shown | {address.lower() for address in recipients}))
        values = (name, json.dumps(summary), all_recipients, summary["Subject"], json.dumps(headers), text, html, raw)
        columns = "(id, summary, recipients, subject, headers, text, html, raw)"
        self._database.execute(f"INSERT INTO mails {columns} VALUES (?,?,?,?,?,?,?,?)", *values)  # noqa: S608 (constant)
        return name

    def page(self, start: int, limit: int) -> list[Json]:
        """Summaries, newest first."""
        return _summaries(
            self._database.rows("SELECT summary FROM mails ORDER BY seq DESC LIMIT ? OFFSET ?", limit, start)
        )

    def count(self) -> int:
        """How many mails there are."""
        row = self._database.row("SELECT COUNT(*) AS number FROM mails")
        return row["number"] if row else 0

    def search(self, query: str) -> list[Json]:
        """Mails that have every term: `to:`, `from:`, `subject:`, or a word anywhere in subject and text."""
        rows = self._database.rows("SELECT summary, recipients, subject, text, html FROM mails ORDER BY seq DESC")
        terms = [term.lower() for term in _terms(query)]
        return _summaries([row for row in rows if all(_has(row, term) for term in terms)])

    def get(self, name: str) -> Json | None:
        """One whole mail; the name `latest` is the newest one."""
        row = self._row(name)
        return None if row is None else {**json.loads(row["summary"]), "Text": row["text"], "HTML": row["html"]}

    def headers(self, name: str) -> dict[str, list[str]] | None:
        """All headers of one mail, custom ones too."""
        row = self._row(name)
        return None if row is None else json.loads(row["headers"])

    def raw(self, name: str) -> bytes | None:
        """One mail as it came over the wire."""
        row = self._row(name)
        return None if row is None else bytes(row["raw"])

    def clear(self) -> None:
        """Delete all mails."""
        self._database.execute("DELETE FROM mails")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _row(self, name: str) -> sqlite3.Row | None:
        if name == "latest":
            return self._database.row("SELECT * FROM mails ORDER BY seq DESC LIMIT 1")
        return self._database.row("SELECT * FROM mails WHERE id=?", name)


def _body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body(preferencelist=(kind,))
    return str(part.get_content()) if part is not None else ""


def _addresses(mail: EmailMessage, header: str) -> list[Json]:
    values = [str(value) for value in mail.get_all(header, [])]
    return [{"Name": name, "Address": address} for name, address in getaddresses(values) if address]


def _terms(query: str) -> list[str]:
    """Split at spaces outside of double quotes."""
    pieces = query.split('"')
    terms: list[str] = []
    for place, piece in enumerate(pieces):
        if place % 2:
            # A quoted piece after `subject:` belongs to it.
            terms[-1:] = [terms[-1] + piece] if terms and terms[-1].endswith(":") else [*terms[-1:], piece]
        else:
            terms.extend(piece.split())
    return terms


def _has(row: sqlite3.Row, term: str) -> bool:
    field, colon, value = term.partition(":")
    if colon and field == "to":
        return any(value == address or value in address for address in row["recipients"].split())
    if colon and field == "from":
        return value in json.loads(row["summary"])["From"]["Address"].lower()
    if colon and field == "subject":
        return value in row["subject"].lower()
    return any(term in row[column].lower() for column in ("subject", "text", "html", "recipients"))


def _summaries(rows: list[sqlite3.Row]) -> list[Json]:
    return [json.loads(row["summary"]) for row in rows]
