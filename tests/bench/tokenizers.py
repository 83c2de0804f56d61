"""Our vocabularies in llama.cpp beside the libraries that made them, on random texts. No speed test.

`python -m tests.bench.tokenizers [--texts N]` writes results/tokenizers.{json,md}: for each structure of tokenizer
how many texts were compared, how many gave the same tokens, and the first that did not.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from app.jobs.child import run_in_child
from tests.convert import vocabularies
from tests.convert.test_tokenizers import CASES

RESULTS = Path(__file__).parent / "results"
# letters of many scripts, digits, marks, signs, spaces: (first, last)
RANGES = [
    *((0x20, 0x7E), (0x61, 0x7A), (0x41, 0x5A), (0x30, 0x39), (0x20, 0x20), (0x09, 0x0D)),
    *((0xA1, 0x17F), (0x370, 0x3FF), (0x400, 0x4FF), (0x5D0, 0x5EA), (0x620, 0x669), (0x904, 0x939)),
    *((0x3041, 0x30FF), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x2010, 0x2040), (0x20A0, 0x20BF), (0x1F600, 0x1F64F)),
]
FRAGMENTS = ["'s", "'LL", "don't", "  ", "\n\n", "\r\n", " \n", "123", "e.g.", "://", "<|", "|>", "\t\t", "...", "x_y"]
MAX_PIECES = 24


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=10_000)
    arguments = parser.parse_args()
    texts = random_texts(arguments.texts)
    with tempfile.TemporaryDirectory(prefix="slipstream-tokenizers-") as folder:
        rows = measure(Path(folder), texts)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "tokenizers.json").write_text(json.dumps(rows, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    (RESULTS / "tokenizers.md").write_text(table(rows), encoding="utf-8")
    print(table(rows))
    return 0


def random_texts(count: int) -> list[str]:
    chance = random.Random(11)
    return ["".join(_piece(chance) for _ in range(chance.randint(1, MAX_PIECES))) for _ in range(count)]


def _piece(chance: random.Random) -> str:
    if chance.random() < 0.3:
        return chance.choice(FRAGMENTS)
    first, last = chance.choice(RANGES)
    return "".join(chr(chance.randint(first, last)) for _ in range(chance.randint(1, 6)))


def measure(root: Path, texts: list[str]) -> list[dict[str, Any]]:
    folders = [vocabularies.write(root / str(i), case(), bos_token="<s>") for i, case in enumerate(CASES.values())]
    for folder, case in zip(folders, CASES, strict=True):
        vocabularies.to_gguf(folder, architecture=case)
    log = root / "log"
    found = run_in_child("tests.convert.native:faults", log_path=log, folders=folders, texts=texts)
    return [
        {"tokenizer": name, "compared": compared, "equal": compared - len(faults), "first": (faults or [""])[0]}
        for name, (compared, faults) in zip(CASES, found, strict=True)
    ]


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| tokenizer | texts compared | same tokens | first that differs |", "|---|---|---|---|"]
    lines += [f"| {r['tokenizer']} | {r['compared']} | {r['equal']} | {r['first'].replace('|', '¦')} |" for r in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
