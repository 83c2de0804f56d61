"""GGUF files to quantize: a tiny Llama, the same with experts, and one whose rows no block of 256 divides."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np

from backends.convert.converter import convert
from tests.convert import checkpoints

NUM_EXPERTS, NUM_USED = 4, 2
HIDDEN, WIDE, NUM_LAYERS = 256, 512, 2


def write_llama(folder: Path, type: str = "f16", **changes: Any) -> Path:
    """Three matrices of it are important enough for another type, whatever the mix."""
    settings = {"hidden_size": HIDDEN, "intermediate_size": WIDE, "num_hidden_layers": NUM_LAYERS, **changes}
    checkpoints.write(folder / "checkpoint", checkpoints.config(**settings))
    target = folder / f"llama-{type}.gguf"
    convert(lambda _: None, folder / "checkpoint", target, type)
    return target


def write_odd(folder: Path) -> Path:
    """Rows of 288 and 416, which divide by 32 alone."""
    made = write_llama(folder / "odd", hidden_size=288, intermediate_size=416)
    return made.rename(folder / "odd-f16.gguf")


def write_experts(folder: Path, silent: int | None = None) -> Path:
    """A mixture: the router sends each token to NUM_USED of NUM_EXPERTS. silent: an expert that answers zeros."""
    plain = gguf.GGUFReader(write_llama(folder / "plain"))
    target = folder / "experts-f16.gguf"
    writer = gguf.GGUFWriter(target, "llama")
    for field in plain.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            sub_type = field.types[1] if field.types[0] is gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type)
    writer.add_expert_count(NUM_EXPERTS)
    writer.add_expert_used_count(NUM_USED)
    random = np.random.default_rng(5)

    def matrices(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * shape[-1] ** -0.5).astype(np.float16)

    for tensor in plain.tensors:
        if ".ffn_" not in tensor.name or "norm" in tensor.name:
            writer.add_tensor(tensor.name, np.array(tensor.data))
    for layer in range(NUM_LAYERS):
        writer.add_tensor(f"blk.{layer}.ffn_gate_inp.weight", matrices(NUM_EXPERTS, HIDDEN).astype(np.float32))
        for part, shape in {"gate": (WIDE, HIDDEN), "up": (WIDE, HIDDEN), "down": (HIDDEN, WIDE)}.items():
            values = matrices(NUM_EXPERTS, *shape)
            if part == "up" and silent is not None:
                values[silent] = 0
            writer.add_tensor(f"blk.{layer}.ffn_{part}_exps.weight", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target
