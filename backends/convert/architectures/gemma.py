"""Gemma, Gemma 2 and the text part of Gemma 3, also where it is nested in the checkpoint that sees."""

from dataclasses import replace

from backends.convert.architectures.common import (
    BASE_KEYS,
    FEED_FORWARD,
    FOUR_NORMS,
    HEAD_KEYS,
    KEYS,
    WINDOW_KEY,
    attention,
    head_norms,
    pattern_key,
)
from backends.convert.architectures.table import EMBEDDING, Architecture, Key, Row, Window
from backends.convert.config import Config, Size
from backends.convert.layout import plus_one
from backends.convert.rope import DEFAULT_THETA, FULL, LOCAL, RopeKind
from backends.convert.sentences import quoted

_NORM = Row("model.norm.weight", "output_norm.weight", (Size.HIDDEN,), plus_one)
_KINDS = frozenset({FULL, LOCAL})
_FIXED = {"use_bidirectional_attention": (False,), "tie_word_embeddings": (True,)}
_LARGEST = {46: "Gemma 2 27B", 62: "Gemma 3 27B"}  # whose attention llama.cpp scales by hidden_size / heads


def _gemma3_fault(config: Config) -> str | None:
    pattern = config.raw.get("sliding_window_pattern", 6)
    if not config.layer_types and pattern != 6:
        return f"A sliding_window_pattern of {quoted(pattern)} without layer_types"
    if config.local_rope is None:
        return "Rotary settings without those of the layers with a window"
    if config.local_rope.kind is not RopeKind.PLAIN:
        return "A rotary scaling in the layers with a window"
    return _scale_fault(config)


def _scale_fault(config: Config) -> str | None:
    """llama.cpp does not read query_pre_attn_scalar."""
    largest = config.num_layers in _LARGEST
    expected = config.sizes[Size.HIDDEN] // config.sizes[Size.HEADS] if largest else config.sizes[Size.HEAD]
    given = config.number("query_pre_attn_scalar")
    return None if given == expected else f"A query_pre_attn_scalar of {given:g} instead of {expected}"


_VISION = (
    "vision_tower.",
    "multi_modal_projector.",
    "model.vision_tower.",
    "model.multi_modal_projector.",
)
_GEMMA3 = Architecture(
    "gemma3",
    (*FOUR_NORMS, *attention(), *head_norms(plus_one), *FEED_FORWARD),
    outer=(EMBEDDING, _NORM),
    keys=(
        *KEYS,
        *HEAD_KEYS,
        WINDOW_KEY,
        pattern_key(6),
        Key("final_logit_softcapping", lambda c: c.optional_number("final_logit_softcapping")),
    ),
    activation="gelu_pytorch_tanh",
    fixed={**_FIXED, "attn_logit_softcapping": ()},
    defaults={
        "tie_word_embeddings": True,
        "vocab_size": 262_208,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "max_position_embeddings": 131_072,
        "rms_norm_eps": 1e-6,
        "query_pre_attn_scalar": 256,
        "sliding_window": 4096,
        "hidden_activation": "gelu_pytorch_tanh",
        "rope_theta": 1_000_000.0,
        "rope_local_base_freq": 10_000.0,
    },
    layer_kinds=_KINDS,
    window=Window.NATIVE,
    has_local_rope=True,
    ropes=frozenset({RopeKind.PLAIN, RopeKind.LINEAR}),
    check=_gemma3_fault,
)

# llama.cpp's own converter leaves it to the graph, whose number it is nearly always
_THETA_KEY = Key("rope.freq_base", lambda c: None if c.rope.theta == DEFAULT_THETA else c.rope.theta)
_TWO_NORMS = (
    Row("input_layernorm.weight", "attn_norm.weight", (Size.HIDDEN,), plus_one),
    Row("post_attention_layernorm.weight", "ffn_norm.weight", (Size.HIDDEN,), plus_one),
)
ARCHITECTURES = {
    "GemmaForCausalLM": Architecture(
        "gemma",
        (*_TWO_NORMS, *attention(), *FEED_FORWARD),
        outer=(EMBEDDING, _NORM),
        keys=(*BASE_KEYS, *HEAD_KEYS, _THETA_KEY),
        ropes=frozenset({RopeKind.PLAIN}),
        activation="gelu_pytorch_tanh",
        other_names=frozenset({"gelu"}),  # in the first files, which meant this one, as transformers 4 knew
        fixed=_FIXED,
        defaults={"tie_word_embeddings": True, "hidden_activation": "gelu_pytorch_tanh"},
    ),
    "Gemma2ForCausalLM": Architecture(
        "gemma2",
        (*FOUR_NORMS, *attention(), *FEED_FORWARD),
        outer=(EMBEDDING, _NORM),
        keys=(
            *KEYS,
            *HEAD_KEYS,
            _THETA_KEY,
            WINDOW_KEY,
            pattern_key(2),
            Key("attn_logit_softcapping", lambda c: c.number("attn_logit_softcapping")),
            Key("final_logit_softcapping", lambda c: c.number("final_logit_softcapping")),
        ),
        ropes=frozenset({RopeKind.PLAIN}),
        activation="gelu_pytorch_tanh",
        fixed=_FIXED,
        defaults={"tie_word_embeddings": True, "sliding_window": 4096, "hidden_activation": "gelu_pytorch_tanh"},
        layer_kinds=_KINDS,
        window=Window.NATIVE,
        check=_scale_fault,
    ),
    "Gemma3ForCausalLM": _GEMMA3,
    "Gemma3ForConditionalGeneration": replace(
        _GEMMA3,
        ignored=_VISION,
        renamed={"language_model.model.": "model.", "model.language_model.": "model.", "language_model.": ""},
    ),
}
