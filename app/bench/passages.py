"""Prompts of a wanted length, each unlike all before it from its first word on, so that no prompt cache knows them."""

from itertools import count

from app.lab.text import read_text
from backends.protocol import GREEDY, Generate, Message, SamplingParams

ANSWER = 64  # tokens of an answer that is measured
GUESS = 3.5  # characters of a token, until it is known
QUESTIONS = (
    "Explain why the sky is blue, in some detail.",
    "Write a short story about a lighthouse keeper and a storm.",
    "What should one look at before buying a used bicycle?",
    "Describe how bread is made, step by step.",
)
QUOTE = "Repeat the following text word for word.\n\n"
QUOTE_CHARACTERS = 400


class Passages:
    """Of the text that comes with Slipstream."""

    def __init__(self) -> None:
        self._text = read_text()
        self._numbers = count(1)
        self._characters = GUESS

    def learn(self, characters: int, num_tokens: int) -> None:
        """So many tokens were made of so many characters."""
        if num_tokens:
            self._characters = characters / num_tokens

    def next(self, num_tokens: int) -> str:
        """A text of about so many tokens. All go on alike: other parts of the text have tokens of another length."""
        wanted = max(1, int(num_tokens * self._characters))
        text = self._text * (wanted // len(self._text) + 1)
        return f"{next(self._numbers) * 7919} pages on: {text}"[:wanted]


def reading(prompt: str, max_tokens: int = 1) -> Generate:
    """A raw text, and so many tokens more whatever they are."""
    return Generate(prompt, sampling=GREEDY, max_tokens=max_tokens, ignore_eos=True, draft=False)


def chat(number: int, max_tokens: int, *, draft: bool) -> Generate:
    """One question of a conversation: nothing in it says what its answer will be."""
    question = Message("user", QUESTIONS[number % len(QUESTIONS)])
    sampling = SamplingParams(seed=number + 1)
    return Generate((question,), sampling=sampling, max_tokens=max_tokens, ignore_eos=True, draft=draft)


def quote(number: int, max_tokens: int, *, draft: bool) -> Generate:
    """The answer stands in the question, as when code or a letter is changed a little."""
    text = read_text()
    begin = number * 1511 % max(1, len(text) - QUOTE_CHARACTERS)
    words = text[begin : begin + QUOTE_CHARACTERS]
    return Generate((Message("user", QUOTE + words),), sampling=GREEDY, max_tokens=max_tokens, draft=draft)
