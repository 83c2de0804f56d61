"""What else could be chosen for a model, with what it gives and what it costs. Each is a plan of its own."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from app.planner.corrections import NONE, Correction
from app.planner.machine import Machine
from app.planner.model import Model
from app.planner.plan import Alternative, Plan
from app.planner.planner import Planner
from app.planner.verdict import Fits, pace, size
from backends.formats.kv_shape import BLOCK, UNQUANTIZED
from backends.kv_layout import PADDING
from backends.protocol import DraftMode, EngineOptions, KVType

LEAST_GAIN = 1.05  # of tokens a second, or of context: less is not told
LONGEST_UNKNOWN = 131_072  # tokens that are looked for where a file does not say what it was trained for
# KL divergence in nats a token of Llama 3 8B, keys and values alike (llama.cpp pull request 7412, before rotation)
KLD_Q8 = "about 0.001 nats of KL divergence (Llama 3 8B); “slipstream evaluate M --kv q8_0” measures it here"


@dataclass(frozen=True, slots=True)
class Alternatives:
    model: Model
    machine: Machine
    options: EngineOptions
    draft: Model | None = None
    correction: Correction = NONE

    def beside(self, plan: Plan) -> tuple[Alternative, ...]:
        """Those that give something that this plan does not."""
        return tuple(each for each in self._all(plan) if each is not None)

    def longest(self, options: EngineOptions, plan: Plan) -> int:
        """Tokens of context that fit where the plan has its parts."""
        low, high = 1, (self.model.context or LONGEST_UNKNOWN) // PADDING
        while low < high:
            middle = (low + high + 1) // 2
            tried = self._like(plan, replace(options, context=middle * PADDING))
            if all(room.is_enough for room in tried.rooms):
                low = middle
            else:
                high = middle - 1
        return low * PADDING

    def _all(self, plan: Plan) -> Iterator[Alternative | None]:
        yield self._quantized(plan)
        yield self._shorter(plan)
        yield self._longer(plan)
        if self.options.parallel > 1:
            yield self._better(plan, "one answer at a time", replace(self.options, parallel=1), "further ones wait")
        if plan.draft_spread.gpu_layers and self.options.draft is not DraftMode.OFF:
            changed = replace(self.options, draft=DraftMode.LOOKUP, draft_model=None)
            yield self._better(plan, "no draft model", changed, "guesses by looking up alone")

    def _quantized(self, plan: Plan) -> Alternative | None:
        """Keys and values of 8 bits: half the memory of their own for nearly the same answers."""
        kinds = self.options.kv_type_k, self.options.kv_type_v
        if any(kind not in UNQUANTIZED for kind in kinds) or not may_quantize(self.model):
            return None
        if not plan.sizing.batch.flash_attention:  # which quantized values need
            return None
        changed = replace(self.options, kv_type_k=KVType.Q8_0, kv_type_v=KVType.Q8_0)
        if found := self._better(plan, "a q8_0 KV cache", changed, KLD_Q8):
            return found
        before, after = self.longest(self.options, plan), self.longest(changed, plan)
        if after < LEAST_GAIN * before:
            return None
        gain = f"+{_thousands(after - before)} tokens of context"
        return Alternative("a q8_0 KV cache", changed, gain, KLD_Q8, after)

    def _shorter(self, plan: Plan) -> Alternative | None:
        if plan.verdict.fits is Fits.YES:
            return None
        context = plan.layout.context
        while context >= 2 * PADDING * 8:
            context //= 2
            changed = replace(self.options, context=context)
            if found := self._better(plan, f"a context of {context:,}", changed, "longer chats lose their beginning"):
                return found
        return None

    def _longer(self, plan: Plan) -> Alternative | None:
        """Only where the context was left open: who asked for one has it."""
        if self.options.context or plan.verdict.fits in (Fits.NO, Fits.SLOW):
            return None
        before, longest = plan.layout.context, self.longest(self.options, plan)
        if longest < LEAST_GAIN * before:
            return None
        changed = replace(self.options, context=longest)
        more = self._like(plan, changed).total - plan.total
        gain = f"+{_thousands(longest - before)} tokens of context"
        return Alternative(f"a context of {longest:,}", changed, gain, f"{size(max(0, more))} when it is full", longest)

    def _better(self, plan: Plan, name: str, options: EngineOptions, price: str) -> Alternative | None:
        """Where it makes it fit, or quicker."""
        other = self._planner(options).plan()
        order = list(Fits)
        is_better = order.index(other.verdict.fits) < order.index(plan.verdict.fits)
        is_quicker = other.speed.tokens > LEAST_GAIN * plan.speed.tokens and other.verdict.runs
        if not (is_better or is_quicker):
            return None
        gain = f"{pace(other.speed.tokens)} instead of {pace(plan.speed.tokens)}" if plan.verdict.runs else "it fits"
        return Alternative(name, options, gain, price)

    def _like(self, plan: Plan, options: EngineOptions) -> Plan:
        """With its parts where that plan has them, whether they fit or not."""
        is_draft_in_ram = not plan.draft_spread.gpu_layers
        return self._planner(options).fitting(plan.spread, plan.rows, is_draft_in_ram=is_draft_in_ram)

    def _planner(self, options: EngineOptions) -> Planner:
        return Planner(self.model, self.machine, options, self.draft, self.correction)


def may_quantize(model: Model) -> bool:
    """Whether all rows of keys and values are of whole blocks."""
    layers = [layer for layer in model.layers if layer.has_attention]
    return bool(layers) and all(layer.key_length % BLOCK == 0 == layer.value_length % BLOCK for layer in layers)


def _thousands(tokens: int) -> str:
    return f"{tokens / 1000:.0f}k" if tokens >= 10_000 else f"{tokens:,}"
