"""Questions and answers, and the conversations made of them. Knows text and token ids, nothing of models."""

import random
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

QUESTIONS = Path(__file__).with_name("questions.toml")

# one answer to very many questions: it needs more turns than the others
_OFF_TOPIC_SHARE = 24

_SYSTEM_MESSAGES = (
    "You are a helpful assistant.",
    "You are the Slipstream Guide.",
    "You are a helpful, honest assistant. Answer briefly.",
    "Answer questions about Slipstream.",
    "Be concise.",
)

# Openings that ask the same thing; an augmented question may trade one for another of its row.
_OPENINGS = (
    ("How do I ", "How can I ", "How to ", "How would I ", "What is the way to ", "Tell me how to ", "I want to "),
    (
        "What is ",
        "What's ",
        "Explain ",
        "Tell me about ",
        "Can you explain ",
        "Describe ",
        "Define ",
        "What exactly is ",
    ),
    ("What are ", "Explain ", "Tell me about ", "What exactly are "),
    ("Can I ", "Is it possible to ", "Could I ", "Am I able to "),
    ("Does Slipstream ", "Can Slipstream ", "Will Slipstream ", "Does it ", "Does the app "),
    ("Which ", "What "),
    ("Where is ", "Where can I find ", "Where do I find "),
    ("Why does ", "How come ", "Why would "),
    ("Is there ", "Does Slipstream have ", "Do you have ", "Is there really "),
)
_PREFIXES = (
    "hey, ",
    "hi, ",
    "please ",
    "can you tell me: ",
    "tell me, ",
    "so, ",
    "quick question: ",
    "I wonder: ",
    "well, ",
    "um, ",
    "and ",
    "ok, ",
)
_SUFFIXES = (" please", ", please", " in Slipstream", " here", " in short", " thanks", " exactly", " then")
_DROPPABLE = {"the", "a", "an", "is", "are", "do", "does", "of", "to", "my", "in", "on", "for", "with", "it", "this"}
_DROPPABLE |= {"that", "i", "so", "very"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer with every way to ask for it. `held_out` questions are never trained."""

    topic: str
    question: str
    paraphrases: tuple[str, ...]
    held_out: tuple[str, ...]
    answer: str

    @property
    def trained(self) -> tuple[str, ...]:
        return (self.question, *self.paraphrases)


@dataclass(frozen=True, slots=True)
class Example:
    """A conversation as token ids; `is_answer` marks the tokens that the assistant writes."""

    tokens: list[int]
    is_answer: list[bool]


def load_entries(path: Path = QUESTIONS) -> list[Entry]:
    topics = tomllib.loads(path.read_text(encoding="utf-8"))
    return [_entry(topic, raw) for topic, rows in topics.items() for raw in rows]


def _entry(topic: str, raw: dict[str, str | list[str]]) -> Entry:
    return Entry(
        topic=topic,
        question=str(raw["question"]),
        paraphrases=tuple(raw["paraphrases"]),
        held_out=tuple(raw["held_out"]),
        answer=str(raw["answer"]).strip(),
    )


def normalised(question: str) -> str:
    """What two spellings of one question have in common: no case, no punctuation, single spaces."""
    return " ".join(re.findall(r"\w+", question.casefold()))


class Augmenter:
    """Rewords trained questions at random, and never into a held-out one."""

    def __init__(self, entries: list[Entry], rng: random.Random) -> None:
        self.rng = rng
        self.held_out = {normalised(question) for entry in entries for question in entry.held_out}

    def reword(self, question: str) -> str:
        text = question
        if self._chance(0.35):
            text = self._trade_opening(text)
        if self._chance(0.15):
            text = text.replace("Slipstream", self.rng.choice(("the app", "this app", "slipstream", "this program")))
        if self._chance(0.2):
            text = self._change_words(text)
        if self._chance(0.1):
            text = self._mistype(text)
        text = self._decorate(text)
        return question if normalised(text) in self.held_out else text

    def _chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def _trade_opening(self, text: str) -> str:
        for row in _OPENINGS:
            for opening in row:
                if text.startswith(opening):
                    return self.rng.choice(row) + text[len(opening) :]
        return text

    def _change_words(self, text: str) -> str:
        words = text.split(" ")
        if len(words) < 4:
            return text
        if self._chance(0.6):
            droppable = [i for i, word in enumerate(words) if word.casefold() in _DROPPABLE]
            if droppable:
                words.pop(self.rng.choice(droppable))
        else:
            i = self.rng.randrange(len(words) - 1)
            words[i], words[i + 1] = words[i + 1], words[i]
        return " ".join(words)

    def _mistype(self, text: str) -> str:
        words = text.split(" ")
        long = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha()]
        if not long:
            return text
        i = self.rng.choice(long)
        at = self.rng.randrange(1, len(words[i]) - 1)
        word = words[i]
        swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        words[i] = self.rng.choice((word[:at] + word[at + 1 :], swapped, word[:at] + word[at] + word[at:]))
        return " ".join(words)

    def _decorate(self, text: str) -> str:
        if self._chance(0.45):
            text = text.rstrip(".?!")
        if self._chance(0.08):
            text = text.rstrip(".?!") + self.rng.choice(_SUFFIXES) + self.rng.choice(("?", "", "."))
        if self._chance(0.1):
            text = self.rng.choice(_PREFIXES) + text[:1].lower() + text[1:]
        if self._chance(0.35):
            text = text.lower()
        return text + self.rng.choice(("?", "!", " ?", "...")) if self._chance(0.05) else text


class ChatEncoder:
    """Writes ChatML, as the chat template in `tokenizer_config.json` does."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text).ids
        return ids

    def encode(self, turns: list[tuple[str, str]], system: str | None = None) -> Example:
        tokens = self._ids(f"<|im_start|>system\n{system}<|im_end|>\n") if system else []
        is_answer = [False] * len(tokens)
        for question, answer in turns:
            ask = self._ids(f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n")
            reply, newline = self._ids(f"{answer}<|im_end|>"), self._ids("\n")
            tokens += ask + reply + newline
            is_answer += [False] * len(ask) + [True] * len(reply) + [False] * len(newline)
        return Example(tokens, is_answer)


class Conversations:
    """An endless stream of random chats about the entries, every entry equally often."""

    def __init__(self, entries: list[Entry], encoder: ChatEncoder, seed: int, max_tokens: int) -> None:
        self.entries, self.encoder, self.max_tokens = entries, encoder, max_tokens
        self.rng = random.Random(seed)
        self.augmenter = Augmenter(entries, self.rng)
        self._deck: list[Entry] = []

    def _draw(self) -> Entry:
        if not self._deck:
            self._deck = [e for e in self.entries for _ in range(_OFF_TOPIC_SHARE if e.topic == "off_topic" else 1)]
            self.rng.shuffle(self._deck)
        return self._deck.pop()

    def _turn(self) -> tuple[str, str]:
        entry = self._draw()
        question = self.rng.choice(entry.trained)
        return (self.augmenter.reword(question) if self.rng.random() < 0.65 else question, entry.answer)

    def example(self) -> Example:
        # a few very long chats teach it to find the last question in any history
        num_turns = self.rng.choices((1, 2, 3, 4, 5, 16), weights=(48, 24, 13, 8, 5, 2))[0]
        system = self.rng.choice(_SYSTEM_MESSAGES) if self.rng.random() < 0.25 else None
        turns = [self._turn()]
        example = self.encoder.encode(turns, system)
        while len(turns) < num_turns:
            turns.append(self._turn())
            longer = self.encoder.encode(turns, system)
            if len(longer.tokens) > self.max_tokens:
                break
            example = longer
        return example

    def batches(self, max_tokens: int, pool: int = 256) -> Iterator[list[Example]]:
        """Yields lists of examples of like length whose padded size stays near `max_tokens`."""
        while True:
            examples = sorted((self.example() for _ in range(pool)), key=lambda e: len(e.tokens))
            batches = list(_cut(examples, max_tokens))
            self.rng.shuffle(batches)
            yield from batches


def _cut(examples: list[Example], max_tokens: int) -> Iterator[list[Example]]:
    batch: list[Example] = []
    for example in examples:
        if batch and (len(batch) + 1) * len(example.tokens) > max_tokens:
            yield batch
            batch = []
        batch.append(example)
    if batch:
        yield batch
