"""A prompt's text as token ids: what a template wrote with its control tokens, what people wrote without."""

from collections.abc import Iterable

from backends.llama.markers import Markers
from backends.llama.native import NativeModel
from backends.llama.rendered import Rendered


class PromptTokens:
    """Never two tokens that begin a text: one is added only where the text brings none. Thread-safe."""

    def __init__(self, model: NativeModel):
        self.markers = Markers(model.special.markers())
        self._model = model
        self._first = [model.bos] if model.adds_bos and model.bos >= 0 else []
        self._last = [model.end_of_text] if model.adds_eos and model.end_of_text >= 0 else []

    def of_text(self, text: str, reads_markers: bool) -> list[int]:
        """Of a raw prompt, as llama-server reads it if `reads_markers`."""
        tokens = self._begun(self._model.tokenize(text, add_special=False, parse_special=reads_markers))
        return tokens + self._last if text else tokens

    def of_chat(self, rendered: Rendered) -> list[int]:
        """Of a rendered chat, without a token at its end: it is not at its end."""
        if not rendered.said:
            return self._begun(self._model.tokenize(rendered.text, add_special=False, parse_special=True))
        tokens: list[int] = []
        for part in self.markers.split(rendered.text, rendered.said):
            if part.token is not None:
                tokens.append(part.token)
            else:
                text = rendered.text[part.begin : part.end]
                tokens += self._model.tokenize(text, add_special=False, parse_special=False)
        return self._begun(tokens)

    def needs_origins(self, said: Iterable[str]) -> bool:
        """Whether a chat with these contents must be rendered so that it says who wrote what."""
        return self.markers.may_arise(said)

    def _begun(self, tokens: list[int]) -> list[int]:
        return tokens if tokens[:1] == self._first else self._first + tokens
