"""The key that strangers must show, and who counts as one."""

import hmac
import ipaddress
import secrets

KEY_BYTES = 24


def new_api_key() -> str:
    return f"sk-{secrets.token_urlsafe(KEY_BYTES)}"


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach a port that is bound to this host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_authorized(header: str, key: str) -> bool:
    """header: the value of Authorization, as ASGI gives it: each byte a character of Latin-1.

    The time it takes does not tell how much of the key was right.
    """
    scheme, _, token = header.partition(" ")
    is_right = hmac.compare_digest(token.strip().encode("latin-1", "replace"), key.encode())
    return scheme.lower() == "bearer" and is_right
