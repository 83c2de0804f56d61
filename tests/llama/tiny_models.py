"""Tiny random models of the kinds that cannot simply be cut back: a sliding window, a hybrid, a purely recurrent one.

Written straight as GGUF; names and shapes are those of llama.cpp's `src/models/{gemma2,lfm2,mamba}.cpp`.
"""

import json
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

from tests.convert import checkpoints

Tensors = dict[str, npt.NDArray[np.float32]]

WIDTH, FEED_FORWARD, NUM_LAYERS = 64, 128, 4
NUM_HEADS, NUM_KV_HEADS, HEAD = 4, 2, 16
CONTEXT = 2048
WINDOW = 16  # tokens that a layer of the sliding-window model sees, itself included
SHORT_CONVOLUTION = 3
INNER, STATE, CONVOLUTION, STEP_RANK = 2 * WIDTH, 16, 4, 8


class _Random:
    """Weights that make every layer count. Seeded."""

    def __init__(self, seed: int):
        self._random = np.random.default_rng(seed)

    def matrix(self, *shape: int, scale: float = 1.0) -> npt.NDArray[np.float32]:
        return (scale * self._random.standard_normal(shape) * shape[-1] ** -0.5).astype(np.float32)

    def vector(self, size: int, middle: float = 1.0) -> npt.NDArray[np.float32]:
        return (middle + 0.2 * self._random.standard_normal(size)).astype(np.float32)


def write_plain(path: Path, seed: int = 4) -> Path:
    """Llama. seed: other weights, so that each says something else."""
    random, tensors = _Random(seed), _outer(_Random(seed + 1), "output_norm")
    for layer in range(NUM_LAYERS):
        tensors |= _named(layer, _attention(random) | _feed_forward(random))
    writer = _writer(path, "llama", num_kv_heads=NUM_KV_HEADS)
    writer.add_rope_dimension_count(HEAD)
    return _finish(writer, tensors, path)


def write_sliding(path: Path) -> Path:
    """Gemma 2: every other layer sees a window, logits are capped."""
    random, tensors = _Random(1), _outer(_Random(0), "output_norm", is_tied=True)
    for layer in range(NUM_LAYERS):
        block = _attention(random) | _feed_forward(random)
        block |= {"post_attention_norm.weight": random.vector(WIDTH, 4.0), "post_ffw_norm.weight": random.vector(WIDTH)}
        tensors |= _named(layer, block)
    writer = _writer(path, "gemma2", num_kv_heads=NUM_KV_HEADS)
    writer.add_sliding_window(WINDOW)
    writer.add_attn_logit_softcapping(50.0)
    writer.add_final_logit_softcapping(30.0)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    return _finish(writer, tensors, path)


def write_hybrid(path: Path) -> Path:
    """LFM2: short convolutions, and attention in every other layer."""
    random, tensors = _Random(2), _outer(_Random(0), "token_embd_norm")
    is_attention = [layer % 2 == 1 for layer in range(NUM_LAYERS)]
    for layer in range(NUM_LAYERS):
        if is_attention[layer]:
            block = _attention(random)
            block |= {"attn_q_norm.weight": random.vector(HEAD), "attn_k_norm.weight": random.vector(HEAD)}
        else:
            block = {
                "attn_norm.weight": random.vector(WIDTH),
                "shortconv.conv.weight": random.matrix(WIDTH, SHORT_CONVOLUTION, scale=1.5),
                "shortconv.in_proj.weight": random.matrix(3 * WIDTH, WIDTH),
                "shortconv.out_proj.weight": random.matrix(WIDTH, WIDTH),
            }
        tensors |= _named(layer, block | _feed_forward(random))
    writer = _writer(path, "lfm2", num_kv_heads=[NUM_KV_HEADS if is_ else 0 for is_ in is_attention])
    writer.add_shortconv_l_cache(SHORT_CONVOLUTION)
    return _finish(writer, tensors, path)


