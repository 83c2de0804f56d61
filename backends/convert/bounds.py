"""How large a setting of config.json may be. One table; `backends.convert.config` reads every number through it.

Nothing else stops 1e9 layers from being looped over, or 1e308 from being written as a float of 32 bits. Each bound is
a few times what the largest models have, or what llama.cpp ends the process beyond.
"""

MAX_LAYERS = 512  # llama.cpp `LLAMA_MAX_LAYERS`
MAX_EXPERTS = 1024  # llama.cpp `LLAMA_MAX_EXPERTS`
MAX_TOKENS = (1 << 31) - 1  # of a context: what a position can be
MAX_SIZE = 1 << 20  # of a dimension
SMALLEST, LARGEST = 1e-30, 1e30  # what a float of 32 bits can be and still be multiplied

_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "num_experts_per_tok", "top_k_experts")
_GROUPS = ("n_shared_experts", "n_group", "topk_group")
_LAYERS = ("num_hidden_layers", "num_kv_shared_layers", "first_k_dense_replace")
_CONTEXTS = ("max_position_embeddings", "original_max_position_embeddings", "sliding_window")
_HEADS = ("num_attention_heads", "num_key_value_heads", "num_global_key_value_heads")
_LINEAR = ("linear_num_key_heads", "linear_num_value_heads")
_HEAD = ("head_dim", "global_head_dim", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
_LINEAR_HEAD = ("linear_key_head_dim", "linear_value_head_dim", "linear_conv_kernel_dim", "conv_L_cache")
MOST: dict[str, int] = {
    **dict.fromkeys(_LAYERS, MAX_LAYERS),
    **dict.fromkeys((*_EXPERTS, *_GROUPS), MAX_EXPERTS),
    **dict.fromkeys(_CONTEXTS, MAX_TOKENS),
    **dict.fromkeys((*_HEADS, *_LINEAR, *_HEAD, *_LINEAR_HEAD), 1 << 14),
}
RANGES: dict[str, tuple[float, float]] = {
    "rms_norm_eps": (SMALLEST, 1.0),
    "norm_eps": (SMALLEST, 1.0),
    "layer_norm_eps": (SMALLEST, 1.0),
    "rope_theta": (1.0, 1e15),
    "rope_local_base_freq": (1.0, 1e15),
    "partial_rotary_factor": (SMALLEST, 1.0),
    "block_ffn_dim_multiplier": (1e-3, 1e3),
    "original_max_position_embeddings": (1.0, float(MAX_TOKENS)),
    "max_position_embeddings": (1.0, float(MAX_TOKENS)),
    **dict.fromkeys(("factor", "short_factor", "long_factor", "low_freq_factor", "high_freq_factor"), (1e-3, 1e6)),
}


def most(key: str) -> int:
    return MOST.get(key, MAX_SIZE)


def is_within(key: str, value: object) -> bool:
    """Whether it is a number that this setting may be; neither NaN nor an integer of 400 digits is."""
    low, high = RANGES.get(key, (SMALLEST, LARGEST))
    return type(value) in (int, float) and low <= value <= high  # type: ignore[operator]
