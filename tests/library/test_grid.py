"""No architecture of llama.cpp dies of a header that we let pass: the cases it died of, and a sample of the grid."""

import os
from pathlib import Path

import pytest

from backends.formats import FormatError
from backends.formats.gguf_loadable import check_loadable
from backends.formats.gguf_tables import ARCHITECTURES
from tests.library import grid, sound

pytestmark = pytest.mark.skipif(os.name == "nt", reason="each file is loaded in a fork")
STEP = 61  # coprime with the number of ways to spoil a header, so that each comes up
TOO_FEW_TOKENS = {"chameleon", "qwen3tts"}  # whose output is cut at token 8,196 or 3,072, and ours has 262
BROKEN = {"plm"}  # whose graph in llama.cpp asserts in every prompt
UNMADE = {"dflash", "eagle3", "gemma4-assistant", "gptj", "graniteswitch"}  # drafts, and what llama.cpp never finished
DIED = {
    "smallthinker: as Llama has it": "expert_count",
    "smallthinker: without rope": "expert_count",
    "paddleocr: as Llama has it": "rope.dimension_sections",
    "paddleocr: with experts": "rope.dimension_sections",
    "paddleocr: without rope": "rope.dimension_sections",
    "jamba: recurrent": "attention.head_count_kv",
    "granitehybrid: recurrent": "attention.head_count_kv",
    "jamba, experts: attention.head_count_kv = zeros": "attention.head_count_kv",
    "granitehybrid, experts: attention.head_count_kv = zeros": "attention.head_count_kv",
    "olmo2: without heads": "attention.head_count",
    "phimoe: heads in some layers": "attention.head_count",
    "afmoe, experts: attention.sliding_window = 0": "attention.sliding_window",
    "gemma2, experts: attention.sliding_window_pattern = 1": "attention.sliding_window_pattern",
    "gemma4, experts: attention.shared_kv_layers = 1": "attention.shared_kv_layers",
    "gemma-embedding, experts: attention.sliding_window_pattern = 0": "attention.sliding_window_pattern",
    "deepseek2, experts: attention.key_length = missing": "attention.key_length",
    "deepseek4, experts: attention.output_group_count = 0": "attention.output_group_count",
    "dots1, experts: expert_gating_func = missing": "expert_gating_func",
    "deepseek32, experts: expert_gating_func = 0": "expert_gating_func",
    "glm5-next, experts: hyper_connection.count = 3": "hyper_connection.count",
    "hrm_text, experts: hrm.l_cycles = 0": "hrm.l_cycles",
    "arwkv7, experts: wkv.head_size = 3": "wkv.head_size",
    "arwkv7, experts: token_shift_count = missing": "token_shift_count",
}


@pytest.mark.parametrize("case", DIED)
def test_what_llama_cpp_died_of_is_refused_by_its_setting(case: str, tmp_path: Path) -> None:
    path = grid.write(tmp_path / "spoilt.gguf", grid.draft(*case.split(": ", 1)))
    with pytest.raises(FormatError, match=f"its setting {DIED[case]} is"):
        check_loadable(path)


def test_a_sound_model_of_every_architecture_is_let_pass(tmp_path: Path) -> None:
    made = {label.removesuffix(", experts") for label in sound.models()}
    assert made == ARCHITECTURES - UNMADE
    refused = set()
    for label, draft in sound.models().items():
        try:
            check_loadable(grid.write(tmp_path / "sound.gguf", draft))
        except FormatError:
            refused.add(label.removesuffix(", experts"))
    assert refused == TOO_FEW_TOKENS | BROKEN


def test_a_sample_of_the_grid_ends_no_process() -> None:
    cases = [*grid.names()][::STEP] + [*grid.sound_names()][:: STEP * 4]
    assert {case: how for case, how in grid.run(cases).items() if how} == {}
