"""A sound tiny model of every architecture that llama.cpp has, made by the installed library itself.

llama.cpp can make a model from settings alone (`llama_model_init_from_user`) and save it; the settings are those of its
own tests/test-llama-archs.cpp. What is kept is the header, as a document that can be spoilt: the weights are zeros.
"""

import argparse
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from backends.formats.gguf_tables import ARCHITECTURES
from tests.library.gguf_draft import ARRAY, BOOL, F32, STRING, U32, U64, VOCAB, Draft, Setting, Tensor, _tokenizer

SECONDS = 240
MLA = (
    *("deepseek2", "deepseek32", "glm-dsa", "dots3note", "kimi-linear", "bailingmoe3", "kimi-k3", "glm5-next"),
    *("mistral4", "hy_v4"),
)
PER_LAYER_HEADS = (
    *("plamo2", "jamba", "nemotron_h", "nemotron_h_moe", "granitehybrid", "lfm2", "lfm2moe", "kimi-linear"),
    *("bailingmoe3", "kimi-k3", "glm5-next"),
)
PATTERN_LISTS = ("cohere2moe", "mimo2", "step35", "spark2_5", "muse-glimmer", "granite_swa", "dots3note", "maple")
SIZES: dict[str, dict[str, int]] = {  # what differs from embedding 256, 2 heads, feed forward 384, 2 layers
    "llama4": {"layers": 4},
    "gemma4": {"embed": 128, "ff": 192, "layers": 5},
    "gemma3n": {"embed": 64, "heads": 1, "ff": 96, "layers": 22},
    "deepseek4": {"embed": 512, "heads": 8, "ff": 1024, "layers": 4},
    "step35": {"embed": 160},
    "laguna": {"embed": 160},
    "qwen3": {"heads": 4, "kv": 1},
    "muse-glimmer": {"heads": 4, "kv": 2},
    "afmoe": {"heads": 4, "kv": 2},
    "nemotron_h": {"layers": 3},
    "nemotron_h_moe": {"layers": 3},
    "hrm_text": {"layers": 6},
    **{name: {"embed": 128, "heads": 1, "ff": 192} for name in MLA},
}
ALSO_DENSE = ("llama", "refact", "minicpm", "granite", "granitemoe", "mistral3", "llama-embed")


@dataclass(frozen=True, slots=True)
class Sizes:
    embed: int = 256
    heads: int = 2
    ff: int = 384
    layers: int = 2
    kv: int = 0

    @property
    def head(self) -> int:
        return self.embed // self.heads


