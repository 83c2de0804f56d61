"""What a grammar costs an answer's speed: `python -m tests.bench.grammar_speed [--pairs 4] [--tokens 200]`.

One server for each vocabulary; the same question is answered freely and held to a schema that could go on without end,
in turns, after a pair of two free answers, which shows what equal is. Drafts are off. Tokens per second as a client
sees them, and the processor time per token of the server and its engine. → tests/bench/results/grammar_speed.md
"""

import argparse
import sys
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from llama_cpp import __version__ as version

from tests.bench.busy import NO_DRAFT
from tests.bench.client import ask
from tests.bench.pairs import Figures, compare
from tests.bench.run import machine
from tests.bench.servers import Server, Setting, running, slipstream
from tests.real import things

PAGE = Path(__file__).parent / "results" / "grammar_speed.md"
CONTEXT = 2048
FREE, HELD, AGAIN = "free", "held", "free again"
SPEED, WORK = "tokens/s", "processor ms per token"
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "likes": {"type": "string"}},
    "required": ["name", "age", "likes"],
}
SCHEMA = {"type": "array", "items": PERSON, "minItems": 100}
QUESTION = "Write a JSON list of a hundred invented people, each with a name, an age and what they like, in a sentence."


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Of a model, and how much of a free answer's speed a held one keeps at least."""

    name: str
    model: Path
    wanted: float


def answer(server: Server, num_tokens: int, fields: dict[str, Any]) -> Figures:
    """Raises RuntimeError where the answer ended before its tokens."""
    before = server.cpu_seconds
    (reply,) = ask(server.port, _body(num_tokens, fields), path="/v1/chat/completions")
    if reply.num_tokens < num_tokens:
        raise RuntimeError(f"it ended after {reply.num_tokens} tokens: {reply.text[-200:]}")
    return {SPEED: reply.tokens_per_second, WORK: 1e3 * (server.cpu_seconds - before) / reply.num_tokens}


def _body(num_tokens: int, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": num_tokens,
        "temperature": 0.8,
        "seed": 7,
        "stream": True,
        "stream_options": {"include_usage": True},
        **fields,
    }


def measured(vocabulary: Vocabulary, num_pairs: int, num_tokens: int) -> list[dict[str, Any]]:
    """One row for each figure; its `equal` is of two free answers."""
    held = {"response_format": {"type": "json_schema", "json_schema": {"name": "people", "schema": SCHEMA}}}
    with running(slipstream(), Setting(vocabulary.model, CONTEXT, extra=NO_DRAFT)) as server:
        freely = partial(answer, server, num_tokens, {"ignore_eos": True})
        bound = partial(answer, server, num_tokens, held)
        freely(), bound()  # the grammar is compiled, the prompt read
        equal = compare((FREE, freely), (AGAIN, freely), num_pairs).rows()
        rows = compare((HELD, bound), (FREE, freely), num_pairs).rows()
    return [{**row, "equal": same["ratio"]} for row, same in zip(rows, equal, strict=True)]


def page(found: dict[Vocabulary, list[dict[str, Any]]], num_tokens: int) -> str:
    about = machine()
    lines = [
        "# What a grammar costs",
        "",
        f"`python -m tests.bench.grammar_speed`, {date.today():%Y-%m-%d}, {about['processor']}, "
        f"{about['cores']} cores, llama-cpp-python {version}.",
        f"Answers of {num_tokens} tokens at temperature 0.8, held to a schema of a list of objects, and free; the "
        "median of pairs in turns (lowest to highest). “Equal”: a free answer over a free one.",
        "",
        "| vocabulary | | held | free | held over free | equal | wanted |",
        "|---|---|---|---|---|---|---|",
    ]
    for vocabulary, rows in found.items():
        for row in rows:
            ratio = f"**{row['ratio']:.3f}** ({row['lowest']:.3f}-{row['highest']:.3f})"
            wanted = ""
            if row["figure"] == SPEED:
                verdict = "reached" if row["ratio"] >= vocabulary.wanted else "missed"
                wanted = f"≥ {vocabulary.wanted}: {verdict}"
            figures = f"{row[HELD]:.4g} | {row[FREE]:.4g} | {ratio} | {row['equal']:.3f}"
            lines.append(f"| {vocabulary.name} | {row['figure']} | {figures} | {wanted} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=200)
    given = parser.parse_args()
    vocabularies = (
        Vocabulary("49k (SmolLM2 135M)", things.smollm2(), 0.9),
        Vocabulary("262k (Gemma 3 270M)", things.gemma(), 0.8),
    )
    found = {vocabulary: measured(vocabulary, given.pairs, given.tokens) for vocabulary in vocabularies}
    PAGE.write_text(page(found, given.tokens), "utf-8")
    sys.stdout.write(PAGE.read_text("utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
