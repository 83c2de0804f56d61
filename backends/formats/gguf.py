"""Reads and checks the header of a GGUF file, in Python alone. Loads no weights and knows no engine.

llama.cpp ends the process on some damaged files, so a file is read here first. What is refused is what
llama.cpp refuses (ggml/src/gguf.cpp, `gguf_init_from_reader`), and a little more.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import os
import stat
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from backends.bounds import as_name, clamped, whole
from backends.formats import CompanionError, FormatError, UnreadableError
from backends.formats.gguf_companion import companion
from backends.formats.gguf_cursor import ARRAY, Cursor
from backends.formats.gguf_packed import packed
from backends.formats.gguf_tables import ARCHITECTURES, FILE_TYPES, TENSOR_TYPES, UNQUANTIZED
from backends.formats.other_files import NUM_BYTES, what_it_is

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_KEYS = 65_536
MAX_KEY_BYTES = 65_535
MAX_TENSORS = 65_536
MAX_TENSOR_NAME = 63  # GGML_MAX_NAME
MAX_DIMS = 4
MAX_ALIGNMENT = 65_536
MAX_BYTES = 1 << 62
MAX_TITLE = 1000  # characters of general.name that are looked at
MAX_FIGURE = 2**31 - 1  # llama.cpp counts in 32 bits
FIGURES = ("block_count", "context_length", "embedding_length")  # that every reader relies on
ENCODERS = ("t5", "t5encoder", "wavtokenizer-dec")  # those whose headers do not say so
DIFFUSION = ("dream", "llada", "llada-moe", "rnd1")  # they see what follows, and write all the same


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """shape: innermost dimension first, as the file has it. offset: from Header.data_offset, in bytes."""

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    num_bytes: int

    @property
    def num_elements(self) -> int:
        return prod(self.shape)


class Kind(NamedTuple):
    """The numbers of enum gguf_type. element and length: of an array, else None and 1."""

    type: int
    element: int | None = None
    length: int = 1


@dataclass(frozen=True, slots=True)
class Header:
    """metadata: None stands for an array that was too long to keep. kinds: the types that the file gives them."""

    path: Path
    version: int
    metadata: dict[str, Any]
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    file_bytes: int
    kinds: dict[str, "Kind"] = field(default_factory=dict)

    @property
    def architecture(self) -> str:
        value = self.metadata.get("general.architecture")
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int | None:
        """A positive whole number under "<architecture>.<key>", as a model may have it, or None."""
        return whole(self.metadata.get(f"{self.architecture}.{key}"), MAX_FIGURE)


@dataclass(frozen=True, slots=True)
class Description:
    """What a person wants to know of a model file. None: the file does not say.

    title: what the header calls the model, may be empty. name: that, or the file's name. is_base: it completes text and
    has no chat template.
    """

    architecture: str
    name: str
    parameters: int
    quantization: str
    context: int | None
    bytes: int
    num_layers: int | None
    embedding_length: int | None
    has_chat_template: bool
    title: str = ""
    is_base: bool = False
    is_embedder: bool = False  # made for vectors of texts, not to write


def read_header(path: Path, *, keep_arrays: bool | frozenset[str] = False) -> Header:
    """Raises FormatError with one sentence for whatever is wrong with the file.

    keep_arrays: token lists and merges as well, all or those named; else arrays of more than 1024 elements are skipped.
    """
    try:
        with _opened(path) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableError(f"{path} is no file but a device, a pipe or the like.")
            return _read(Cursor(file, path.name, status.st_size), path, keep_arrays)
    except FileNotFoundError:
        raise UnreadableError(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise FormatError(f"{path} is a folder, not a model file.") from None
    except OSError as fault:
        if path.is_dir():  # Windows calls it a lack of permission
            raise FormatError(f"{path} is a folder, not a model file.") from None
        raise UnreadableError(f"{path} cannot be read: {fault.strerror or fault}.") from fault


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb", opener=_open_at_once)
    except ValueError:  # a NUL, or what no file system can write
        raise FormatError(f"{path} is not the name of a file.") from None


def _open_at_once(path: str, flags: int) -> int:
    """Opening a pipe that nobody writes to would wait for ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_model(path: Path) -> Header:
    """The header of a file that can be loaded as a language model; FormatError for adapters and the like."""
    header = read_header(path)
    check_model(header)
    return header


