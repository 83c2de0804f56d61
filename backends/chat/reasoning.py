"""How models mark off what they think before they answer. One table; what a template uses of it is found elsewhere."""

from dataclasses import dataclass

from backends.chat.reader import Steps, Stops
from backends.chat.syntax import Parsing


@dataclass(frozen=True, slots=True)
class Reasoning:
    """marks: texts around the answer that are no part of it. is_anywhere: it may come again behind a text; else only an
    answer may begin with it. ending: what to write in the model's place when it has thought enough."""

    name: str
    opener: str
    closer: str
    ending: str
    marks: tuple[str, ...] = ()
    is_anywhere: bool = False

    def is_open(self, prompt: str) -> bool:
        """Whether a prompt ends within it: the answer begins with thoughts."""
        return prompt.rstrip().endswith(self.opener)

    def is_left_open(self, begun: str) -> bool:
        """Whether the beginning of an answer does."""
        return begun.rfind(self.opener) > begun.rfind(self.closer)


REASONINGS = (
    Reasoning("think", "<think>", "</think>", "\n</think>\n\n", ("<response>", "</response>")),  # Granite 3's answers
    Reasoning("magistral", "[THINK]", "[/THINK]", "[/THINK]", is_anywhere=True),
    Reasoning(
        "command",
        "<|START_THINKING|>",
        "<|END_THINKING|>",
        "<|END_THINKING|>",
        ("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"),
        is_anywhere=True,
    ),
    Reasoning(
        "harmony",
        "<|channel|>analysis<|message|>",
        "<|end|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
        is_anywhere=True,
    ),
    Reasoning("gemma", "<|channel>thought", "<channel|>", "\n<channel|>", is_anywhere=True),
    Reasoning("seed", "<seed:think>", "</seed:think>", "\n</seed:think>\n"),
    Reasoning("thinking", "<thinking>", "</thinking>", "\n</thinking>\n\n"),
    Reasoning("minimax", "<mm:think>", "</mm:think>", "\n</mm:think>\n\n"),
    Reasoning("hunyuan", "<think:opensource>", "</think:opensource>", "</think:opensource>"),
    Reasoning(
        "apriel",
        "Here are my reasoning steps:",
        "[BEGIN FINAL RESPONSE]",
        "\n[BEGIN FINAL RESPONSE]\n",
        ("[BEGIN FINAL RESPONSE]", "[END FINAL RESPONSE]"),
    ),
    Reasoning(
        "kimi",
        "<|open|>think<|sep|>",
        "<|close|>think<|sep|>",
        "<|close|>think<|sep|>",
        ("<|open|>response<|sep|>", "<|close|>response<|sep|>"),
    ),
    Reasoning(
        "solar", "<|think|>", "<|end|>", "<|end|><|begin|>assistant<|content|>", ("<|begin|>assistant<|content|>",)
    ),
)


def read_thoughts(parsing: Parsing, reasoning: Reasoning) -> Steps[None]:
    """Up to their end, and that. What begins a thought has been read."""
    telling, reader = parsing.telling, parsing.reader
    telling.markup()
    if (yield from reader.until(Stops((reasoning.closer,)), lambda _: telling.thought())):
        yield from reader.expect(reasoning.closer)
        telling.markup()


def named(name: str | None) -> Reasoning | None:
    return next((reasoning for reasoning in REASONINGS if reasoning.name == name), None)
