"""Real models say with guesses what they say without: greedily, side by side, also where the scheduler is left out."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.jobs.child import run_in_child
from app.jobs.convert import quantize_file
from backends.protocol import DraftMode, EngineOptions, Message
from tests.bench.greedy_prompts import RAW
from tests.guide.answers import TRAINED
from tests.guide.test_guide_answers import Files, guide  # noqa: F401
from tests.llama.test_engine import EXACT
from tests.real import things
from tests.real.guessing import Found

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
NUM_PROMPTS, NUM_TOKENS, DRAFT_LENGTH = 20, 120, 5
NEAR_TIE = 0.001  # in natural logarithms of probabilities: several rows are rounded otherwise than one
QUESTIONS = [(Message("user", question),) for question, _ in TRAINED[:: len(TRAINED) // NUM_PROMPTS]][:NUM_PROMPTS]


@pytest.fixture(scope="module")
def f16(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Without quantized weights, whose kernels round their inputs to 8 bits: single tokens change by a quarter of a nat
    with the number of rows beside them."""
    folder = tmp_path_factory.mktemp("f16")

    def write(name: str) -> Path:
        if not (target := folder / f"{name}.gguf").exists():
            quantize_file(getattr(things, name)(), target, "F16", allow_requantize=True, logs=folder)
        return target

    return write


def said(log: Path, path: Path, prompts: object, **options: object) -> Found:
    found: Found = run_in_child(
        "tests.real.guessing:say",
        log_path=log,
        path=path,
        options=EngineOptions(context=2048, **options),  # type: ignore[arg-type]
        prompts=prompts,
        num_tokens=NUM_TOKENS,
    )
    print(found)
    assert [parting for parting in found.partings if parting.gap > NEAR_TIE] == []
    return found


@pytest.mark.parametrize("parallel", [1, 4])
@pytest.mark.parametrize("name", ["smollm2", "gemma"])
def test_look_ups_change_no_token(name: str, parallel: int, f16: Callable[[str], Path], tmp_path: Path) -> None:
    options = {"parallel": parallel, "draft": DraftMode.LOOKUP, "draft_length": DRAFT_LENGTH}
    found = said(tmp_path / "log", f16(name), RAW[:NUM_PROMPTS], **options, **EXACT)
    assert found.num_accepted > 50
    assert found.num_rejected
    assert found.num_unscheduled


@pytest.mark.parametrize("parallel", [1, 4])
def test_guesses_where_costs_say_that_they_pay_change_no_token(
    parallel: int, f16: Callable[[str], Path], tmp_path: Path
) -> None:
    """So they come and go."""
    options = {"parallel": parallel, "draft": DraftMode.LOOKUP}
    said(tmp_path / "log", f16("smollm2"), RAW[:NUM_PROMPTS], **options, **EXACT)


@pytest.mark.parametrize("parallel", [1, 4])
def test_a_draft_model_changes_no_token_of_the_guide(guide: Files, parallel: int, tmp_path: Path) -> None:  # noqa: F811
    options = {"parallel": parallel, "draft_model": guide.draft, "draft_length": DRAFT_LENGTH}
    assert said(tmp_path / "log", guide.full, QUESTIONS, **options, **EXACT).num_accepted > 50
