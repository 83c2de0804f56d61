"""Spoils GGUF headers in every way that one can think of: each field, each length, each type, and plain noise."""

import copy
import random
import struct
from collections.abc import Callable

from tests.library.gguf_draft import ARRAY, BOOL, BUILDERS, F32, F64, STRING, U32, Draft, Setting, Tensor

EXTREMES = (0, 1, -1, 2, 3, 7, 127, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1)
FLOATS = (0.0, -0.0, -1.0, 1e-45, 1e38, float("inf"), float("-inf"), float("nan"))
TOKENIZERS = (b"llama gpt2 bert t5 rwkv none no_vocab test plamo2 gemma4 hybriddna whitespace replit bloom").split()
PRE_TOKENIZERS = (
    b"default llama-bpe qwen2 gpt-2 whitespace gemma4 kimi-k2 tekken dbrx falcon minicpm5 hybriddna"
).split()
ARCHITECTURES = (
    b"llama qwen2 qwen3 qwen3moe gemma gemma2 gemma3 gemma3n gemma4 phi2 phi3 mamba mamba2 rwkv7 t5 bert granite "
    b"deepseek2 deepseek32 olmo2 glm4 glm4moe lfm2 smollm3 gpt-oss nemotron_h qwen35 qwen3next jamba clip "
    b"wavtokenizer-dec bitnet baichuan kimi-linear eagle3 dflash gemma4-assistant hunyuan-dense llama4 step35"
).split()
KEYS = (
    b"expert_count expert_used_count expert_group_count expert_group_used_count leading_dense_block_count "
    b"rope.scaling.type rope.scaling.factor rope.dimension_sections attention.sliding_window attention.head_count "
    b"attention.sliding_window_pattern attention.shared_kv_layers attention.key_length_swa pooling_type vocab_size "
    b"attention.key_length_mla attention.q_lora_rank attention.kv_lora_rank ssm.conv_kernel ssm.state_size "
    b"ssm.inner_size ssm.time_step_rank embedding_length_out features_length attention.causal full_attention_interval "
    b"nextn_predict_layers"
).split()
TOKENIZER_KEYS = (
    b"bos_token_id eos_token_id unknown_token_id padding_token_id seperator_token_id eot_token_id token_type_count "
    b"add_space_prefix add_sep_token remove_extra_whitespaces suppress_tokens precompiled_charsmap merges scores"
).split()
TEXTS = (
    b"",
    b"\0",
    b"a\0b",
    b"\xff\xfe",
    "ünïcode\n".encode(),
    b"x" * 300,
    b"%s%n",
    b"yarn",
    b"longrope",
    b"linear",
    b"[EMPTY_3]",
)


def mutant(chance: random.Random) -> tuple[bytes, int]:
    """A spoilt header, and how many bytes of weights the file should have."""
    draft = chance.choice(BUILDERS)()
    noise: list[Callable[[bytearray, random.Random], None]] = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        spoil = chance.choice(STRUCTURED + NOISE)
        if spoil in NOISE:
            noise.append(spoil)  # type: ignore[arg-type]
        else:
            spoil(draft, chance)  # type: ignore[arg-type]
    raw = bytearray(draft.header())
    for each in noise:
        each(raw, chance)
    return bytes(raw), min(draft.data_bytes, 1 << 30) if draft.data_bytes >= 0 else 0


def any_value(chance: random.Random) -> object:
    return chance.choice((chance.choice(EXTREMES), chance.choice(FLOATS), chance.choice(TEXTS), chance.getrandbits(32)))


def change_number(draft: Draft, chance: random.Random) -> None:
    numbers = [each for each in draft.settings if each.type not in (STRING, ARRAY)]
    if not numbers:
        return
    setting = chance.choice(numbers)
    setting.value = (
        chance.choice(FLOATS) if setting.type in (F32, F64) else chance.choice((*EXTREMES, chance.randrange(600)))
    )


