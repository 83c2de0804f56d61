"""No architecture of llama.cpp dies of a header that we let pass: the cases it died of, and a sample of the grid."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.formats import FormatError
from backends.formats.gguf_loadable import check_loadable
from backends.formats.gguf_tables import ARCHITECTURES
from tests.library import grid, sound
from tests.library.gguf_draft import Draft, Tensor

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
F16, Q8_0, BF16 = 1, 8, 30
INEXACT = {  # label, tensor, type: what is added, multiplied or read number by number
    *(("qwen2, experts", "attn_k.scale", kind) for kind in (F16, BF16)),
    ("mamba2, experts", "ssm_in.scale", F16),
    ("exaone4, experts", "rope_freqs.weight", BF16),
    ("minicpm3, experts", "rope_factors_long.weight", F16),
    ("falcon, experts", "attn_norm_2.weight", F16),
    ("arctic, experts", "ffn_norm_exps.weight", F16),
    ("plamo3, experts", "post_attention_norm", Q8_0),
    ("qwen4exp, experts", "ple_norm_key.weight", F16),
    ("mamba, experts", "ssm_conv1d.weight", F16),
    ("kimi-linear, experts", "ssm_conv1d_q.weight", F16),
    ("lfm2, experts", "shortconv.conv.weight", F16),
    ("qwen4exp, experts", "ssm_a", BF16),
    ("mamba2, experts", "ssm_d", F16),
    ("rwkv6, experts", "time_mix_lerp_fused.weight", BF16),
    ("rwkv6, experts", "time_mix_lerp_x.weight", F16),
    ("rwkv7, experts", "channel_mix_lerp_k.weight", Q8_0),
    ("arwkv7, experts", "time_mix_w0.weight", BF16),
    ("gpt-oss, experts", "attn_sinks.weight", F16),
    ("bert, experts", "token_types.weight", F16),
}
MATRICES = (("qwen2moe, experts", "ffn_gate_inp_shexp.weight"), ("bert, experts", "cls.output.weight"))  # of one row


def mpt_with_norms() -> Draft:
    made = grid.having("mpt, experts")
    made.tensors += [Tensor(b"blk.0.attn_q_norm.weight", [256])]
    return made


ODD: dict[str, tuple[Callable[[], Draft], str]] = {
    "nemotron_h without a bias": (
        lambda: grid.bare("nemotron_h, experts", "ssm_conv1d.bias"),
        r"'blk\.\d\.ssm_conv1d.bias' is missing",
    ),
    "falcon-h1 without a bias": (lambda: grid.bare("falcon-h1, experts", "ssm_conv1d.bias"), "bias' is missing"),
    "glm-dsa without an indexer": (
        lambda: grid.bare("glm-dsa, experts", "indexer.proj.weight"),
        "proj.weight' is missing",
    ),
    "arwkv7 with half a gate": (
        lambda: grid.bare("arwkv7, experts", "time_mix_g1.weight"),
        "time_mix_g1.weight' is missing",
    ),
    "arwkv7 with the other half": (
        lambda: grid.bare("arwkv7, experts", "time_mix_g2.weight"),
        "time_mix_g2.weight' is missing",
    ),
    "mpt with norms": (mpt_with_norms, "holds a tensor 'attn_q_norm.weight'"),
    "gpt-oss": (lambda: grid.having("gpt-oss, experts", attention__value_length=512), "attention.value_length is 512"),
    "qwen": (lambda: grid.having("qwen, experts", attention__key_length=512), "attention.key_length is 512"),
    "gpt-oss, window": (
        lambda: grid.having("gpt-oss, experts", attention__key_length_swa=576),
        "attention.key_length_swa is 576",
    ),
    "muse-glimmer, window": (
        lambda: grid.having("muse-glimmer, experts", attention__key_length_swa=576),
        "attention.key_length_swa is 576",
    ),
    "laguna, window": (
        lambda: grid.having("laguna, experts", attention__value_length_swa=512),
        "attention.value_length_swa is 512",
    ),
    "gemma3, window": (
        lambda: grid.having("gemma3, experts", rope__dimension_count_swa=0),
        "rope.dimension_count_swa is 0",
    ),
    "hy_v3, layers": (
        lambda: grid.having("hy_v3, experts", attention__head_count_kv=[2, 0]),
        "attention.head_count_kv is",
    ),
    "arcee, layers": (
        lambda: grid.having("arcee, experts", attention__head_count=[2, 1], attention__head_count_kv=[2, 1]),
        "attention.head_count is",
    ),
}


@pytest.mark.parametrize(("label", "tensor", "kind"), sorted(INEXACT))
def test_what_is_not_multiplied_as_a_matrix_is_exact(label: str, tensor: str, kind: int, tmp_path: Path) -> None:
    path = grid.write(tmp_path / "spoilt.gguf", grid.typed(label, tensor, kind))
    with pytest.raises(FormatError, match=rf"its tensor '\S*{tensor}' is of the type"):
        check_loadable(path)


@pytest.mark.parametrize("case", ODD)
def test_odd_headers_are_refused_by_what_is_odd(case: str, tmp_path: Path) -> None:
    make, sentence = ODD[case]
    with pytest.raises(FormatError, match=sentence):
        check_loadable(grid.write(tmp_path / "spoilt.gguf", make()))


def test_nothing_is_refused_that_llama_cpp_would_live_through() -> None:
    drafts = {f"{label}: {tensor} {kind}": grid.typed(label, tensor, kind) for label, tensor, kind in INEXACT}
    drafts |= {case: make() for case, (make, _) in ODD.items()}
    assert set(drafts) - set(grid.deaths(drafts)) == set()


def test_matrices_of_one_row_may_be_of_any_type(tmp_path: Path) -> None:
    drafts = {label: grid.typed(label, tensor, F16) for label, tensor in MATRICES}
    for made in drafts.values():
        check_loadable(grid.write(tmp_path / "sound.gguf", made))
    assert grid.deaths(drafts) == {}


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
