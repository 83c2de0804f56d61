"""One answer over HTTP: read within its bounds, and every way it can fail as a sentence. Knows no token, no route."""

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from app.hub import environment, faults

if TYPE_CHECKING:
    import httpx2

TOTAL_SECONDS = 40.0  # for one answer, however slowly it trickles
MAX_ANSWER = 16 << 20

Parameters = list[tuple[str, str | int | float | bool | None]]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in small letters
    body: bytes


def make_client(timeout: float) -> "httpx2.Client":
    import httpx2

    environment.hub_library()
    from huggingface_hub.utils._headers import build_hf_headers

    headers = build_hf_headers(token=False, library_name="slipstream", library_version=version("slipstream"))
    # what is compressed could grow without bounds when it is read
    return httpx2.Client(headers={**headers, "Accept-Encoding": "identity"}, timeout=timeout, follow_redirects=False)


def read_body(response: "httpx2.Response", host: str, skip: int, count: int | None) -> bytes:
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


@contextmanager
def faults_told(host: str, timeout: float) -> Iterator[None]:
    """Whatever the HTTP library raises becomes a HubError about that host."""
    import httpx2

    try:
        yield
    except httpx2.ConnectError as error:
        raise faults.unsafe(host) if _is_about_certificates(error) else faults.offline(host) from None
    except (httpx2.ConnectTimeout, httpx2.ProxyError):
        raise faults.offline(host) from None
    except httpx2.TimeoutException:
        raise faults.silent(host, timeout) from None
    except (httpx2.NetworkError, httpx2.RemoteProtocolError):
        raise faults.broken_off(host) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, RuntimeError, OSError) as error:
        raise faults.broken(host, type(error).__name__) from None


def _is_about_certificates(error: Exception) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
