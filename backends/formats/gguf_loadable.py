"""Refuses sound files that llama.cpp would not refuse but end the process on. Looks at every token.

A list of models need not know this; whoever loads a file natively does. What is asked for here is what llama.cpp
asserts of every model (src/llama-model.cpp `load_hparams`, ggml-cpu/ops.cpp) as of packaging/constraints.txt, and in
`gguf_rules` of some; tests/bench/fuzz_gguf.py and tests/library/grid.py look for assertions that are missing.
"""

from math import isfinite
from pathlib import Path

from backends.formats import FormatError
from backends.formats.gguf import Header, TensorInfo, check_model, read_header
from backends.formats.gguf_rules import check_architecture
from backends.formats.gguf_settings import Settings
from backends.formats.gguf_split import check_parts, part_paths
from backends.formats.gguf_tables import WHOLE_HEAD_ROPE
from backends.formats.gguf_vocabulary import KEPT, check_vocabulary

TENSOR_ALIGNMENT = 32
MAX_LAYERS = 512  # LLAMA_MAX_LAYERS
MAX_EXPERTS = 1024
MAX_DIMENSION = 1 << 24  # of anything that is multiplied with another
NO_WEIGHTS = frozenset({"I8", "I16", "I32", "I64", "F64", "Q8_1", "Q8_K"})
INDEX = "tid2eid"  # the one tensor that holds whole numbers
# What is added to a result, multiplied with it or read number by number, and not multiplied as a matrix: the kernels
# for these take F32 alone (ggml-cpu: binary-ops.cpp, ssm_conv, ssm_scan, rope factors, norms, sinks), and converters
# write no other type. It is whatever has one dimension, and these of more.
EXACT = frozenset(
    ("bias", "scale", "ssm_a", "ssm_d", "ssm_conv1d", "ssm_conv1d_q", "ssm_conv1d_k", "ssm_conv1d_v", "shortconv_conv")
) | frozenset(("time_mix_lerp_fused", "time_mix_first", "token_types"))
MATRICES = frozenset(("ffn_gate_inp_shexp", "attn_gate", "ssm_beta", "cls"))  # these may be of one row
ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
WITHOUT_ROPE = (
    "nemotron_h",
    "nemotron_h_moe",
    "granitehybrid",
    "jamba",
    "plamo2",
    "kimi-linear",
    "bert",
    "mpt",
    "glm5-next",
)
EPSILONS = ("layer_norm_rms_epsilon", "layer_norm_epsilon", "group_norm_epsilon")


def check_loadable(path: Path) -> Header:
    """The header of a model that may be handed to llama.cpp. Raises FormatError with a sentence for any other."""
    headers = [read_header(each, keep_arrays=KEPT) for each in part_paths(path)]
    check_parts(headers)
    check_model(headers[0], headers[1:])
    settings = Settings(headers[0])
    _check_sizes(settings)
    _check_experts(settings)
    _check_heads(settings)
    _check_rope(settings)
    check_architecture(settings, [tensor for header in headers for tensor in header.tensors])
    check_vocabulary(headers[0])
    for header in headers:
        _check_tensors(header)
    return headers[0]


def _check_sizes(settings: Settings) -> None:
    settings.num_layers = settings.whole("block_count", 1, MAX_LAYERS)
    settings.whole("context_length", 1, 2**31 - 1)
    settings.whole("embedding_length", 1, MAX_DIMENSION)
    settings.whole("nextn_predict_layers", 0, settings.num_layers - 1, 0)
    settings.whole("vocab_size", 0, MAX_DIMENSION, 0)
    settings.per_layer("feed_forward_length", 0, MAX_DIMENSION, 0)
    for key in EPSILONS:
        value = settings.get(f"attention.{key}", 0.0)
        if not isinstance(value, float) or not isfinite(value) or value < 0:
            raise settings.refuse(key, value)


def _check_experts(settings: Settings) -> None:
    count = settings.whole("expert_count", 0, MAX_EXPERTS, 0)
    used = max(settings.per_layer("expert_used_count", 0, count, 0))
    if bool(used) != bool(count):
        raise settings.refuse("expert_used_count", used)
    groups = settings.whole("expert_group_count", 0, max(0, count - 1), 0)
    if groups > 1 and count % groups:
        raise settings.refuse("expert_group_count", groups)
    if groups > 1:
        settings.whole("expert_group_used_count", 1, groups - 1)


def _check_heads(settings: Settings) -> None:
    heads = settings.per_layer("attention.head_count", 0, MAX_DIMENSION, 0)
    kv_heads = settings.per_layer("attention.head_count_kv", 0, MAX_DIMENSION, 0)
    has_kv_heads = settings.get("attention.head_count_kv") is not None
    for head, kv in zip(heads, kv_heads if has_kv_heads else heads, strict=True):
        if kv and (head % kv or kv > head):  # each key serves a whole number of queries
            raise settings.refuse("attention.head_count_kv", kv)
    if heads[0] > settings.whole("embedding_length", 1, MAX_DIMENSION):
        raise settings.refuse("attention.head_count", heads[0])
    for key in ("attention.key_length", "attention.value_length"):
        settings.whole(key, 1, MAX_DIMENSION, 1)


def _check_rope(settings: Settings) -> None:
    scaling = settings.get("rope.scaling.type", "linear")
    if scaling not in ROPE_SCALINGS:
        raise settings.refuse("rope.scaling.type", scaling)
    heads = settings.per_layer("attention.head_count", 0, MAX_DIMENSION, 0)[0]
    if not heads:  # no attention, or none in the first layer
        return
    default = settings.whole("embedding_length", 1, MAX_DIMENSION) // heads
    key = settings.whole("attention.key_length", 1, MAX_DIMENSION, default)
    value = settings.whole("attention.value_length", 1, MAX_DIMENSION, default)
    lowest = 0 if settings.header.architecture in WITHOUT_ROPE else 2  # with 0, others never come to an end
    turned = settings.whole("rope.dimension_count", lowest, key, key)
    if turned % 2:
        raise settings.refuse("rope.dimension_count", turned)
    if settings.header.architecture in WHOLE_HEAD_ROPE and not key == value == turned:
        raise settings.refuse("rope.dimension_count", turned if key == value else value)


def _check_tensors(header: Header) -> None:
    """No kernel takes these; what is added to or multiplied with a result must be as exact as that.

    A mapped file's weights are used where they lie, and ggml asserts that this is a multiple of 32.
    """
    for tensor in header.tensors:
        if (header.data_offset + tensor.offset) % TENSOR_ALIGNMENT:
            raise FormatError(f"{header.path.name} cannot be loaded: its weights are not aligned. Convert it again.")
        if (tensor.type in NO_WEIGHTS and INDEX not in tensor.name) or (tensor.type != "F32" and _is_exact(tensor)):
            raise FormatError(
                f"{header.path.name} cannot be loaded: its tensor {tensor.name!r} is of the type {tensor.type}, "
                "with which nothing can be computed. Download it again."
            )


def _is_exact(tensor: TensorInfo) -> bool:
    parts = frozenset(tensor.name.replace("shortconv.conv", "shortconv_conv").split("."))
    if "norm" in tensor.name or parts & EXACT:
        return True
    return len(tensor.shape) == 1 and not parts & MATRICES and INDEX not in tensor.name
