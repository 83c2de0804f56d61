"""Real models say the same, to the token, in a KV cache that grows and shrinks under their answer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.jobs.child import run_in_child
from tests.real import things

NUM_TOKENS = 60
CASES = [
    (things.smollm2, True),
    (things.smollm2, False),
    pytest.param(things.gemma, True, marks=pytest.mark.real),  # a window is never loaded in streams
]


@pytest.mark.parametrize(("model", "is_unified"), CASES, ids=["SmolLM2 in a pool", "SmolLM2 in streams", "Gemma"])
def test_an_answer_is_the_same_in_a_cache_that_changes_its_size(
    model: Callable[[], Path], is_unified: bool, tmp_path: Path
) -> None:
    plain, *grown = run_in_child(
        "tests.llama.growing:say",
        log_path=tmp_path / "log",
        path=model(),
        is_unified=is_unified,
        num_tokens=NUM_TOKENS,
        seeds=(None, 1, 2),
    )
    assert len(plain) == NUM_TOKENS
    assert grown == [plain, plain]
