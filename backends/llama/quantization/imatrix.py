"""Makes a model's importance matrix: runs it over a text and watches its inputs. Runs in a child."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from backends.child import ImatrixResult, Progress, Refusal, Report
from backends.convert.files import part_of, publish, require_space
from backends.formats import FormatError
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeError, NativeModel
from backends.llama.placement import default_threads, place
from backends.llama.quantization.collector import Collector, Entry
from backends.llama.quantization.importance_file import write_matrix
from backends.llama.quantization.source import read_source
from backends.llama.threads import NativeThreads
from backends.ownership.files import delete_file
from backends.protocol import EngineOptions
from backends.regular_file import OddFileError, read_regular

CALIBRATION_TEXT = Path(__file__).parent / "calibration.txt"
CHUNK = 512  # tokens; what llama.cpp's own tool takes, and what a block of statistics is reckoned in
MIN_CHUNKS = 2
MAX_TEXT_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class _Watched:
    """What a model did over some chunks of chunk_size tokens each."""

    entries: dict[str, Entry]
    num_chunks: int
    chunk_size: int


def make_imatrix(
    report: Report,
    model: Path,
    target: Path,
    text: Path | None = None,
    num_chunks: int | None = None,
    threads: int | None = None,
) -> ImatrixResult:
    """Writes the matrix of `model` over `text` (None: the shipped one). Raises Refusal with a sentence."""
    start = time.perf_counter()
    text = text or CALIBRATION_TEXT
    words = _read_text(text)
    if num_chunks is not None and num_chunks < 1:
        raise Refusal(f"{num_chunks} parts of the text are too few to read: at least 1 is needed.")
    try:
        watched = _watch(report, model, words, text.name, num_chunks, threads)
    except FormatError as fault:
        raise Refusal(str(fault)) from fault
    except NativeError as fault:
        raise Refusal(f"{model.name} could not be run: {fault}. Its log says more.") from fault
    _write(target, watched, text.name)
    report(Progress(1.0, "Importance matrix made"))
    return ImatrixResult(
        bytes=target.stat().st_size,
        num_tensors=len(watched.entries),
        num_chunks=watched.num_chunks,
        num_tokens=watched.num_chunks * watched.chunk_size,
        seconds=time.perf_counter() - start,
        num_incomplete=sum(int((entry.counts == 0).sum()) for entry in watched.entries.values()),
    )


def _watch(report: Report, model: Path, text: str, name: str, num_chunks: int | None, threads: int | None) -> _Watched:
    report(Progress(0.0, "Loading the model"))
    collector = Collector()
    with ExitStack() as resources:
        loaded, context = _open(model, collector, threads, resources)
        chunks = _chunks(loaded, context, text, name)[:num_chunks]
        for done, chunk in enumerate(chunks):
            report(Progress(done / len(chunks), f"Reading part {done + 1} of {len(chunks)}"))
            _run(context, chunk, collector)
        collector.check_finite()
        return _Watched(collector.entries, len(chunks), context.batch_tokens)


def _write(target: Path, watched: _Watched, dataset: str) -> None:
    part = part_of(target)
    try:
        require_space(target.parent, sum(entry.sums.size * 4 for entry in watched.entries.values()))
        write_matrix(part, watched.entries, dataset, watched.num_chunks, watched.chunk_size)
        publish(part, target)
    except OSError as fault:
        raise Refusal(f"{target} cannot be written: {fault.strerror or fault}.") from fault
    finally:
        delete_file(part)


def _read_text(path: Path) -> str:
    try:
        return read_regular(path, MAX_TEXT_BYTES).decode("utf-8")
    except OddFileError as fault:
        raise Refusal(f"{path.name} cannot be read: {fault.strerror}. Some hundred kilobytes are enough.") from fault
    except OSError as fault:
        raise Refusal(f"{path} cannot be read: {fault.strerror or fault}.") from fault
    except UnicodeDecodeError:
        raise Refusal(f"{path.name} is not UTF-8 text. Save it as UTF-8 and try again.") from None


def _open(
    path: Path, collector: Collector, threads: int | None, resources: ExitStack
) -> tuple[NativeModel, NativeContext]:
    """On the GPU if all of it fits, else on the CPU. Without weights in special layouts: some builds crash on them."""
    weights = sum(header.file_bytes for header in read_source(path).headers)
    native.start()
    attempts = place(weights, EngineOptions(), native.devices()).attempts
    for layers in attempts:
        with ExitStack() as attempt:
            try:
                model = attempt.enter_context(NativeModel(path, layers, extra_buffer_types=False))
                _check_generates(model, path)
                size = min(CHUNK, model.context_trained)
                cores = threads or default_threads()
                following = NativeThreads(cores)
                attempt.callback(following.close)
                params = ContextParams(size, 1, batch_tokens=size, threads=cores, following=following.of_target())
                context = attempt.enter_context(NativeContext(model, params, collector.callback))
            except NativeError:
                if layers == attempts[-1]:
                    raise
            else:
                resources.enter_context(attempt.pop_all())
                return model, context
    raise AssertionError("a placement has at least one attempt")


def _check_generates(model: NativeModel, path: Path) -> None:
    if not model.has_decoder or not model.has_vocabulary:
        raise Refusal(f"{path.name} does not write text, so there is no importance matrix for it.")


def _chunks(model: NativeModel, context: NativeContext, text: str, name: str) -> list[list[int]]:
    """The whole chunks of the text; each begins as a text of its own."""
    size = context.batch_tokens
    tokens = model.vocabulary.tokenize(text, add_special=True, parse_special=False)
    if len(tokens) < MIN_CHUNKS * size:
        raise Refusal(
            f"{name} is too short: it has {len(tokens):,} tokens, and at least {MIN_CHUNKS * size:,} are needed. "
            "Some hundred kilobytes of the kind of text that the model will write are best."
        )
    chunks = [tokens[begin : begin + size] for begin in range(0, len(tokens) - size + 1, size)]
    if model.vocabulary.adds_bos:
        for chunk in chunks:
            chunk[0] = model.vocabulary.bos
    return chunks


def _run(context: NativeContext, chunk: list[int], collector: Collector) -> None:
    size = len(chunk)
    context.memory.truncate(0, 0)
    context.batch.put(0, chunk, 0, 0)
    context.batch.outputs[:size] = 1  # else the last layer would see only the last token
    try:
        code = context.decode(size)
    finally:
        collector.raise_fault()
    if code != 0:
        raise NativeError("the context is too small for its own batch")
