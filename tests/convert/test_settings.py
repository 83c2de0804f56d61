"""A config.json is read as transformers 4 and 5 write it, and refused where llama.cpp would compute something else."""

from pathlib import Path
from typing import Any

import pytest

from backends.child import Refusal
from backends.convert.config import Size
from backends.convert.rope import FULL, LOCAL, RopeKind
from backends.convert.settings import read_config
from tests.convert import checkpoints

BASE: dict[str, dict[str, Any]] = {
    "Gemma2ForCausalLM": {
        "hidden_act": "gelu_pytorch_tanh",
        "head_dim": 64,
        "query_pre_attn_scalar": 64,
        "sliding_window": 128,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "tie_word_embeddings": True,
    },
    "Gemma3ForCausalLM": {
        "hidden_act": None,
        "head_dim": 64,
        "query_pre_attn_scalar": 64,
        "sliding_window": 128,
        "tie_word_embeddings": True,
        "rope_local_base_freq": 10_000.0,
    },
    "Qwen3MoeForCausalLM": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "norm_topk_prob": True,
    },
    "DeepseekV2ForCausalLM": {
        "num_hidden_layers": 27,
        "num_key_value_heads": 4,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "n_shared_experts": 1,
        "kv_lora_rank": 16,
        "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 8,
        "v_head_dim": 16,
    },
    "GptOssForCausalLM": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 32},
    "Gemma4ForCausalLM": {
        "hidden_act": None,
        "head_dim": 64,
        "tie_word_embeddings": True,
        "layer_types": [LOCAL, FULL],
        "rope_parameters": {FULL: {"rope_type": "proportional", "rope_theta": 1e6}, LOCAL: {"rope_theta": 1e4}},
    },
    "Qwen3_5ForCausalLM": {
        **{f"linear_{key}": 4 for key in ("num_key_heads", "num_value_heads", "key_head_dim", "value_head_dim")},
        "linear_conv_kernel_dim": 4,
        "num_hidden_layers": 4,
        "head_dim": 64,
    },
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
HALF_A_ROPE = {FULL: {"rope_theta": 1e6}, LOCAL: {"rope_type": "default"}}
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "scale of attention": ("Gemma2ForCausalLM", {"query_pre_attn_scalar": 100}, "query_pre_attn_scalar of 100"),
    "both directions": ("Gemma2ForCausalLM", {"use_bidirectional_attention": True}, "use_bidirectional_attention of"),
    "untied": ("Gemma2ForCausalLM", {"tie_word_embeddings": False}, "tie_word_embeddings of False"),
    "softcap of attention": ("Gemma3ForCausalLM", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping of 50"),
    "another pattern": ("Gemma3ForCausalLM", {"sliding_window_pattern": 4}, "sliding_window_pattern of 4"),
    "layers missing": ("Gemma3ForCausalLM", {"layer_types": ["full_attention"]}, "as long as the model is deep"),
    "routing": ("Qwen3MoeForCausalLM", {"norm_topk_prob": False}, "norm_topk_prob of False"),
    "dense layers": ("Qwen3MoeForCausalLM", {"mlp_only_layers": [0]}, r"mlp_only_layers of \[0\]"),
    "rope by layers": ("SmolLM3ForCausalLM", {"no_rope_layers": [1, 0]}, "no_rope_layers that is not every fourth"),
    "rope by an interval": ("SmolLM3ForCausalLM", {"no_rope_layer_interval": 3}, "no_rope_layer_interval of 3"),
    "window": ("SmolLM3ForCausalLM", {"use_sliding_window": True, "sliding_window": 8}, "sliding window"),
    "head of Granite": ("GraniteForCausalLM", {"head_dim": 32}, "head_dim other than hidden_size"),
    "tied OLMo": ("Olmo2ForCausalLM", {"tie_word_embeddings": True}, "output matrix that is the embedding"),
    "layers of convolution": ("Lfm2ForCausalLM", {"conv_L_cache": 3}, "names no layer_types"),
    "depth of MLA": ("DeepseekV2ForCausalLM", {"num_hidden_layers": 5}, "in a model of 5 layers"),
    "groups of experts": ("DeepseekV2ForCausalLM", {"topk_method": "group_limited_greedy"}, "topk_method of"),
    "groups that greed ignores": ("DeepseekV2ForCausalLM", {"n_group": 2}, "n_group of 2 without"),
    "yarn of MLA": ("DeepseekV2ForCausalLM", {"rope_scaling": YARN}, "without mscale_all_dim"),
    "yarn of MLA that scales": (
        "DeepseekV2ForCausalLM",
        {"rope_scaling": {**YARN, "mscale": 1.0, "mscale_all_dim": 1.0, "attention_factor": 1.1386294361119891}},
        "attention_factor of its own",
    ),
    "clamp": ("GptOssForCausalLM", {"rope_scaling": YARN, "swiglu_limit": 5.0}, "swiglu_limit of 5.0"),
    "rounded yarn": ("GptOssForCausalLM", {"rope_scaling": {**YARN, "truncate": False}}, "truncate = False"),
    "yarn without a length": ("Qwen3ForCausalLM", {"rope_scaling": {**YARN, "factor": "x"}}, "no valid factor"),
    "both ropes": (
        "LlamaForCausalLM",
        {"rope_scaling": YARN, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}},
        "two different tables of rotary settings",
    ),
    "no theta of a window": (
        "Olmo3ForCausalLM",
        {"rope_parameters": HALF_A_ROPE},
        "no rope_theta for layers",
    ),
    "no theta": ("LlamaForCausalLM", {"rope_theta": None}, "no valid rope_theta"),
    "both ways": ("Qwen2ForCausalLM", {"is_causal": False}, r"later in the text \(is_causal\)"),
    "settings by layer": ("LlamaForCausalLM", {"per_layer_config": {"0": {"head_dim": 8}}}, "per_layer_config"),
    "settings by layer of Gemma 4": (
        "Gemma4ForCausalLM",
        {"per_layer_config": {"1": {"head_dim": 64, "sliding_window": 8}}},
        "per_layer_config with sliding_window",
    ),
    "a window at the end": ("Gemma4ForCausalLM", {"layer_types": [FULL, LOCAL]}, "last layer that has a window"),
    "a window without a width": ("Olmo3ForCausalLM", {"sliding_window": None}, "sliding window of no given width"),
    "activation beside another": ("LlamaForCausalLM", {"hidden_activation": "silu", "hidden_act": "gelu"}, "'gelu'"),
    "pairs that do not turn": (
        "Qwen3_5ForCausalLM",
        {"rope_parameters": {"rope_theta": 1e6, "mrope_section": [2, 1, 5], "partial_rotary_factor": 0.25}},
        r"mrope_section of \[2, 1, 5, 0\]",
    ),
    "sections of words": ("Qwen3_5ForCausalLM", {"rope_parameters": {"mrope_section": ["a"]}}, "valid mrope_section"),
    "partial": ("Phi3ForCausalLM", {"partial_rotary_factor": 0.3, "num_attention_heads": 3}, "does not add up"),
}


