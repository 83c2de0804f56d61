"""How often a real model's answer, held to a random schema, is valid JSON of it within 300 tokens; beside llama-server.

python -m tests.bench.schemas [--peers FOLDER] [--schemas 20] [--tokens 300] → tests/bench/results/schemas.md
"""

import argparse
import json
import platform
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from llama_cpp import __version__ as version

from tests.bench.random_schema import matches, random_schema
from tests.bench.servers import Program, Setting, llama_server, running, slipstream
from tests.real import things

TABLE = Path(__file__).parent / "results" / "schemas.md"
TEMPERATURES = (0.0, 0.8)
CONTEXT, PARALLEL = 4096, 4
PATIENCE = 600.0  # seconds for one answer
ASKED = "Invent one example record and write it as JSON."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peers", type=Path, help="the folder of tests.bench.peers")
    parser.add_argument("--schemas", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=300)
    given = parser.parse_args()
    programs = [slipstream()] + ([llama_server(given.peers / "build")] if given.peers else [])
    rows = [row for program in programs for row in _measure(program, given.schemas, given.tokens)]
    TABLE.write_text(_table(rows, given.schemas, given.tokens))
    print(TABLE.read_text())


def _measure(program: Program, num_schemas: int, num_tokens: int) -> Iterator[tuple[str, ...]]:
    setting = Setting(things.smollm2(), CONTEXT, PARALLEL)
    with running(program, setting) as server:
        for temperature in TEMPERATURES:
            answers = [_answer(server.port, seed, temperature, num_tokens) for seed in range(num_schemas)]
            finishes = Counter(finish for finish, _, _ in answers)
            num_valid = sum(is_valid for _, is_valid, _ in answers)
            mean = sum(tokens for _, _, tokens in answers) / num_schemas
            failed = [str(seed) for seed, answer in enumerate(answers) if not answer[1]]
            yield (
                program.name,
                f"{temperature}",
                f"{num_valid} of {num_schemas}",
                f"{finishes['length']}",
                f"{mean:.0f}",
                ", ".join(failed) or "–",
            )


def _answer(port: int, seed: int, temperature: float, num_tokens: int) -> tuple[str, bool, int]:
    """Why it ended, whether it is valid, and how many tokens it has."""
    schema = random_schema(seed)
    body = {
        "messages": [{"role": "user", "content": f"{ASKED} Its fields: {', '.join(schema['properties'])}."}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "record", "schema": schema}},
        "max_tokens": num_tokens,
        "temperature": temperature,
        "seed": seed,
    }
    found = _post(port, body)
    (choice,) = found["choices"]
    text = choice["message"]["content"]
    return choice["finish_reason"], matches(text, schema), found["usage"]["completion_tokens"]


def _post(port: int, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:  # a schema that is not supported
        message = {"content": error.read().decode()}
        return {"choices": [{"finish_reason": "refused", "message": message}], "usage": {"completion_tokens": 0}}


def _table(rows: list[tuple[str, ...]], num_schemas: int, num_tokens: int) -> str:
    head = (
        "# Answers held to random schemas",
        "",
        f"`python -m tests.bench.schemas`, {date.today():%Y-%m-%d}, {platform.machine()}, llama-cpp-python {version}, "
        "SmolLM2-135M-Instruct Q4_1.",
        f"{num_schemas} schemas with seeds from 0, at most {num_tokens} tokens. Valid: the answer is JSON, and of the "
        "schema. Cut: it ended at the limit.",
        "",
        "| server | temperature | valid | cut | tokens, mean | seeds that failed |",
        "|---|---|---|---|---|---|",
    )
    return "\n".join((*head, *(f"| {' | '.join(row)} |" for row in rows), ""))


if __name__ == "__main__":
    main()