def change_type(draft: Draft, chance: random.Random) -> None:
    setting = chance.choice(draft.settings)
    setting.type = chance.choice((*range(14), 255, 2**32 - 1))
    setting.value = setting.value if isinstance(setting.value, list) == (setting.type == ARRAY) else any_value(chance)
    if setting.type == ARRAY and not isinstance(setting.value, list):
        setting.value, setting.element = [setting.value] * chance.randrange(4), chance.choice((STRING, U32, F32))


def change_text(draft: Draft, chance: random.Random) -> None:
    chance.choice([each for each in draft.settings if each.type == STRING]).value = chance.choice(TEXTS)


def change_tokenizer(draft: Draft, chance: random.Random) -> None:
    _set(draft, b"tokenizer.ggml.model", STRING, chance.choice(TOKENIZERS))


def change_pre_tokenizer(draft: Draft, chance: random.Random) -> None:
    _set(draft, b"tokenizer.ggml.pre", STRING, chance.choice(PRE_TOKENIZERS))


def change_architecture(draft: Draft, chance: random.Random) -> None:
    """With its keys, so that they are looked at."""
    named = next((each for each in draft.settings if each.key == b"general.architecture"), None)
    if named is None or not isinstance(named.value, bytes):
        return
    old, new = named.value, chance.choice(ARCHITECTURES)
    for setting in draft.settings:
        if setting.key.startswith(old + b"."):
            setting.key = new + setting.key[len(old) :]
    named.value = new


def add_key(draft: Draft, chance: random.Random) -> None:
    name = next((s.value for s in draft.settings if s.key == b"general.architecture"), b"llama")
    prefix = name if isinstance(name, bytes) else b"llama"
    key = chance.choice(
        [prefix + b"." + each for each in KEYS] + [b"tokenizer.ggml." + each for each in TOKENIZER_KEYS]
    )
    type_ = chance.choice((U32, U32, 5, F32, BOOL, STRING, ARRAY))
    value = any_value(chance)
    if type_ == ARRAY:
        element = chance.choice((U32, 5, F32, STRING, BOOL, 0))
        draft.settings.append(Setting(key, ARRAY, [any_value(chance) for _ in range(chance.randrange(5))], element))
    else:
        _set(draft, key, type_, value)


def add_general(draft: Draft, chance: random.Random) -> None:
    key = chance.choice((b"general.alignment", b"split.count", b"split.no", b"split.tensors.count", b"general.type"))
    value = chance.choice((*EXTREMES, 33, 64, 4096, 65536, 2**17, b"adapter", b"mmproj"))
    _set(draft, key, chance.choice((U32, 2, 10, STRING)) if not isinstance(value, bytes) else STRING, value)


def drop_key(draft: Draft, chance: random.Random) -> None:
    draft.settings.remove(chance.choice(draft.settings))


def double_key(draft: Draft, chance: random.Random) -> None:
    draft.settings.insert(chance.randrange(len(draft.settings)), copy.deepcopy(chance.choice(draft.settings)))


def rename_key(draft: Draft, chance: random.Random) -> None:
    chance.choice(draft.settings).key = chance.choice((*TEXTS, b"k" * 70_000, b"general.architecture"))


def change_array(draft: Draft, chance: random.Random) -> None:
    arrays = [each for each in draft.settings if each.type == ARRAY and isinstance(each.value, list)]
    if not arrays:
        return
    array = chance.choice(arrays)
    match chance.randrange(7):
        case 0:
            array.count = chance.choice(EXTREMES) & (2**64 - 1)
        case 1:
            array.element = chance.choice((*range(14), 2**32 - 1))
        case 2:
            array.value = array.value[: chance.randrange(len(array.value) + 1)]
        case 3:
            array.value = array.value + array.value[: chance.randrange(1, 5)]
        case 4 if array.value:
            array.value[chance.randrange(len(array.value))] = any_value(chance)
        case 5 if array.value:
            array.value[chance.randrange(len(array.value))] = chance.choice(array.value)
        case 6:
            array.value = []


def lie_of_text(draft: Draft, chance: random.Random) -> None:
    setting = chance.choice([each for each in draft.settings if each.type == STRING])
    setting.count = chance.choice(EXTREMES) & (2**64 - 1)


