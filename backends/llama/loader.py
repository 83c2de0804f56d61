"""Loads a GGUF file: chooses device, context and threads where the options leave them open, and says so."""

import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil

from backends.chat.answer_parser import AnswerParser
from backends.engine.runner import Lane, LoadError, PromptError, TooLong
from backends.engine.stops import Stops
from backends.formats import FormatError
from backends.formats.gguf import read_header
from backends.formats.gguf_adapter import check_adapter
from backends.llama import native
from backends.llama.allowance import Allowance
from backends.llama.answer_form import NUM_LAST, AnswerForm, demands
from backends.llama.context import ContextParams, NativeContext
from backends.llama.fingerprint import fingerprint, other_parts
from backends.llama.grammars import Grammars
from backends.llama.header import header_of
from backends.llama.kv_layout import Layout, choose
from backends.llama.kv_shape import UNQUANTIZED, KVShape
from backends.llama.kv_types import refusal
from backends.llama.logprobs import MAX_ALTERNATIVES
from backends.llama.native import NativeDevice, NativeError, NativeModel
from backends.llama.placement import (
    ALL_LAYERS,
    CUDA,
    Placement,
    check_context,
    default_threads,
    device_name,
    free_bytes,
    place,
    total_bytes,
)
from backends.llama.prompt_tokens import PromptTokens
from backends.llama.ranges import check_options
from backends.llama.runner import LlamaRunner
from backends.llama.sampling import ChainSampler, sampler
from backends.llama.template import ChatTemplate, chat_template
from backends.llama.template_ends import find_ends
from backends.llama.threads import Following, NativeThreads
from backends.messages import Tool
from backends.protocol import (
    DeviceMemory,
    DraftMode,
    EngineOptions,
    FailureKind,
    FlashAttention,
    Generate,
    KVType,
    Load,
    Message,
    Processor,
    Ready,
)
from backends.sandbox.sandbox import Sandbox

DEFAULT_CONTEXT = 8192
MAX_BATCH_TOKENS = 512
LONG = 100_000  # characters of a prompt whose reading holds others up: a tenth of a second and more
PIECE, FEW_CHARACTERS = 65_536, 8  # characters that are read at a time, and of a token that is a long one
WORTH_LEAVING = 1.1  # flash attention reads long prompts some percent sooner
UNKNOWN_ORIGINS = (
    "The model's chat template refused this chat: it does not show which control tokens people wrote; take them out of"
    " the messages."
)
MAX_RECURRENT_DRAFT = 4  # guesses per step of a recurrent model
MAX_ROLLBACK_BYTES = 256 << 20  # for the copies of all slots' states that taking such guesses back needs


