"""Whose request it is, by network address: what throttles count and the audit log notes."""

from ipaddress import ip_address, ip_network

from fastapi import Request

from adapters.settings import Settings

UNKNOWN = "unknown"


def client_address(request: Request) -> str:
    """The address the request comes from; X-Forwarded-For is believed only as far as trusted proxies wrote it."""
    settings: Settings = request.app.state.settings
    peer = request.client.host if request.client else UNKNOWN
    forwarded = [part.strip() for line in request.headers.getlist("x-forwarded-for") for part in line.split(",")]
    return _first_stranger([*forwarded, peer], settings.trusted_proxies)


def _first_stranger(hops: list[str], trusted: tuple[str, ...]) -> str:
    """From our end of the chain outwards the first hop that is no proxy of ours; what is beyond it may be made up."""
    address = hops[-1]
    for hop in reversed(hops):
        if not _is_address(hop):
            return address
        address = str(ip_address(hop))
        if not any(ip_address(hop) in ip_network(network, strict=False) for network in trusted):
            return address
    return address


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
