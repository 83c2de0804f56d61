"""A model of bytes that answers by script. The name of the model file gives orders: see `load`."""

import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from time import sleep

from backends.chat.answer_parser import AnswerParser
from backends.chat.formats.table import GENERIC
from backends.chat.needed import Needed
from backends.chat.parser import ChatParser
from backends.chat.reasoning import named
from backends.embedding import EmbeddingRequest, Question, Rank
from backends.engine.runner import Lane, LoadError, PromptError, Size
from backends.engine.sequence import Sampler
from backends.engine.stops import Stops
from backends.fake.pooler import FakePooler
from backends.fake.runner import FakeRunner, die
from backends.protocol import (
    DeviceMemory,
    DraftMode,
    FailureKind,
    Generate,
    Infill,
    KVLayout,
    Load,
    Message,
    Pooling,
    Processor,
    Reads,
    Ready,
    Vocabulary,
)

END, ANSWER, NUM_TOKENS = 256, 257, 258
DEFAULT_CONTEXT = 4096
NUM_RESIDENT = 8
START, STEP = 512, 256  # cells, as with llama.cpp
LONGEST_PIECE = 32  # as if; tokens are bytes
POLL_SECONDS = 0.01
NUM_FREE = 60  # bytes of an answer before the gate, for who waits for its first words

LOREM = "The quick engine shares every prefix it has seen. It guesses ahead, checks each guess, and keeps what holds. "


class FakeModel:
    """Tokens are bytes; ANSWER marks where an answer begins, END ends it."""

    eos = frozenset({END})

    def __init__(self, load: Load, seconds_per_step: float):
        options = load.options
        context = options.context or DEFAULT_CONTEXT
        in_streams = options.kv_layout is KVLayout.STREAMS
        limit = Size(context, options.parallel + (1 if in_streams else NUM_RESIDENT))
        start = Size(min(START, context), 1 if in_streams else limit.slots) if options.kv_grow else limit
        cells = start.cells * (start.slots if in_streams else 1)
        self.runner = FakeRunner(
            _behind(load.model) if "gated" in load.model.name else next_token,
            start.slots,
            cells,
            seconds_per_step=seconds_per_step,
            shares_cells=not in_streams,
            adapters=tuple(adapter.scale for adapter in options.adapters),
            limit=limit,
            cell_step=STEP,
        )
        purse = re.search(r"(\d+)cells", load.model.name)
        self.runner.memory = int(purse[1]) if purse else None
        self.draft_runner: FakeRunner | None = None
        if options.draft in (DraftMode.AUTO, DraftMode.MODEL):
            self.draft_runner = FakeRunner(
                careless_token, start.slots, cells, shares_cells=not in_streams, limit=limit, cell_step=STEP
            )
        self.pooler = FakePooler(Pooling.RANK if "-reranker" in load.model.name else Pooling.MEAN, context)
        self._infills = "-fim" in load.model.name
        self._processor = Processor(1, 2, is_crowded=True) if "busy" in load.model.name else None
        self.ready = Ready(
            name=load.name,
            architecture="fake",
            num_parameters=0,
            model_bytes=0,
            context=context,
            context_trained=context,
            parallel=options.parallel,
            num_layers=0,
            gpu_layers=0,
            device="CPU",
            threads=1,
            kv_type_k=options.kv_type_k,
            kv_type_v=options.kv_type_v,
            flash_attention=options.flash_attention,
            draft="off" if options.draft is DraftMode.OFF else "lookup + fake",
            build="fake",
            load_seconds=0.0,
            has_chat_template="-base" not in load.model.name,
            kv_layout=KVLayout.STREAMS if in_streams else KVLayout.UNIFIED,
            kv_layout_reason="As it was asked for.",
            adapters=options.adapters,
            max_characters=context * LONGEST_PIECE,
            embedding=self.pooler.embedding,
            generates="-embedder" not in load.model.name,
            takes_tools="-base" not in load.model.name and "-untooled" not in load.model.name,
            vocabulary=Vocabulary(ends=(END,), num_tokens=NUM_TOKENS),
            notes=(*load.notes, "It runs without its wings.") if "note" in load.model.name else load.notes,
        )

    def lane(self, request: Question) -> Lane:  # noqa: ARG002
        return Lane.PLAIN

    def texts(self, request: EmbeddingRequest) -> list[list[int]]:
        if isinstance(request, Rank):
            return [list(f"{request.query}\n{document}".encode()) for document in request.documents]
        texts = [_bytes_of((text,) if isinstance(text, str) else text) for text in request.inputs]
        if not all(texts):
            raise PromptError(
                FailureKind.BAD_REQUEST, "A text is empty: there is nothing to make a vector of.", "inputs"
            )
        return texts

    def encode(self, request: Generate, context: int | None = None) -> list[int]:  # noqa: ARG002
        if not self.ready.generates:
            sentence = f"“{self.ready.name}” makes vectors of texts, and cannot chat."
            raise PromptError(FailureKind.BAD_REQUEST, sentence, "model")
        prompt = request.prompt
        if isinstance(prompt, str):
            return [*prompt.encode()] if request.reads is Reads.BARE else [*prompt.encode(), ANSWER]
        if isinstance(prompt, Infill):
            return self._encode_infill(prompt)
        if all(isinstance(part, Message) for part in prompt):
            return self._encode_chat([part for part in prompt if isinstance(part, Message)])
        tokens = [part for part in prompt if isinstance(part, int)]
        if not tokens or not all(0 <= token < NUM_TOKENS for token in tokens):
            raise PromptError(FailureKind.BAD_REQUEST, f"Token ids must lie between 0 and {NUM_TOKENS - 1}.", "prompt")
        return tokens

    def _encode_infill(self, prompt: Infill) -> list[int]:
        if not self._infills:
            raise PromptError(FailureKind.NO_INFILL, f"“{self.ready.name}” cannot fill in.", "suffix")
        files = "".join(text for _, text in prompt.files)
        return [*f"{files}user: {prompt.prefix}…{prompt.suffix}".encode(), ANSWER]

    def _encode_chat(self, messages: list[Message]) -> list[int]:
        tokens: list[int] = []
        for message in messages:
            if message.role == "assistant":
                tokens += [ANSWER, *message.content.encode(), END]
            else:
                tokens += f"{message.role}: {message.content}\n".encode()
        return [*tokens, ANSWER]

    def stops(self, request: Generate) -> Stops:
        return Stops.of(request.stop, {})

    def piece(self, token: int) -> bytes:
        return bytes([token]) if token < END else b""

    def spell(self, tokens: list[int]) -> bytes:
        return b"".join(map(self.piece, tokens))

    def sampler(self, request: Generate, tokens: list[int], max_tokens: int) -> Sampler | None:  # noqa: ARG002
        return None

    def parser(self, request: Generate, tokens: list[int]) -> AnswerParser | None:  # noqa: ARG002
        """It writes as Hermes does."""
        tools = request.tool_choice.among(request.tools)
        needed = Needed() if tools and request.tool_choice.is_required else None
        return AnswerParser(ChatParser(GENERIC if tools else None, named("think"), tools), needed=needed)

    def devices(self) -> tuple[DeviceMemory, ...]:
        return ()

    def processor(self) -> Processor | None:
        return self._processor

    def state_key(self) -> str:
        return f"fake {self.ready.name}"

    def close(self) -> None:
        self.runner.close()


