"""Models to measure with, made on the fly: Llamas with random weights and a tokenizer trained on Python's own sources.

Speed does not depend on what the weights say. They are written once into the work folder and found there again.
"""

import json
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from app.guide import DRAFT_DIR, GUIDE_DIR
from app.jobs.convert import convert_checkpoint, quantize_file
from tests.bench.grow import grow

NUM_TRAINED = 32_000  # tokens that the tokenizer really has; a larger vocabulary is padded, as checkpoints do
NUM_SOURCES = 400
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHATML = (
    "{%- for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content"
    " + '<|im_end|>\\n' }}{%- endfor %}{{ '<|im_start|>assistant\\n' }}"
)
GROWTH = 9


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a Llama with grouped-query attention."""

    name: str
    hidden: int
    wide: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    vocab_size: int
    is_tied: bool


SMALL = Shape("llama-110m", 768, 2304, 12, 12, 4, 32_256, is_tied=True)
SHORT = Shape("llama-110m-8k", 768, 2304, 15, 12, 4, 8_192, is_tied=True)  # as many weights, more of them in layers
LARGE = Shape("llama-0.5b", 1024, 2816, 24, 16, 4, 128_256, is_tied=False)


def random_llama(shape: Shape, work: Path, type: str = "Q4_K_M") -> Path:
    """The GGUF file of such a model, quantized."""
    target = work / f"{shape.name}-{type}.gguf"
    if not target.exists():
        checkpoint, full = work / shape.name, work / f"{shape.name}-F16.gguf"
        _write_checkpoint(shape, checkpoint)
        convert_checkpoint(checkpoint, full, "f16", logs=work)
        if type != "F16":
            quantize_file(full, target, type, logs=work)
    return target


def guide(work: Path, type: str = "Q4_K_M", growth: int = 1) -> Path:
    """The bundled model, or one that says the same at the cost of `growth` times its layers."""
    target = work / f"guide-x{growth}-{type}.gguf"
    if not target.exists():
        checkpoint, full = work / f"guide-x{growth}", work / f"guide-x{growth}-F16.gguf"
        grow(GUIDE_DIR, checkpoint, growth)
        convert_checkpoint(checkpoint, full, "f16", logs=work)
        if type != "F16":
            quantize_file(full, target, type, logs=work)
    return target


def guide_draft(work: Path) -> Path:
    """The guide's draft model."""
    target = work / "guide-draft-Q4_K_M.gguf"
    if not target.exists():
        full = work / "guide-draft-F16.gguf"
        convert_checkpoint(DRAFT_DIR, full, "f16", logs=work)
        quantize_file(full, target, "Q4_K_M", logs=work)
    return target


def tokenizer(work: Path, num_tokens: int = NUM_TRAINED) -> Tokenizer:
    """Byte-level BPE, trained on the standard library."""
    path = work / f"tokenizer-{num_tokens}.json"
    if not path.exists():
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=num_tokens,
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        made.train_from_iterator(sources(), trainer)
        made.save(str(path))
    return Tokenizer.from_file(str(path))


def sources() -> list[str]:
    """Python files of the standard library, largest first."""
    folder = Path(sysconfig.get_path("stdlib"))
    files = sorted(folder.glob("*.py"), key=lambda path: (-path.stat().st_size, path.name))[:NUM_SOURCES]
    return [path.read_text("utf-8", "replace") for path in files]


def _write_checkpoint(shape: Shape, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    head = shape.hidden // shape.num_heads

    def matrix(rows: int, columns: int) -> np.ndarray:
        values = random.standard_normal((rows, columns), dtype=np.float32)
        return (values * columns**-0.5).astype(np.float16)

    words = tokenizer(folder.parent, min(NUM_TRAINED, shape.vocab_size))
    num_tokens = words.get_vocab_size()
    embedding = matrix(shape.vocab_size, shape.hidden)
    embedding[num_tokens:] = 0  # the padding is never said
    tensors = {"model.embed_tokens.weight": embedding, "model.norm.weight": np.ones(shape.hidden, np.float16)}
    if not shape.is_tied:
        tensors["lm_head.weight"] = matrix(shape.vocab_size, shape.hidden)
        tensors["lm_head.weight"][num_tokens:] = 0
    sizes = {
        "self_attn.q_proj": (shape.hidden, shape.hidden),
        "self_attn.k_proj": (shape.num_kv_heads * head, shape.hidden),
        "self_attn.v_proj": (shape.num_kv_heads * head, shape.hidden),
        "self_attn.o_proj": (shape.hidden, shape.hidden),
        "mlp.gate_proj": (shape.wide, shape.hidden),
        "mlp.up_proj": (shape.wide, shape.hidden),
        "mlp.down_proj": (shape.hidden, shape.wide),
    }
    for layer in range(shape.num_layers):
        for name, (rows, columns) in sizes.items():
            tensors[f"model.layers.{layer}.{name}.weight"] = matrix(rows, columns)
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"model.layers.{layer}.{name}.weight"] = np.ones(shape.hidden, np.float16)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": shape.hidden,
        "intermediate_size": shape.wide,
        "num_hidden_layers": shape.num_layers,
        "num_attention_heads": shape.num_heads,
        "num_key_value_heads": shape.num_kv_heads,
        "max_position_embeddings": 131_072,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500_000.0,
        "vocab_size": shape.vocab_size,
        "tie_word_embeddings": shape.is_tied,
        "hidden_act": "silu",
    }
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    words.save(str(folder / "tokenizer.json"))
    settings = {"eos_token": SPECIAL[0], "chat_template": CHATML}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
