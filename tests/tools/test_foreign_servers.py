"""Tool servers that nobody here wrote, from PyPI and npm: listed, called, and kept where their owners want them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.tools.mcp_server import McpServer
from app.tools.servers import ToolServer
from app.tools.tool import Outcome
from tests.clients.environments import node, python
from tests.patience import PATIENCE

Connect = Callable[..., McpServer]
TIME = "mcp-server-time"
EVERYTHING, FILESYSTEM = (f"@modelcontextprotocol/server-{name}" for name in ("everything", "filesystem"))
VERSION = "2026.8.31"

pytestmark = pytest.mark.real


def from_npm(package: str, *args: str) -> ToolServer:
    environment = node(package.rpartition("/")[2], (f"{package}@{VERSION}",))
    script = environment.folder / "node_modules" / package / "dist" / "index.js"
    return ToolServer(package.rpartition("/")[2], *environment.command, (str(script), *args))


def test_the_time_server_of_pypi_converts_a_time(connect: Connect) -> None:
    environment = python(TIME, (TIME,))
    server = connect(ToolServer("time", *environment.command, ("-m", "mcp_server_time")))
    names = [tool.name for tool in server.tools().result(PATIENCE).tools]
    assert names == ["get_current_time", "convert_time"]
    wanted = {"source_timezone": "Asia/Kolkata", "time": "12:00", "target_timezone": "Asia/Tokyo"}
    assert "T15:30:00+09:00" in server.call("convert_time", wanted).result(PATIENCE).text
    assert server.call("convert_time", {"time": "noon"}).result(PATIENCE).is_error


def test_the_reference_server_of_npm_shows_all_kinds_of_results(connect: Connect) -> None:
    server = connect(from_npm(EVERYTHING))
    listing = server.tools().result(PATIENCE)
    assert len(listing.tools) >= 10
    assert listing.left_out == ()
    assert server.call("get-sum", {"a": 2, "b": 40}).result(PATIENCE) == Outcome("The sum of 2 and 40 is 42.")
    assert "[image, image/png, 3 KiB:" in server.call("get-tiny-image", {}).result(PATIENCE).text
    assert "[Link: Text Resource 2, demo://" in server.call("get-resource-links", {}).result(PATIENCE).text
    structured = server.call("get-structured-content", {"location": "Chicago"}).result(PATIENCE).text
    assert '"humidity":82' in structured
    call = server.call("trigger-long-running-operation", {"duration": 1000, "steps": 5})
    call.cancel()
    assert server.call("echo", {"message": "on"}).result(PATIENCE) == Outcome("Echo: on")


def test_the_filesystem_server_of_npm_stays_in_its_folder(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("buy milk", "utf-8")
    server = connect(from_npm(FILESYSTEM, str(tmp_path)))
    assert server.call("read_text_file", {"path": str(tmp_path / "note.txt")}).result(PATIENCE) == Outcome("buy milk")
    outside = server.call("read_text_file", {"path": "/etc/hostname"}).result(PATIENCE)
    assert outside.is_error
    assert "Access denied" in outside.text
