"""What an address is made of, as far as the Hub needs it."""

from urllib.parse import urlsplit

from app.errors import HubError, HubFault

PORTS = {"http": 80, "https": 443}


def origin(address: str) -> tuple[str, str, int]:
    """Scheme, host and port. Raises HubError when it is no web address."""
    try:
        parts = urlsplit(address)
        if parts.scheme in PORTS and parts.hostname:
            return parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme]
    except ValueError:
        pass
    raise HubError(
        HubFault.BROKEN,
        f"“{address[:80]}” is not the address of a Hub. Set HF_ENDPOINT to one like https://example.org.",
    )