def settings(name: str, has_experts: bool) -> dict[str, Any]:
    """Without the architecture's name before them, as far as that stands there."""
    s = Sizes(**SIZES.get(name, {}))
    alternating = [0 if layer == 1 else s.heads for layer in range(s.layers)]
    odd = [layer % 2 for layer in range(s.layers)]
    found: dict[str, Any] = {
        "vocab_size": VOCAB,
        "context_length": 256,
        "embedding_length": s.embed,
        "features_length": s.embed,
        "block_count": s.layers,
        "leading_dense_block_count": 1,
        "feed_forward_length": [0, 0, s.ff] if name.startswith("nemotron_h") else s.ff,
        "use_parallel_residual": False,
        "logit_scale": 1.0,
        "time_mix_extra_dim": 64,
        "time_decay_extra_dim": 128,
        "full_attention_interval": 2,
        "attention.head_count": alternating if name in PER_LAYER_HEADS and name != "glm5-next" else s.heads,
        "attention.head_count_kv": alternating if name in PER_LAYER_HEADS else s.kv or s.heads,
        "attention.max_alibi_bias": 8.0,
        "attention.clamp_kqv": 1.0,
        "attention.layer_norm_epsilon": 1e-5,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "attention.group_norm_epsilon": 1e-5,
        "attention.group_norm_groups": 8,
        "attention.q_lora_rank": 512,
        "attention.kv_lora_rank": 512,
        "attention.relative_buckets_count": 8,
        "attention.sliding_window": 32,
        "attention.sliding_window_pattern": odd if name in PATTERN_LISTS else 2,
        "attention.indexer.head_count": s.heads if name == "minimax-m3" else 64,
        "attention.indexer.key_length": s.head if name == "qwen4exp" else 128,
        "attention.indexer.top_k": 131072,
        "attention.indexer.block_size": 4,
        "attention.indexer.kpool": 4,
        "attention.indexer.kpool_select_tail": True,
        "attention.indexer.local_blocks": 1,
        "rope.dimension_sections": [8, 12, 12, 0] if name == "bailingmoe3" else [s.head // 4] * 4,
        "posnet.embedding_length": s.embed,
        "posnet.block_count": s.layers,
        "convnext.embedding_length": s.embed,
        "convnext.block_count": s.layers,
        "ssm.inner_size": 256 if name in ("qwen3next", "qwen35", "qwen35moe", "qwen4exp") else 2 * s.embed,
        "ssm.conv_kernel": 4,
        "ssm.state_size": 128,
        "ssm.time_step_rank": s.heads,
        "ssm.group_count": 0 if name == "plamo2" else 2,
        "kda.head_dim": 128,
        "kda.safe_gate": True,
        "kda.gate_lower_bound": -5.0,
        "wkv.head_size": s.head,
        "shortconv.l_cache": 3,
        "residual_scale": 3.5,
        "attn_res.block_size": 12,
        "activation.situ_beta": 4.0,
        "activation.situ_linear_beta": 25.0,
        "attention.decay_lora_rank": 16,
        "attention.iclr_lora_rank": 16,
        "attention.value_residual_mix_lora_rank": 16,
        "attention.gate_lora_rank": 16,
        "pooling_type": 1,
    }
    if has_experts:
        found |= {
            "expert_feed_forward_length": s.ff,
            "expert_shared_feed_forward_length": s.ff // 2,
            "expert_latent_length": s.ff,
            "interleave_moe_layer_step": 2,
            "expert_count": 2,
            "expert_used_count": 2,
            "expert_shared_count": 1,
            "expert_gating_func": 4 if name == "deepseek4" else 2,
            "expert_group_scale": 1.0,
            "experts_per_group": 1,
            "expert_chunk_feed_forward_length": s.ff,
            "moe_every_n_layers": 2,
        }
    return found | _own(name, s)


def _own(name: str, s: Sizes) -> dict[str, Any]:
    odd = [layer % 2 for layer in range(s.layers)]
    found: dict[str, Any] = {}
    if name in MLA:
        found |= {
            "attention.key_length": 512 if name == "glm5-next" else 576,
            "attention.value_length": 512,
            "rope.dimension_count": 0 if name == "glm5-next" else 64,
            "attention.key_length_mla": 192,
            "attention.value_length_mla": 128,
        }
    if name == "dots3note":
        found |= {
            "attention.kv_lora_rank_swa": 512,
            "attention.key_length_swa": 576,
            "attention.value_length_swa": 512,
            "attention.key_length_mla_swa": 192,
            "attention.value_length_mla_swa": 128,
            "rope.freq_base_swa": 10000.0,
        }
    if name in ("dots3note", "hy_v4"):
        found["attention.indexer.types"] = [1 - n for n in odd]
    if name == "plm":
        found |= {"attention.key_length": 192, "attention.value_length": 128, "rope.dimension_count": 64}
    if name == "minimax-m3":
        found["rope.dimension_count"] = 64
    if name == "gemma4":
        found |= {
            "embedding_length_per_layer_input": s.embed // 2,
            "attention.shared_kv_layers": 0,
            "attention.key_length_swa": s.head,
            "attention.value_length_swa": s.head,
            "rope.freq_base_swa": 10000.0,
            "attention.sliding_window_pattern": [True] * 4 + [False],
        }
    if name in ("qwen4exp", "glm5-next"):
        found |= {
            "hyper_connection.count": 4,
            "hyper_connection.sinkhorn_iterations": 2,
            "hyper_connection.epsilon": 1e-6,
            "hyper_connection.low_rank": 8,
            "attention.compress_ratios": [4] * s.layers,
            "ple.layers": [0],
            "ple.ngram_size": 3,
            "ple.heads_per_ngram": 2,
            "ple.conv_kernel": 4,
            "ple.eos_token_id": 0,
            "embedding_length_per_layer_input": s.embed // 4,
            "ple.layer_multipliers": (1, 3, 5),
            "ple.head_offsets": tuple(VOCAB * h for h in range(4)),
            "ple.head_vocab_sizes": (VOCAB,) * 4,
        }
    if name == "hy_v4":
        found |= {
            "hyper_connection.count": 4,
            "hyper_connection.epsilon": 1e-6,
            "hyper_connection.magnitude": 2.0,
            "swiglu_clamp_exp": 10.0,
            "expert_weights_scale": 1.0,
            "expert_weights_norm": True,
        }
    if name == "deepseek4":
        found |= {
            "attention.head_count_kv": 1,
            "attention.key_length": s.head,
            "attention.value_length": s.head,
            "rope.dimension_count": s.head // 2,
            "attention.q_lora_rank": 64,
            "attention.output_group_count": 8,
            "attention.output_lora_rank": 32,
            "attention.compress_ratios": [0, 0, 4, 128],
            "attention.compress_rope_freq_base": 160000.0,
            "hyper_connection.count": 4,
            "hyper_connection.sinkhorn_iterations": 2,
            "hyper_connection.epsilon": 1e-6,
            "hash_layer_count": 0,
            "swiglu_clamp_exp": 10.0,
            "expert_weights_scale": 1.0,
            "expert_weights_norm": True,
        }
    if name == "hrm_text":
        found |= {"hrm.layers_per_stack": 1, "hrm.h_cycles": 2, "hrm.l_cycles": 2}
    if name in ("arwkv7", "rwkv6qwen2"):
        found["token_shift_count"] = 1
    if name == "maple":
        found["swiglu_clamp_exp"] = 7.0
    if name == "bailingmoe3":
        found |= {"swiglu_clamp_exp": [0.0, 4.0], "swiglu_clamp_shexp": [0.0, 5.0]}
    return found


def _setting(key: bytes, value: Any) -> Setting:
    if isinstance(value, list | tuple):
        kinds = {bool: BOOL, int: U64 if isinstance(value, tuple) else U32, float: F32}
        return Setting(key, ARRAY, list(value), kinds[type(value[0])])
    return Setting(key, {bool: BOOL, int: U32, float: F32}[type(value)], value)


def document(name: str, has_experts: bool) -> Draft:
    """Settings and a vocabulary, no tensors."""
    prefix = name.encode() + b"."
    xielu = [_setting(f"xielu.{k}".encode(), v) for k, v in {"alpha_n": 1.0, "alpha_p": 1.0, "beta": 1.0}.items()]
    return Draft(
        [
            Setting(b"general.architecture", STRING, name.encode()),
            *(_setting(prefix + key.encode(), value) for key, value in settings(name, has_experts).items()),
            *xielu,
            _setting(b"xielu.eps", 1e-7),
            _setting(b"tokenizer.ggml.token_type_count", 2),
            *_tokenizer("llama"),
        ],
        [],
    )


@cache
def models() -> dict[str, Draft]:
    """ "name" or "name, experts" -> the whole model. Those that llama.cpp cannot make or run this way are left out."""
    found: dict[str, Draft] = {}
    with tempfile.TemporaryDirectory(prefix="sound-") as folder:
        command = [sys.executable, "-m", "tests.library.sound", "--folder", folder]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True)
        shapes = json.loads(done.stdout.splitlines()[-1])
    for label, tensors in sorted(shapes.items()):
        made = document(*_parts(label))
        made.tensors = [
            Tensor(name.encode(), shape, kind)
            for name, shape, kind in tensors
            if not (label.startswith("rwkv6qwen2") and "time_mix_first" in name)  # which only RWKV 6 itself has
        ]
        found[label] = made
    return found


