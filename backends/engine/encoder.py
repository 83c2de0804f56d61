"""Makes of each request a sequence that the loop can step: a thread a lane, so that nothing slow stands in front."""

import threading
import traceback
from functools import partial
from queue import SimpleQueue

from backends.chat.answer_parser import AnswerParser
from backends.embedding import Question
from backends.engine.adapters import scales
from backends.engine.embedder import Job
from backends.engine.news import Stopped
from backends.engine.runner import Lane, LoadedModel, PromptError, TooLong
from backends.engine.sequence import Clock, Sequence
from backends.engine.stops import Stops
from backends.engine.waiting import Arrival, Waiting
from backends.prompt_cache.state_reader import Read
from backends.protocol import (
    Abort,
    Close,
    Failed,
    FailureKind,
    Finish,
    Generate,
    Output,
    Overflow,
    Pause,
    Reading,
    Resume,
    Timings,
)

CLOSE_SECONDS = 1.0  # for what is in hand; a longer text is left unread

Encoded = tuple[Sequence, Stops, AnswerParser | None]
Note = Encoded | Job | Abort | Close | Pause | Resume | Stopped | Failed | Output | Reading | Read


class Encoder:
    def __init__(self, model: LoadedModel, notes: "SimpleQueue[Note]"):
        self._model = model
        self._notes = notes
        self._waiting = Waiting(model.lane)
        self._threads = [
            threading.Thread(target=self._run, args=(lane,), name=f"encoder-{lane}", daemon=True) for lane in Lane
        ]
        for thread in self._threads:
            thread.start()

    def add(self, request: Question) -> None:
        self._waiting.add(request)

    def abort(self, abort: Abort) -> None:
        """What the engine does not have yet ends here, and at once."""
        last = Output(abort.uid, "", 0, Finish.ABORT, Timings())
        if not self._waiting.call_off(abort.uid, partial(self._notes.put, last)):
            self._notes.put(abort)

    def close(self) -> None:
        """Before the model is closed, which may be in the middle of a text."""
        self._waiting.close()
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)

    def _run(self, lane: Lane) -> None:
        while arrival := self._waiting.take(lane):
            encoded = self._encode(arrival)
            if not self._waiting.finish(arrival.request.uid, partial(self._notes.put, encoded)):
                _drop(encoded)
            if lane is Lane.SLOW:  # its grammar is known now, and others may have the same
                self._waiting.sort_again(lane)

    def _encode(self, arrival: Arrival) -> Encoded | Job | Reading | Failed:
        request = arrival.request
        try:
            if not isinstance(request, Generate):
                return Job(request, self._model.texts(request))
            return self._read(request) if request.reads else self._of_answer(request, arrival.time)
        except TooLong as error:
            context = self._model.ready.context
            return _too_long(request.uid, f"about {error.num_tokens}", error.num_tokens, context)
        except PromptError as error:
            return Failed(request.uid, error.kind, str(error), about=error.about)
        except Exception:  # the edge: one request's bug must not end the others
            traceback.print_exc()
            return Failed(request.uid, FailureKind.INTERNAL, "The engine could not read this prompt.")

    def _read(self, request: Generate) -> Reading:
        tokens = self._model.encode(request)
        return Reading(request.uid, tuple(tokens), tuple(self._model.spell([token]) for token in tokens))

    def _of_answer(self, request: Generate, arrived: float) -> Encoded | Failed:
        ready = self._model.ready
        may_roll = request.overflow is Overflow.ROLL and request.prompt_logprobs is None
        tokens = self._model.encode(request, None if may_roll else ready.context)
        if len(tokens) >= ready.context and not may_roll:
            return _too_long(request.uid, f"{len(tokens)}", len(tokens), ready.context)
        stops = self._model.stops(request)
        seq = Sequence.of(request, tokens, ready.context, self._model.eos, stops.tokens)
        seq.adapters = scales(request.adapters, ready.adapters)
        seq.sampler = self._model.sampler(request, tokens, seq.max_tokens)
        seq.clock = Clock(arrived=arrived)
        return seq, stops, self._model.parser(request, tokens) if request.is_parsed else None


def _drop(encoded: Encoded | Job | Reading | Failed) -> None:
    if isinstance(encoded, tuple) and encoded[0].sampler:
        encoded[0].sampler.close()


def _too_long(uid: int, told: str, num_tokens: int, context: int) -> Failed:
    sentence = (
        f"The prompt has {told} tokens, the context of this model holds {context}. "
        "Shorten the prompt, start a new chat, or load the model with a larger context."
    )
    return Failed(uid, FailureKind.CONTEXT_LENGTH, sentence, (num_tokens, context), "prompt")
