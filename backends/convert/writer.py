"""Writes planned tensors into a GGUF file, run by run. Never holds more than one run and its copies."""

import gguf
import numpy as np

from backends.child import Progress, Report
from backends.convert.encode import STORED, StoredType, encoded
from backends.convert.packed import BLOCK_BYTES, GROUP
from backends.convert.plan import PlannedTensor

GGML_TYPES: dict[StoredType, gguf.GGMLQuantizationType] = {
    "f32": gguf.GGMLQuantizationType.F32,
    "f16": gguf.GGMLQuantizationType.F16,
    "bf16": gguf.GGMLQuantizationType.BF16,
    "mxfp4": gguf.GGMLQuantizationType.MXFP4,
}


def write_tensors(writer: gguf.GGUFWriter, tensors: list[PlannedTensor], report: Report) -> None:
    for tensor in tensors:
        raw, shape = GGML_TYPES[tensor.type], tensor.shape
        if tensor.type == "mxfp4":  # the library asks for bytes and counts the numbers itself
            shape, dtype = (*shape[:-1], shape[-1] // GROUP * BLOCK_BYTES), np.dtype(np.uint8)
        else:
            dtype = STORED[tensor.type]
        writer.add_tensor_info(tensor.name, shape, dtype, tensor.num_bytes, raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    assert writer.fout is not None
    file = writer.fout[0]
    total, written = sum(tensor.num_bytes for tensor in tensors), 0
    for tensor in tensors:
        report(Progress(written / total, f"Converting {tensor.name}"))
        writer.write_padding(file, file.tell())
        start = file.tell()
        for run in tensor.runs:
            for values in encoded(run, tensor.type, tensor.name):
                file.write(values.data)
        assert file.tell() - start == tensor.num_bytes
        written += tensor.num_bytes
    writer.write_padding(file, file.tell())