def write_recurrent(path: Path) -> Path:
    """Mamba: no attention at all."""
    random, tensors = _Random(3), _outer(_Random(0), "output_norm")
    for layer in range(NUM_LAYERS):
        block = {
            "attn_norm.weight": random.vector(WIDTH),
            "ssm_in.weight": random.matrix(2 * INNER, WIDTH),
            "ssm_conv1d.weight": random.matrix(INNER, CONVOLUTION),
            "ssm_conv1d.bias": random.vector(INNER, 0.0),
            "ssm_x.weight": random.matrix(STEP_RANK + 2 * STATE, INNER),
            "ssm_dt.weight": random.matrix(INNER, STEP_RANK),
            "ssm_dt.bias": random.vector(INNER, 0.0),
            "ssm_a": -np.exp(random.matrix(INNER, STATE)),
            "ssm_d": random.vector(INNER),
            "ssm_out.weight": random.matrix(WIDTH, INNER),
        }
        tensors |= _named(layer, block)
    writer = _writer(path, "mamba", num_kv_heads=0)
    writer.add_ssm_conv_kernel(CONVOLUTION)
    writer.add_ssm_inner_size(INNER)
    writer.add_ssm_state_size(STATE)
    writer.add_ssm_time_step_rank(STEP_RANK)
    return _finish(writer, tensors, path)


def _outer(random: _Random, norm: str, is_tied: bool = False) -> Tensors:
    """A tied model's embeddings are small, else each token would call for itself."""
    tensors = {
        "token_embd.weight": random.matrix(checkpoints.VOCAB_SIZE, WIDTH, scale=1.0 if is_tied else 8.0),
        f"{norm}.weight": random.vector(WIDTH),
    }
    if not is_tied:
        tensors["output.weight"] = random.matrix(checkpoints.VOCAB_SIZE, WIDTH)
    return tensors


def _attention(random: _Random) -> Tensors:
    return {
        "attn_norm.weight": random.vector(WIDTH),
        "attn_q.weight": random.matrix(NUM_HEADS * HEAD, WIDTH, scale=2.0),
        "attn_k.weight": random.matrix(NUM_KV_HEADS * HEAD, WIDTH, scale=2.0),
        "attn_v.weight": random.matrix(NUM_KV_HEADS * HEAD, WIDTH),
        "attn_output.weight": random.matrix(WIDTH, NUM_HEADS * HEAD),
    }


def _feed_forward(random: _Random) -> Tensors:
    return {
        "ffn_norm.weight": random.vector(WIDTH),
        "ffn_gate.weight": random.matrix(FEED_FORWARD, WIDTH),
        "ffn_up.weight": random.matrix(FEED_FORWARD, WIDTH),
        "ffn_down.weight": random.matrix(WIDTH, FEED_FORWARD),
    }


def _named(layer: int, block: Tensors) -> Tensors:
    return {f"blk.{layer}.{name}": value for name, value in block.items()}


def _writer(path: Path, architecture: str, num_kv_heads: int | list[int]) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(NUM_LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(NUM_HEADS)
    writer.add_head_count_kv(num_kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(checkpoints.VOCAB_SIZE)
    _add_vocabulary(writer)
    return writer


def _add_vocabulary(writer: gguf.GGUFWriter) -> None:
    made = json.loads(checkpoints.tokenizer("qwen2").to_str())["model"]
    tokens = sorted(made["vocab"], key=made["vocab"].__getitem__)
    unused = [f"[unused{n}]" for n in range(len(tokens), checkpoints.VOCAB_SIZE)]
    kinds = [gguf.TokenType.CONTROL if token in checkpoints.SPECIAL else gguf.TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([*tokens, *unused])
    writer.add_token_types([*kinds, *[gguf.TokenType.UNUSED] * len(unused)])
    writer.add_token_merges([" ".join(merge) for merge in made["merges"]])
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(checkpoints.CHATML)


def _finish(writer: gguf.GGUFWriter, tensors: Tensors, path: Path) -> Path:
    for name, value in tensors.items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
