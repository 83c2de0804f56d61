"""Chooses where a model lies: whole on the GPUs if it can, else as much of it as helps, in a stated order.

What a person has asked for is never changed: context, types of the cache, answers side by side, a number of GPU layers.
Of what is left open, the first that fits is taken:

1. all of it on one GPU, the first that holds it: two would take turns, and each has buffers of its own;
2. all of it on all GPUs;
3. the same with smaller micro-batches, which read a prompt slower and answer as fast;
4. all of it on the GPUs but the draft model, which guesses from RAM;
5. the experts of as few layers as need be in RAM, which a token uses a few of;
6. the feed-forward matrices of as few layers as need be in RAM: attention, whose cache grows, leaves the GPU last;
7. as many of the last layers on the GPUs as fit;
8. all of it in RAM;
9. the same with a shorter context, where nobody has asked for one;
10. what does not fit into RAM read from the disk, if a person wants that.

From 5 on a draft model is on a GPU: it is read for each guess, its target once for all of them.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import accumulate, pairwise

from app.planner.corrections import NONE, Correction
from app.planner.machine import MIB, Machine
from app.planner.memory import Spread, Sums, Take
from app.planner.model import Model
from app.planner.plan import Plan, Room
from app.planner.sizing import Sizing, size
from app.planner.speed import estimate
from app.planner.verdict import SLOW, Fits, Holder, Place, Verdict
from backends.kv_layout import default_context
from backends.protocol import DraftMode, EngineOptions, FlashAttention, Keep, KVType

PROCESS = 160 * MIB  # of an engine's process beside what the model takes: Python, libraries, the vocabulary's text
SMALLER_ROWS = (256, 128)
SHORTER = (4096, 2048)  # tokens of context; less is no conversation
IN_RAM = {Keep.EXPERTS: "the experts", Keep.FEED_FORWARD: "the feed-forward weights"}


@dataclass(frozen=True, slots=True)
class _Try:
    """One way to lay it out, with what it takes."""

    spread: Spread
    sizing: Sizing
    takes: tuple[Take, ...]
    rows: int | None = None
    draft: Spread = field(default_factory=Spread)


class Planner:
    """Of one model on one machine. Asks nobody: the same question has the same answer."""

    def __init__(
        self,
        model: Model,
        machine: Machine,
        options: EngineOptions,
        draft: Model | None = None,
        correction: Correction = NONE,
        scale: float = 1.0,
    ):
        """draft: of the same vocabulary; without one, or with drafts off, nothing of it counts. scale: of the weights,
        where the header is that of another quantization."""
        self._model, self._machine, self._options, self._scale = model, machine, options, scale
        self._sums: dict[tuple[Sizing, bool], Sums] = {}
        wants_draft = options.draft in (DraftMode.AUTO, DraftMode.MODEL) and not model.is_recurrent
        self._draft = draft if wants_draft else None
        self._correction = correction

    def plan(self) -> Plan:
        if best := self._best():
            return self._made(best)
        for context in self._shorter():
            options = replace(self._options, context=context)
            shorter = Planner(self._model, self._machine, options, self._draft, self._correction, self._scale)
            if best := shorter._best():
                return self._shortened(shorter._made(best))
        return self._made(self._last_resort())

    def fitting(self, spread: Spread, rows: int | None = None, *, is_draft_in_ram: bool = False) -> Plan:
        """With that spread, whether it fits or not."""
        return self._made(self._try(spread, rows, is_draft_in_ram=is_draft_in_ram))

    def _best(self) -> _Try | None:
        return next((each for each in self._ways() if self._is_enough(each)), None)

    def _tried(self, spread: Spread, rows: int | None = None, *, is_draft_in_ram: bool = False) -> Iterator[_Try]:
        """One that may fit, for all that can be said without its buffers."""
        if self._gpus_hold(spread):
            yield self._try(spread, rows, is_draft_in_ram=is_draft_in_ram)

    def _shorter(self) -> Iterator[int]:
        if self._options.context is None:
            yield from (each for each in SHORTER if each < default_context(self._model.context))

    def _shortened(self, found: Plan) -> Plan:
        """Slow stays slow; else it is told what it fits with, and what its own context would have taken."""
        if found.verdict.fits is Fits.SLOW:
            return found
        own = self._rooms(self._last_resort())
        verdict = replace(
            found.verdict,
            fits=Fits.WITH,
            needed=sum(room.take.total for room in own),
            available=self._machine.all_usable,
            holder=Holder.ALL if self._machine.gpus else Holder.RAM,
            how=f"a context of {found.layout.context:,}",
        )
        return replace(found, verdict=verdict)

    def _ways(self) -> Iterator[_Try]:
        """In order of preference; those that cannot fit are left out."""
        if self._scale * self._model.num_bytes > self._machine.all_usable:
            return
        gpus = self._machine.gpus
        wanted = self._options.gpu_layers
        if wanted is not None or not gpus:
            yield self._try(self._split(min(wanted or 0, self._num_places)))
            return
        if len(gpus) > 1:
            for at in range(len(gpus)):
                yield from self._tried(self._alone_on(at))
        whole = self._split(self._num_places)
        yield from self._tried(whole)
        for rows in () if self._options.micro_batch else SMALLER_ROWS:
            yield from self._tried(whole, rows)
        if self._draft:
            yield from self._tried(whole, is_draft_in_ram=True)
        if self._model.has_experts:
            yield from self._keeping(Keep.EXPERTS)
        yield from self._keeping(Keep.FEED_FORWARD)
        yield from self._fewer()
        yield self._try(Spread((0,) * len(gpus)))

    @property
    def _num_places(self) -> int:
        """Layers, and the output."""
        return len(self._model.layers) + 1

    def _alone_on(self, at: int) -> Spread:
        return Spread(tuple(self._num_places if gpu == at else 0 for gpu in range(len(self._machine.gpus))))

    def _keeping(self, keeps: Keep) -> Iterator[_Try]:
        """With as few layers as fit; nothing when not even all of them are enough."""
        found = self._least(lambda count: self._split(self._num_places, keeps, count), len(self._model.layers))
        if found:
            yield found

    def _fewer(self) -> Iterator[_Try]:
        found = self._least(lambda count: self._split(self._num_places - count), self._num_places - 1)
        if found:
            yield found

    def _least(self, spread: Callable[[int], Spread], most: int) -> _Try | None:
        """By halves: what fits with less in RAM is found where more of it fits, too. First without buffers, and from
        there in steps: buffers are as much as a few layers."""

        @cache
        def tried(count: int) -> _Try:
            return self._try(spread(count))

        low = bisect_left(range(most + 1), True, lo=1, key=lambda count: self._gpus_hold(spread(count)))
        if low > most:
            return None
        high, step = low, 1
        while high < most and not self._gpus_are_enough(tried(high)):
            low, high, step = high + 1, min(most, high + step), 2 * step
        count = bisect_left(range(most + 1), True, lo=low, hi=high + 1, key=lambda at: self._gpus_are_enough(tried(at)))
        return tried(count) if count <= high else None

    def _gpus_hold(self, spread: Spread) -> bool:
        """Weights, cache and states."""
        takes = self._summed(self._model, self._sized(spread)).takes(spread, has_buffers=False)
        return all(take.total <= gpu.usable for take, gpu in zip(takes[1:], self._machine.gpus, strict=True))

    def _split(self, num_places: int, keeps: Keep = Keep.NOTHING, kept: int = 0) -> Spread:
        """So many places at the end over the GPUs, each with a share of their bytes as large as its free memory."""
        gpus = self._machine.gpus
        if not gpus or num_places <= 0:
            return Spread((0,) * len(gpus))
        whole = Spread((num_places, *(0,) * (len(gpus) - 1)), keeps, kept)
        if len(gpus) == 1:
            return whole
        sizes = self._summed(self._model, self._sized(whole)).places(whole)
        ends = [end - size / 2 for end, size in zip(accumulate(sizes), sizes, strict=True)]
        usable = list(accumulate(gpu.usable for gpu in gpus))
        share = sum(sizes) / (usable[-1] or 1)
        reached = [sum(end <= share * each for end in ends) for each in usable[:-1]]
        counts = (after - before for before, after in pairwise((0, *reached, num_places)))
        return replace(whole, counts=tuple(counts))

    def _sized(self, spread: Spread, rows: int | None = None) -> Sizing:
        free, on_gpu = self._free_beside(spread), spread.gpu_layers > 0
        return size(self._model, self._options, free, on_gpu=on_gpu, rows=rows)

    def _try(self, spread: Spread, rows: int | None = None, *, is_draft_in_ram: bool = False) -> _Try:
        on_gpu = spread.gpu_layers > 0
        sizing = self._sized(spread, rows)
        found = [*self._summed(self._model, sizing).takes(spread)]
        drafting = Spread()
        if self._draft:
            is_beside = on_gpu and not is_draft_in_ram
            drafting = self._draft_spread(spread if is_beside else Spread((0,) * len(self._machine.gpus)))
            drafts = self._summed(self._draft, self._draft_sizing(sizing, is_beside)).takes(drafting)
            found = [replace(take, draft=draft.total) for take, draft in zip(found, drafts, strict=True)]
        found[0] = replace(found[0], other=found[0].other + PROCESS + self._options.prompt_cache_ram)
        return _Try(spread, sizing, self._correction.applied(tuple(found)), rows, drafting)

    def _summed(self, model: Model, sizing: Sizing) -> Sums:
        is_draft = model is self._draft
        key = (sizing, is_draft)
        if key not in self._sums:
            self._sums[key] = Sums(model, sizing, self._machine, 1.0 if is_draft else self._scale)
        return self._sums[key]

    def _draft_sizing(self, target: Sizing, on_gpu: bool) -> Sizing:
        assert self._draft
        plain = replace(
            self._options, kv_type_k=KVType.F16, kv_type_v=KVType.F16, flash_attention=FlashAttention.AUTO
        )  # fmt: skip
        return size(self._draft, plain, 0, on_gpu=on_gpu, like=target.layout)

    def _draft_spread(self, target: Spread) -> Spread:
        """Beside its target, on the first GPU that has some of it: what it guesses is there for every step."""
        assert self._draft
        places = len(self._draft.layers) + 1
        first = next((at for at, count in enumerate(target.counts) if count), None)
        return Spread(tuple(places if at == first else 0 for at in range(len(self._machine.gpus))))

    def _free_beside(self, spread: Spread) -> int:
        """Bytes where the cache will lie, once the weights are there; the engine asks the same then."""
        weights = round(self._scale * self._model.num_bytes)
        if spread.gpu_layers:
            return max(0, sum(gpu.free for gpu in self._machine.gpus) - weights)
        return max(0, self._machine.ram_free - weights)

    def _is_enough(self, tried: _Try) -> bool:
        return all(room.is_enough for room in self._rooms(tried))

    def _gpus_are_enough(self, tried: _Try) -> bool:
        return all(room.is_enough for room in self._rooms(tried)[1:])

    def _rooms(self, tried: _Try) -> tuple[Room, ...]:
        machine = self._machine
        ram = Room(tried.takes[0], machine.ram_usable, machine.ram_total)
        rooms = [ram]
        for take, gpu in zip(tried.takes[1:], machine.gpus, strict=True):
            usable = min(gpu.usable, machine.ram_usable - ram.take.total) if gpu.is_shared else gpu.usable
            rooms.append(Room(take, usable, gpu.total))
        return tuple(rooms)

    def _last_resort(self) -> _Try:
        """As a person has ordered it, or all of it in RAM and on the disk."""
        if self._options.gpu_layers:
            return self._try(self._split(min(self._options.gpu_layers, self._num_places)))
        return self._try(Spread((0,) * len(self._machine.gpus)))

    def _made(self, tried: _Try) -> Plan:
        rooms = self._rooms(tried)
        short = max(0, rooms[0].take.total - rooms[0].usable)
        from_disk = min(short, tried.takes[0].weights)
        speed = estimate(self._model, tried.sizing, tried.spread, self._machine, from_disk, self._scale)
        options = replace(
            self._options, context=tried.sizing.layout.context, kv_layout=tried.sizing.layout.kind
        )  # fmt: skip
        return Plan(
            options,
            len(self._model.layers),
            tried.spread,
            tried.sizing,
            rooms,
            speed,
            self._verdict(tried, rooms, short, from_disk, speed.tokens),
            (),
            self._correction is not NONE,
            tried.draft,
            tried.rows,
            from_disk,
        )

    def _verdict(
        self, tried: _Try, rooms: tuple[Room, ...], short: int, from_disk: int, tokens: float
    ) -> Verdict:  # fmt: skip
        gpus = rooms[1:]
        tight = next((room for room in gpus if not room.is_enough), None)
        needed = sum(room.take.total for room in rooms)
        available = self._machine.all_usable
        all_of_it = Holder.ALL if gpus else Holder.RAM
        if tight:
            return Verdict(Fits.NO, Place.NOWHERE, tight.take.total, max(0, tight.usable), Holder.GPU, tokens)
        if short > from_disk:
            return Verdict(Fits.NO, Place.NOWHERE, needed, available, all_of_it, tokens)
        if short:
            return Verdict(Fits.SLOW, Place.DISK, needed, available, all_of_it, tokens)
        place = self._place(tried.spread)
        if tokens < SLOW:
            return Verdict(Fits.SLOW, place, needed, available, all_of_it, tokens)
        if place is Place.GPU:
            on_gpus = sum(room.take.total for room in gpus)
            return Verdict(Fits.YES, place, on_gpus, sum(room.usable for room in gpus), Holder.GPU, tokens)
        if not gpus or self._options.gpu_layers is not None:  # as it was asked for
            in_ram = place is Place.RAM
            holder = Holder.RAM if in_ram else Holder.ALL
            return Verdict(Fits.YES, place, needed, self._machine.ram_usable if in_ram else available, holder, tokens)
        return self._partly(tried.spread, place, tokens)

    def _partly(self, spread: Spread, place: Place, tokens: float) -> Verdict:
        """What the GPUs lack of holding all of it: together, else the first that is short."""
        whole = self._rooms(self._try(self._split(self._num_places)))
        needed, available = sum(room.take.total for room in whole[1:]), sum(room.usable for room in whole[1:])
        holder = Holder.GPU
        if needed <= available:
            short = next((room for room in (*whole[1:], whole[0]) if not room.is_enough), None)
            if short is None:  # it was asked how this spread would be
                all_of_it = sum(room.take.total for room in whole)
                return Verdict(Fits.YES, place, all_of_it, self._machine.all_usable, Holder.ALL, tokens)
            needed, available = short.take.total, max(0, short.usable)
            holder = Holder.RAM if short is whole[0] else Holder.GPU
        return Verdict(Fits.WITH, place, needed, available, holder, tokens, self._how(spread))

    def _how(self, spread: Spread) -> str:
        if not spread.gpu_layers:
            return "all of it in RAM"
        if spread.kept:
            return f"{IN_RAM[spread.keeps]} of {spread.kept} of {len(self._model.layers)} layers in RAM"
        return f"{spread.gpu_layers} of {self._num_places} layers on the GPU"

    def _place(self, spread: Spread) -> Place:
        if not spread.gpu_layers:
            return Place.RAM
        return Place.GPU if spread.gpu_layers == self._num_places and not spread.kept else Place.SHARED


def plan(
    model: Model,
    machine: Machine,
    options: EngineOptions | None = None,
    draft: Model | None = None,
    correction: Correction = NONE,
    scale: float = 1.0,
) -> Plan:
    """Pure, and done in some milliseconds."""
    return Planner(model, machine, options or EngineOptions(), draft, correction, scale).plan()
