"""The mail catcher: in by SMTP, out by Mailpit's API and a page."""

import smtplib
from email.message import EmailMessage
from pathlib import Path

import httpx2
import pytest

from dev.mail.app import create_app
from dev.mail.settings import Settings
from tests.dev.conftest import RunApp


class Catcher:
    """A running catcher with a client and a way to post."""

    def __init__(self, run_app: RunApp, database: str) -> None:
        self._run, self._database = run_app, database
        self.start()

    def start(self) -> None:
        app = create_app(Settings(self._database, smtp_port=0))
        self.app = self._run(app)
        self._port = app.state.smtp_port
        self.client = httpx2.Client(base_url=self.app.url)

    def post(self, subject: str, to: str = "ada@shop.example", text: str = "Hello", html: str | None = None) -> None:
        mail = EmailMessage()
        mail["From"] = "Order Engine <orders@shop.example>"
        mail["To"], mail["Subject"], mail["X-Order"] = to, subject, "o-1"
        mail.set_content(text)
        if html:
            mail.add_alternative(html, subtype="html")
        with smtplib.SMTP("127.0.0.1", self._port) as smtp:
            smtp.send_message(mail, to_addrs=[to, "blind@shop.example"])

    def found(self, query: str) -> list[str]:
        answer = self.client.get("/api/v1/search", params={"query": query}).json()
        return [mail["Subject"] for mail in answer["messages"]]


@pytest.fixture
def catcher(run_app: RunApp, tmp_path: Path) -> Catcher:
    return Catcher(run_app, str(tmp_path / "mail.sqlite3"))


def test_a_mail_is_caught_whole(catcher: Catcher) -> None:
    catcher.post("Grüße für Sie ✓", text="Zahlung: 10 €\n", html="<p>Danke <b>schön</b></p>")
    listed = catcher.client.get("/api/v1/messages").json()
    assert (listed["total"], listed["count"]) == (1, 1)
    summary = listed["messages"][0]
    assert summary["From"] == {"Name": "Order Engine", "Address": "orders@shop.example"}
    assert [one["Address"] for one in summary["Bcc"]] == ["blind@shop.example"]
    mail = catcher.client.get(f"/api/v1/message/{summary['ID']}").json()
    assert mail["Subject"] == "Grüße für Sie ✓"
    assert "10 €" in mail["Text"]
    assert "<b>schön</b>" in mail["HTML"]
    headers = catcher.client.get(f"/api/v1/message/{summary['ID']}/headers").json()
    assert headers["X-Order"] == ["o-1"]
    assert b"X-Order: o-1" in catcher.client.get(f"/api/v1/message/{summary['ID']}/raw").content
    assert catcher.client.get("/api/v1/message/none").status_code == 404


def test_search_and_pages(catcher: Catcher) -> None:
    catcher.post("Order placed", to="ada@shop.example", text="number 4711")
    catcher.post("Order shipped", to="bob@shop.example")
    catcher.post("Welcome", to="ada@shop.example")
    assert catcher.found("to:ada@shop.example") == ["Welcome", "Order placed"]
    assert catcher.found("to:ada@shop.example order") == ["Order placed"]
    assert catcher.found('subject:"order shipped"') == ["Order shipped"]
    assert catcher.found("4711") == ["Order placed"]
    assert catcher.found("to:nobody@shop.example") == []
    page = catcher.client.get("/api/v1/messages", params={"limit": 1, "start": 1}).json()
    assert [mail["Subject"] for mail in page["messages"]] == ["Order shipped"]


def test_a_person_can_read_it_and_no_script_runs(catcher: Catcher) -> None:
    catcher.post("<script>alert(1)</script>", html="<script>alert(2)</script>")
    name = catcher.client.get("/api/v1/message/latest").json()["ID"]
    for page in (catcher.client.get("/"), catcher.client.get(f"/view/{name}")):
        assert page.status_code == 200
        assert "<script>" not in page.text
        assert "&lt;script&gt;" in page.text


def test_mails_survive_a_restart_until_deleted(catcher: Catcher) -> None:
    catcher.post("Kept")
    catcher.app.stop()
    catcher.start()
    assert catcher.found("kept") == ["Kept"]
    assert catcher.client.delete("/api/v1/messages").status_code == 200
    assert catcher.client.get("/api/v1/messages").json()["total"] == 0
    assert catcher.client.get("/healthz").json() == {"status": "ok"}
