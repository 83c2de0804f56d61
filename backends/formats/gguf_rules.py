"""What llama.cpp asserts of single architectures, in tables by kind of rule (src/models/*.cpp, llama-model.cpp).

Whatever it refuses with an error of its own is left to it; here is what it would end the process on.
"""

from collections.abc import Callable, Sequence

from backends.formats import FormatError
from backends.formats.gguf import TensorInfo
from backends.formats.gguf_settings import Settings
from backends.formats.gguf_tables import EQUAL_LENGTHS, EQUAL_WINDOWS, HEADS_BY_LAYER

# setting -> lowest number, and the architectures in which it must be there
AT_LEAST: tuple[tuple[str, int, str], ...] = (
    ("expert_count", 1, "smallthinker bailingmoe2 grovemoe glm4moe llada-moe lfm2moe"),
    ("expert_gating_func", 1, "dots1 hy_v4 minimax-m2 smallthinker"),
    ("experts_per_group", 1, "grovemoe"),
    ("interleave_moe_layer_step", 1, "ernie4_5-moe"),
    ("attention.head_count", 1, "olmo2 phimoe"),
    ("attention.sliding_window", 1, "afmoe"),
    ("attention.key_length_mla", 1, "hy_v4"),
    ("attention.value_length_mla", 1, "hy_v4"),
    ("attention.output_group_count", 1, "deepseek4"),
    ("attention.indexer.kpool", 2, "glm5-next"),
    ("attention.indexer.block_size", 1, "minimax-m3"),
    ("hrm.layers_per_stack", 1, "hrm_text"),
    ("hrm.h_cycles", 1, "hrm_text"),
    ("hrm.l_cycles", 1, "hrm_text"),
    ("kda.safe_gate", 1, "bailingmoe3"),
    ("wkv.head_size", 1, "rwkv6 rwkv7 rwkv6qwen2 arwkv7"),
    ("attention.group_norm_groups", 1, "wavtokenizer-dec"),
    ("shortconv.l_cache", 2, "lfm2 lfm2moe"),
)
# of every architecture, where the setting is there: others divide by it or have no such kind
WITHIN: dict[str, tuple[int, int]] = {
    "expert_gating_func": (1, 4),
    "full_attention_interval": (1, 1 << 20),
    "hyper_connection.sinkhorn_iterations": (1, 1 << 10),
}
NOT_ZERO: tuple[tuple[str, str], ...] = (  # may be missing
    ("attention.sliding_window", "llama4"),
    ("attention.head_count_kv", "modern-bert"),
)
EXACTLY: tuple[tuple[str, int, str], ...] = (
    ("hyper_connection.count", 4, "deepseek4 glm5-next"),
    ("token_shift_count", 1, "arwkv7 rwkv6qwen2"),
    ("token_shift_count", 2, "rwkv6 rwkv7"),
    ("attention.head_count_kv", 1, "deepseek4"),
    ("ssm.group_count", 0, "plamo2"),
)
BROKEN = ("plm",)  # its graph asserts in every prompt of more than one token (llama-kv-cache.cpp, `cpy_v`)
DEFAULTS = {"token_shift_count": 2}
TOKENS = {"chameleon": 8196, "qwen3tts": 3072}  # of the output, at least
# layers without keys are recurrent, and there must be some of both kinds
UNFIT = (
    ("rwkv6qwen2", "time_mix_first.weight"),  # with it the graph is another one, whose norms are not there
    ("mpt", "attn_q_norm.weight"),  # of a view that is not contiguous
)
# a tensor that llama.cpp loads without, and whose layers it cannot compute without; what shows that a layer is one
NEEDED: tuple[tuple[str, str, str], ...] = (
    ("ssm_conv1d.bias", "ssm_conv1d.weight", "falcon-h1 granitehybrid nemotron_h nemotron_h_moe"),
    ("indexer.proj.weight", "indexer.attn_k.weight", "glm-dsa"),
    ("time_mix_g1.weight", "time_mix_g2.weight", "arwkv7"),
    ("time_mix_g2.weight", "time_mix_g1.weight", "arwkv7"),
)
BY_KEYS = (
    *("jamba", "granitehybrid", "plamo2", "kimi-linear", "kimi-k3", "glm5-next", "bailingmoe3", "lfm2", "lfm2moe"),
    *("nemotron_h", "nemotron_h_moe"),
)
BY_INTERVAL = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4, "qwen4exp": 4, "minimax-01": 8}  # every n-th attends
DOUBLE_INNER = ("jamba", "granitehybrid")
SSM_HEADS = ("mamba2", "granitehybrid", "falcon-h1", "nemotron_h", "nemotron_h_moe", "plamo2")
DELTA = ("qwen3next", "qwen35", "qwen35moe", "qwen4exp")  # states are squares, and key heads share value heads
SECTIONS = ("qwen2vl", "paddleocr", "qwen3vl", "qwen3vlmoe", "qwen35", "qwen35moe", "qwen4exp", "qwen3tts")
EQUAL_HEADS = ("dots1", "deepseek2-ocr", "minicpm3")
# which layers have a window: every one but each n-th; those below 0 begin with one that has none
PERIODS = {
    **dict.fromkeys(("afmoe", "cohere2", "exaone4", "exaone-moe", "llama4", "mellum", "muse-glimmer", "olmo2"), 4),
    **dict.fromkeys(("cohere2moe", "laguna", "smallthinker"), -4),
    **dict.fromkeys(("gemma2", "gpt-oss"), 2),
    **dict.fromkeys(("gemma3", "gemma-embedding"), 6),
    "gemma3n": 5,
    "modern-bert": -3,
    "plamo3": 8,
}
LISTED = frozenset(("dots3note", "gemma4", "gemma4-assistant", "granite_swa", "maple", "mimo2", "spark2_5", "step35"))
WITHOUT_WINDOW = frozenset(("gemma3", "laguna", "mellum", "modern-bert", "olmo2", "plamo3", "smallthinker"))
BOTH_KINDS = ("gemma-embedding", "modern-bert")  # they keep no keys, and each kind of layer has a mask
PATTERN = "attention.sliding_window_pattern"