def check_model(header: Header, others: Sequence[Header] = ()) -> None:
    """Raises FormatError when the file is sound but no language model that this engine knows.

    others: the further parts of a model in several files, the first of which may hold settings only.
    """
    name, kind = header.path.name, header.metadata.get("general.type", "model")
    if told := companion(kind, header.architecture):
        raise CompanionError(f"{name} is not a model by itself but {told}")
    if not header.architecture:
        raise FormatError(f"{name} does not say which architecture it has, so it cannot be loaded.")
    tensors = [tensor.name for each in (header, *others) for tensor in each.tensors]
    if told := packed(name, header.architecture, ARCHITECTURES, tensors):
        raise FormatError(told)
    if header.architecture not in ARCHITECTURES:
        raise FormatError(
            f"{name} has the architecture {header.architecture[:64]!r}, which this version does not know. "
            "Look for an update of Slipstream, or choose another model."
        )
    if not tensors:
        raise FormatError(f"{name} holds no weights, only a vocabulary. Get the file with the model itself.")
    _check_figures(header)


def _check_figures(header: Header) -> None:
    """What everybody reckons with is there as a model has it, or not at all."""
    for key in FIGURES:
        value = header.metadata.get(f"{header.architecture}.{key}", 1)
        if whole(value, MAX_FIGURE) is None:
            said = "a list" if value is None or isinstance(value, list) else f"{value!r:.40}"
            raise FormatError(
                f"{header.path.name} cannot be loaded: its setting {key} is {said}, as in no model. Download it again."
            )


def describe(header: Header, others: Sequence[Header] = ()) -> Description:
    """Of a whole model: settings of the first file, weights of all."""
    title = _title(header)
    has_chat_template = any(
        value for key, value in header.metadata.items() if f"{key}.".startswith("tokenizer.chat_template.")
    )
    tensors = [tensor for each in (header, *others) for tensor in each.tensors]
    return Description(
        architecture=header.architecture,
        name=title or as_name(header.path.stem),
        parameters=clamped(sum(tensor.num_elements for tensor in tensors)),
        quantization=_quantization(header, tensors),
        context=header.number("context_length"),
        bytes=clamped(sum(each.file_bytes for each in (header, *others))),
        num_layers=header.number("block_count"),
        embedding_length=header.number("embedding_length"),
        has_chat_template=has_chat_template,
        title=title,
        is_base=not has_chat_template and _completes_text(header),
        is_embedder=makes_vectors(header),
    )


def _title(header: Header) -> str:
    """general.name, or what a converter makes one of."""
    parts = [header.metadata.get(f"general.{key}") for key in ("name", "basename", "size_label", "finetune")]
    name, *rest = (" ".join(part[:MAX_TITLE].split()) if isinstance(part, str) else "" for part in parts)
    return as_name(name or (rest[0] and "-".join(filter(None, rest))))


def _completes_text(header: Header) -> bool:
    """False for an encoder and for what was made to embed."""
    settings, architecture = header.metadata, header.architecture
    is_causal = bool(settings.get(f"{architecture}.attention.causal", True))
    return is_causal and architecture not in ENCODERS and not settings.get(f"{architecture}.pooling_type")


def makes_vectors(header: Header) -> bool:
    """Whether it was made for vectors of texts, or scores of them, and not to write."""
    return not _completes_text(header) and header.architecture not in (*ENCODERS, *DIFFUSION)


def _quantization(header: Header, tensors: Sequence[TensorInfo]) -> str:
    """By name of the mix; without one, the type that most bytes have."""
    label = header.metadata.get("general.file_type")
    mix = FILE_TYPES.get(label) if type(label) is int else None
    bytes_by_type: Counter[str] = Counter()
    for tensor in tensors:
        bytes_by_type[tensor.type] += tensor.num_bytes
    common = max(bytes_by_type, key=bytes_by_type.__getitem__, default="")
    # a file whose tensors contradict its label was relabelled by hand
    if mix is None or (mix in UNQUANTIZED) != (common in UNQUANTIZED):
        return common
    return mix


def read_stream(file: BinaryIO, name: str, size: int) -> Header:
    """The header of a file that lies elsewhere; `file` needs seek() and read() alone. Raises FormatError."""
    return _read(Cursor(file, name, size), Path(name), False)


