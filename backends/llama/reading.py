"""A model reads a text in chunks, and its logits of each chunk's second half are seen: tools/perplexity's protocol.

The first half of a chunk is context, so that every prediction has some. A chunk's first token is replaced by the
vocabulary's begin of text where it has one; its last prediction is of the next chunk's first token: not asked for.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from backends.child import Refusal
from backends.engine.runner import LoadError
from backends.formats import FormatError
from backends.formats.gguf import Header
from backends.formats.gguf_loadable import check_loadable
from backends.formats.gguf_split import part_paths
from backends.formats.kv_shape import KVShape
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.kv_types import refusal
from backends.llama.native import NativeError, NativeModel
from backends.llama.placement import (
    CUDA,
    Placement,
    check_context,
    default_threads,
    device_name,
    free_bytes,
    place,
    total_bytes,
)
from backends.llama.threads import Following, NativeThreads
from backends.protocol import EngineOptions

BATCH_TOKENS = 512  # llama.cpp computes as many at once at most; shorter chunks are read side by side
SHORTEST = 16
MIN_CHUNKS = 2  # as llama-perplexity demands

Int32s = npt.NDArray[np.int32]
Step = tuple[npt.NDArray[np.float32], Int32s]


class TextReader:
    """Raises Refusal with a sentence. Close it, or use it as a context manager."""

    def __init__(
        self, path: Path, options: EngineOptions, beside: "TextReader | None" = None, width: int = BATCH_TOKENS
    ):
        """options: context is the length of a chunk; gpu_layers, threads and KV types are heeded, too. beside: another
        reader of the same file, whose model is used and not loaded again; it is closed later than this one. width:
        tokens of a chunk that are computed at once."""
        assert options.context
        self.path = path
        self._length = options.context
        self._width = min(width, BATCH_TOKENS)
        self._resources = ExitStack()
        header = checked_header(path, options)
        with ExitStack() as attempt:
            loaded = (beside.model, beside.layers) if beside else open_model(header, options, attempt)
            self.model: NativeModel = loaded[0]
            self.layers: int = loaded[1]  # on GPUs
            _check_reads(self.model, path, options.context)
            self._threads: NativeThreads = (
                beside._threads if beside else NativeThreads(options.threads or default_threads())
            )
            if not beside:
                attempt.callback(self._threads.close)
            self.num_side_by_side = max(1, BATCH_TOKENS // self._length)
            self._context = attempt.enter_context(self._make_context(options))
            self._resources = attempt.pop_all()
        self.num_tokens = self.model.vocabulary.num_tokens
        self.device = device_name(self.layers, native.devices())

    def chunks(self, text: str, limit: int | None = None) -> Int32s:
        """[chunks, context], the first `limit` of them; what is left over at the end is not read."""
        tokens = self.model.vocabulary.tokenize(text, add_special=True, parse_special=False)
        if len(tokens) < MIN_CHUNKS * self._length:
            raise Refusal(
                f"The text is too short: it has {len(tokens)} tokens, and {MIN_CHUNKS * self._length} are needed for "
                f"chunks of {self._length}. Choose a longer text, or a shorter context."
            )
        count = min(len(tokens) // self._length, limit or len(tokens))
        result = np.array(tokens[: count * self._length], np.int32).reshape(count, self._length)
        if self.model.vocabulary.adds_bos:
            result[:, 0] = self.model.vocabulary.bos
        return result

    @property
    def rows_per_chunk(self) -> int:
        return self._length - 1 - self._length // 2

    def read(self, chunks: Int32s) -> Iterator[Step]:
        """Logits [rows, vocabulary], a view that is valid until the next step, and the tokens [rows] that came."""
        for begin in range(0, len(chunks), self.num_side_by_side):
            group = chunks[begin : begin + self.num_side_by_side]
            for slot in range(len(group)):
                self._context.memory.truncate(slot, 0)
            width = min(self._length, self._width)
            for first in range(0, self._length, width):
                yield from self._decode(group, first, min(first + width, self._length))

    @property
    def following(self) -> Following:
        """For contexts beside this one, on the same thread."""
        return self._threads.of_target()

    def close(self) -> None:
        self._resources.close()

    def __enter__(self) -> "TextReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _decode(self, group: Int32s, first: int, last: int) -> Iterator[Step]:
        """Positions first to last of every chunk in the group; nothing while they are all context."""
        context, width = self._context, last - first
        positions = np.arange(first, last, dtype=np.int32)
        is_scored = (positions >= self._length // 2) & (positions < self._length - 1)
        for slot, chunk in enumerate(group):
            end = context.batch.put(slot * width, chunk[first:last], first, slot)
            context.batch.outputs[slot * width : end] = is_scored
        if context.decode(len(group) * width):
            raise Refusal(f"{self.path.name} found no room in its KV cache. Choose a shorter context.")
        if is_scored.any():
            targets = group[:, positions[is_scored] + 1].reshape(-1)
            yield context.logits(len(targets)), targets

    def _make_context(self, options: EngineOptions) -> NativeContext:
        num_cells = self.num_side_by_side * self._length
        try:
            return NativeContext(
                self.model,
                ContextParams(
                    num_cells=num_cells,
                    num_slots=self.num_side_by_side,
                    batch_tokens=min(BATCH_TOKENS, num_cells),
                    threads=options.threads or default_threads(),
                    kv_type_k=options.kv_type_k,
                    kv_type_v=options.kv_type_v,
                    flash_attention=options.flash_attention,
                    following=self.following,
                ),
            )
        except NativeError as error:
            raise Refusal(f"{self.path.name} could not be given a context: {error}.") from error


def checked_header(path: Path, options: EngineOptions) -> Header:
    """Judged before any native call, as the engine's loader does."""
    devices = native.devices()
    is_cuda = any(device.name.startswith(CUDA) for device in devices)
    try:
        header = check_loadable(path)
        if sentence := refusal(KVShape.of(header), header.architecture, options, is_cuda):
            raise Refusal(sentence)
        assert options.context
        num_cells = max(options.context, BATCH_TOKENS)
        check_context(header, num_cells, options, free_bytes(_placement(path, options), devices))
    except (FormatError, LoadError) as error:
        raise Refusal(str(error)) from error
    return header


def _placement(path: Path, options: EngineOptions) -> Placement:
    return place(total_bytes(*part_paths(path)), options, native.devices())


def open_model(header: Header, options: EngineOptions, resources: ExitStack) -> tuple[NativeModel, int]:
    placement = _placement(header.path, options)
    for layers in placement.attempts:
        try:
            model = NativeModel(header.path, layers, options.extra_buffer_types)
        except NativeError as error:
            if layers == placement.attempts[-1]:
                raise Refusal(f"{header.path.name} could not be loaded: {error}.") from error
        else:
            return resources.enter_context(model), layers
    raise AssertionError("a placement has at least one attempt")


def _check_reads(model: NativeModel, path: Path, context: int) -> None:
    if not model.has_vocabulary:
        raise Refusal(f"{path.name} has no tokenizer, so it cannot read a text.")
    if not model.has_decoder:
        raise Refusal(f"{path.name} is not a model that generates text, so it has no predictions to measure.")
    if not SHORTEST <= context <= model.context_trained:
        raise Refusal(f"The context must lie between {SHORTEST} and {model.context_trained} tokens, not at {context}.")