def check_architecture(settings: Settings, tensors: Sequence[TensorInfo]) -> None:
    """Raises FormatError for what llama.cpp ends the process on."""
    name = settings.header.architecture
    if name in BROKEN:
        raise FormatError(
            f"{settings.header.path.name} cannot be loaded: the llama.cpp of this version ends on every model of the "
            f"architecture {name!r}. Choose another model, or look for an update of Slipstream."
        )
    for key, low, names in AT_LEAST:
        if name in names.split() and settings.number(key, int(settings.get(key) is True)) < low:
            raise settings.refuse(key, settings.get(key))
    for key, (low, high) in WITHIN.items():
        if settings.get(key) is not None and not low <= settings.number(key) <= high:
            raise settings.refuse(key, settings.get(key))
    for key, only in NOT_ZERO:
        if name == only and settings.number(key, 1) == 0:
            raise settings.refuse(key, 0)
    for key, exact, names in EXACTLY:
        if name in names.split() and settings.number(key, DEFAULTS.get(key, 0)) != exact:
            raise settings.refuse(key, settings.get(key))
    for check in CHECKS:
        if (fault := check(settings, name)) is not None:
            raise settings.refuse(fault, settings.get(fault))
    for only, tensor in UNFIT:
        if name == only and any(each.name.endswith(tensor) for each in tensors):
            raise FormatError(
                f"{settings.header.path.name} cannot be loaded: it holds a tensor {tensor!r}, as no model of the "
                f"architecture {name!r} does. Download it again."
            )
    for missing, sign, names in NEEDED:
        if name in names.split() and (bare := _layers_without(tensors, missing, sign)):
            raise FormatError(
                f"{settings.header.path.name} cannot be loaded: the tensor {f'{bare}.{missing}'!r} is missing. "
                "Download it again."
            )
    rows = next((t.shape[-1] for t in tensors if t.name == "token_embd.weight"), None)
    if rows is not None and rows < TOKENS.get(name, 0):
        raise settings.refuse("vocab_size", rows)


def _layers_without(tensors: Sequence[TensorInfo], missing: str, sign: str) -> str | None:
    """The first layer with the one tensor and not the other."""
    names = {tensor.name for tensor in tensors}
    layers = (name.removesuffix(f".{sign}") for name in sorted(names) if name.endswith(f".{sign}"))
    return next((layer for layer in layers if f"{layer}.{missing}" not in names), None)


Fault = str | None  # the setting that is wrong


