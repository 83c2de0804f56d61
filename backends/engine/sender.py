"""Speaks for the engine, in a thread of its own, while the step thread is inside the native decode.

To make text of tokens, to pickle it and to wake its reader costs more than all of the engine's other work for a token,
and a reader that does not read would hold up every stream. It is a thread, and not the step thread after it has begun a
decode: on a CPU `llama_decode` returns when all is computed; and on a GPU, where it returns early, a pipe that nobody
reads would hold up the steps all the same.
"""

import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue

from backends.embedding import EmbeddingEvent
from backends.engine.news import News
from backends.protocol import Event, Pulse

# letters; an application that has stopped reading is not sent pulses for ever, and no steps are made for it. With the
# logits of eight streams with a vocabulary of 128k they take 130 MB
MAX_BEHIND = 32


class Sender:
    """The only writer of the connection. Messages arrive in the order of `send` and `tell`."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._letters: SimpleQueue[Event | News | None] = SimpleQueue()
        self._events: Callable[[News], Iterable[Event | EmbeddingEvent]] | None = None
        # no methods of ours: they stand between two decodes
        self.tell: Callable[[News], None] = self._letters.put
        self.num_behind: Callable[[], int] = self._letters.qsize
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def begin(self, events: Callable[[News], Iterable[Event | EmbeddingEvent]]) -> None:
        """What the application is to be told of news; it is made in the sender's thread. Before the first `tell`."""
        self._events = events

    def send(self, event: Event) -> None:
        self._letters.put(event)

    def send_pulse(self, pulse: Pulse) -> None:
        """Unless so much waits already that it would say nothing new."""
        if self.num_behind() <= MAX_BEHIND:
            self._letters.put(pulse)

    def close(self) -> None:
        """When all is written."""
        self._letters.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            with suppress(OSError):  # nobody reads any more: the receiver ends the process
                while (letter := self._letters.get()) is not None:
                    for event in self._said(letter):
                        # what Connection.send does, without its own pickler, which takes longer than all the rest
                        self._connection.send_bytes(pickle.dumps(event, pickle.HIGHEST_PROTOCOL))
        except BaseException:  # the edge: an engine that lives and says nothing would be waited for without end
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)

    def _said(self, letter: Event | News) -> Iterable[Event | EmbeddingEvent]:
        if not isinstance(letter, News):
            return (letter,)
        assert self._events, "news before `begin`"
        return self._events(letter)
