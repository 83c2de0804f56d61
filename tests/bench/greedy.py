"""Greedy texts of real models in F16 weights beside llama-server's of the same llama.cpp, token for token.

`python -m tests.bench.greedy PEERS [--work FOLDER]` writes results/greedy.{json,md}. PEERS is what `tests.bench.peers`
has built. Both servers get the same options: two threads, no drafts, no cache, F16 keys and values, no flash attention.
Where two texts part, what each server thought of both tokens there is shown: a near tie is one of rounding.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.bench.greedy_prompts import CHATML, CHATS, RAW
from tests.bench.servers import Setting, llama_server, running, slipstream
from tests.real import things

RESULTS = Path(__file__).parent / "results"
NUM_TOKENS = 64
CONTEXT = 1024
TIMEOUT = 600.0
HALF = "\ufffd"
NEAR_TIE = 0.05  # in natural logarithms of probabilities
OURS = ("--draft", "off", "--prompt-cache-ram", "0", "--prompt-cache-disk", "0")
NOTE = (
    "A chat with Gemma is not compared: it has no chat template, llama-server takes ChatML for it, whose "
    "markers are no tokens of Gemma's, and we take a plain dialogue."
)


@dataclass(frozen=True, slots=True)
class Said:
    """A text, its tokens, and at each of them the logarithms of the likeliest two, best first."""

    text: str
    tokens: tuple[str, ...]
    likely: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Case:
    model: str
    kind: str
    prompt: str

    def body(self, **fields: Any) -> dict[str, Any]:
        asked = {"messages": [{"role": "user", "content": self.prompt}]} if self.is_chat else {"prompt": self.prompt}
        return {**asked, "max_tokens": NUM_TOKENS, "temperature": 0, **fields}

    @property
    def is_chat(self) -> bool:
        return self.kind == "chat"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path)
    parser.add_argument("--work", type=Path, help="where F16 files are kept (a new folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slipstream-greedy-") as folder:
        work = arguments.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        rows = [row for name in MODELS for row in measure(name, arguments.peers / "build", work)]
    (RESULTS / "greedy.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "greedy.md").write_text(table(rows), encoding="utf-8")
    print(table(rows))
    return 0


MODELS = {"SmolLM2-135M-Instruct": things.smollm2, "Gemma 3 270M": things.gemma}


def measure(name: str, build: Path, work: Path) -> list[dict[str, Any]]:
    """One row a prompt. The servers run one after the other."""
    setting = Setting(f16(MODELS[name](), build, work), CONTEXT, flash="off")
    cases = [Case(name, "raw", prompt) for prompt in RAW]
    if name.startswith("SmolLM2"):
        cases += [Case(name, "chat", question) for question in CHATS]
        cases += [Case(name, "raw, with control tokens", prompt) for prompt in CHATML]
    said = []
    for program, extra in ((slipstream(), OURS), (llama_server(build), ("--cache-ram", "0"))):
        one = Setting(setting.model, CONTEXT, flash="off", extra=extra)
        with running(program, one) as server, httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
            read = ours if program.name == "slipstream" else theirs
            said.append([read(client, case) for case in cases])
    return [row(case, us, them) for case, us, them in zip(cases, *said, strict=True)]


def f16(source: Path, build: Path, work: Path) -> Path:
    """The model with its weights written out, so that no quantized kernel rounds otherwise."""
    target = work / f"{source.stem}.f16.gguf"
    if not target.exists():
        tool = build / "bin" / "llama-quantize"
        command = [str(tool), "--allow-requantize", str(source), str(target.with_suffix(".part")), "F16"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        target.with_suffix(".part").rename(target)
    return target


def ours(client: httpx.Client, case: Case) -> Said:
    if case.is_chat:
        return theirs(client, case)
    choice = _post(client, "/v1/completions", case.body(logprobs=2))["choices"][0]
    logprobs = choice["logprobs"] or {"tokens": [], "top_logprobs": []}
    likely = tuple(tuple(sorted(top.values(), reverse=True)) for top in logprobs["top_logprobs"])
    return Said(choice["text"], tuple(logprobs["tokens"]), likely)


def theirs(client: httpx.Client, case: Case) -> Said:
    """OpenAI's shape of a chat, which both have; llama-server's own for a text."""
    if case.is_chat:
        body = case.body(logprobs=True, top_logprobs=2, cache_prompt=False)
        choice = _post(client, "/v1/chat/completions", body)["choices"][0]
        return _said(choice["message"]["content"], (choice["logprobs"] or {"content": []})["content"])
    body = {**case.body(n_probs=2, cache_prompt=False), "n_predict": NUM_TOKENS}
    found = _post(client, "/completion", body)
    return _said(found["content"], found["completion_probabilities"])


def _said(text: str, entries: list[dict[str, Any]]) -> Said:
    tokens = tuple(bytes(entry["bytes"]).decode("utf-8", "replace") for entry in entries)
    likely = tuple(tuple(sorted((top["logprob"] for top in entry["top_logprobs"]), reverse=True)) for entry in entries)
    return Said(text, tokens, likely)


def _post(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = client.post(path, json=body, timeout=TIMEOUT)
    response.raise_for_status()
    found: dict[str, Any] = response.json()
    return found


def row(case: Case, us: Said, them: Said) -> dict[str, Any]:
    same = us.text == them.text.rstrip(HALF) and are_alike(us.tokens, them.tokens)
    found = {"model": case.model, "kind": case.kind, "prompt": case.prompt, "tokens": len(us.tokens), "same": same}
    if not same:
        at = next((i for i, (a, b) in enumerate(zip(us.tokens, them.tokens, strict=False)) if a != b), None)
        found |= {"parted_at": at, "ours": us.text, "theirs": them.text}
        if at is not None:
            gaps = [likely[0] - likely[-1] for likely in (us.likely[at], them.likely[at])]
            found |= {"our_gap": round(gaps[0], 4), "their_gap": round(gaps[1], 4)}
    return found


def are_alike(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    """llama-server tells of half characters only when they are whole, under the last half's token; and shows one at the
    end of a limited answer."""
    whole = [token for token in ours if HALF not in token]
    rest = iter(theirs)
    return all(token in rest for token in whole) and len(theirs) <= len(ours) + 1  # an end of the text may be told


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "# Greedy texts beside llama-server's",
        "",
        f"`python -m tests.bench.greedy PEERS`: weights in F16, up to {NUM_TOKENS} tokens each, same llama.cpp.",
        "",
        "| model | prompts | compared | tokens | the same | near ties | others |",
        "|---|---|---|---|---|---|---|",
    ]
    for model, kind in dict.fromkeys((row["model"], row["kind"]) for row in rows):
        own = [row for row in rows if (row["model"], row["kind"]) == (model, kind)]
        parted = [row for row in own if not row["same"]]
        ties = [row for row in parted if min(row.get("our_gap", 9), row.get("their_gap", 9)) <= NEAR_TIE]
        num_tokens = sum(row["tokens"] for row in own)
        counts = (len(own), num_tokens, len(own) - len(parted), len(ties), len(parted) - len(ties))
        lines.append(f"| {model} | {kind} | {' | '.join(map(str, counts))} |")
    for row in rows:
        if not row["same"]:
            gaps = f"the two likeliest are {row.get('our_gap')} (ours) and {row.get('their_gap')} (theirs) apart"
            lines += ["", f"{row['model']}, {row['prompt']!r}: they part at token {row['parted_at']}, where {gaps}."]
    return "\n".join([*lines, "", NOTE, ""])


if __name__ == "__main__":
    sys.exit(main())
