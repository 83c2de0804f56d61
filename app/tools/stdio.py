"""An MCP server that runs as a child of ours: JSON-RPC by lines over its stdin and stdout.

The SDK has a transport of its own; it gathers a line without an end until the memory is full, and needs a file for
stderr that may grow without one. Bounds are what this one adds.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.errors import ToolError
from app.tools.account import Account, Meter
from backends.bounds import as_name

if TYPE_CHECKING:
    from anyio.abc import AsyncResource, Process
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

MAX_MESSAGE = 16 << 20  # bytes of one line
MAX_UNASKED = 64 << 20  # bytes, and
MAX_MESSAGES = 2_000  # lines, each of which takes half a millisecond, between two messages of ours
EXIT_SECONDS = 0.7  # after the end of its stdin, for a server that ends by itself
TERMINATE_SECONDS = 0.5  # after a polite signal
LOOK_SECONDS = 0.01
NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # of Windows, where each would open one
# what a program needs in order to run, and nothing else: whoever starts Slipstream may have secrets in the environment
INHERITED = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
INHERITED_ON_WINDOWS = (
    "APPDATA", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATH", "PATHEXT", "PROCESSOR_ARCHITECTURE",
    "PROGRAMDATA", "PROGRAMFILES", "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "USERNAME", "USERPROFILE", "WINDIR",
)  # fmt: skip


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Of a server: what it needs to run at all, and its own variables."""
    names = INHERITED_ON_WINDOWS if sys.platform == "win32" else INHERITED
    return {name: os.environ[name] for name in names if name in os.environ} | dict(own)


@asynccontextmanager
async def child_streams(
    command: str, args: Sequence[str], own: Mapping[str, str], account: Account
) -> AsyncGenerator[tuple[Any, Any], None]:
    """The two streams of the SDK's sessions. own: variables beside the inherited ones. At the end the child and all
    that it has started are gone. Raises ToolError when it cannot be started."""
    import anyio
    from mcp.shared.message import SessionMessage

    with anyio.CancelScope(shield=True):  # called off in the middle, a child would be left that nobody knows
        process = await _start(command, args, environment(own))
    to_session, from_server = anyio.create_memory_object_stream["SessionMessage | Exception"](0)
    to_server, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    meter = Meter(MAX_UNASKED, MAX_MESSAGES)
    async with anyio.create_task_group() as group:
        group.start_soon(_read, process, to_session, meter, account)
        group.start_soon(_write, process, from_session, meter, account)
        group.start_soon(_listen, process, account)
        try:
            yield from_server, to_server
        finally:
            with anyio.CancelScope(shield=True):  # whoever calls it off must not leave the child behind
                for stream in (from_server, to_server, to_session, from_session):
                    await stream.aclose()
                await _end(process)
            group.cancel_scope.cancel()


async def _start(command: str, args: Sequence[str], env: Mapping[str, str]) -> "Process":
    import anyio

    path = shutil.which(os.path.expanduser(command), path=env.get("PATH"))
    if path is None:
        raise ToolError(f"There is no program “{as_name(command)}” here. Install it, or give its whole path.")
    try:
        return await anyio.open_process(
            [path, *args], env=env, cwd=Path.home(), creationflags=NO_WINDOW, start_new_session=NO_WINDOW == 0
        )
    except (OSError, ValueError) as error:
        raise ToolError(f"“{as_name(path)}” cannot be started: {error}.") from error


async def _read(
    process: "Process",
    to_session: "MemoryObjectSendStream[SessionMessage | Exception]",
    meter: Meter,
    account: Account,
) -> None:
    """Lines from its stdout, until it ends or is too much."""
    import anyio

    assert process.stdout
    buffer = bytearray()
    async with to_session:
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            async for chunk in process.stdout:
                buffer += chunk
                *lines, rest = buffer.split(b"\n") if b"\n" in chunk else [buffer]
                buffer = rest
                if len(buffer) > MAX_MESSAGE or not meter.count(len(chunk), len(lines)):
                    account.end(f"sent far more than an answer needs, and was ended ({MAX_MESSAGE >> 20} MiB at most)")
                    return
                for line in lines:
                    if message := _message(bytes(line)):
                        await to_session.send(message)
        account.end("ended by itself")


def _message(line: bytes) -> "SessionMessage | None":
    """None for what is none: programs greet on stdout, and mean no harm."""
    from mcp.shared.message import SessionMessage
    from mcp.types import jsonrpc_message_adapter

    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except (ValueError, RecursionError):
        return None


async def _write(
    process: "Process", from_session: "MemoryObjectReceiveStream[SessionMessage]", meter: Meter, account: Account
) -> None:
    import anyio

    assert process.stdin
    async with from_session:
        try:
            async for message in from_session:
                meter.begin()
                line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await process.stdin.send(line.encode("utf-8", "replace") + b"\n")
        except (anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            account.end("takes nothing more")


async def _listen(process: "Process", account: Account) -> None:
    """To its stderr: all of it is read, as a server that writes into a full pipe would stand still."""
    import anyio

    assert process.stderr
    with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        async for words in process.stderr:
            account.hear(words)


async def _end(process: "Process") -> None:
    """Politely first, as the protocol has it, and with all that it has started."""
    await _closed(process.stdin)
    if not await _has_left(process, EXIT_SECONDS):
        _signal(process, is_polite=True)
        await _has_left(process, TERMINATE_SECONDS)
    _signal(process, is_polite=False)  # also what an ended server has left behind
    await _has_left(process, TERMINATE_SECONDS)
    await _closed(process.stdout)
    await _closed(process.stderr)
    # asyncio lets go of pipes at their end alone, which a reader that has stopped reading never sees
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        transport.close()


async def _closed(stream: "AsyncResource | None") -> None:
    assert stream
    with suppress(Exception):  # the edge: a pipe that is broken already is closed as well
        await stream.aclose()


async def _has_left(process: "Process", seconds: float) -> bool:
    """By its exit code: `wait` waits for the pipes as well, which its children may hold open."""
    import anyio

    with anyio.move_on_after(seconds):
        while process.returncode is None:
            await anyio.sleep(LOOK_SECONDS)
    return process.returncode is not None


def _signal(process: "Process", *, is_polite: bool) -> None:
    if sys.platform == "win32":
        _signal_on_windows(process.pid)
        return
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGTERM if is_polite else signal.SIGKILL)


def _signal_on_windows(pid: int) -> None:
    """There is no polite way, and no group: it and its children."""
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (*process.children(recursive=True), process):
            with suppress(psutil.Error):
                each.kill()
