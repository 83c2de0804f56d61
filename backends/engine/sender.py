"""Speaks for the engine, in a thread of its own, while the step thread is inside the native decode.

To make text of tokens, to pickle it and to wake its reader costs more than all of the engine's other work for a token,
and a reader that does not read would hold up every stream. It is a thread, and not the step thread after it has begun a
decode: on a CPU `llama_decode` returns when all is computed; and on a GPU, where it returns early, a pipe that nobody
reads would hold up the steps all the same.

On a CPU all cores compute, so whoever wakes up takes one from the step. What quick steps say is therefore told
together, some 30 times a second: one turn for each thread and process on the way to the reader, and not one for every
token.
"""

import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue

from backends.embedding import EmbeddingEvent
from backends.engine.news import Again, News
from backends.protocol import Event, Output, Outputs, Pulse

# letters; an application that has stopped reading is not sent pulses for ever, and no steps are made for it. With the
# logits of eight streams with a vocabulary of 128k they take 130 MB
MAX_BEHIND = 32
# steps that say a token more each are told together; nobody sees so short a pause
TOGETHER_SECONDS, MOST_TOGETHER = 0.05, 8
WORTH = 1.5  # steps, or a rest is a turn for nothing


class Sender:
    """The only writer of the connection. Messages arrive in the order of `send` and `tell`."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._letters: SimpleQueue[Event | News | None] = SimpleQueue()
        self._events: Callable[[News], Iterable[Event | EmbeddingEvent]] | None = None
        self._hurry: SimpleQueue[None] = SimpleQueue()  # ends a rest
        self._together: list[Output] = []
        # no methods of ours: they stand between two decodes
        self.tell_again: Callable[[Again], None] = self._letters.put  # may wait a moment for the next ones
        self.num_behind: Callable[[], int] = self._letters.qsize
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def begin(self, events: Callable[[News], Iterable[Event | EmbeddingEvent]]) -> None:
        """What the application is to be told of news; it is made in the sender's thread. Before the first `tell`."""
        self._events = events

    def tell(self, news: News) -> None:
        """At once, with all that has waited."""
        self._letters.put(news)
        self._hurry.put(None)

    def send(self, event: Event) -> None:
        self._letters.put(event)
        self._hurry.put(None)

    def send_pulse(self, pulse: Pulse) -> None:
        """Unless so much waits already that it would say nothing new."""
        if self.num_behind() <= MAX_BEHIND:
            self._letters.put(pulse)

    def close(self) -> None:
        """When all is written."""
        self._letters.put(None)
        self._hurry.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            with suppress(OSError):  # nobody reads any more: the receiver ends the process
                while (letter := self._letters.get()) is not None:
                    if isinstance(letter, Again):
                        self._add(letter)
                    else:
                        self._write_together()
                        self._write(self._said(letter))
                self._write_together()
        except BaseException:  # the edge: an engine that lives and says nothing would be waited for without end
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)

    def _add(self, again: Again) -> None:
        """To what is told together, which is written when no more is there."""
        for event in self._said(again):
            assert isinstance(event, Outputs)
            self._together += event.outputs
        if self._letters.empty():
            self._write_together()
            self._rest(again.step_seconds)
        elif len(self._together) >= MOST_TOGETHER * len(again.uids):
            self._write_together()

    def _rest(self, step_seconds: float) -> None:
        """While some more such steps are made, if they are quick; until somebody is in a hurry."""
        if WORTH * step_seconds <= TOGETHER_SECONDS:
            with suppress(Empty):
                self._hurry.get(timeout=min(TOGETHER_SECONDS, MOST_TOGETHER * step_seconds))
        while not self._hurry.empty():
            self._hurry.get()

    def _write_together(self) -> None:
        if self._together:
            together, self._together = tuple(self._together), []
            self._write((Outputs(together),))

    def _write(self, events: Iterable[Event | EmbeddingEvent]) -> None:
        for event in events:
            # what Connection.send does, without its own pickler, which takes longer than all the rest
            self._connection.send_bytes(pickle.dumps(event, pickle.HIGHEST_PROTOCOL))

    def _said(self, letter: Event | News) -> Iterable[Event | EmbeddingEvent]:
        if not isinstance(letter, News):
            return (letter,)
        assert self._events, "news before `begin`"
        return self._events(letter)
