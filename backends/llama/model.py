"""A loaded GGUF model, as the engine asks for it."""

import hashlib
from contextlib import ExitStack

from backends.chat.answer_parser import AnswerParser
from backends.embedding import EmbeddingRequest, Question
from backends.engine.runner import Lane, PromptError
from backends.engine.stops import Stops
from backends.llama import native
from backends.llama.answer_form import NUM_LAST, AnswerForm, demands
from backends.llama.fingerprint import fingerprint
from backends.llama.grammars import Grammars
from backends.llama.logprobs import MAX_ALTERNATIVES
from backends.llama.placement import gpu_memory
from backends.llama.pooler import LlamaPooler
from backends.llama.prompt_encoder import LONG, PromptEncoder, is_chat, length
from backends.llama.runner import LlamaRunner
from backends.llama.sampling import ChainSampler, sampler
from backends.llama.target import Target
from backends.llama.template import ChatTemplate
from backends.llama.template_ends import find_ends
from backends.llama.texts import texts_of
from backends.protocol import DeviceMemory, FailureKind, Generate, Processor, Ready
from backends.sandbox.sandbox import Sandbox


class LlamaModel:
    """The target, its draft's runner, and what makes tokens of requests and text of tokens."""

    def __init__(
        self,
        target: Target,
        draft_runner: LlamaRunner | None,
        pooler: LlamaPooler,
        ready: Ready,
        template: ChatTemplate,
        rendering: Sandbox,
        resources: ExitStack,
    ):
        """resources: all that `close` gives back."""
        self.ready = ready
        self.runner = target.runner
        self.draft_runner = draft_runner
        self.pooler = pooler
        self._target = target
        self._vocabulary = target.model.vocabulary
        # of its own, so that no chat waits for a grammar or for another's megabytes; started by the first of these
        self._trying = resources.enter_context(Sandbox())
        self._prompts = PromptEncoder(self._vocabulary, template, rendering, self._trying)
        ends = find_ends(template, rendering, self._prompts.markers)
        self.eos = self._vocabulary.ends() | ends.tokens
        self._stops = (*template.stops, *ends.stops)
        self._answers = AnswerForm.of(template.form, self._vocabulary.special.markers())
        self._grammars = Grammars(self._vocabulary, self.eos)
        self._resources = resources

    def lane(self, request: Question) -> Lane:
        if not isinstance(request, Generate):
            return Lane.SLOW
        is_new = request.grammar and not self._grammars.is_known(request.grammar)
        if is_new or demands(request) or length(request.prompt) > LONG:
            return Lane.SLOW
        return Lane.CHAT if is_chat(request.prompt) else Lane.PLAIN

    def encode(self, request: Generate, context: int | None = None) -> list[int]:
        return self._prompts.encode(request, context)

    def texts(self, request: EmbeddingRequest) -> list[list[int]]:
        return texts_of(request, self._target.model, self.pooler.embedding)

    def stops(self, request: Generate) -> Stops:
        own = self._stops if is_chat(request.prompt) and not request.ignore_eos else ()
        texts = (*request.stop, *own)
        return Stops.of(texts, {m.text: m.token for m in self._prompts.markers.in_text("\0".join(texts))})

    def piece(self, token: int) -> bytes:
        return self._vocabulary.piece(token)

    def spell(self, tokens: list[int]) -> bytes:
        return b"".join(self._vocabulary.piece(token, special=True) for token in tokens)

    def sampler(self, request: Generate, tokens: list[int], max_tokens: int) -> ChainSampler | None:
        for wanted in (request.logprobs, request.prompt_logprobs):
            if wanted is not None and not 0 <= wanted <= MAX_ALTERNATIVES:
                sentence = f"From 0 to {MAX_ALTERNATIVES} alternatives to a token can be given, not {wanted}."
                raise PromptError(FailureKind.BAD_REQUEST, sentence, "logprobs")
        grammar = request.grammar
        if is_chat(request.prompt) and demands(request):
            grammar = self._answers.demanded(request, self._end_of(tokens)) or grammar
        matcher = self._grammars.compile(grammar, self._trying, max_tokens) if grammar else None
        made = sampler(request.sampling, tokens, self._vocabulary.pointer, self.ready.context, matcher)
        if made:
            made.tells_left = request.after_filters and request.logprobs is not None
        return made

    def parser(self, request: Generate, tokens: list[int]) -> AnswerParser | None:
        return self._answers.parser(request, self._end_of(tokens)) if is_chat(request.prompt) else None

    def devices(self) -> tuple[DeviceMemory, ...]:
        """The build's GPUs as the backend itself sees them."""
        return gpu_memory(native.gpus())

    def processor(self) -> Processor | None:
        threads = self._target.threads
        return threads.processor if threads else None

    def state_key(self) -> str:
        ready = self.ready
        kinds = f"k={ready.kv_type_k} v={ready.kv_type_v} flash={ready.flash_attention}"
        layout = self.runner.state_form
        adapters = [f"{fingerprint(adapter.path)} x {adapter.scale}" for adapter in ready.adapters]
        lora = hashlib.sha256(" ".join(adapters).encode()).hexdigest() if adapters else "none"
        return f"{fingerprint(self._target.path)} {ready.build} {ready.device} {kinds} {layout} swa-full lora={lora}"

    def _end_of(self, tokens: list[int]) -> str:
        """The prompt's last text, control tokens too."""
        return self.spell(tokens[-NUM_LAST:]).decode("utf-8", "replace")

    def close(self) -> None:
        self._resources.close()
