"""A request's prompt as token ids, whatever it comes as: a chat, a text, token ids, or what stands around a text."""

from backends.engine.runner import PromptError, TooLong
from backends.llama.infill_tokens import InfillTokens
from backends.llama.prompt_tokens import PromptTokens
from backends.llama.template import ChatTemplate
from backends.llama.vocabulary import NativeVocabulary
from backends.protocol import FailureKind, Generate, Infill, Message, Prompt, Reads, Tool
from backends.sandbox.sandbox import Sandbox

LONG = 100_000  # characters of a prompt whose reading holds others up: a tenth of a second and more
PIECE, FEW_CHARACTERS = 65_536, 8  # characters that are read at a time, and of a token that is a long one
UNKNOWN_ORIGINS = (
    "The model's chat template refused this chat: it does not show which control tokens people wrote; take them out of"
    " the messages."
)


class PromptEncoder:
    """One thread a lane calls `encode`."""

    def __init__(self, vocabulary: NativeVocabulary, template: ChatTemplate, rendering: Sandbox, for_long: Sandbox):
        """rendering: for chats; for_long: for those that are long, which it keeps from holding others up."""
        self._tokens = PromptTokens(vocabulary)
        self._infills = InfillTokens(vocabulary, self._tokens)
        self.markers = self._tokens.markers
        self._vocabulary = vocabulary
        self._template = template
        self._rendering, self._for_long = rendering, for_long

    def encode(self, request: Generate, context: int | None = None) -> list[int]:
        prompt = request.prompt
        if isinstance(prompt, str) and request.reads is Reads.BARE:
            return self._tokens.of_part(prompt, reads_markers=request.special is not False)
        if isinstance(prompt, str):
            self._check_length(prompt, context)
            tokens = self._tokens.of_text(prompt, reads_markers=request.special is not False)
        elif isinstance(prompt, Infill):
            for text in (prompt.prefix, prompt.suffix):
                self._check_length(text, context)
            tokens = self._infills.of(prompt, context, reads_markers=request.special is True)
        elif is_chat(prompt):
            tokens = self._encode_chat(request, context)
        else:
            tokens = self._checked([part for part in prompt if isinstance(part, int)])
        if not tokens:
            raise PromptError(FailureKind.BAD_REQUEST, "The prompt is empty: write something to answer.", "prompt")
        return tokens

    def _encode_chat(self, request: Generate, context: int | None) -> list[int]:
        assert isinstance(request.prompt, tuple)
        messages = tuple(part for part in request.prompt if isinstance(part, Message))
        sandbox = self._for_long if length(messages) > LONG else self._rendering
        tracked = request.special is not True
        rendered = self._template.render(
            messages,
            sandbox,
            continues=request.continues,
            tracked=tracked,
            tools=request.tool_choice.among(request.tools) and request.tools,
            options=request.template_options,
        )
        self._check_length(rendered.text, context)
        typed = [text for message in messages for text in (message.content, message.reasoning) if text]
        if not self._tokens.is_safe(rendered, typed, _calls_and_tools(messages, request.tools)):
            raise PromptError(FailureKind.BAD_TEMPLATE, UNKNOWN_ORIGINS, "prompt")
        return self._tokens.of_chat(rendered)

    def _check_length(self, text: str, context: int | None) -> None:
        """Reads a text that can hardly fit piece by piece, and no further than twice the context, because where a text
        is cut decides some tokens."""
        if context is None or len(text) <= PIECE + FEW_CHARACTERS * context:
            return
        num_tokens = 0
        for end in range(PIECE, len(text) + PIECE, PIECE):
            num_tokens += len(self._vocabulary.tokenize(text[end - PIECE : end], add_special=False, parse_special=True))
            if num_tokens > 2 * context:
                raise TooLong(num_tokens * len(text) // min(end, len(text)))

    def _checked(self, tokens: list[int]) -> list[int]:
        if not all(0 <= token < self._vocabulary.num_tokens for token in tokens):
            last = self._vocabulary.num_tokens - 1
            sentence = f"Token ids of this model lie between 0 and {last}."
            raise PromptError(FailureKind.BAD_REQUEST, sentence, "prompt")
        return tokens


def _calls_and_tools(messages: tuple[Message, ...], tools: tuple[Tool, ...]) -> list[str]:
    """What templates may write in another way than it was given."""
    texts = [text for message in messages for call in message.tool_calls for text in (call.name, call.arguments)]
    return texts + [text for tool in tools for text in (tool.name, tool.description, tool.parameters)]


def is_chat(prompt: Prompt) -> bool:
    return isinstance(prompt, tuple) and all(isinstance(part, Message) for part in prompt)


def length(prompt: Prompt) -> int:
    """In characters; of token ids none are read."""
    if isinstance(prompt, str):
        return len(prompt)
    if isinstance(prompt, Infill):
        return prompt.num_characters + prompt.num_characters_of_files
    return sum(len(part.content) for part in prompt if isinstance(part, Message))
