"""What engines that are started anew show, with a person's own options and with one of them changed."""

from dataclasses import dataclass, field, replace

from app.bench.engines import Engines
from app.bench.figures import Life, Option, Sample
from app.bench.passages import ANSWER, reading
from backends.protocol import EngineOptions, KVType

WIDE = (KVType.F32, KVType.F16, KVType.BF16)


@dataclass(slots=True)
class Lives:
    """Of engines with the same options. Values as in `Life`, one for each start, and two for its answers."""

    options: EngineOptions
    starts: list[float] = field(default_factory=list)
    prompts: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    first_bytes: list[float] = field(default_factory=list)
    chat_bytes: list[float] = field(default_factory=list)

    def live(self, engines: Engines, depth: int) -> None:
        """Once more: a start, a prompt of so many tokens, and two answers behind it. Raises as `Engines.started`."""
        with engines.started(self.options) as engine:
            asking, text = engine.asking, engines.passages.next(depth)
            first = asking.footprint().bytes
            cold = asking.answer(reading(text, ANSWER))
            again = asking.answer(reading(text, ANSWER))
            chat = asking.footprint().bytes
        self.starts.append(engine.seconds)
        self.prompts.append(1000 * cold.prompt_n / cold.first_token_ms)  # with the growth before it
        self.answers += [cold.predicted_per_second, again.predicted_per_second]
        self.first_bytes.append(first)
        self.chat_bytes.append(chat)

    def life(self) -> Life:
        kinds = (self.starts, self.prompts, self.answers, self.first_bytes, self.chat_bytes)
        return Life(*(Sample(tuple(kind)) for kind in kinds))


def compared(own: Lives, other: Lives, *, is_own: bool) -> Option | None:
    """is_own: the person has what is compared. None until both have lived."""
    if not (own.starts and other.starts):
        return None
    without, within = (other, own) if is_own else (own, other)
    return Option(without.life(), within.life(), is_own)


def is_quantized(options: EngineOptions) -> bool:
    return options.kv_type_k not in WIDE or options.kv_type_v not in WIDE


def quantized_kind(options: EngineOptions) -> KVType:
    """Of the KV cache that is compared with an f16 one: the person's own, or the one that costs least quality."""
    return next((kind for kind in (options.kv_type_k, options.kv_type_v) if kind not in WIDE), KVType.Q8_0)


def with_other_kv(options: EngineOptions) -> EngineOptions:
    kind = KVType.F16 if is_quantized(options) else KVType.Q8_0
    return replace(options, kv_type_k=kind, kv_type_v=kind)
