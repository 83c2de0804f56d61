"""News for readers of /api/slipstream/events: for each the latest state of all that it has not been told yet."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from app.server.native.shapes import News

MAX_READERS = 32
MAX_UNREAD = 256  # things of which one reader has not heard; the oldest is forgotten

Subscribe = Callable[[Callable[[News], None]], Callable[[], None]]


class Inbox:
    """One reader's. Belongs to the server's loop."""

    def __init__(self) -> None:
        self._news: dict[object, News] = {}
        self._has_news = asyncio.Event()
        self.is_closed = False

    def put(self, news: News) -> None:
        self._news.pop(news.key, None)  # the latest state of a thing is all that counts
        if len(self._news) >= MAX_UNREAD:
            del self._news[next(iter(self._news))]
        self._news[news.key] = news
        self._has_news.set()

    async def take(self, seconds: float) -> list[News]:
        """All that has come, or nothing after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._has_news.wait()
        self._has_news.clear()
        taken, self._news = list(self._news.values()), {}
        return taken

    def close(self) -> None:
        self.is_closed = True
        self._has_news.set()


class Feed:
    """Listens to the application while somebody reads. Belongs to the server's loop, but for `_hear`."""

    def __init__(self, subscribe: Subscribe):
        self._subscribe = subscribe
        self._leave: Callable[[], None] | None = None
        self._inboxes: set[Inbox] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()  # what comes on many threads is one wake-up of the loop
        self._heard: dict[object, News] = {}

    def open(self) -> Inbox | None:
        """None: there are as many readers as there may be."""
        if len(self._inboxes) >= MAX_READERS:
            return None
        inbox = Inbox()
        self._inboxes.add(inbox)
        if self._leave is None:
            self._loop = asyncio.get_running_loop()
            self._leave = self._subscribe(self._hear)
        return inbox

    def leave(self, inbox: Inbox) -> None:
        self._inboxes.discard(inbox)
        if not self._inboxes and self._leave:
            self._leave()
            self._leave = None

    def close(self) -> None:
        """The server stops: nobody reads any more."""
        for inbox in list(self._inboxes):
            inbox.close()

    def _hear(self, news: News) -> None:
        """On any thread."""
        with self._lock:
            is_first = not self._heard
            self._heard.pop(news.key, None)
            self._heard[news.key] = news
        if is_first and self._loop:
            with suppress(RuntimeError):  # the loop is closed: the server was stopped
                self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        with self._lock:
            heard, self._heard = self._heard, {}
        for inbox in self._inboxes:
            for news in heard.values():
                inbox.put(news)