def _windows(settings: Settings, name: str) -> Fault:
    """A model with windows has one in some layer, or it would have said so."""
    if name not in PERIODS and name not in LISTED:
        return None
    if name in WITHOUT_WINDOW and not settings.number("attention.sliding_window"):
        return None
    has_window = window_layers(settings, name)
    if not any(has_window) or (name in BOTH_KINDS and all(has_window)):
        return PATTERN
    return _shared(settings, name, has_window)


def window_layers(settings: Settings, name: str) -> list[bool]:
    """Of each layer (llama_hparams::set_swa_pattern)."""
    pattern = settings.get(PATTERN)
    if isinstance(pattern, list) or name in LISTED:
        return [bool(n) for n in settings.layers(PATTERN, 0)]
    usual = PERIODS[name]
    period = settings.number(PATTERN, abs(usual))
    first_is_full = usual < 0
    if period == 0:
        return [True] * settings.num_layers
    layers = range(settings.num_layers)
    return [layer % period != 0 if first_is_full else layer % period < period - 1 for layer in layers]


def _shared(settings: Settings, name: str, has_window: list[bool]) -> Fault:
    """The last layers take the keys of the last two that have their own: one with a window, one without."""
    if name not in ("gemma3n", "gemma4"):
        return None
    first = 20 if name == "gemma3n" else settings.num_layers - settings.number("attention.shared_kv_layers")
    takers = has_window[max(first, 0) :]
    if not takers:
        return None
    if first < 2 or (any(takers) and not has_window[first - 2]) or (not all(takers) and has_window[first - 1]):
        return PATTERN if name == "gemma3n" else "attention.shared_kv_layers"
    return None


def _recurrent(settings: Settings, name: str) -> Fault:
    if name in BY_KEYS:
        keys = settings.layers("attention.head_count_kv", settings.number("attention.head_count"))
        wide = settings.layers("feed_forward_length", 0) if name.startswith("nemotron_h") else [0] * len(keys)
        kinds = {bool(count) for count, width in zip(keys, wide, strict=True) if not width}
        return None if len(kinds) == 2 else "attention.head_count_kv"
    if name in BY_INTERVAL:
        if settings.get("attention.recurrent_layers") is not None:
            kinds = {bool(n) for n in settings.layers("attention.recurrent_layers", 0)}
            return None if len(kinds) == 2 else "attention.recurrent_layers"
        interval = settings.number("full_attention_interval", BY_INTERVAL[name])
        return None if 1 < interval <= settings.num_layers else "full_attention_interval"
    return None


