"""A small Llama in plain torch, with Hugging Face's tensor names. Knows arithmetic, nothing of text or training."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_BLOCK = 32  # weights that share one scale and one minimum in llama.cpp's Q4_K
_LEVELS = 15  # the largest 4-bit code


@dataclass(frozen=True, slots=True)
class LlamaShape:
    """Sizes of one checkpoint. `hidden` and `ffn` are multiples of 256, the row length K-quants need."""

    vocab: int
    hidden: int
    ffn: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int = 64
    context: int = 2048
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5

    def config(self, eos_id: int, pad_id: int) -> dict[str, Any]:
        """Returns Hugging Face's `config.json` for `LlamaForCausalLM`."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": self.vocab,
            "hidden_size": self.hidden,
            "intermediate_size": self.ffn,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "num_key_value_heads": self.num_kv_heads,
            "head_dim": self.head_dim,
            "max_position_embeddings": self.context,
            "rope_theta": self.rope_theta,
            "rms_norm_eps": self.norm_eps,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": eos_id,
            "pad_token_id": pad_id,
            "torch_dtype": "float16",
        }


def fake_quantize(weight: Tensor) -> Tensor:
    """Rounds each block of 32 weights to 16 levels, as Q4_K nearly does; gradients pass straight through."""
    blocks = weight.detach().reshape(-1, _BLOCK)
    low = blocks.amin(1, keepdim=True).clamp_(max=0)
    scale = ((blocks.amax(1, keepdim=True) - low) / _LEVELS).clamp_(min=1e-8)
    rounded = ((blocks - low) / scale).round_().clamp_(0, _LEVELS).mul_(scale).add_(low)
    return weight + (rounded.reshape_as(weight) - weight.detach())


class Linear(nn.Linear):
    """A linear map without bias that can pretend to be 4-bit, so that training learns to survive quantization."""

    is_quantized = False

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__(num_in, num_out, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, fake_quantize(self.weight) if self.is_quantized else self.weight)


class Norm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns `x` (batch, heads, length, dim) by its position; dimension i pairs with i + dim/2, as Hugging Face does."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.shape = shape
        self.q_proj = Linear(shape.hidden, shape.num_heads * shape.head_dim)
        self.k_proj = Linear(shape.hidden, shape.num_kv_heads * shape.head_dim)
        self.v_proj = Linear(shape.hidden, shape.num_kv_heads * shape.head_dim)
        self.o_proj = Linear(shape.num_heads * shape.head_dim, shape.hidden)

    def _heads(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], -1, self.shape.head_dim).transpose(1, 2)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q = rotate(self._heads(self.q_proj(x)), cos, sin)
        k = rotate(self._heads(self.k_proj(x)), cos, sin)
        v = self._heads(self.v_proj(x))
        groups = self.shape.num_heads // self.shape.num_kv_heads
        keys, values = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        mixed = functional.scaled_dot_product_attention(q, keys, values, is_causal=True)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.gate_proj = Linear(shape.hidden, shape.ffn)
        self.up_proj = Linear(shape.hidden, shape.ffn)
        self.down_proj = Linear(shape.ffn, shape.hidden)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Layer(nn.Module):
    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.input_layernorm = Norm(shape.hidden, shape.norm_eps)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = Norm(shape.hidden, shape.norm_eps)
        self.mlp = FeedForward(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Trunk(nn.Module):
    """Everything below the output matrix; a module of its own so that names begin with `model.`"""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.num_layers))
        self.norm = Norm(shape.hidden, shape.norm_eps)


class Llama(nn.Module):
    """Output weights are the embedding's (`tie_word_embeddings`)."""

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Trunk(shape)
        angles = 1.0 / shape.rope_theta ** (torch.arange(0, shape.head_dim, 2).float() / shape.head_dim)
        table = torch.outer(torch.arange(shape.context).float(), angles).repeat(1, 2)
        self.register_buffer("cos", table.cos(), persistent=False)
        self.register_buffer("sin", table.sin(), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                # layers that write into the residual stream start smaller, so that depth adds no variance
                is_output = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * self.shape.num_layers) ** 0.5 if is_output else 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps token ids (batch, length) to normed hidden states (batch, length, hidden)."""
        x = self.model.embed_tokens(tokens)
        cos, sin = self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        out: Tensor = self.model.norm(x)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self.model.embed_tokens.weight)

    def num_parameters(self) -> int:
        return sum(p.numel() for p in self.parameters())

    def pretend_quantized(self, is_quantized: bool) -> None:
        for module in self.modules():
            if isinstance(module, Linear):
                module.is_quantized = is_quantized
