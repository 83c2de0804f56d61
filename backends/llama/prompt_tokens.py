"""A prompt's text as token ids: what a template wrote with its control tokens, what people wrote without."""

from collections.abc import Sequence

from backends.llama.markers import Markers, Span
from backends.llama.rendered import Rendered
from backends.llama.vocabulary import NativeVocabulary

# characters: in a text of 200,000 markers llama.cpp would look for them for nine minutes
MANY_MARKERS = 20_000


class PromptTokens:
    """Never two tokens that begin a text: one is added only where the text brings none. Thread-safe."""

    def __init__(self, vocabulary: NativeVocabulary):
        self.markers = Markers(vocabulary.special.markers())
        self._vocabulary = vocabulary
        self._first = [vocabulary.bos] if vocabulary.adds_bos and vocabulary.bos >= 0 else []
        self._last = [vocabulary.end_of_text] if vocabulary.adds_eos and vocabulary.end_of_text >= 0 else []

    def of_text(self, text: str, reads_markers: bool) -> list[int]:
        """Of a raw prompt, as llama-server reads it if `reads_markers`; else as people's own text all of it."""
        tokens = self._read(text, () if reads_markers else ((0, len(text)),))
        return self.begun(tokens) + (self._last if text else [])

    def of_part(self, text: str, reads_markers: bool) -> list[int]:
        """Of a text as it is, without tokens that begin or end it."""
        return self._read(text, () if reads_markers else ((0, len(text)),))

    def of_chat(self, rendered: Rendered) -> list[int]:
        """Of a rendered chat, without a token at its end: it is not at its end."""
        said = rendered.said or ()
        return self.begun(self._read(rendered.text, said if self.markers.are_said(rendered.text, said) else ()))

    def is_safe(self, rendered: Rendered, typed: Sequence[str], others: Sequence[str] = ()) -> bool:
        """False where a control token in it may be people's, and the template does not let it be known: they typed
        something like it, or the template changed what they typed. others: texts that it may well have changed."""
        if rendered.said is not None:
            return True
        return all(text.strip() in rendered.text for text in typed) and not self.markers.may_arise((*typed, *others))

    def _read(self, text: str, said: tuple[Span, ...] = ()) -> list[int]:
        """With control tokens, but for those that people said."""
        if not said and len(text) < MANY_MARKERS:
            return self._vocabulary.tokenize(text, add_special=False, parse_special=True)
        tokens: list[int] = []
        for part in self.markers.split(text, said):
            if part.token is not None:
                tokens.append(part.token)
            else:
                tokens += self._vocabulary.tokenize(text[part.begin : part.end], add_special=False, parse_special=False)
        return tokens

    def begun(self, tokens: list[int]) -> list[int]:
        """With one token that begins a text, however many it brings: templates that are kept by hand write one, too."""
        num_own = next((i for i, token in enumerate(tokens) if [token] != self._first), len(tokens))
        return self._first + tokens[num_own:]
