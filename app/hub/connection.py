"""Questions to the Hub over HTTP: bounded in time and size, without retries. Knows no route and no meaning."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from app.errors import HubError, HubFault
from app.hub import environment, faults
from app.hub.reach import is_reachable

if TYPE_CHECKING:
    import httpx2

READ_SECONDS = 10.0
TOTAL_SECONDS = 40.0  # for one answer, however slowly it trickles
MAX_ANSWER = 16 << 20
MAX_REDIRECTS = 5
KNOWN_SECONDS = 10.0  # that long after an answer the host counts as reachable
PORTS = {"http": 80, "https": 443}
Parameters = list[tuple[str, str | int | float | bool | None]]
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in small letters
    body: bytes


class Connection:
    """May be used by several threads. close() ends what is under way at once. Raises HubError and nothing else."""

    def __init__(self, endpoint: str | None, token: Callable[[], str | None], timeout: float):
        self._endpoint = endpoint.rstrip("/") if endpoint else None
        self._token = token
        self._timeout = timeout
        self._lock = threading.Lock()  # the client is made by the first thread that asks, and closed by another
        self._client: httpx2.Client | None = None
        self._sockets: list[socket.socket] = []
        self._is_closed = False
        self._answered: dict[str, float] = {}  # host → when it last did

    @property
    def endpoint(self) -> str:
        """Without a slash at the end. Raises HubError when HF_ENDPOINT is no address."""
        address = self._endpoint or environment.endpoint()
        _split(address)
        return address

    @property
    def host(self) -> str:
        return _split(self.endpoint)[1]

    def headers(self) -> dict[str, str]:
        """For this endpoint alone."""
        token = self._token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def get(
        self,
        url: str,
        *,
        about: str | None = None,
        params: Parameters | None = None,
        first: int | None = None,
        count: int | None = None,
    ) -> Answer:
        """The whole answer, or `count` bytes of it from byte `first`. about: the repository, for the sentences."""
        endpoint = self.endpoint
        if environment.is_offline():
            raise HubError(HubFault.OFFLINE, "HF_HUB_OFFLINE is set, so the Hub is not asked. Unset it and try again.")
        headers = {} if first is None or count is None else {"Range": f"bytes={first}-{first + count - 1}"}
        for _ in range(MAX_REDIRECTS):
            self._check_reach(*_split(url))  # before the keyring is asked, which may take its time
            own = self.headers() if _origin(url) == _origin(endpoint) else {}  # the token goes nowhere else
            answer = self._exchange(url, {**headers, **own}, params, first or 0, count)
            if answer.status not in REDIRECTS:
                break
            url, params = self._target(url, answer), None
        else:
            raise faults.broken(self.host, "it sends in circles")
        if not 200 <= answer.status < 300:
            raise faults.refusal(answer.status, answer.headers, endpoint, self.host, about, bool(self.headers()))
        return answer

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            client, self._client = self._client, None
            sockets, self._sockets = self._sockets, []
        for sock in sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for an answer; closing would not
        if client is not None:
            client.close()

    def _target(self, url: str, answer: Answer) -> str:
        target = urljoin(url, answer.headers.get("location", ""))
        if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
            raise faults.broken(self.host, "it sends to an unsafe address")
        return target

    def _exchange(
        self, url: str, headers: dict[str, str], params: Parameters | None, first: int, count: int | None
    ) -> Answer:
        host = _split(url)[1]
        with self._faults_told(host):
            client = self._open()
            with client.stream(
                "GET", url, headers=headers, params=params, extensions={"trace": self._keep_socket}
            ) as response:
                self._answered[host] = time.monotonic()
                known = {name.lower(): value for name, value in response.headers.items()}
                body = b""
                if 200 <= response.status_code < 300:
                    if not known.get("content-range", f"bytes {first}-").startswith(f"bytes {first}-"):
                        raise faults.broken(host, "it sent another part of the file than the one asked for")
                    skip = first if response.status_code == 200 else 0  # 200: ranges are not served
                    body = _read(response, host, skip, count)
                return Answer(response.status_code, known, body)

    def _check_reach(self, scheme: str, host: str, port: int) -> None:
        if time.monotonic() - self._answered.get(host, -KNOWN_SECONDS) < KNOWN_SECONDS:
            return
        proxies = getproxies()
        if (scheme in proxies or "all" in proxies) and not proxy_bypass(host):
            return
        if not is_reachable(host, port):
            raise faults.offline(host)

    @contextmanager
    def _faults_told(self, host: str) -> Iterator[None]:
        import httpx2

        try:
            yield
        except httpx2.ConnectError as error:
            raise faults.unsafe(host) if _is_about_certificates(error) else faults.offline(host) from None
        except (httpx2.ConnectTimeout, httpx2.ProxyError):
            raise faults.offline(host) from None
        except httpx2.TimeoutException:
            raise faults.silent(host, self._timeout) from None
        except (httpx2.NetworkError, httpx2.RemoteProtocolError):
            raise faults.broken_off(host) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, RuntimeError, OSError) as error:
            raise faults.broken(host, type(error).__name__) from None

    def _open(self) -> "httpx2.Client":
        with self._lock:
            if self._is_closed:
                raise HubError(HubFault.OFFLINE, "Slipstream is closing.")
            if self._client is None:
                self._client = _make_client(self._timeout)
            return self._client

    def _keep_socket(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith("connect_tcp.complete"):
            sock = info["return_value"].get_extra_info("socket")
            with self._lock:
                self._sockets = [old for old in self._sockets if old.fileno() >= 0]
                self._sockets.append(sock)


def _make_client(timeout: float) -> "httpx2.Client":
    import httpx2

    environment.hub_library()
    from huggingface_hub.utils._headers import build_hf_headers

    headers = build_hf_headers(token=False, library_name="slipstream", library_version=version("slipstream"))
    # what is compressed could grow without bounds when it is read
    return httpx2.Client(headers={**headers, "Accept-Encoding": "identity"}, timeout=timeout, follow_redirects=False)


def _read(response: "httpx2.Response", host: str, skip: int, count: int | None) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise faults.broken(host, "it is compressed although that was not asked for")
    end = skip + (MAX_ANSWER if count is None else count)
    deadline = time.monotonic() + TOTAL_SECONDS
    chunks: list[bytes] = []
    total = 0
    for chunk in response.iter_raw(1 << 16):
        chunks.append(chunk[max(0, skip - total) :])
        total += len(chunk)
        if count is not None and total >= end:
            break
        if total > end:
            raise faults.broken(host, f"it is larger than {MAX_ANSWER >> 20} MB")
        if time.monotonic() > deadline:
            raise faults.silent(host, TOTAL_SECONDS)
    return b"".join(chunks)[:count]


def _split(address: str) -> tuple[str, str, int]:
    """Scheme, host, port."""
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


_origin = _split


def _is_about_certificates(error: Exception) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
