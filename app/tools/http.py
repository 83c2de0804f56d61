"""An MCP server that is reached by HTTP, over the SDK's own transport: what it sends is bounded here."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from app.errors import ToolError
from app.tools.stdio import MAX_MESSAGE, MAX_UNASKED

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 10.0
READ_SECONDS = 300.0  # a stream may be silent that long; how long a call may take is told elsewhere


@asynccontextmanager
async def http_streams(url: str, headers: Mapping[str, str]) -> AsyncGenerator[tuple[Any, Any], None]:
    """The two streams of the SDK's sessions. headers: with the secrets; they go to this origin alone."""
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    client = httpx2.AsyncClient(
        headers={**headers, "Accept-Encoding": "identity"},  # a few bytes must not unpack into gigabytes
        timeout=httpx2.Timeout(CONNECT_SECONDS, read=READ_SECONDS),
        event_hooks={"response": [_bound]},
    )
    async with (
        client,
        streamable_http_client(url, http_client=client, max_sse_event_size=MAX_MESSAGE) as streams,
    ):
        yield streams


async def _bound(response: "httpx2.Response") -> None:
    """Before its body is read. Raises ToolError."""
    import httpx2

    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise ToolError("The server packs what it was asked not to pack, so it is not read.")
    is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _bounded_stream(response.stream, MAX_UNASKED if is_stream else MAX_MESSAGE)


def _bounded_stream(stream: "httpx2.AsyncByteStream", most: int) -> "httpx2.AsyncByteStream":
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            length = 0
            async for chunk in stream:
                length += len(chunk)
                if length > most:
                    raise ToolError(f"The server sent more than {most >> 20} MiB at once, and was cut off.")
                yield chunk

        async def aclose(self) -> None:
            await stream.aclose()

    return Bounded()
