"""How a model is to be quantized, and whether that can be meant. Plain values: both sides of the border use them."""

import re
from dataclasses import dataclass
from pathlib import Path

from backends.formats import FormatError
from backends.formats.gguf_tables import UNQUANTIZED
from backends.formats.quantizations import COPY, DEFAULT, QUANTIZATIONS, TENSOR_NUMBERS, Quantization

MAX_OVERRIDES = 1000
UNMIXED = UNQUANTIZED | {COPY}  # llama.cpp looks at rules for quantized types alone
MAX_PATTERN = 200
# what std::regex and Python's re read alike
PATTERN = re.compile(r"[A-Za-z0-9_.\\*+?|()\[\]{},^$-]+")
# a repetition of a repetition: some of these take longer than the universe on 63 letters
NESTED = re.compile(r"\([^()]*[*+{][^()]*\)\s*[*+{]")


@dataclass(frozen=True, slots=True)
class Recipe:
    """overrides: (regular expression, tensor type), the first that is found in a tensor's name decides.

    output_type, embedding_type: tensor types for these two alone. is_pure: the same type for all tensors.
    """

    type: str = DEFAULT
    imatrix: Path | None = None
    overrides: tuple[tuple[str, str], ...] = ()
    output_type: str | None = None
    embedding_type: str | None = None
    is_pure: bool = False
    allow_requantize: bool = False

    @property
    def quantization(self) -> Quantization:
        return QUANTIZATIONS[self.type]

    def check(self) -> None:
        """Raises FormatError with a sentence for what no source could make right."""
        if self.type not in QUANTIZATIONS:
            raise FormatError(f"{self.type!r} is not a type to quantize to. These are: {', '.join(QUANTIZATIONS)}.")
        for type_ in (self.output_type, self.embedding_type):
            if type_ is not None:
                check_tensor_type(type_)
        if len(self.overrides) > MAX_OVERRIDES:
            raise FormatError(
                f"{len(self.overrides):,} rules for tensors are too many: {MAX_OVERRIDES:,} may be given."
            )
        for pattern, type_ in self.overrides:
            check_pattern(pattern)
            check_tensor_type(type_)
        if self.overrides and self.type in UNMIXED:
            raise FormatError(
                f"{self.type} gives all tensors the same type, so rules for single ones do nothing. "
                "Choose Q8_0 or smaller."
            )

    def rule_for(self, tensor: str) -> str | None:
        """The type that a rule gives to the tensor of this name."""
        return next((type_ for pattern, type_ in self.overrides if re.search(pattern, tensor)), None)


def check_tensor_type(name: str) -> None:
    if name not in TENSOR_NUMBERS:
        raise FormatError(f"{name!r} is not a type that a tensor can have. These are: {', '.join(TENSOR_NUMBERS)}.")


def check_pattern(pattern: str) -> None:
    """Raises FormatError for what is no regular expression, or one that may never end."""
    if not 0 < len(pattern) <= MAX_PATTERN:
        raise FormatError(f"A rule's pattern has 1 to {MAX_PATTERN} characters, not {len(pattern)}.")
    if not PATTERN.fullmatch(pattern) or "(?" in pattern:
        raise FormatError(f"{pattern!r} holds characters that a pattern for tensor names cannot have.")
    if NESTED.search(pattern):
        raise FormatError(f"{pattern!r} repeats a repetition, which can take forever. Write it without.")
    try:
        re.compile(pattern)
    except re.error as fault:
        raise FormatError(f"{pattern!r} is not a regular expression: {fault}.") from None


def parse_override(text: str) -> tuple[str, str]:
    """ "attn_v=Q8_0" as a rule; the type in capitals or not. Raises FormatError."""
    pattern, sign, type_ = text.rpartition("=")
    if not sign:
        raise FormatError(f"{text!r} is not a rule: write it as PATTERN=TYPE, for example attn_v=Q8_0.")
    rule = pattern, type_.strip().upper()
    check_pattern(rule[0])
    check_tensor_type(rule[1])
    return rule