def change_shape(draft: Draft, chance: random.Random) -> None:
    tensor = chance.choice(draft.tensors)
    if tensor.shape and chance.random() < 0.7:
        tensor.shape[chance.randrange(len(tensor.shape))] = chance.choice((*EXTREMES, 16, 31, 32, 33, 64))
    else:
        tensor.shape = [chance.choice((1, 32, 64)) for _ in range(chance.randrange(7))]


def change_tensor_type(draft: Draft, chance: random.Random) -> None:
    chance.choice(draft.tensors).type = chance.choice((*range(45), 2**31, 2**32 - 1))


def change_offset(draft: Draft, chance: random.Random) -> None:
    chance.choice(draft.tensors).offset = chance.choice((*EXTREMES, 32, 64, 4096))


def rename_tensor(draft: Draft, chance: random.Random) -> None:
    other = chance.choice(draft.tensors).name
    names = (other, b"blk.999999999999.attn_q.weight", b"blk.-1.attn_q.weight", b"blk.2.attn_norm.weight", b"t" * 64)
    chance.choice(draft.tensors).name = chance.choice((*TEXTS, *names))


def change_tensors(draft: Draft, chance: random.Random) -> None:
    match chance.randrange(4):
        case 0:
            draft.tensors.remove(chance.choice(draft.tensors))
        case 1:
            draft.tensors.append(Tensor(b"blk.%d.extra.weight" % chance.randrange(3), [32]))
        case 2:
            chance.shuffle(draft.tensors)
        case 3:
            draft.tensors.append(Tensor(b"output.weight", [32, chance.choice((1, 32, 262, 263))]))


def lie_of_counts(draft: Draft, chance: random.Random) -> None:
    value = chance.choice((*EXTREMES, 60_000, 65_537)) & (2**64 - 1)
    if chance.random() < 0.5:
        draft.num_settings = value
    else:
        draft.num_tensors = value


def change_version(draft: Draft, chance: random.Random) -> None:
    draft.version = chance.choice((0, 1, 2, 3, 4, 2**31, 3 << 24))


def flip_bits(raw: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 8, 40))):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)


def put_extreme(raw: bytearray, chance: random.Random) -> None:
    at = chance.randrange(max(1, len(raw) - 8))
    format_, mask = chance.choice((("<Q", 2**64 - 1), ("<I", 2**32 - 1)))
    piece = struct.pack(format_, chance.choice(EXTREMES) & mask)
    raw[at : at + len(piece)] = piece


def cut(raw: bytearray, chance: random.Random) -> None:
    del raw[chance.randrange(len(raw)) :]
    if chance.random() < 0.3:
        raw += bytes(chance.randrange(64))


def splice(raw: bytearray, chance: random.Random) -> None:
    at, size = chance.randrange(len(raw) or 1), chance.randrange(1, 64)
    piece = raw[chance.randrange(len(raw) or 1) :][:size]
    raw[at : at + chance.choice((0, size))] = piece


def nest(raw: bytearray, chance: random.Random) -> None:
    """Arrays of arrays, as deep as fits."""
    at = chance.randrange(24, max(25, len(raw)))
    raw[at:at] = struct.pack("<IQ", ARRAY, 1) * chance.choice((1, 10, 20_000))


STRUCTURED = (
    *(change_number,) * 6,
    *(change_type,) * 4,
    *(change_array,) * 4,
    *(add_key,) * 4,
    *(change_shape,) * 3,
    *(change_tokenizer,) * 2,
    *(change_architecture,) * 3,
    *(change_tensor_type,) * 2,
    *(change_tensors,) * 2,
    change_text,
    change_pre_tokenizer,
    add_general,
    drop_key,
    double_key,
    rename_key,
    lie_of_text,
    change_offset,
    rename_tensor,
    lie_of_counts,
    change_version,
)
NOISE = (flip_bits, flip_bits, put_extreme, put_extreme, cut, splice, nest)


def _set(draft: Draft, key: bytes, type_: int, value: object) -> None:
    known = next((each for each in draft.settings if each.key == key), None)
    if known is None:
        draft.settings.append(Setting(key, type_, value))
    else:
        known.type, known.value = type_, value
