"""One connection to one MCP server, on a thread of its own. Knows the SDK, which nobody else does; no chat.

The SDK is imported by that thread: no start waits for it, and without a server it is never loaded.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from app.errors import SlipstreamError, ToolError
from app.tools.account import Account
from app.tools.content import outcome_of
from app.tools.http import http_streams
from app.tools.listing import MAX_TOOLS, Listing, listing_from
from app.tools.servers import ToolServer
from app.tools.stdio import child_streams
from app.tools.tool import Outcome, finished

if TYPE_CHECKING:
    from mcp import Client

START_SECONDS = 60.0  # npx and uvx download a server before it begins
LIST_SECONDS = 20.0
MAX_PAGES = 8
CLOSE_SECONDS = 3.0
SETTLE_SECONDS = 1.0
T = TypeVar("T")
_log = logging.getLogger(__name__)


class State(StrEnum):
    NEW = "new"
    STARTING = "starting"
    READY = "ready"
    ENDED = "ended"


class McpServer:
    """Thread-safe. It is started once; one that has ended stays so, and another takes its place.

    values: of the server's secrets, by name. start_seconds: after which a server that does not answer is given up.
    """

    def __init__(
        self, server: ToolServer, values: Callable[[], Mapping[str, str]], start_seconds: float = START_SECONDS
    ):
        self.server = server
        self._values = values
        self._start_seconds = start_seconds
        self._lock = threading.Lock()  # of what follows: several threads ask, one connects
        self._state = State.NEW
        self._problem: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closing = asyncio.Event()
        self._settled = asyncio.Event()  # it is connected, or never will be
        self._client: Client | None = None
        self._account = Account(self._drop)

    @property
    def state(self) -> State:
        return self._state

    @property
    def problem(self) -> str | None:
        """Why it has ended, a sentence. None: it has not, or was closed."""
        return self._problem

    @property
    def words(self) -> str:
        """The last lines that it wrote to stderr."""
        return self._account.words

    def start(self) -> None:
        """Connect, without waiting."""
        with self._lock:
            if self._state is not State.NEW:
                return
            self._state = State.STARTING
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._run, args=(self._loop,), name=f"tools-{self.server.name}")
            self._thread.daemon = True
            self._thread.start()

    def tools(self) -> "Future[Listing]":
        """What it has now, once it is connected. Raises ToolError, from the future."""
        if asked := self._ask(self._list()):
            return asked
        refused: Future[Listing] = Future()
        refused.set_exception(self._refusal())
        return refused

    def call(self, name: str, arguments: Mapping[str, Any]) -> "Future[Outcome]":
        """What came of it, be it an error. To cancel the future tells the server to stop."""
        return self._ask(self._call(name, dict(arguments))) or finished(Outcome(str(self._refusal()), is_error=True))

    def ask_to_close(self) -> None:
        with self._lock:
            if self._state is State.NEW:
                self._state = State.ENDED
            loop = self._loop
            if loop:
                loop.call_soon_threadsafe(self._closing.set)

    def close(self) -> None:
        """Returns when it is gone, with all that it has started."""
        self.ask_to_close()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_SECONDS)

    def _ask(self, question: Coroutine[Any, Any, T]) -> "Future[T] | None":
        """None: there is nobody to ask."""
        with self._lock:
            if self._loop:
                return asyncio.run_coroutine_threadsafe(question, self._loop)
        question.close()
        return None

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._live())
        except Exception:  # the edge: a defect here is the end of this server, not of the application
            _log.exception("the thread of the tool server “%s” failed", self.server.name)
            self._problem = self._problem or f"“{self.server.name}” failed. The log says more."
        finally:
            with self._lock:
                self._state, self._loop = State.ENDED, None

    async def _live(self) -> None:
        """From the first word to the last."""
        import anyio

        async with anyio.create_task_group() as group:
            group.start_soon(self._serve)
            await self._closing.wait()
            group.cancel_scope.cancel()
        with self._lock:  # before the loop ends: nobody may ask it any more
            self._state, self._loop = State.ENDED, None
        await asyncio.sleep(0)  # what was asked until then has become a task now
        if asked := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(asked, timeout=SETTLE_SECONDS)  # each hears why it ended

    async def _serve(self) -> None:
        import anyio
        import mcp  # noqa: F401 - a second of work, which is not the server's

        try:
            with anyio.CancelScope(deadline=anyio.current_time() + self._start_seconds) as limit:
                await self._attend(limit)
            if limit.cancelled_caught:
                self._problem = f"“{self.server.name}” did not answer within {self._start_seconds:g} s."
        except Exception as error:  # the edge: whatever a stranger's server makes the SDK raise is its end
            self._problem = self._sentence(error)
        finally:
            self._client = None
            self._settled.set()
            self._closing.set()

    async def _attend(self, limit: Any) -> None:
        """limit: the scope that ends a start which takes too long."""
        import anyio
        from mcp import Client
        from mcp.types import Implementation

        me = Implementation(name="slipstream", version="1")
        async with Client(self._link(), cache=None, client_info=me) as client:
            limit.deadline = float("inf")
            self._client, self._state = client, State.READY
            self._settled.set()
            while self._account.problem is None:
                await anyio.sleep_forever()

    def _link(self) -> AbstractAsyncContextManager[tuple[Any, Any]]:
        """The secrets are asked for here, as a keyring may take its time."""
        values = self._values()
        if missing := [name for name in self.server.secrets if name not in values]:
            names = ", ".join(missing)
            raise ToolError(f"The keyring has no value for {names} of “{self.server.name}”. Enter it anew.")
        if self.server.url is not None:
            return http_streams(self.server.url, values)
        assert self.server.command is not None
        return child_streams(self.server.command, self.server.args, {**self.server.env, **values}, self._account)

    def _drop(self) -> None:
        """The connection has ended by itself. On its own thread."""
        if self._closing.is_set():  # we have ended it
            return
        self._state = State.ENDED  # now: whoever asks next gets another server
        self._problem = f"“{self.server.name}” {self._account.problem}."
        self._closing.set()

    async def _list(self) -> Listing:
        import anyio

        client = await self._connected()
        tools: list[tuple[Any, Any, Any]] = []
        cursor: str | None = None
        try:
            with anyio.fail_after(LIST_SECONDS):
                for _ in range(MAX_PAGES):
                    page = await client.list_tools(cursor=cursor)
                    tools += [(tool.name, tool.description, tool.input_schema) for tool in page.tools]
                    cursor = page.next_cursor
                    if not cursor or len(tools) > MAX_TOOLS:
                        break
        except TimeoutError:
            raise ToolError(f"“{self.server.name}” did not list its tools within {LIST_SECONDS:g} s.") from None
        except Exception as error:  # the edge, as in _serve
            raise ToolError(self._sentence(error)) from error
        return listing_from(tools)

    async def _call(self, name: str, arguments: dict[str, Any]) -> Outcome:
        from mcp.types import CallToolRequest, CallToolRequestParams, CallToolResult, InputRequiredResult
        from pydantic import TypeAdapter

        try:
            client = await self._connected()
            # not `call_tool`, which holds results against the server's own schema: its patterns could keep us busy
            # without end, and nobody reads structured results here
            result = await client.session.send_request(
                CallToolRequest(params=CallToolRequestParams(name=name, arguments=arguments)),
                TypeAdapter(CallToolResult | InputRequiredResult),
            )
        except Exception as error:  # the edge, as in _serve
            return Outcome(self._sentence(error), is_error=True)
        if isinstance(result, InputRequiredResult):
            return Outcome("The tool asks for more than its arguments, which Slipstream does not give.", is_error=True)
        return outcome_of(result)

    async def _connected(self) -> "Client":
        await self._settled.wait()
        if self._client is None:
            raise self._refusal()
        return self._client

    def _refusal(self) -> ToolError:
        if self._state is State.NEW:
            return ToolError(f"“{self.server.name}” has not been started.")
        return ToolError(self._problem or f"“{self.server.name}” was closed.")

    def _sentence(self, error: BaseException) -> str:
        """Of whatever the SDK raised: its groups hold one cause."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, SlipstreamError):
            return str(error)
        if self._account.problem:
            return self._problem or ""
        return str(ToolError(f"“{self.server.name}”: {error or type(error).__name__}"))
