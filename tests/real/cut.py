"""SmolLM2 with one of its thirty blocks and the first rows of each matrix: real names and widths, quantized in no time.

It cannot be run; the quantizer looks at nothing but rows.
"""

from pathlib import Path

import gguf
import numpy as np

from backends.formats.gguf import TensorInfo, read_header

NUM_ROWS = 64
TIED = "token_embd.weight"


def cut_model(source: Path, target: Path, is_tied: bool = True) -> Path:
    """F16, from the file of SmolLM2. is_tied: as it is; else with an output tensor of its own."""
    header = read_header(source)
    writer = gguf.GGUFWriter(target, "llama")
    for key, value in header.metadata.items():
        if key.startswith("llama.") and key not in ("llama.block_count", "llama.vocab_size"):
            (writer.add_float32 if isinstance(value, float) else writer.add_uint32)(key, value)
    writer.add_block_count(1)
    writer.add_vocab_size(NUM_ROWS)
    memory = np.memmap(source, np.uint8, "r")
    for tensor in header.tensors:
        if tensor.name.startswith("blk.") and not tensor.name.startswith("blk.0."):
            continue
        values = _first_rows(memory[header.data_offset :], tensor)
        writer.add_tensor(tensor.name, values)
        if tensor.name == TIED and not is_tied:
            writer.add_tensor("output.weight", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _first_rows(data: np.ndarray, tensor: TensorInfo) -> np.ndarray:
    num_rows = tensor.num_elements // tensor.shape[0]
    rows = data[tensor.offset : tensor.offset + tensor.num_bytes].reshape(num_rows, -1)[:NUM_ROWS]
    values = gguf.dequantize(np.array(rows), gguf.GGMLQuantizationType[tensor.type])
    return values.reshape(-1) if len(tensor.shape) == 1 else values.astype(np.float16)
