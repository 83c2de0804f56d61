"""Reads the pipe in a thread of its own, and never waits for anything else: an abort, or the application's end, is
noticed whatever the engine does."""

import os
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from queue import SimpleQueue

from backends.embedding import Embed, EmbeddingRequest, Rank
from backends.engine.encoder import Encoder, Note
from backends.engine.runner import LoadedModel
from backends.protocol import Abort, Close, Generate, Pause, Request, Resume


class Receiver:
    """What arrives goes to the encoder, and to the loop as notes."""

    def __init__(self, connection: Connection):
        self.notes: SimpleQueue[Note] = SimpleQueue()
        self._encoder: Encoder | None = None
        self._connection = connection
        threading.Thread(target=self._run, name="receiver", daemon=True).start()

    def begin(self, model: LoadedModel) -> None:
        """Nobody asks a model that is not ready: call it before that is said."""
        self._encoder = Encoder(model, self.notes)

    def close(self) -> None:
        """Nothing more is made of what arrives."""
        if self._encoder:
            self._encoder.close()

    def _run(self) -> None:
        try:
            while True:
                self._take(self._connection.recv())
        except (EOFError, OSError):
            os._exit(0)  # the application is gone: nobody reads, and a long decode must not outlive it
        except BaseException:  # the edge: an engine that lives and hears nobody would be waited for without end
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)

    def _take(self, request: Request | EmbeddingRequest) -> None:
        match request:
            case Generate() | Embed() | Rank():
                assert self._encoder, "the application asks when the engine is ready"
                self._encoder.add(request)
            case Abort() if self._encoder:
                self._encoder.abort(request)
            case Pause() | Resume():
                self.notes.put(request)
            case Close():
                if self._encoder is None:
                    os._exit(0)  # still loading: there is nothing to put away
                self.notes.put(request)
