"""An answer in llama-server's own words."""

import json
from json.encoder import encode_basestring as quoted
from typing import Any

from app.server.core.refusal import Refusal
from app.server.core.timings import timings_object
from app.server.core.words import Source, Words
from app.server.openai import errors
from backends.protocol import Finish, Output

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class CompletionWords(Words):
    def __init__(self, source: Source, stops: tuple[str, ...] = ()):
        super().__init__(source)
        self._stops = stops
        self._num_said = 0

    def begin(self) -> bytes:
        return b""

    def go_on(self, index: int, output: Output) -> bytes:
        choice = self.choices[index]
        choice.take(output)
        self._num_said += output.num_tokens
        said = ""
        if output.text:
            counts = f'"tokens_predicted":{self._num_said},"tokens_evaluated":{self._num_prompt}'
            said = f'data: {{"index":0,"content":{quoted(output.text)},"tokens":[],"stop":false,{counts}}}\n\n'
        if output.finish:
            said += f"data: {encode(self._last(''))}\n\n"
        return said.encode()

    def end(self) -> bytes:
        return b""

    def break_off(self, refusal: Refusal) -> bytes:
        return f"data: {encode(errors.body(refusal))}\n\n".encode()

    def whole(self) -> dict[str, Any]:
        return self._last(self.choices[0].text)

    @property
    def _num_prompt(self) -> int:
        (choice,) = self.choices
        return choice.timings.prompt_n + choice.timings.cache_n

    def _last(self, content: str) -> dict[str, Any]:
        (choice,) = self.choices
        word = choice.stop if choice.stop in self._stops else None
        return {
            "index": 0,
            "content": content,
            "tokens": [],
            "id_slot": -1,
            "stop": True,
            "model": self.source.model,
            "tokens_predicted": choice.timings.predicted_n,
            "tokens_evaluated": self._num_prompt,
            "tokens_cached": choice.timings.cache_n,
            "has_new_line": "\n" in content,
            "truncated": choice.timings.rolled_n > 0,
            "stop_type": "limit" if choice.finish is Finish.LENGTH else "word" if word else "eos",
            "stopping_word": word or "",
            "timings": timings_object(choice.timings),
        }
