"""The model to be quantized: one file, or all parts of a split one. Reads headers, no weights."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from backends.formats import FormatError
from backends.formats.gguf import Header, TensorInfo, check_model, read_header

PART = re.compile(r"(.+)-00001-of-(\d{5})\.gguf")  # llama.cpp's SPLIT format: the first part leads to the others
# keys of a split file that the whole one has not, with their lengths and values
SPLIT_KEYS_BYTES = sum(8 + len(key) + 4 + size for key, size in (("split.no", 2), ("split.count", 2)))
SPLIT_KEYS_BYTES += 8 + len("split.tensors.count") + 4 + 4


@dataclass(frozen=True)
class Source:
    """headers: of all parts, in order."""

    path: Path
    headers: tuple[Header, ...]

    @cached_property
    def tensors(self) -> dict[str, TensorInfo]:
        return {tensor.name: tensor for header in self.headers for tensor in header.tensors}

    @property
    def metadata_bytes(self) -> int:
        """What a whole file's keys and list of tensors take, to within its alignment."""
        first, *others = self.headers
        infos = sum(_info_bytes(tensor) for header in others for tensor in header.tensors)
        return first.data_offset + infos - (SPLIT_KEYS_BYTES if others else 0)


def read_source(path: Path) -> Source:
    """Raises FormatError with a sentence."""
    first = read_header(path)
    count, number = first.metadata.get("split.count", 0), first.metadata.get("split.no", 0)
    if not isinstance(count, int) or count <= 1:
        check_model(first)
        return Source(path, (first,))
    name = PART.fullmatch(path.name)
    if number != 0 or name is None or int(name[2]) != count:
        raise FormatError(
            f"{path.name} is a part of a split model. Start from its first part, …-00001-of-{count:05}.gguf."
        )
    check_model(first)
    others = (path.with_name(f"{name[1]}-{part:05}-of-{count:05}.gguf") for part in range(2, count + 1))
    return Source(path, (first, *(read_header(other) for other in others)))


def _info_bytes(tensor: TensorInfo) -> int:
    return 8 + len(tensor.name.encode()) + 4 + 8 * len(tensor.shape) + 4 + 8
