"""A server by the SDK, over stdio, or over HTTP on the port that the first argument names."""

import sys
from importlib.metadata import version

from mcp.server.mcpserver import MCPServer
from mcp.types import ImageContent, TextContent

server = MCPServer("real")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two whole numbers."""
    return a + b


@server.tool()
def picture() -> list[TextContent | ImageContent]:
    """Gives a text and a picture."""
    return [TextContent(text=version("mcp")), ImageContent(data="AAAA" * 1024, mime_type="image/png")]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run("stdio")