def _read(cursor: Cursor, path: Path, keep_arrays: bool | frozenset[str]) -> Header:
    version = _check_start(cursor)
    num_tensors, num_keys = cursor.u64(), cursor.u64()
    if num_tensors > MAX_TENSORS or num_keys > MAX_KEYS:
        raise cursor.damaged(f"{num_tensors:,} tensors and {num_keys:,} settings are announced")
    metadata, kinds = _read_metadata(cursor, num_keys, keep_arrays)
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or not 0 < alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise cursor.damaged(f"its alignment of {alignment!r:.40} is not a power of two")
    tensors = _read_tensors(cursor, num_tensors, alignment)
    data_offset = -(-cursor.position // alignment) * alignment
    end = max((data_offset + tensor.offset + tensor.num_bytes for tensor in tensors), default=0)
    if end > cursor.size:
        raise FormatError(
            f"{path.name} is cut short: it holds {_size(cursor.size)} of the {_size(end)} that its header "
            "announces. Download it again."
        )
    return Header(path, version, metadata, tensors, data_offset, cursor.size, kinds)


def _check_start(cursor: Cursor) -> int:
    if cursor.size == 0:
        raise FormatError(f"{cursor.name} is empty. Download it again.")
    if cursor.peek(len(MAGIC)) != MAGIC:
        raise FormatError(what_it_is(cursor.name, cursor.peek(NUM_BYTES), cursor.size))
    cursor.skip(len(MAGIC))
    version = cursor.u32()
    if version & 0xFFFF == 0:
        raise FormatError(f"{cursor.name} was made for big-endian machines and cannot be read on this one.")
    if version > max(VERSIONS):
        raise FormatError(
            f"{cursor.name} is GGUF version {version}, which is newer than this app knows ({max(VERSIONS)}). "
            "Look for an update of Slipstream."
        )
    if version not in VERSIONS:
        raise FormatError(f"{cursor.name} is GGUF version {version}, which is too old. Get a newer file.")
    return version


def _read_metadata(
    cursor: Cursor, num_keys: int, keep_arrays: bool | frozenset[str]
) -> tuple[dict[str, Any], dict[str, Kind]]:
    metadata: dict[str, Any] = {}
    kinds: dict[str, Kind] = {}
    for _ in range(num_keys):
        key = cursor.string(MAX_KEY_BYTES)
        if not key or key in metadata:
            raise cursor.damaged(f"the setting {key[:64]!r} occurs twice" if key else "a setting has no name")
        type_ = cursor.u32()
        # an array begins with the type of its elements and their number
        start = cursor.peek(12) if type_ == ARRAY else b""
        is_kept = keep_arrays if isinstance(keep_arrays, bool) else key in keep_arrays
        metadata[key] = cursor.value(type_, is_kept)
        kinds[key] = Kind(type_, *struct.unpack("<IQ", start)) if start else Kind(type_)
    return metadata, kinds


def _read_tensors(cursor: Cursor, num_tensors: int, alignment: int) -> tuple[TensorInfo, ...]:
    tensors: list[TensorInfo] = []
    names: set[str] = set()
    end = 0
    for _ in range(num_tensors):
        tensor = _read_tensor(cursor)
        if tensor.name in names:
            raise cursor.damaged(f"the tensor {tensor.name!r} occurs twice")
        if tensor.offset != end:
            raise cursor.damaged(f"the tensor {tensor.name!r} does not follow the one before it")
        names.add(tensor.name)
        tensors.append(tensor)
        end += -(-tensor.num_bytes // alignment) * alignment
        if end > MAX_BYTES:
            raise cursor.damaged("its tensors are too large to exist")
    return tuple(tensors)


def _read_tensor(cursor: Cursor) -> TensorInfo:
    name = cursor.string(MAX_TENSOR_NAME)
    num_dims = cursor.u32()
    if not 1 <= num_dims <= MAX_DIMS:
        raise cursor.damaged(f"the tensor {name!r} has {num_dims} dimensions")
    shape = tuple(cursor.u64() for _ in range(num_dims))
    type_ = TENSOR_TYPES.get(cursor.u32())
    if type_ is None:
        raise cursor.damaged(f"the tensor {name!r} has an unknown type")
    blocks, rest = divmod(shape[0], type_.block_elements)
    num_bytes = blocks * prod(shape[1:]) * type_.block_bytes
    if rest or not 0 < num_bytes < MAX_BYTES:
        raise cursor.damaged(f"the tensor {name!r} has the shape {list(shape)}, which {type_.name} cannot have")
    return TensorInfo(name, shape, type_.name, cursor.u64(), num_bytes)


def _size(count: int) -> str:
    """With enough digits that the two numbers of a sentence differ."""
    if count >= 1_000_000_000:
        return f"{count / 1e9:.2f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 1_000_000 else f"{count:,} bytes"
