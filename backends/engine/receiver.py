"""Reads the pipe in a thread of its own, and makes of each request a sequence that the loop can step."""

import os
import threading
import time
import traceback
from multiprocessing.connection import Connection
from queue import SimpleQueue

from backends.engine.adapters import scales
from backends.engine.runner import LoadedModel, PromptError
from backends.engine.sequence import Clock, Sequence
from backends.prompt_cache.state_reader import Read
from backends.protocol import Abort, Close, Failed, FailureKind, Generate, Overflow, Pause, Request, Resume

Arrival = tuple[Sequence, tuple[str, ...]]
Note = Arrival | Abort | Close | Pause | Resume | Failed | Read


class Receiver:
    """Reads the pipe in a thread of its own, so that templates and tokenizing do not hold up a step."""

    def __init__(self, connection: Connection):
        self.notes: SimpleQueue[Note] = SimpleQueue()
        self.model: LoadedModel | None = None
        self.may_encode = threading.Event()
        self._connection = connection
        threading.Thread(target=self._run, name="receiver", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                request: Request = self._connection.recv()
            except (EOFError, OSError):
                os._exit(0)  # the application is gone: nobody reads, and a long decode must not outlive it
            match request:
                case Generate():
                    self.may_encode.wait()
                    self.notes.put(self._encode(request))
                case Abort() | Close() | Pause() | Resume():
                    self.notes.put(request)
                    if isinstance(request, Close) and not self.may_encode.is_set():
                        os._exit(0)  # still loading: there is nothing to put away

    def _encode(self, request: Generate) -> Arrival | Failed:
        assert self.model is not None
        clock = Clock(arrived=time.perf_counter())
        context = self.model.ready.context
        try:
            tokens = self.model.encode(request.prompt)
            if len(tokens) >= context and request.overflow is Overflow.ERROR:
                return _too_long(request.uid, len(tokens), context)
            seq = Sequence.of(request, tokens, context, self.model.eos)
            seq.adapters = scales(request.adapters, self.model.ready.adapters)
            seq.sampler = self.model.sampler(request, tokens)
        except PromptError as error:
            return Failed(request.uid, error.kind, str(error))
        except Exception:  # the edge: one request's bug must not end the others
            traceback.print_exc()
            return Failed(request.uid, FailureKind.INTERNAL, "The engine could not read this prompt.")
        seq.clock = clock
        return seq, request.stop


def _too_long(uid: int, num_tokens: int, context: int) -> Failed:
    sentence = (
        f"The prompt has {num_tokens} tokens, the context of this model holds {context}. "
        "Shorten the prompt, start a new chat, or load the model with a larger context."
    )
    return Failed(uid, FailureKind.CONTEXT_LENGTH, sentence, (num_tokens, context))