def read(folder: Path, architecture: str, **changes: Any) -> Any:
    settings = checkpoints.config(architecture, **{**BASE.get(architecture, {}), **changes})
    checkpoints.write_json(folder / "config.json", settings)
    return read_config(folder)


@pytest.mark.parametrize("architecture", BASE)
def test_the_cases_below_start_from_a_configuration_that_is_fine(architecture: str, tmp_path: Path) -> None:
    changes = {"rope_scaling": YARN} if architecture == "GptOssForCausalLM" else {}
    assert read(tmp_path, architecture, **changes)[1].architecture == architecture


@pytest.mark.parametrize("case", REFUSED)
def test_another_computation_is_refused_by_name(case: str, tmp_path: Path) -> None:
    architecture, changes, sentence = REFUSED[case]
    with pytest.raises(Refusal, match=sentence) as refusal:
        read(tmp_path, architecture, **changes)
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).endswith(".")


def test_rotary_settings_of_transformers_4_and_5_are_the_same(tmp_path: Path) -> None:
    full = {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}
    local = {"rope_type": "default", "rope_theta": 1e4}
    new = {"rope_parameters": {"full_attention": full, "sliding_attention": local}, "rope_theta": None}
    old = {"rope_scaling": {"type": "linear", "factor": 8.0}, "rope_theta": 1e6, "rope_local_base_freq": 1e4}
    for changes in (new, old):
        config = read(tmp_path, "Gemma3ForCausalLM", **changes)[1]
        assert config.rope.kind is RopeKind.LINEAR
        assert (config.rope.theta, config.rope.number("factor")) == (1e6, 8.0)
        assert (config.local_rope.theta, config.local_rope.kind) == (1e4, RopeKind.PLAIN)


