"""Loads a model that was made for vectors alone. It has no chat, no sampler and no cache of prompts."""

import time
from collections.abc import Callable
from contextlib import ExitStack

from backends.embedding import EmbeddingRequest, Question
from backends.engine.runner import Lane, LoadError, PromptError
from backends.engine.silent import SilentRunner
from backends.engine.stops import NO_STOPS, Stops
from backends.formats.gguf import Header
from backends.formats.kv_shape import KVShape
from backends.llama import native
from backends.llama.allowance import Allowance
from backends.llama.fingerprint import fingerprint
from backends.llama.native import NativeError, NativeModel
from backends.llama.placement import default_threads, device_name, gpu_memory, place, total_bytes
from backends.llama.pooler import LlamaPooler
from backends.llama.texts import texts_of
from backends.llama.threads import NativeThreads
from backends.llama.told_buffers import on_gpus, shares
from backends.protocol import (
    DeviceMemory,
    EngineOptions,
    FailureKind,
    Generate,
    KVLayout,
    KVType,
    Load,
    Pooling,
    Processor,
    Ready,
)

MAKES = {
    Pooling.RANK: "ranks documents by a query. Ask it for that, and another model for answers.",
}
MAKES_VECTORS = "makes vectors of texts, and cannot chat. Ask it for embeddings, and another model for answers."


class EncoderModel:
    """A GGUF model as the engine's LoadedModel, of which only vectors can be asked."""

    runner = SilentRunner()
    draft_runner = None
    eos: frozenset[int] = frozenset()

    def __init__(
        self, model: NativeModel, pooler: LlamaPooler, ready: Ready, load: Load, threads: NativeThreads | None,
        resources: ExitStack,
    ):  # fmt: skip
        """threads None: the GPU computes."""
        self.ready, self.pooler = ready, pooler
        self._model, self._load, self._threads, self._resources = model, load, threads, resources

    def lane(self, request: Question) -> Lane:
        return Lane.PLAIN if isinstance(request, Generate) else Lane.SLOW

    def encode(self, request: Generate, context: int | None = None) -> list[int]:  # noqa: ARG002
        what = MAKES.get(self.pooler.embedding.pooling, MAKES_VECTORS)
        raise PromptError(FailureKind.BAD_REQUEST, f"“{self.ready.name}” {what}", "model")

    def texts(self, request: EmbeddingRequest) -> list[list[int]]:
        return texts_of(request, self._model, self.pooler.embedding)

    def stops(self, request: Generate) -> Stops:  # noqa: ARG002
        return NO_STOPS

    def piece(self, token: int) -> bytes:
        return self._model.vocabulary.piece(token)

    def spell(self, tokens: list[int]) -> bytes:
        return b"".join(self._model.vocabulary.piece(token, special=True) for token in tokens)

    def sampler(self, request: Generate, tokens: list[int], max_tokens: int) -> None:  # noqa: ARG002
        raise AssertionError("`encode` refuses every prompt")

    def parser(self, request: Generate, tokens: list[int]) -> None:  # noqa: ARG002
        raise AssertionError("`encode` refuses every prompt")

    def devices(self) -> tuple[DeviceMemory, ...]:
        return gpu_memory(native.gpus())

    def processor(self) -> Processor | None:
        return self._threads.processor if self._threads else None

    def state_key(self) -> str:
        return f"{fingerprint(self._load.model)} {self.ready.build}"

    def close(self) -> None:
        self._resources.close()


def load_encoder(load: Load, header: Header, report: Callable[[float], None]) -> EncoderModel:
    """Raises LoadError with a sentence for the person who asked."""
    begin = time.perf_counter()
    options, devices, notes = load.options, native.devices(), list(load.notes)
    placement = place(total_bytes(load.model), options, devices)
    notes += [placement.note] if placement.note else []
    num_threads = options.threads or default_threads()
    with ExitStack() as resources:
        threads = NativeThreads(num_threads)
        resources.callback(threads.close)
        model, layers = _open(load, placement.attempts, report, notes, resources)
        on_gpu = layers > model.num_layers and native.has_gpu()
        where = shares(on_gpus(model.weights))  # without layers there, in RAM
        allowance = Allowance(KVShape.of(header).bytes_per_token(KVType.F16, KVType.F16), where)
        max_tokens = min(model.context_trained, options.context or model.context_trained)
        following = None if on_gpu else threads.of_draft()
        pooler = LlamaPooler(model, max_tokens, allowance, num_threads, options.flash_attention, following)
        resources.callback(pooler.close)
        ready = Ready(
            name=load.name,
            architecture=header.architecture,
            num_parameters=model.num_parameters,
            model_bytes=model.num_bytes,
            context=max_tokens,
            context_trained=model.context_trained,
            parallel=options.parallel,
            num_layers=model.num_layers,
            gpu_layers=min(layers, model.num_layers + 1),
            device=device_name(layers, devices),
            threads=num_threads,
            kv_type_k=KVType.F16,
            kv_type_v=KVType.F16,
            flash_attention=options.flash_attention,
            draft="off",
            build=native.version(),
            load_seconds=time.perf_counter() - begin,
            has_chat_template=False,
            notes=tuple(notes),
            kv_layout=KVLayout.UNIFIED,
            kv_layout_reason="Vectors need no KV cache that lasts.",
            max_characters=max_tokens * model.vocabulary.longest_text(),
            embedding=pooler.embedding,
            generates=False,
            vocabulary=model.vocabulary.facts(),
            devices=gpu_memory(devices),
        )
        return EncoderModel(model, pooler, ready, load, None if on_gpu else threads, resources.pop_all())


def _open(
    load: Load, attempts: tuple[int, ...], report: Callable[[float], None], notes: list[str], resources: ExitStack
) -> tuple[NativeModel, int]:
    """The model, and the layers that went to the GPU."""
    options: EngineOptions = load.options
    for layers in attempts:
        try:
            model = NativeModel(load.model, layers, options.extra_buffer_types, report)
        except NativeError as error:
            if layers == attempts[-1]:
                kind = FailureKind.OUT_OF_MEMORY if error.is_of_memory else FailureKind.BAD_MODEL
                raise LoadError(kind, f"{load.model.name} could not be loaded: {error}. The log says more.") from error
            notes.append(f"The model could not be loaded on the GPU, so it runs on the CPU ({error}).")
            continue
        resources.enter_context(model)
        if not model.has_vocabulary:
            sentence = f"{load.model.name} has no tokenizer. Convert the model again with its own."
            raise LoadError(FailureKind.BAD_MODEL, sentence)
        return model, layers
    raise AssertionError("a placement has at least one attempt")
