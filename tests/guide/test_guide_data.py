"""The guide's questions and the checkpoints committed with them."""

import json
import struct
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.guide import DRAFT_DIR, GUIDE_DIR, SUGGESTED_QUESTIONS, TOUR_QUESTION

QUESTIONS = Path(__file__).parents[2] / "packaging" / "guide" / "questions.toml"
CHECKPOINT_FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)
NUM_WEIGHTS = {GUIDE_DIR: range(6_000_000, 10_000_001), DRAFT_DIR: range(1_000_000, 2_000_001)}


@pytest.fixture(scope="module")
def entries() -> list[dict[str, Any]]:
    topics = tomllib.loads(QUESTIONS.read_text(encoding="utf-8"))
    return [entry for rows in topics.values() for entry in rows]


def shapes(folder: Path) -> dict[str, list[int]]:
    """Reads the header of a safetensors file: eight bytes of length, then JSON."""
    with (folder / "model.safetensors").open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    assert {tensor["dtype"] for tensor in header.values()} == {"F16"}
    return {name: tensor["shape"] for name, tensor in header.items()}


def trained(entry: dict[str, Any]) -> list[str]:
    return [entry["question"], *entry["paraphrases"]]


def test_guide_knows_300_answers_asked_in_many_ways(entries: list[dict[str, Any]]) -> None:
    assert len(entries) >= 300
    for entry in entries:
        assert len(entry["paraphrases"]) >= 4, entry["question"]
        assert entry["held_out"], entry["question"]
        assert entry["answer"].strip(), entry["question"]


def test_no_question_occurs_twice(entries: list[dict[str, Any]]) -> None:
    asked = Counter(q.casefold().strip() for entry in entries for q in (*trained(entry), *entry["held_out"]))
    assert [question for question, count in asked.items() if count > 1] == []


def test_no_answer_occurs_twice(entries: list[dict[str, Any]]) -> None:
    answers = Counter(entry["answer"].strip() for entry in entries)
    assert [answer for answer, count in answers.items() if count > 1] == []


def test_held_out_questions_are_not_trained_even_in_other_punctuation(entries: list[dict[str, Any]]) -> None:
    def bare(question: str) -> str:
        return "".join(c for c in question.casefold() if c.isalnum())

    known = {bare(question) for entry in entries for question in trained(entry)}
    assert [q for entry in entries for q in entry["held_out"] if bare(q) in known] == []


def test_off_topic_questions_share_one_refusal() -> None:
    topics = tomllib.loads(QUESTIONS.read_text(encoding="utf-8"))
    assert len(topics["off_topic"]) == 1
    assert len(trained(topics["off_topic"][0])) >= 60


def test_suggested_questions_are_trained(entries: list[dict[str, Any]]) -> None:
    known = {question for entry in entries for question in trained(entry)}
    assert known.issuperset({*SUGGESTED_QUESTIONS, TOUR_QUESTION})


@pytest.mark.parametrize("folder", [GUIDE_DIR, DRAFT_DIR], ids=["guide", "draft"])
def test_checkpoint_is_complete(folder: Path) -> None:
    assert [name for name in CHECKPOINT_FILES if not (folder / name).is_file()] == []


@pytest.mark.parametrize("folder", [GUIDE_DIR, DRAFT_DIR], ids=["guide", "draft"])
def test_every_matrix_has_rows_that_k_quants_can_pack(folder: Path) -> None:
    matrices = {name: shape for name, shape in shapes(folder).items() if len(shape) == 2}
    assert matrices
    assert [name for name, shape in matrices.items() if shape[-1] % 256] == []


@pytest.mark.parametrize("folder", [GUIDE_DIR, DRAFT_DIR], ids=["guide", "draft"])
def test_checkpoint_has_the_promised_size(folder: Path) -> None:
    num_weights = sum(shape[0] * (shape[1] if len(shape) == 2 else 1) for shape in shapes(folder).values())
    assert num_weights in NUM_WEIGHTS[folder]


def test_weights_stay_small_in_the_repository() -> None:
    weights = [path for folder in (GUIDE_DIR, DRAFT_DIR) for path in folder.glob("*.safetensors")]
    assert len(weights) == 2
    assert sum(path.stat().st_size for path in weights) <= 30_000_000


def test_draft_and_target_share_one_tokenizer() -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (GUIDE_DIR / name).read_bytes() == (DRAFT_DIR / name).read_bytes()
