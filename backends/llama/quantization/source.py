"""The model to be quantized: one file, or all parts of a split one. Reads headers, no weights."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from backends.formats import FormatError
from backends.formats.gguf import Header, TensorInfo, read_header
from backends.formats.gguf_split import read_parts

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
    if isinstance(count, int) and count > 1 and number != 0:
        raise FormatError(
            f"{path.name} is a part of a split model. Start from its first part, …-00001-of-{count:05}.gguf."
        )
    return Source(path, tuple(read_parts(path)))


def _info_bytes(tensor: TensorInfo) -> int:
    return 8 + len(tensor.name.encode()) + 4 + 8 * len(tensor.shape) + 4 + 8