class LlamaModel:
    """A GGUF model with its context, its draft's context, vocabulary and template."""

    def __init__(
        self,
        target: NativeModel,
        runner: LlamaRunner,
        draft_runner: LlamaRunner | None,
        ready: Ready,
        template: ChatTemplate,
        rendering: Sandbox,
        resources: ExitStack,
        path: Path,
        threads: NativeThreads | None,
    ):
        self.ready = ready
        self._threads = threads
        self._path = path
        self.runner = runner
        self.draft_runner = draft_runner
        self._target = target
        self._prompts = PromptTokens(target)
        self._template = template
        self._rendering = rendering
        ends = find_ends(self._template, rendering, self._prompts.markers)
        self.eos = target.ends() | ends.tokens
        self._stops = (*self._template.stops, *ends.stops)
        self._answers = AnswerForm.of(template.form, target.special.markers())
        self._grammars = Grammars(target, self.eos)
        # of its own, so that no chat waits for a grammar or for another's megabytes; started by the first of these
        self._trying = resources.enter_context(Sandbox())
        self._resources = resources

    def lane(self, request: Generate) -> Lane:
        is_new = request.grammar and not self._grammars.is_known(request.grammar)
        if is_new or demands(request) or _length(request.prompt) > LONG:
            return Lane.SLOW
        return Lane.CHAT if _is_chat(request.prompt) else Lane.PLAIN

    def encode(self, request: Generate, context: int | None = None) -> list[int]:
        prompt = request.prompt
        if isinstance(prompt, str):
            self._check_length(prompt, context)
            tokens = self._prompts.of_text(prompt, reads_markers=request.special is not False)
        elif _is_chat(prompt):
            tokens = self._encode_chat(request, context)
        else:
            tokens = self._checked([part for part in prompt if isinstance(part, int)])
        if not tokens:
            raise PromptError(FailureKind.BAD_REQUEST, "The prompt is empty: write something to answer.")
        return tokens

    def stops(self, request: Generate) -> Stops:
        own = self._stops if _is_chat(request.prompt) and not request.ignore_eos else ()
        texts = (*request.stop, *own)
        return Stops.of(texts, {m.text: m.token for m in self._prompts.markers.in_text("\0".join(texts))})

    def piece(self, token: int) -> bytes:
        return self._target.piece(token)

    def spell(self, tokens: list[int]) -> bytes:
        return b"".join(self._target.piece(token, special=True) for token in tokens)

    def sampler(self, request: Generate, tokens: list[int]) -> ChainSampler | None:
        if request.logprobs is not None and not 0 <= request.logprobs <= MAX_ALTERNATIVES:
            sentence = f"From 0 to {MAX_ALTERNATIVES} alternatives to a token can be given, not {request.logprobs}."
            raise PromptError(FailureKind.BAD_REQUEST, sentence)
        grammar = request.grammar
        if _is_chat(request.prompt) and demands(request):
            grammar = self._answers.demanded(request, self._end_of(tokens)) or grammar
        matcher = self._grammars.compile(grammar, self._trying) if grammar else None
        return sampler(request.sampling, tokens, self._target.vocab, self.ready.context, matcher)

    def parser(self, request: Generate, tokens: list[int]) -> AnswerParser | None:
        return self._answers.parser(request, self._end_of(tokens)) if _is_chat(request.prompt) else None

    def devices(self) -> tuple[DeviceMemory, ...]:
        """The build's GPUs as the backend itself sees them."""
        return tuple(DeviceMemory(gpu.name, gpu.free, gpu.total) for gpu in native.gpus())

    def processor(self) -> Processor | None:
        return self._threads.processor if self._threads else None

    def state_key(self) -> str:
        ready = self.ready
        kinds = f"k={ready.kv_type_k} v={ready.kv_type_v} flash={ready.flash_attention}"
        layout = self.runner.state_form
        adapters = [f"{fingerprint(adapter.path)} x {adapter.scale}" for adapter in ready.adapters]
        lora = hashlib.sha256(" ".join(adapters).encode()).hexdigest() if adapters else "none"
        return f"{fingerprint(self._path)} {ready.build} {ready.device} {kinds} {layout} swa-full lora={lora}"

    def close(self) -> None:
        self._resources.close()

    def _encode_chat(self, request: Generate, context: int | None) -> list[int]:
        messages = tuple(part for part in request.prompt if isinstance(part, Message))
        sandbox = self._trying if _length(messages) > LONG else self._rendering
        tracked = request.special is not True
        rendered = self._template.render(
            messages,
            sandbox,
            continues=request.continues,
            tracked=tracked,
            tools=request.tool_choice.among(request.tools) and request.tools,
            options=request.template_options,
        )
        self._check_length(rendered.text, context)
        typed = [text for message in messages for text in (message.content, message.reasoning) if text]
        if not self._prompts.is_safe(rendered, typed, _calls_and_tools(messages, request.tools)):
            raise PromptError(FailureKind.BAD_TEMPLATE, UNKNOWN_ORIGINS)
        return self._prompts.of_chat(rendered)

    def _end_of(self, tokens: list[int]) -> str:
        """The prompt's last text, control tokens too."""
        return self.spell(tokens[-NUM_LAST:]).decode("utf-8", "replace")

    def _check_length(self, text: str, context: int | None) -> None:
        """Reads a text that can hardly fit piece by piece, and no further than twice the context, because where a text
        is cut decides some tokens."""
        if context is None or len(text) <= PIECE + FEW_CHARACTERS * context:
            return
        num_tokens = 0
        for end in range(PIECE, len(text) + PIECE, PIECE):
            num_tokens += len(self._target.tokenize(text[end - PIECE : end], add_special=False, parse_special=True))
            if num_tokens > 2 * context:
                raise TooLong(num_tokens * len(text) // min(end, len(text)))

    def _checked(self, tokens: list[int]) -> list[int]:
        if not all(0 <= token < self._target.num_tokens for token in tokens):
            last = self._target.num_tokens - 1
            raise PromptError(FailureKind.BAD_REQUEST, f"Token ids of this model lie between 0 and {last}.")
        return tokens


def load(load: Load, report: Callable[[float], None], rendering: Sandbox | None = None) -> LlamaModel:
    """Raises LoadError with a sentence for the person who asked. The model closes the sandbox of its chats."""
    begin = time.perf_counter()
    native.start()
    options, notes = load.options, list(load.notes)
    check_options(options)
    _check_adapters(load.model, options)
    devices = native.devices()
    placement = place(total_bytes(load.model, options.draft_model), options, devices)
    notes += [placement.note] if placement.note else []
    shape = _check_cache(load.model, options, placement, devices)
    with ExitStack() as resources:
        rendering = resources.enter_context(rendering or Sandbox())
        threads = NativeThreads(options.threads or default_threads())
        resources.callback(threads.close)
        target, context, layout, layers = _open(
            load.model, shape, options, placement, threads, notes, report, resources
        )
        allowance = Allowance(shape.bytes_per_token(options.kv_type_k, options.kv_type_v), layers > 0)
        options = _with_defaults(target, options, layers)
        draft = None
        if context.max_draft != 0:
            draft = _open_draft(target, options, layout, layers > 0, threads, notes, resources)
        template = chat_template(target.chat_template, target.named_tokens(), target.has_control)
        notes += template.probe(rendering)
        ready = Ready(
            name=load.name,
            architecture=target.metadata("general.architecture") or "unknown",
            num_parameters=target.num_parameters,
            model_bytes=target.num_bytes,
            context=layout.context,
            context_trained=target.context_trained,
            parallel=options.parallel,
            num_layers=target.num_layers,
            gpu_layers=min(layers, target.num_layers + 1),  # llama.cpp counts the output layer, too
            device=device_name(layers, devices),
            threads=options.threads or 1,
            kv_type_k=options.kv_type_k,
            kv_type_v=options.kv_type_v,
            flash_attention=options.flash_attention,
            draft=_draft_name(options, context, draft),
            build=native.version(),
            load_seconds=time.perf_counter() - begin,
            has_chat_template=target.chat_template is not None,
            adapters=options.adapters,
            notes=tuple(notes),
            kv_layout=layout.kind,
            kv_layout_reason=layout.reason,
            max_characters=layout.context * target.longest_text(),
        )
        runner = LlamaRunner(context, context.num_slots, layout.limit, allowance)
        follows = None if _is_on_gpu(target, layers) else threads
        return LlamaModel(target, runner, draft, ready, template, rendering, resources.pop_all(), load.model, follows)


def _is_chat(prompt: tuple[Message, ...] | str | tuple[int, ...]) -> bool:
    return not isinstance(prompt, str) and all(isinstance(part, Message) for part in prompt)


def _length(prompt: tuple[Message, ...] | str | tuple[int, ...]) -> int:
    """In characters; of token ids none are read."""
    if isinstance(prompt, str):
        return len(prompt)
    return sum(len(part.content) for part in prompt if isinstance(part, Message))


def _calls_and_tools(messages: tuple[Message, ...], tools: tuple[Tool, ...]) -> list[str]:
    """What templates may write in another way than it was given."""
    texts = [text for message in messages for call in message.tool_calls for text in (call.name, call.arguments)]
    return texts + [text for tool in tools for text in (tool.name, tool.description, tool.parameters)]


def _default_context(trained: int | None) -> int:
    return min(trained or DEFAULT_CONTEXT, DEFAULT_CONTEXT)


def _with_defaults(model: NativeModel, options: EngineOptions, gpu_layers: int) -> EngineOptions:
    """Everything the person left open, decided for this model."""
    return replace(
        options,
        context=options.context or _default_context(model.context_trained),
        threads=options.threads or default_threads(),
        flash_attention=_flash_attention(options, gpu_layers),
    )


def _flash_attention(options: EngineOptions, gpu_layers: int) -> FlashAttention:
    """AUTO: off on a CPU that was measured to be quicker without, unless a quantized V cache needs it."""
    is_slow = options.flash_cost is not None and options.flash_cost > WORTH_LEAVING
    if options.flash_attention is FlashAttention.AUTO and not gpu_layers and is_slow:
        return FlashAttention.OFF if options.kv_type_v in UNQUANTIZED else FlashAttention.ON
    return options.flash_attention


def _open(
    path: Path,
    shape: KVShape,
    options: EngineOptions,
    placement: Placement,
    threads: NativeThreads,
    notes: list[str],
    report: Callable[[float], None],
    resources: ExitStack,
) -> tuple[NativeModel, NativeContext, Layout, int]:
    """The model, its context and how that lies, and the layers that went to the GPU."""
    for layers in placement.attempts:
        with ExitStack() as attempt:
            try:
                model = attempt.enter_context(NativeModel(path, layers, options.extra_buffer_types, report))
                _check_generates(model, path)
                for adapter in options.adapters:
                    model.add_adapter(adapter.path)
                layout = _layout(shape, model, options, layers > 0)
                following = None if _is_on_gpu(model, layers) else threads.of_target()
                chosen = _with_defaults(model, options, layers)
                context = attempt.enter_context(_context(model, chosen, layout, following))
            except NativeError as error:
                if layers == placement.attempts[-1]:
                    kind = FailureKind.OUT_OF_MEMORY if error.is_of_memory else FailureKind.BAD_MODEL
                    raise LoadError(kind, _refusal(path, error)) from error
                notes.append(_left_gpu(error))
            else:
                resources.enter_context(attempt.pop_all())
                return model, context, layout, layers
    raise AssertionError("a placement has at least one attempt")


def _check_cache(
    path: Path, options: EngineOptions, placement: Placement, devices: tuple[NativeDevice, ...]
) -> KVShape:
    """The cache's shape, judged before any native call: what a type does to a cache that it does not fit is not
    always a refusal, and what a context does that can never be held is not always one either."""
    try:
        header = header_of(path)
    except FormatError as error:
        raise LoadError(FailureKind.BAD_MODEL, str(error)) from error
    is_cuda = placement.attempts[0] > 0 and any(device.name.startswith(CUDA) for device in devices)
    shape = KVShape.of(header)
    if sentence := refusal(shape, header.architecture, options, is_cuda):
        raise LoadError(FailureKind.BAD_MODEL, sentence)
    context = options.context or _default_context(header.number("context_length"))
    check_context(header, context, options, free_bytes(placement, devices))
    return shape


def _check_adapters(model: Path, options: EngineOptions) -> None:
    try:
        headers = [read_header(path) for path in (model, *other_parts(model))] if options.adapters else []
        for adapter in options.adapters:
            check_adapter(adapter.path, headers)
    except FormatError as error:
        raise LoadError(FailureKind.BAD_MODEL, str(error)) from error


def _check_generates(model: NativeModel, path: Path) -> None:
    if not model.has_vocabulary:
        raise LoadError(FailureKind.BAD_MODEL, f"{path.name} has no tokenizer. Convert the model again with its own.")
    if not model.has_decoder:
        raise LoadError(FailureKind.BAD_MODEL, f"{path.name} is not a model that generates text.")


def _open_draft(
    target: NativeModel,
    options: EngineOptions,
    layout: Layout,
    on_gpu: bool,
    threads: NativeThreads,
    notes: list[str],
    resources: ExitStack,
) -> LlamaRunner | None:
    """The draft model's runner; None, with a note, when it cannot serve this target."""
    path = options.draft_model
    if path is None or options.draft not in (DraftMode.AUTO, DraftMode.MODEL):
        return None
    with ExitStack() as attempt:
        try:
            draft = attempt.enter_context(NativeModel(path, ALL_LAYERS if on_gpu else 0, options.extra_buffer_types))
            _check_generates(draft, path)
            if difference := _difference(target, draft):
                notes.append(f"{path.name} cannot draft for this model: {difference}.")
                return None
            plain = replace(options, kv_type_k=KVType.F16, kv_type_v=KVType.F16, flash_attention=FlashAttention.AUTO)
            plain = _with_defaults(draft, plain, ALL_LAYERS if on_gpu else 0)
            following = None if on_gpu else threads.of_draft()
            context = attempt.enter_context(_context(draft, plain, layout, following))
            per_token = KVShape.of(read_header(path)).bytes_per_token(plain.kv_type_k, plain.kv_type_v)
        except (NativeError, LoadError, FormatError) as error:
            notes.append(f"The draft model {path.name} could not be loaded ({error}).")
            return None
        resources.enter_context(attempt.pop_all())
    return LlamaRunner(context, context.num_slots, layout.limit, Allowance(per_token, on_gpu))


def _layout(shape: KVShape, model: NativeModel, options: EngineOptions, on_gpu: bool) -> Layout:
    """Decided with the weights in place, by the memory that is left where the cache will lie."""
    per_token = shape.bytes_per_token(options.kv_type_k, options.kv_type_v)
    gpus = [gpu.free for gpu in native.gpus()]
    free = sum(gpus) if on_gpu else psutil.virtual_memory().available
    context = _with_defaults(model, options, gpu_layers=ALL_LAYERS if on_gpu else 0).context
    assert context
    return choose(options, context, per_token, free, model.is_recurrent, has_window=model.window > 0)


def _is_on_gpu(model: NativeModel, layers: int) -> bool:
    """All of it: no thread of the processor's computes."""
    return layers > model.num_layers and native.has_gpu()


def _context(model: NativeModel, options: EngineOptions, layout: Layout, following: Following | None) -> NativeContext:
    assert options.threads
    size = layout.start(model.is_recurrent) if options.kv_grow else layout.limit
    params = ContextParams(
        num_cells=size.total(layout.is_unified),
        num_slots=size.slots,
        batch_tokens=MAX_BATCH_TOKENS,
        threads=options.threads,
        kv_type_k=options.kv_type_k,
        kv_type_v=options.kv_type_v,
        flash_attention=options.flash_attention,
        is_unified=layout.is_unified,
        following=following,
    )
    if model.is_recurrent and options.draft is not DraftMode.OFF:
        copies = layout.num_slots * MAX_RECURRENT_DRAFT * _recurrent_bytes(model, params)
        params = replace(params, max_draft=MAX_RECURRENT_DRAFT if copies <= MAX_ROLLBACK_BYTES else 0)
    context = NativeContext(model, params)
    if not (context.is_unified or context.has_portable_states):  # states that go into as many streams alone
        context.resize(size.cells * layout.num_slots, layout.num_slots)
    return context


def _recurrent_bytes(model: NativeModel, params: ContextParams) -> int:
    """Of one sequence's state: no key of the file says it for every architecture, so one token is decoded."""
    with NativeContext(model, replace(params, num_cells=256, num_slots=1, batch_tokens=1)) as context:
        context.tokens[0] = context.positions[0] = context.outputs[0] = 0
        context.set_slots(0, 1, 0)
        context.decode(1)
        return len(context.checkpoint(0))


def _difference(target: NativeModel, draft: NativeModel) -> str | None:
    """What keeps the draft from serving. The tokens are compared: vocabularies of one size may still differ."""
    if draft.is_recurrent:
        return "its architecture cannot take a guess back"
    if target.num_tokens != draft.num_tokens:
        return f"its vocabulary has {draft.num_tokens} tokens instead of {target.num_tokens}"
    for token in range(target.num_tokens):
        if target.piece(token, special=True) != draft.piece(token, special=True):
            return f"token {token} of its vocabulary differs"
    return None


def _draft_name(options: EngineOptions, context: NativeContext, draft: LlamaRunner | None) -> str:
    if context.max_draft == 0 or options.draft is DraftMode.OFF:
        return "off"
    sources = ["lookup"] if options.draft in (DraftMode.AUTO, DraftMode.LOOKUP) else []
    if draft and options.draft_model:
        sources.append(options.draft_model.stem)
    return " + ".join(sources) or "off"


def _left_gpu(error: NativeError) -> str:
    if error.is_of_memory:
        return "The model did not fit on the GPU, so it runs on the CPU."
    return f"The model could not be loaded on the GPU, so it runs on the CPU ({error})."


def _refusal(path: Path, error: NativeError) -> str:
    if error.is_of_memory:
        cure = "Try a smaller context, a quantized KV cache, fewer GPU layers or a smaller quantization"
        return f"{path.name} does not fit into memory: {error}. {cure}."
    cure = "If the file is damaged or made for another version of llama.cpp, download or convert it again"
    return f"{path.name} could not be loaded: {error}. {cure}; the engine's log says more."