def prepare() -> Callable[[Load, Callable[[float], None]], FakeModel]:
    return load


def _bytes_of(pieces: Iterable[int | str]) -> list[int]:
    return [each for piece in pieces for each in (piece.encode() if isinstance(piece, str) else (piece,))]


def load(load: Load, report: Callable[[float], None]) -> FakeModel:
    """`…bad…` in the file's name refuses the load, `…crash…` dies during it, `…stuck…` never ends it, `…waits…` ends it
    once that file exists, `…gated…` stands still in the middle of an answer until it does, `…note…` adds a note to the
    load, `…-base…` has no chat template, `…-untooled…` one without tools, `…-fim…` fills in middles of texts,
    `…-embedder…` makes vectors alone, `…-reranker…` scores instead, `…busy…` computes on one of two threads,
    `…512cells…` has memory for no more, and `…20ms…` sleeps so long per step.
    """
    name = load.model.name
    report(0.5)
    if "bad" in name:
        raise LoadError(FailureKind.BAD_MODEL, f"{name} is not a model that the fake backend can load.")
    if "crash" in name:
        die("abort")
    if "stuck" in name:
        threading.Event().wait()
    while "waits" in name and not load.model.exists():
        sleep(POLL_SECONDS)
    delay = re.search(r"(\d+)ms", name)
    return FakeModel(load, int(delay[1]) / 1000 if delay else 0.0)


def _behind(gate: Path) -> Callable[[list[int]], int]:
    """`next_token`, which waits at NUM_FREE bytes until the gate is there."""

    def token(prefix: list[int]) -> int:
        while len(prefix) - 1 - _start(prefix) >= NUM_FREE and not gate.exists():
            sleep(POLL_SECONDS)
        return next_token(prefix)

    return token


def _start(prefix: list[int]) -> int:
    """Where the last ANSWER stands."""
    return len(prefix) - 1 - prefix[::-1].index(ANSWER) if ANSWER in prefix else 0


def next_token(prefix: list[int]) -> int:
    """The next byte of the scripted answer to what stands before the last ANSWER."""
    start = _start(prefix)
    begin = len(prefix) - 1 - start
    answer = answer_to(_question(prefix[:start]))
    if begin == 5 and answer.startswith(b"!crash"):
        die("abort")
    if begin == 5 and answer.startswith(b"!kill"):
        die("kill")
    return answer[begin] if begin < len(answer) else END


def careless_token(prefix: list[int]) -> int:
    """The draft's next token: wrong at every fifth position, and never an order to die."""
    if ANSWER not in prefix or len(prefix) % 5 == 0:
        return ord("e")
    start = len(prefix) - 1 - prefix[::-1].index(ANSWER)
    answer = answer_to(_question(prefix[:start]))
    begin = len(prefix) - 1 - start
    return answer[begin] if begin < len(answer) else END


def answer_to(question: str) -> bytes:
    """What the fake model says: an echo; `long N` gives N sentences, `!think` has it think first, `!crash` and
    `!kill` obey after five bytes."""
    if order := re.search(r"!(crash|kill)", question):
        return f"!{order[1]}: this answer breaks off.".encode()
    if long := re.search(r"\blong (\d+)", question):
        return (LOREM * int(long[1])).encode()
    thoughts = "<think>Let me see.</think>\n\n" if "!think" in question else ""
    return f"{thoughts}You said “{question}”. — {LOREM}".encode()


def _question(tokens: list[int]) -> str:
    """The last line that a user wrote, or what a tool has answered after it."""
    if tokens and END in tokens:
        last = bytes(tokens[len(tokens) - tokens[::-1].index(END) :]).decode("utf-8", "replace")
        if last.startswith("tool: "):
            return last.rstrip("\n")
    text = bytes(token for token in tokens if token < END).decode("utf-8", "replace")
    return text.rstrip("\n").rpartition("user: ")[2]