def _make(label: str, folder: Path) -> None:
    """In a fork: makes one and writes down its tensors; never returns."""
    code = 1
    try:
        quiet = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.environ["GGML_NO_BACKTRACE"] = "1"
        signal.alarm(SECONDS)
        (folder / "tensors.json").write_text(json.dumps(_listed(label, folder)))
        code = 0
    except BaseException as error:
        os.write(2, f"\nError: {error!r}\n".encode())
    finally:
        os._exit(code)


def _listed(label: str, folder: Path) -> list[tuple[str, list[int], int]]:
    """Name, shape and type of each tensor that llama.cpp asks values for."""
    import llama_cpp as lib

    class Parameters(ctypes.Structure):  # gguf_init_params
        _fields_ = (("no_alloc", ctypes.c_bool), ("context", ctypes.c_void_p))

    class Native(ctypes.Structure):  # the beginning of ggml_tensor
        _fields_ = (("type", ctypes.c_int), ("buffer", ctypes.c_void_p), ("ne", ctypes.c_int64 * 4))

    source = folder / "settings.gguf"
    source.write_bytes(document(*_parts(label)).header())
    library = lib.llama_cpp._lib
    read, name_of, num_dims = library.gguf_init_from_file, library.ggml_get_name, library.ggml_n_dims
    read.restype, read.argtypes = ctypes.c_void_p, (ctypes.c_char_p, Parameters)
    name_of.restype, name_of.argtypes = ctypes.c_char_p, (ctypes.c_void_p,)
    num_dims.restype, num_dims.argtypes = ctypes.c_int, (ctypes.c_void_p,)
    tensors: dict[str, tuple[list[int], int]] = {}  # it asks for a tensor of several layers once for each

    def note(tensor: Any, _: object) -> None:
        at = ctypes.cast(tensor, ctypes.c_void_p).value
        found = Native.from_address(at)
        tensors.setdefault(name_of(at).decode(), (list(found.ne)[: num_dims(at)], found.type))

    fill = lib.llama_model_init_from_user.argtypes[1](note)
    model = lib.llama_model_init_from_user(
        read(str(source).encode(), Parameters(True, None)), fill, None, lib.llama_model_default_params()
    )
    if not model:
        raise ValueError("llama.cpp made none")
    return [(name, shape, kind) for name, (shape, kind) in tensors.items()]


def _parts(label: str) -> tuple[str, bool]:
    return label.removesuffix(", experts"), label.endswith(", experts")


def main() -> int:
    """The child: one line of JSON, label -> its tensors."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    folder = parser.parse_args().folder
    import llama_cpp  # noqa: F401 - once, before the forks

    found = {}
    for name in sorted(ARCHITECTURES):
        for label in (f"{name}, experts", name):
            (folder / "tensors.json").unlink(missing_ok=True)
            pid = os.fork()
            if pid == 0:
                _make(label, folder)
            _, status = os.waitpid(pid, 0)
            if status == 0:
                found[label] = json.loads((folder / "tensors.json").read_text())
                if name not in ALSO_DENSE:
                    break
            else:
                words = (folder / "log").read_text("utf-8", "replace").splitlines()
                telling = [w for w in words if "rror" in w or "ASSERT" in w]
                sys.stderr.write(f"{label}: {status} {(telling or words)[-1:]}\n")
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
