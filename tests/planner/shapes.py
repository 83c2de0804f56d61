"""Published models by their shapes alone: GGUF files with a true header and no weights, which take no room on the disk.

llama.cpp says of them what it would take (`no_alloc`), and the planner reads them like any other file.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

NORM, WIDE, NARROW = Type.F32, Type.Q4_K, Type.Q6_K


@dataclass(frozen=True)
class Shape:
    """settings: without the architecture's name in front. tensors: name to shape, innermost first; a type for those
    that are not quantized as the others."""

    name: str
    architecture: str
    settings: dict[str, Any]
    tensors: dict[str, tuple[int, ...]]
    vocabulary: int
    types: dict[str, Type] = field(default_factory=dict)
    plain: Type = WIDE

    def write(self, folder: Path) -> Path:
        path = folder / f"{self.name}.gguf"
        if path.exists():
            return path
        writer = gguf.GGUFWriter(path, self.architecture)
        for key, value in {**self.settings, "vocab_size": self.vocabulary}.items():
            _setting(writer, f"{self.architecture}.{key}", value)
        writer.add_tokenizer_model("no_vocab")
        end = 0
        for name, shape in self.tensors.items():
            kind = self._type(name, shape)
            block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
            assert shape[0] % block == 0, (name, shape)
            num_bytes = prod(shape) // block * block_bytes
            writer.add_tensor_info(name, shape[::-1], np.dtype(np.float32), num_bytes, kind)
            end += -(-num_bytes // 32) * 32
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        writer.close()
        os.truncate(path, -(-path.stat().st_size // 32) * 32 + end)
        return path

    def _type(self, name: str, shape: tuple[int, ...]) -> Type:
        for part, kind in self.types.items():
            if part in name:
                return kind
        if len(shape) == 1 or any(
            part in name
            for part in (
                "norm",
                "ffn_gate_inp",
                "ssm_a",
                "ssm_conv",
                "shortconv.conv",
                ".bias",
                "exp_probs",
                "ssm_d",
                "sinks",
            )
        ):
            return NORM
        block = gguf.GGML_QUANT_SIZES[self.plain][0]
        if shape[0] % block:
            return Type.Q8_0 if shape[0] % 32 == 0 else Type.F16
        return NARROW if name in ("output.weight", "token_embd.weight") and self.plain is WIDE else self.plain


def _setting(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, list):
        writer.add_array(key, value)
    else:
        writer.add_uint32(key, value)


def attention(layers: int, width: int, heads: int, kv: int, head: int, context: int = 131_072) -> dict[str, Any]:
    return {
        "block_count": layers,
        "context_length": context,
        "embedding_length": width,
        "attention.head_count": heads,
        "attention.head_count_kv": kv,
        "attention.key_length": head,
        "attention.value_length": head,
        "rope.dimension_count": head,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "attention.layer_norm_epsilon": 1e-6,
    }


def outer(width: int, vocabulary: int, *, is_tied: bool = False) -> dict[str, tuple[int, ...]]:
    tensors = {"token_embd.weight": (width, vocabulary), "output_norm.weight": (width,)}
    return tensors if is_tied else {**tensors, "output.weight": (width, vocabulary)}


def qkv(width: int, heads: int, kv: int, head: int) -> dict[str, tuple[int, ...]]:
    return {
        "attn_norm.weight": (width,),
        "attn_q.weight": (width, heads * head),
        "attn_k.weight": (width, kv * head),
        "attn_v.weight": (width, kv * head),
        "attn_output.weight": (heads * head, width),
    }


def dense(width: int, wide: int) -> dict[str, tuple[int, ...]]:
    return {
        "ffn_norm.weight": (width,),
        "ffn_gate.weight": (width, wide),
        "ffn_up.weight": (width, wide),
        "ffn_down.weight": (wide, width),
    }


def experts(width: int, wide: int, count: int, shared: int = 0) -> dict[str, tuple[int, ...]]:
    found = {
        "ffn_norm.weight": (width,),
        "ffn_gate_inp.weight": (width, count),
        "ffn_gate_exps.weight": (width, wide, count),
        "ffn_up_exps.weight": (width, wide, count),
        "ffn_down_exps.weight": (wide, width, count),
    }
    if shared:
        found |= {
            "ffn_gate_shexp.weight": (width, shared),
            "ffn_up_shexp.weight": (width, shared),
            "ffn_down_shexp.weight": (shared, width),
        }
    return found


def stacked(layers: int, block: Callable[[int], dict[str, tuple[int, ...]]]) -> dict[str, tuple[int, ...]]:
    return {f"blk.{n}.{name}": shape for n in range(layers) for name, shape in block(n).items()}


def llama(name: str, layers: int, width: int, wide: int, heads: int, kv: int, vocabulary: int, **more: Any) -> Shape:
    head = more.get("head", width // heads)
    return Shape(
        name,
        "llama",
        attention(layers, width, heads, kv, head) | {"feed_forward_length": wide},
        outer(width, vocabulary, is_tied=more.get("is_tied", False))
        | stacked(layers, lambda _: qkv(width, heads, kv, head) | dense(width, wide)),
        vocabulary,
        plain=more.get("plain", WIDE),
    )


def qwen2_5_7b() -> Shape:
    width, head = 3584, 128
    bias = {"attn_q.bias": (28 * head,), "attn_k.bias": (4 * head,), "attn_v.bias": (4 * head,)}
    return Shape(
        "qwen2.5-7b",
        "qwen2",
        attention(28, width, 28, 4, head, 32_768) | {"feed_forward_length": 18_944},
        outer(width, 152_064) | stacked(28, lambda _: qkv(width, 28, 4, head) | bias | dense(width, 18_944)),
        152_064,
    )


def qwen3_0_6b() -> Shape:
    width, head = 1024, 128
    norms = {"attn_q_norm.weight": (head,), "attn_k_norm.weight": (head,)}
    return Shape(
        "qwen3-0.6b",
        "qwen3",
        attention(28, width, 16, 8, head, 40_960) | {"feed_forward_length": 3072},
        outer(width, 151_936, is_tied=True)
        | stacked(28, lambda _: qkv(width, 16, 8, head) | norms | dense(width, 3072)),
        151_936,
        plain=Type.Q8_0,
    )


def qwen3_30b_a3b() -> Shape:
    width, head = 2048, 128
    norms = {"attn_q_norm.weight": (head,), "attn_k_norm.weight": (head,)}
    return Shape(
        "qwen3-30b-a3b",
        "qwen3moe",
        attention(48, width, 32, 4, head, 40_960)
        | {"feed_forward_length": 6144, "expert_count": 128, "expert_used_count": 8, "expert_feed_forward_length": 768},
        outer(width, 151_936) | stacked(48, lambda _: qkv(width, 32, 4, head) | norms | experts(width, 768, 128)),
        151_936,
    )


def mixtral() -> Shape:
    width = 4096
    return Shape(
        "mixtral-8x7b",
        "llama",
        attention(32, width, 32, 8, 128, 32_768)
        | {"feed_forward_length": 14_336, "expert_count": 8, "expert_used_count": 2},
        outer(width, 32_000) | stacked(32, lambda _: qkv(width, 32, 8, 128) | experts(width, 14_336, 8)),
        32_000,
    )


def gemma(
    name: str, architecture: str, layers: int, width: int, wide: int, heads: int, kv: int, head: int, **more: Any
) -> Shape:
    norms = {"post_attention_norm.weight": (width,), "post_ffw_norm.weight": (width,)}
    if architecture == "gemma3":
        norms |= {"attn_q_norm.weight": (head,), "attn_k_norm.weight": (head,)}
    vocabulary = more.get("vocabulary", 262_144)
    return Shape(
        name,
        architecture,
        attention(layers, width, heads, kv, head, more.get("context", 131_072))
        | {"feed_forward_length": wide, "attention.sliding_window": more["window"]},
        outer(width, vocabulary, is_tied=True)
        | stacked(layers, lambda _: qkv(width, heads, kv, head) | norms | dense(width, wide)),
        vocabulary,
    )


def gpt_oss_20b() -> Shape:
    width, wide, count = 2880, 2880, 32

    def block(_: int) -> dict[str, tuple[int, ...]]:
        found = qkv(width, 64, 8, 64) | experts(width, wide, count)
        del found["ffn_norm.weight"]
        return found | {
            "post_attention_norm.weight": (width,),
            "attn_q.bias": (4096,),
            "attn_k.bias": (512,),
            "attn_v.bias": (512,),
            "attn_output.bias": (width,),
            "attn_sinks.weight": (64,),
            "ffn_gate_inp.bias": (count,),
            "ffn_gate_exps.bias": (wide, count),
            "ffn_up_exps.bias": (wide, count),
            "ffn_down_exps.bias": (width, count),
        }

    return Shape(
        "gpt-oss-20b",
        "gpt-oss",
        attention(24, width, 64, 8, 64)
        | {
            "feed_forward_length": wide,
            "expert_count": count,
            "expert_used_count": 4,
            "expert_feed_forward_length": wide,
            "attention.sliding_window": 128,
        },
        outer(width, 201_088) | stacked(24, block),
        201_088,
        types={".bias": NORM, "_exps.weight": Type.MXFP4},
        plain=Type.Q8_0,
    )


def deepseek(
    name: str,
    layers: int,
    width: int,
    heads: int,
    q_rank: int,
    lead: int,
    dense_wide: int,
    wide: int,
    count: int,
    used: int,
    shared: int,
    vocabulary: int,
    **more: Any,
) -> Shape:
    rank, turned, nope, value = 512, 64, 128, 128

    def block(number: int) -> dict[str, tuple[int, ...]]:
        queries = heads * (nope + turned)
        found: dict[str, tuple[int, ...]] = {"attn_norm.weight": (width,)}
        if q_rank:
            found |= {
                "attn_q_a.weight": (width, q_rank),
                "attn_q_a_norm.weight": (q_rank,),
                "attn_q_b.weight": (q_rank, queries),
            }
        else:
            found |= {"attn_q.weight": (width, queries)}
        found |= {
            "attn_kv_a_mqa.weight": (width, rank + turned),
            "attn_kv_a_norm.weight": (rank,),
            "attn_k_b.weight": (nope, rank, heads),
            "attn_v_b.weight": (rank, value, heads),
            "attn_output.weight": (heads * value, width),
        }
        if number < lead:
            return found | dense(width, dense_wide)
        found |= experts(width, wide, count, shared)
        return found | ({"exp_probs_b.bias": (count,)} if more.get("groups") else {})

    settings = attention(layers, width, heads, 1, rank + turned, 163_840) | {
        "attention.value_length": rank,
        "attention.key_length_mla": nope + turned,
        "attention.value_length_mla": value,
        "attention.kv_lora_rank": rank,
        "rope.dimension_count": turned,
        "feed_forward_length": dense_wide,
        "leading_dense_block_count": lead,
        "expert_count": count,
        "expert_used_count": used,
        "expert_shared_count": shared // wide,
        "expert_feed_forward_length": wide,
        "expert_weights_scale": 2.5 if q_rank else 1.0,
        "expert_weights_norm": bool(q_rank),
        "expert_gating_func": 2 if q_rank else 1,
        "rope.scaling.yarn_log_multiplier": 0.1,
    }
    if q_rank:
        settings["attention.q_lora_rank"] = q_rank
    if groups := more.get("groups"):
        settings |= {"expert_group_count": groups, "expert_group_used_count": 4}
    return Shape(name, "deepseek2", settings, outer(width, vocabulary) | stacked(layers, block), vocabulary)


def phi3_mini() -> Shape:
    width, wide = 3072, 8192

    def block(_: int) -> dict[str, tuple[int, ...]]:
        return {
            "attn_norm.weight": (width,),
            "attn_qkv.weight": (width, 3 * width),
            "attn_output.weight": (width, width),
            "ffn_norm.weight": (width,),
            "ffn_up.weight": (width, 2 * wide),
            "ffn_down.weight": (wide, width),
        }

    settings = attention(32, width, 32, 32, 96, 4096) | {"feed_forward_length": wide}
    return Shape("phi-3-mini", "phi3", settings, outer(width, 32_064) | stacked(32, block), 32_064)


def lfm2_1_2b() -> Shape:
    width, wide = 2048, 8192
    full = (2, 5, 8, 10, 12, 14)
    norms = {"attn_q_norm.weight": (64,), "attn_k_norm.weight": (64,)}

    def block(number: int) -> dict[str, tuple[int, ...]]:
        if number in full:
            return qkv(width, 32, 8, 64) | norms | dense(width, wide)
        return {
            "attn_norm.weight": (width,),
            "shortconv.conv.weight": (3, width),
            "shortconv.in_proj.weight": (width, 3 * width),
            "shortconv.out_proj.weight": (width, width),
        } | dense(width, wide)

    settings = attention(16, width, 32, 8, 64, 128_000) | {
        "feed_forward_length": wide,
        "shortconv.l_cache": 3,
        "attention.head_count_kv": [8 if n in full else 0 for n in range(16)],
    }
    tensors = {"token_embd.weight": (width, 65_536), "token_embd_norm.weight": (width,)}
    return Shape("lfm2-1.2b", "lfm2", settings, tensors | stacked(16, block), 65_536)


def qwen3_next_80b() -> Shape:
    width, inner, size, keys, values = 2048, 4096, 128, 16, 32
    channels = inner + 2 * keys * size

    def block(number: int) -> dict[str, tuple[int, ...]]:
        shared = {"post_attention_norm.weight": (width,), "ffn_gate_inp_shexp.weight": (width,)}
        feed = experts(width, 512, 512, 512) | shared
        del feed["ffn_norm.weight"]
        if number % 4 == 3:
            found = qkv(width, 16, 2, 256) | {"attn_q_norm.weight": (256,), "attn_k_norm.weight": (256,)}
            return found | {"attn_q.weight": (width, 2 * 16 * 256)} | feed
        return {
            "attn_norm.weight": (width,),
            "attn_qkv.weight": (width, channels),
            "attn_gate.weight": (width, inner),
            "ssm_conv1d.weight": (4, channels),
            "ssm_dt.bias": (values,),
            "ssm_a": (values,),
            "ssm_ba.weight": (width, 2 * values),
            "ssm_norm.weight": (inner // values,),
            "ssm_out.weight": (inner, width),
        } | feed

    settings = attention(48, width, 16, 2, 256, 262_144) | {
        "feed_forward_length": 5120,
        "rope.dimension_count": 64,
        "expert_count": 512,
        "expert_used_count": 10,
        "expert_feed_forward_length": 512,
        "expert_shared_feed_forward_length": 512,
        "ssm.conv_kernel": 4,
        "ssm.state_size": size,
        "ssm.group_count": keys,
        "ssm.time_step_rank": values,
        "ssm.inner_size": inner,
    }
    return Shape("qwen3-next-80b", "qwen3next", settings, outer(width, 151_936) | stacked(48, block), 151_936)


def mamba_2_8b() -> Shape:
    width, inner, states, rank = 2560, 5120, 16, 160

    def block(_: int) -> dict[str, tuple[int, ...]]:
        return {
            "attn_norm.weight": (width,),
            "ssm_in.weight": (width, 2 * inner),
            "ssm_conv1d.weight": (4, inner),
            "ssm_conv1d.bias": (inner,),
            "ssm_x.weight": (inner, rank + 2 * states),
            "ssm_dt.weight": (rank, inner),
            "ssm_dt.bias": (inner,),
            "ssm_a": (states, inner),
            "ssm_d": (inner,),
            "ssm_out.weight": (inner, width),
        }

    settings = {
        "block_count": 64,
        "context_length": 1_048_576,
        "embedding_length": width,
        "feed_forward_length": 0,
        "attention.head_count": 0,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "ssm.conv_kernel": 4,
        "ssm.inner_size": inner,
        "ssm.state_size": states,
        "ssm.time_step_rank": rank,
    }
    return Shape("mamba-2.8b", "mamba", settings, outer(width, 50_280, is_tied=True) | stacked(64, block), 50_280)


def granite4_tiny() -> Shape:
    width, inner, states, heads = 1536, 3072, 128, 48
    channels = inner + 2 * states
    full = (5, 15, 25, 35)

    def block(number: int) -> dict[str, tuple[int, ...]]:
        feed = experts(width, 512, 64, 1024)
        if number in full:
            return qkv(width, 12, 4, 128) | feed
        return {
            "attn_norm.weight": (width,),
            "ssm_in.weight": (width, inner + channels + heads),
            "ssm_conv1d.weight": (4, channels),
            "ssm_conv1d.bias": (channels,),
            "ssm_dt.bias": (heads,),
            "ssm_a": (1, heads),
            "ssm_d": (1, heads),
            "ssm_norm.weight": (inner, 1),
            "ssm_out.weight": (inner, width),
        } | feed

    settings = attention(40, width, 12, 4, 128, 131_072) | {
        "feed_forward_length": 512,
        "expert_shared_feed_forward_length": 1024,
        "expert_count": 64,
        "expert_used_count": 6,
        "attention.head_count_kv": [4 if n in full else 0 for n in range(40)],
        "attention.scale": 0.0078125,
        "embedding_scale": 12.0,
        "residual_scale": 0.22,
        "logit_scale": 6.0,
        "rope.scaling.finetuned": False,
        "ssm.conv_kernel": 4,
        "ssm.inner_size": inner,
        "ssm.state_size": states,
        "ssm.group_count": 1,
        "ssm.time_step_rank": heads,
    }
    return Shape(
        "granite-4-tiny", "granitehybrid", settings, outer(width, 100_352, is_tied=True) | stacked(40, block), 100_352
    )


def olmo2_7b() -> Shape:
    width, wide = 4096, 11_008

    def block(_: int) -> dict[str, tuple[int, ...]]:
        found = qkv(width, 32, 32, 128) | dense(width, wide)
        del found["attn_norm.weight"], found["ffn_norm.weight"]
        norms = ("attn_q_norm", "attn_k_norm", "post_attention_norm", "post_ffw_norm")
        return found | {f"{norm}.weight": (width,) for norm in norms}

    settings = attention(32, width, 32, 32, 128, 4096) | {"feed_forward_length": wide}
    return Shape("olmo2-7b", "olmo2", settings, outer(width, 100_352) | stacked(32, block), 100_352)


def all_shapes() -> Iterator[Shape]:
    yield llama("llama-2-7b", 32, 4096, 11_008, 32, 32, 32_000)
    yield llama("llama-3.2-1b", 16, 2048, 8192, 32, 8, 128_256, is_tied=True)
    yield llama("llama-3.1-8b", 32, 4096, 14_336, 32, 8, 128_256)
    yield llama("llama-3.3-70b", 80, 8192, 28_672, 64, 8, 128_256)
    yield qwen2_5_7b()
    yield qwen3_0_6b()
    yield qwen3_30b_a3b()
    yield mixtral()
    yield gemma("gemma-2-9b", "gemma2", 42, 3584, 14_336, 16, 8, 256, vocabulary=256_000, window=4096, context=8192)
    yield gemma("gemma-3-4b", "gemma3", 34, 2560, 10_240, 8, 4, 256, window=1024)
    yield gemma("gemma-3-27b", "gemma3", 62, 5376, 21_504, 32, 16, 128, window=1024)
    yield gpt_oss_20b()
    yield deepseek("deepseek-v2-lite", 27, 2048, 16, 0, 1, 10_944, 1408, 64, 6, 2816, 102_400)
    yield deepseek("deepseek-v3", 61, 7168, 128, 1536, 3, 18_432, 2048, 256, 8, 2048, 129_280, groups=8)
    yield phi3_mini()
    yield olmo2_7b()
    yield lfm2_1_2b()
    yield qwen3_next_80b()
    yield mamba_2_8b()
    yield granite4_tiny()
