"""An answer in the words of the Responses API: a response of items, or the events that it is made of."""

import time
from collections.abc import Callable
from json.encoder import encode_basestring as quoted
from typing import Any

from app.server.core.choice import Choice, first_call_only, problem_of
from app.server.core.refusal import Refusal
from app.server.core.timings import SoFar, progress_object, timings_object
from app.server.core.words import Source, Words
from app.server.openai.logprobs import chat_logprobs
from app.server.openai.words import encode
from app.server.responses.items import new_id
from app.server.responses.output_items import COMPLETED, IN_PROGRESS, INCOMPLETE, Event, OutputItems
from app.server.responses.text_logprobs import TextLogprobs
from backends.protocol import Finish, Output, Progress, Timings

FAILED = "failed"
DELTA = "response.output_text.delta"
Response = dict[str, Any]


class ResponseWords(Words):
    def __init__(
        self,
        source: Source,
        told: dict[str, Any],
        keep: Callable[[Response], None] | None = None,
        takes_one: bool = False,
        wants_summary: bool = False,
        tells_progress: bool = False,
        times_tokens: bool = False,
    ):
        """told: what the response repeats of its request. keep: called with one that has ended as it should. takes_one:
        calls behind the first are not told. wants_summary: of thoughts. tells_progress: of the prompt, in a stream.
        times_tokens: an account with every piece of a text, as llama-server gives it."""
        super().__init__(source)
        self._tells_progress = tells_progress
        self._times_tokens = times_tokens
        self._has_begun = False
        self._so_far = SoFar()
        self._keep = keep
        self._takes_one = takes_one
        self._items = OutputItems(wants_summary)
        self._logprobs = TextLogprobs()
        self._num_events = 0
        self._base = {
            "id": new_id("resp"),
            "object": "response",
            "created_at": int(time.time()),
            "model": source.model,
            **told,
        }

    def add(self, index: int, output: Output) -> None:
        output = self._told_of(output)
        super().add(index, output)
        self._events(self.choices[index], output)

    def begin(self) -> bytes:
        if self._has_begun:
            return b""
        self._has_begun = True
        response = self._response(IN_PROGRESS)
        return self._encoded([(f"response.{kind}", {"response": response}) for kind in ("created", "in_progress")])

    def read(self, index: int, progress: Progress) -> bytes:  # noqa: ARG002
        """As with llama-server, within an event that the response is in progress. The one of its begin comes first."""
        if not self._tells_progress or progress.num_read is None:
            return b""
        told = {"response": self._response(IN_PROGRESS), "prompt_progress": progress_object(progress)}
        return self.begin() + self._encoded([("response.in_progress", told)])

    def go_on(self, index: int, output: Output) -> bytes:
        output, choice = self._told_of(output), self.choices[index]
        choice.take(output)
        events = self._events(choice, output)
        return self._encoded(self._timed(choice, output, events) if self._times_tokens else events)

    def end(self) -> bytes:
        response = self.whole()
        last: dict[str, Any] = {"response": response}
        if self._times_tokens:
            last["timings"] = response["timings"]
        return self._encoded([(f"response.{response['status']}", last)])

    def break_off(self, refusal: Refusal) -> bytes:
        error = {"code": "server_error", "message": refusal.message}
        self._items.close(INCOMPLETE)
        return self._encoded([("response.failed", {"response": {**self._response(FAILED), "error": error}})])

    def whole(self) -> Response:
        (choice,) = self.choices
        response = self._response(self._status(choice), choice.timings)
        if self._keep:
            self._keep(response)
        return response

    def _told_of(self, output: Output) -> Output:
        return first_call_only(output) if self._takes_one and output.parts else output

    def _events(self, choice: Choice, output: Output) -> list[Event]:
        events: list[Event] = []
        self._logprobs.add(choice.take_logprobs())
        for part in output.all_parts:
            logprobs = chat_logprobs(self._logprobs.of(part))
            events += self._items.say(part, logprobs["content"] if logprobs else [])
        if output.finish:
            status = self._status(choice)
            events += self._items.say_nothing() if status == COMPLETED else []
            events += self._items.close(status)
        return events

    def _timed(self, choice: Choice, output: Output, events: list[Event]) -> list[Event]:
        self._so_far.take(output)
        timings = timings_object(self._so_far.account(choice.timings))
        return [(kind, {**data, "timings": timings} if kind == DELTA else data) for kind, data in events]

    def _status(self, choice: Choice) -> str:
        return INCOMPLETE if choice.finish is Finish.LENGTH else COMPLETED

    def _response(self, status: str, timings: Timings | None = None) -> Response:
        is_over = status in (COMPLETED, INCOMPLETE)
        details = {"reason": "max_output_tokens"} if status == INCOMPLETE else None
        response = {**self._base, "status": status, "background": False, "error": None, "incomplete_details": details}
        response |= {"completed_at": int(time.time()) if status == COMPLETED else None, "output": self._items.told()}
        if timings is None or not is_over:
            return {**response, "usage": None}
        (choice,) = self.choices
        told = {"usage": _usage(timings, choice.num_thought), "timings": timings_object(timings)}
        return {**response, **told, **problem_of([choice])}

    def _encoded(self, events: list[Event]) -> bytes:
        return "".join(map(self._event, events)).encode()

    def _event(self, event: Event) -> str:
        kind, data = event
        number = self._num_events
        self._num_events += 1
        # written by hand: it is said for every token
        if kind == DELTA and not data["logprobs"] and not self._times_tokens:
            place = f'"item_id":"{data["item_id"]}","output_index":{data["output_index"]},"content_index":0'
            said = f'{place},"delta":{quoted(data["delta"])},"logprobs":[]'
            return f'event: {kind}\ndata: {{"type":"{kind}","sequence_number":{number},{said}}}\n\n'
        return f"event: {kind}\ndata: {encode({'type': kind, 'sequence_number': number, **data})}\n\n"


def _usage(timings: Timings, num_thought: int) -> dict[str, Any]:
    num_read = timings.prompt_n + timings.cache_n
    return {
        "input_tokens": num_read,
        "input_tokens_details": {"cached_tokens": timings.cache_n, "cache_write_tokens": 0},
        "output_tokens": timings.predicted_n,
        "output_tokens_details": {"reasoning_tokens": num_thought},
        "total_tokens": num_read + timings.predicted_n,
    }
