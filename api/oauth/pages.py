"""The pages customers see when they sign in to another application: plain HTML, no script, a strict policy."""

import secrets
from urllib.parse import urlsplit

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

_TEMPLATES = Environment(loader=PackageLoader("api"), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


def page(
    template: str, title: str, status: int = 200, error: str | None = None, redirect_uri: str = "", **values: object
) -> HTMLResponse:
    """A page; its form may be sent to us, and from there on to the client's redirect URI, and nowhere else."""
    nonce = secrets.token_urlsafe(16)
    html = _TEMPLATES.get_template(template).render(title=title, error=error, nonce=nonce, **values)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self' {origin(redirect_uri)}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(html, status, headers)


def origin(address: str) -> str:
    """Scheme and host of an address; of an app's own scheme the scheme alone."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:" if parts.scheme else ""
