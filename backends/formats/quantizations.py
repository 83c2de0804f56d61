"""The types that a model can be quantized to, described for people. A table only: no native library.

Bits per weight and quality are llama.cpp's own figures for Llama 3 8B (tools/quantize and tools/imatrix of the pinned
build); another model differs by some percent. Numbers: llama.h's LLAMA_FTYPE.
"""

from dataclasses import dataclass
from enum import StrEnum

from backends.formats.gguf_tables import FILE_TYPES, TENSOR_TYPES


class Quality(StrEnum):
    """How near a file of this type stays to the original, for a column that can be read at a glance."""

    EXACT = "as the original"
    EXCELLENT = "excellent"
    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"
    SPECIAL = "for special models"


@dataclass(frozen=True, slots=True)
class Quantization:
    """number: None for COPY, which keeps the source's. bits_per_weight: of the whole file, about."""

    name: str
    bits_per_weight: float
    quality: Quality
    description: str
    needs_imatrix: bool = False

    @property
    def number(self) -> int:
        return 0 if self.name == COPY else _NUMBERS[self.name]


COPY = "COPY"
DEFAULT = "Q4_K_M"
_NUMBERS = {name: number for number, name in FILE_TYPES.items()}
_IMATRIX = True  # llama.cpp refuses these without one, or would write what cannot be used

QUANTIZATIONS = {
    row.name: row
    for row in (
        Quantization("F32", 32.0, Quality.EXACT, "Full 32-bit weights. Only as a source for further work."),
        Quantization("F16", 16.0, Quality.EXACT, "16-bit floats. The usual source to quantize from."),
        Quantization("BF16", 16.0, Quality.EXACT, "16-bit floats with a wide range. Loses nothing of a BF16 model."),
        Quantization("Q8_0", 8.5, Quality.EXCELLENT, "Hardly to be told from the original, at half of its size."),
        Quantization("Q6_K", 6.56, Quality.EXCELLENT, "Very near to the original. For those with memory to spare."),
        Quantization("Q5_K_M", 5.7, Quality.EXCELLENT, "A small loss that is seldom noticed."),
        Quantization("Q5_K_S", 5.57, Quality.EXCELLENT, "As Q5_K_M, a little smaller and a little less precise."),
        Quantization("Q5_1", 6.04, Quality.GOOD, "An older format. Q5_K_M is smaller and better."),
        Quantization("Q5_0", 5.57, Quality.GOOD, "An older format. Q5_K_S is as small and better."),
        Quantization("Q4_K_M", 4.89, Quality.GOOD, "The best balance of size and quality for most people."),
        Quantization("Q4_K_S", 4.67, Quality.GOOD, "As Q4_K_M, 5 % smaller. Gains much from an importance matrix."),
        Quantization("Q4_1", 5.11, Quality.FAIR, "An older format. Q4_K_M is smaller and better."),
        Quantization("Q4_0", 4.64, Quality.FAIR, "An older format, fast on some processors. Q4_K_S is better."),
        Quantization("IQ4_NL", 4.68, Quality.GOOD, "Non-linear 4-bit weights. For shapes that IQ4_XS cannot take."),
        Quantization("IQ4_XS", 4.46, Quality.GOOD, "Smaller than Q4_K_S and nearly as good, slower on a CPU."),
        Quantization("Q3_K_L", 4.3, Quality.FAIR, "The largest 3-bit mix. IQ4_XS is about as small and better."),
        Quantization("Q3_K_M", 4.0, Quality.FAIR, "A visible loss. When Q4_K_M does not fit."),
        Quantization("IQ3_M", 3.76, Quality.FAIR, "A visible loss. Better than Q3_K_M with an importance matrix."),
        Quantization("IQ3_S", 3.66, Quality.FAIR, "Better than Q3_K_S at its size, slower on a CPU."),
        Quantization("Q3_K_S", 3.64, Quality.POOR, "The smallest 3-bit mix of the older kind. A strong loss."),
        Quantization("IQ3_XS", 3.5, Quality.FAIR, "A strong loss, but a large model stays useful.", _IMATRIX),
        Quantization("IQ3_XXS", 3.26, Quality.POOR, "About 3 bits. For a large model in little memory.", _IMATRIX),
        Quantization("Q2_K", 3.16, Quality.POOR, "A very strong loss. A smaller model is mostly the better choice."),
        Quantization("Q2_K_S", 2.97, Quality.POOR, "As Q2_K, smaller and worse.", _IMATRIX),
        Quantization("IQ2_M", 2.93, Quality.POOR, "About 2.7 bits. For very large models only.", _IMATRIX),
        Quantization("IQ2_S", 2.74, Quality.POOR, "About 2.5 bits. For very large models only.", _IMATRIX),
        Quantization("IQ2_XS", 2.59, Quality.POOR, "About 2.3 bits. For very large models only.", _IMATRIX),
        Quantization("IQ2_XXS", 2.38, Quality.POOR, "About 2 bits. For very large models only.", _IMATRIX),
        Quantization("IQ1_M", 2.15, Quality.POOR, "Under 2 bits for most weights. An experiment.", _IMATRIX),
        Quantization("IQ1_S", 2.0, Quality.POOR, "The smallest of all. An experiment.", _IMATRIX),
        Quantization("TQ2_0", 2.06, Quality.SPECIAL, "For models trained with three-valued weights, as BitNet."),
        Quantization("TQ1_0", 1.69, Quality.SPECIAL, "As TQ2_0, packed tighter and slower."),
        Quantization("Q2_0", 2.25, Quality.SPECIAL, "For models trained with 2-bit weights."),
        Quantization("Q1_0", 1.13, Quality.SPECIAL, "For models trained with 1-bit weights."),
        Quantization("MXFP4_MOE", 4.25, Quality.SPECIAL, "For models trained in MXFP4, as gpt-oss: experts only."),
        Quantization(COPY, 0.0, Quality.EXACT, "Keeps every tensor as it is; joins a split model into one file."),
    )
}

# what a single tensor may become: all that ggml_quantize_chunk writes, by the name of its type
TENSOR_NUMBERS = {
    row.name: number
    for number, row in TENSOR_TYPES.items()
    if (row.name not in ("Q8_1", "Q8_K", "F64") and not row.name.startswith("I")) or row.name.startswith("IQ")
}
# tensors of these types are written with an importance matrix or not at all; Q2_K only within Q2_K_S
TENSORS_WITH_IMATRIX = frozenset({"IQ3_XXS", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ1_M", "IQ1_S"})
# without importance data for the very tensor these end the process (ggml_quantize_requires_imatrix)
TENSORS_WITH_DATA = frozenset({"IQ2_XXS", "IQ2_XS", "IQ1_S"})