def test_a_nested_text_model_brings_its_own_settings_and_the_rest_are_defaults(tmp_path: Path) -> None:
    text = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "sliding_window": 1024}
    settings = {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": text, "vision_config": {}}
    checkpoints.write_json(tmp_path / "config.json", settings)
    config = read_config(tmp_path)[1]
    assert (config.sizes[Size.HEADS], config.sizes[Size.HEAD], config.sizes[Size.VOCAB]) == (8, 256, 262_208)
    assert config.is_tied


@pytest.mark.parametrize("architecture", ["MistralForCausalLM", "MixtralForCausalLM", "Phi3ForCausalLM"])
def test_a_window_that_llama_cpp_does_not_have_caps_the_context(architecture: str, tmp_path: Path) -> None:
    experts = {"num_local_experts": 4, "num_experts_per_tok": 2}
    assert read(tmp_path, architecture, sliding_window=100, **experts)[1].context == 100
    assert read(tmp_path, architecture, sliding_window=None, **experts)[1].context == 256


def test_layers_of_linear_attention_are_found_by_their_interval(tmp_path: Path) -> None:
    config = read(tmp_path, "Qwen3_5ForCausalLM")[1]
    assert config.layer_types == (*["linear_attention"] * 3, "full_attention")


def test_layers_of_convolution_are_found_by_the_others(tmp_path: Path) -> None:
    changes = {"conv_L_cache": 3, "full_attn_idxs": [1], "rms_norm_eps": 1e-5}
    assert read(tmp_path, "Lfm2ForCausalLM", **changes)[1].layer_types == ("conv", "full_attention")


THETAS = {
    "LlamaForCausalLM": 1e4,
    "MixtralForCausalLM": 1e6,
    "SmolLM3ForCausalLM": 2e6,
    "Olmo3ForCausalLM": 5e5,
    "GptOssForCausalLM": 1.5e5,
}


@pytest.mark.parametrize("architecture", THETAS)
def test_what_a_file_leaves_out_is_as_in_its_class_of_transformers(architecture: str, tmp_path: Path) -> None:
    more: dict[str, Any] = {"num_local_experts": 4, "num_experts_per_tok": 2}
    if architecture == "GptOssForCausalLM":
        more["rope_scaling"] = YARN
    settings = checkpoints.config(architecture, **more)
    del settings["rope_theta"]
    checkpoints.write_json(tmp_path / "config.json", settings)
    config = read_config(tmp_path)[1]
    assert config.rope.theta == THETAS[architecture]
    assert config.sliding_window == {"Olmo3ForCausalLM": 4096, "GptOssForCausalLM": 128}.get(architecture)


def test_deepseek_v3_routes_by_groups_unless_it_is_told(tmp_path: Path) -> None:
    changes = {
        **BASE["DeepseekV2ForCausalLM"],
        "num_hidden_layers": 2,
        "q_lora_rank": 8,
        "num_experts_per_tok": 2,
        "n_routed_experts": 16,
    }
    architecture, config = read(tmp_path, "DeepseekV3ForCausalLM", **changes)
    keys = {key.name: key.value(config) for key in architecture.keys}
    assert (keys["expert_group_count"], keys["expert_group_used_count"]) == (8, 4)


def test_a_switch_that_transformers_does_not_read_leaves_the_window(tmp_path: Path) -> None:
    assert read(tmp_path, "MistralForCausalLM", sliding_window=100, use_sliding_window=False)[1].context == 100


def test_the_context_of_before_the_stretch_stands_outside_of_the_table(tmp_path: Path) -> None:
    config = read(tmp_path, "Qwen3ForCausalLM", rope_scaling=YARN, original_max_position_embeddings=32)[1]
    assert config.rope.original_context == 32


@pytest.mark.parametrize(("names", "wanted"), [((True, None), True), ((None, False), False), ((True, False), None)])
def test_two_answers_to_whether_the_output_is_the_embedding_are_none(
    names: tuple[bool | None, bool | None], wanted: bool | None, tmp_path: Path
) -> None:
    tied = {"tie_word_embeddings": names[0], "tie_embedding": names[1]}
    config = read(tmp_path, "Lfm2ForCausalLM", conv_L_cache=3, full_attn_idxs=[0], **tied)[1]
    assert config.is_tied is wanted