def _state(settings: Settings, name: str) -> Fault:
    embedding, inner = settings.number("embedding_length"), settings.number("ssm.inner_size")
    if name in DOUBLE_INNER and inner != 2 * embedding:
        return "ssm.inner_size"
    if name in SSM_HEADS:
        for key in ("ssm.time_step_rank", "ssm.group_count"):
            parts = settings.number(key)
            if name == "plamo2" and key == "ssm.group_count":
                continue
            if parts < 1 or inner < 1 or inner % parts:
                return key
    if name in DELTA:
        heads, keys = settings.number("ssm.time_step_rank"), settings.number("ssm.group_count")
        if inner < 1 or inner != heads * settings.number("ssm.state_size"):
            return "ssm.inner_size"
        if keys < 1 or heads % keys:
            return "ssm.group_count"
    size = settings.number("wkv.head_size")
    if size and embedding % size:
        return "wkv.head_size"
    keys = settings.number("attention.head_count_kv", settings.number("attention.head_count"))
    return "attention.head_count_kv" if name == "rwkv6" and keys not in (0, embedding // size) else None


def _latent(settings: Settings, name: str) -> Fault:
    """MLA: one row of the cache is the latent vector and what is turned."""
    for end in ("", "_swa"):
        mla = settings.number(f"attention.key_length_mla{end}")
        if not mla or (end and name != "dots3note"):
            continue
        key = f"attention.key_length{end}"
        turned = settings.number(f"rope.dimension_count{end}", settings.number("rope.dimension_count", -1))
        if settings.number(key) != settings.number(f"attention.kv_lora_rank{end}") + turned:
            return key
        if mla <= turned:
            return f"attention.key_length_mla{end}"
    return None


def _sections(settings: Settings, name: str) -> Fault:
    """How many pairs turn by each of the positions in an image."""
    if name not in SECTIONS:
        return None
    given = settings.get("rope.dimension_sections")
    sections = [*given, 0, 0, 0, 0][:4] if isinstance(given, list) else [given] * 4
    if not all(type(n) is int and n >= 0 for n in sections) or not any(sections[:3]):
        return "rope.dimension_sections"
    heads = settings.number("attention.head_count")
    default = settings.number("embedding_length") // heads if heads > 0 else 0
    return None if sum(sections) <= settings.number("attention.key_length", default) else "rope.dimension_sections"


def _layers(settings: Settings, name: str) -> Fault:
    """All layers alike, but for those without keys where the kinds alternate."""
    if name in HEADS_BY_LAYER:
        return None
    passed = {0} if name in BY_INTERVAL else set()
    keys = ("attention.head_count", "attention.head_count_kv")
    return next((key for key in keys if len({*settings.layers(key, 0)} - passed) > 1), None)


def _lengths(settings: Settings, name: str) -> Fault:
    """Of the heads; where nothing else is said, in a layer with a window as in the others."""
    heads = settings.number("attention.head_count")
    if heads <= 0:
        return None
    default = settings.number("embedding_length") // heads
    key, value = (settings.number(f"attention.{kind}_length", default) for kind in ("key", "value"))
    if name in EQUAL_LENGTHS and key != value:
        return "attention.value_length" if key == default else "attention.key_length"
    turned = settings.number("rope.dimension_count_swa", 2)
    if turned % 2 or (turned < 2 and settings.number("rope.dimension_count", key)):
        return "rope.dimension_count_swa"
    if name in EQUAL_WINDOWS and settings.number("attention.key_length_swa", key) != key:
        return "attention.key_length_swa"
    if name in EQUAL_WINDOWS and settings.number("attention.value_length_swa", value) != value:
        return "attention.value_length_swa"
    return None


def _heads(settings: Settings, name: str) -> Fault:
    heads = settings.number("attention.head_count")
    if name in EQUAL_HEADS and settings.number("attention.head_count_kv", heads) != heads:
        return "attention.head_count_kv"
    if name == "deepseek2-ocr" and heads > 0:
        head = settings.number("embedding_length") // heads
        if base_differs(settings.get("rope.freq_base", 10000.0)):
            return "rope.freq_base"
        wrong = (key for key in ("key", "value") if settings.number(f"attention.{key}_length", head) != head)
        return next((f"attention.{key}_length" for key in wrong), None)
    if name == "deepseek4":
        groups, key = settings.number("attention.output_group_count"), settings.number("attention.key_length")
        if heads % groups or key != settings.number("attention.value_length"):
            return "attention.output_group_count" if heads % groups else "attention.value_length"
    return None


def base_differs(value: object) -> bool:
    return not isinstance(value, float) or abs(value - 10000.0) >= 1e-4


def _cycles(settings: Settings, name: str) -> Fault:
    if name == "hrm_text":
        stack, high, low = (settings.number(f"hrm.{key}") for key in ("layers_per_stack", "h_cycles", "l_cycles"))
        return None if settings.num_layers == stack * high * (low + 1) else "block_count"
    if name == "wavtokenizer-dec":
        widths = {settings.number(f"{part}.embedding_length") for part in ("posnet", "convnext")}
        deep = (f"{part}.block_count" for part in ("posnet", "convnext"))
        deeper = next((key for key in deep if settings.number(key) > settings.num_layers), None)
        return deeper if len(widths) == 1 else "convnext.embedding_length"
    if name == "qwen4exp" and settings.get("ple.layers"):
        rows = (settings.number("ple.ngram_size") - 1) * settings.number("ple.heads_per_ngram")
        width = rows * settings.number("embedding_length_per_layer_input")
        return None if width == settings.number("embedding_length") else "ple.heads_per_ngram"
    if name == "glm5-next":
        top = settings.number("attention.indexer.top_k")
        return "attention.indexer.top_k" if top % settings.number("attention.indexer.kpool", 2) else None
    if name in ("deepseek2", "mistral4") and settings.get("attention.temperature_scale"):
        return None if settings.number("attention.temperature_length") > 0 else "attention.temperature_length"
    bound = settings.get("kda.gate_lower_bound")
    if name == "bailingmoe3" and not (isinstance(bound, float) and bound < 0):
        return "kda.gate_lower_bound"
    return None


CHECKS: tuple[Callable[[Settings, str], Fault], ...] = (
    _windows,
    _recurrent,
    _state,
    _latent,
    _sections,
    _layers,
    _lengths,
    _heads,
    _cycles,
)
