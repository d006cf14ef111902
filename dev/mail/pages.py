"""The inbox a person reads."""

from html import escape

from dev.mail.mailbox import Json

_STYLE = """<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { width: 100%; border-collapse: collapse } td { padding: .4rem .6rem; border-bottom: 1px solid #ddd }
td.when { white-space: nowrap; color: #777 } a { color: #0b57d0; text-decoration: none } small { color: #777 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem } dt { color: #777 } dd { margin: 0 }
pre { white-space: pre-wrap; background: #f6f6f6; padding: 1rem; border-radius: .4rem }
iframe { width: 100%; height: 32rem; border: 1px solid #ddd; border-radius: .4rem }
</style>"""


def inbox(mails: list[Json], total: int) -> str:
    """The newest mails, a line each."""
    rows = "".join(
        f'<tr><td class="when">{escape(mail["Created"][:19].replace("T", " "))}</td><td>{_addresses(mail["To"])}</td>'
        f'<td><a href="/view/{mail["ID"]}">{escape(mail["Subject"] or "(no subject)")}</a>'
        f"<br><small>{escape(mail['Snippet'][:90])}</small></td></tr>"
        for mail in mails
    )
    body = f"<table>{rows}</table>" if rows else "<p>No mail yet.</p>"
    return _page("Inbox", f'<meta http-equiv="refresh" content="5"><h1>Inbox <small>{total}</small></h1>{body}')


def mail_page(mail: Json, headers: dict[str, list[str]]) -> str:
    """One mail; its HTML runs in a sandbox without scripts, as it is not ours."""
    lines = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, values in headers.items() for value in values
    )
    framed = f'<iframe sandbox srcdoc="{escape(mail["HTML"])}"></iframe>' if mail["HTML"] else ""
    text = f"<pre>{escape(mail['Text'])}</pre>" if mail["Text"] else ""
    title = mail["Subject"] or "(no subject)"
    return _page(title, f'<p><a href="/">← Inbox</a></p><h1>{escape(title)}</h1><dl>{lines}</dl>{framed}{text}')


def _addresses(recipients: list[Json]) -> str:
    return escape(", ".join(recipient["Address"] for recipient in recipients))


def _page(title: str, body: str) -> str:
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>{_STYLE}'
    return f"{head}<body>{body}</body></html>"
