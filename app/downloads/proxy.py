"""A connection to a host, through the proxy that the environment or the system names. Knows no answer."""

import base64
import http.client
import ssl
from functools import cache
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from app.errors import DownloadError


def open_connection(
    parts: SplitResult, timeout: float, headers: dict[str, str]
) -> tuple[http.client.HTTPConnection, str]:
    """Connected, with the target to ask for; a proxy's password goes into `headers` where the proxy reads those."""
    host = str(parts.hostname)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    proxy = _proxy(parts)
    connection: http.client.HTTPConnection
    if proxy is None:
        connection = _connection(parts.scheme, host, parts.port, timeout)
    elif parts.scheme == "https":
        connection = _connection("https", str(proxy.hostname), proxy.port or 80, timeout)
        connection.set_tunnel(host, parts.port, _credentials(proxy))
    else:
        connection = _connection("http", str(proxy.hostname), proxy.port or 80, timeout)
        target = f"http://{parts.netloc.rpartition('@')[2]}{target}"
        headers |= _credentials(proxy)
    _connect(connection)
    return connection, target


def _connect(connection: http.client.HTTPConnection) -> None:
    """Nothing stays open when it fails, the answer of a proxy that refuses neither: Python before 3.11.4 forgets it."""
    answers: list[http.client.HTTPResponse] = []

    class Noted(http.client.HTTPResponse):
        def __init__(self, *arguments: Any, **named: Any):
            super().__init__(*arguments, **named)
            answers.append(self)

    connection.response_class = Noted
    try:
        connection.connect()
    except BaseException:
        for answer in answers:
            answer.close()
        connection.close()
        raise
    connection.response_class = http.client.HTTPResponse


def _connection(scheme: str, host: str, port: int | None, timeout: float) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=_tls())
    return http.client.HTTPConnection(host, port, timeout=timeout)


def _proxy(parts: SplitResult) -> SplitResult | None:
    if proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxies = getproxies()
    address = proxies.get(parts.scheme) or proxies.get("all")
    if not address:
        return None
    proxy = urlsplit(address if "://" in address else f"http://{address}")
    if proxy.scheme != "http" or not proxy.hostname:
        raise DownloadError(
            f"The proxy {proxy.scheme}://{proxy.hostname} is of a kind that downloads cannot use. "
            "Name an http:// proxy in HTTPS_PROXY, or the host in NO_PROXY."
        )
    return proxy


def _credentials(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


@cache
def _tls() -> ssl.SSLContext:
    """The Hub library's own: the system's certificates, or those of SSL_CERT_FILE. Made once, it takes a while."""
    import httpx2

    return httpx2.create_ssl_context()
