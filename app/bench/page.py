"""Figures in words: a page of Markdown that reads like a letter. Knows no engine; every number in it was measured.

What is no larger than the difference between equal runs is called none, and beside other programs nothing is sure.
"""

from datetime import datetime

from app.bench.figures import Comparison, Drafts, Figures, Footprint, Memory, Option, Quantized, Reading, Sample
from backends.bounds import printable

GPU_CPU = "CPU"


def page(figures: Figures) -> str:
    """Markdown, with a line feed at its end."""
    parts = [
        f"# {_plain(figures.subject.name)} on this machine",
        _about(figures),
        _neighbours(figures),
        *_stopped(figures),
        *_feel(figures),
        *_memory(figures),
        *_options(figures),
        *_left_out(figures),
        *_table(figures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(figures: Figures) -> str:
    it = figures.subject
    when = datetime.fromisoformat(it.measured)
    place = f"the processor, with {_count(it.threads, 'thread')}" if it.device == GPU_CPU else _plain(it.device)
    grows = "grows with the chat" if it.kv_grows else "is allocated whole at the start"
    notes = "".join(f" {_plain(note)}" for note in it.notes)
    return (
        f"Measured on {when:%d %B %Y at %H:%M} on {_plain(it.machine)}.\n"
        f"The model is {_plain(it.file)}: {_bytes(it.bytes)}, {_plain(it.quantization) or 'no quantization named'}, "
        f"{it.num_parameters / 1e6:,.0f} million parameters. It ran on {place}.\n"
        f"Context: {it.context:,} tokens, for {_count(it.parallel, 'answer')} at once at most. "
        f"KV cache: {it.kv_type_k} keys, {it.kv_type_v} values; it {grows}. "
        f"Flash attention: {it.flash_attention}. Drafts: {_plain(it.draft)}.\n"
        f"Slipstream {it.version}, {_plain(it.build)}.{notes}\n\n"
        "A token is a word or a piece of one; a hundred of them are some 75 words of English. After each figure "
        "stands, in brackets, the lowest and the highest of its runs."
    )


def _neighbours(figures: Figures) -> str:
    busiest, cores = figures.busiest, _count(figures.subject.num_cores, "core")
    if busiest is None:
        return "How busy the machine was, it did not say. Take differences for what they are: found in a few runs."
    if figures.is_busy:
        return (
            f"**The machine was busy.** Other programs used up to {busiest:.1f} of {cores} meanwhile. The speeds below "
            "are lower than they could be, and no comparison is sure. Measure again when nothing else runs."
        )
    return f"The machine was quiet: other programs used at most {busiest:.1f} of {cores}."


def _stopped(figures: Figures) -> list[str]:
    return [] if figures.is_whole else ["**This page is not whole**: the measuring was stopped. What was found stands."]


def _feel(figures: Figures) -> list[str]:
    said = [*_start(figures), *map(_reading, figures.readings), *_answers(figures)]
    return ["## What you will notice", *said] if said else []


def _start(figures: Figures) -> list[str]:
    if not (starts := figures.starts):
        return []
    return [f"From the start of the engine to the first token of an answer it takes {_seconds(starts)}."]


def _reading(reading: Reading) -> str:
    again = reading.cold.median / reading.warm.median if reading.warm.median else 0.0
    cached = (
        f"Ask again with the same prompt, and it begins after {_seconds(reading.warm)}: "
        + (f"{again:,.0f} times as soon, " if again >= 2 else "")
        + "for the prompt cache still holds it."
    )
    return (
        f"A prompt of {reading.num_tokens:,} tokens is read at {_speed(reading.speed)}, so the answer begins after "
        f"{_seconds(reading.cold)}. {cached}"
    )


def _answers(figures: Figures) -> list[str]:
    said = []
    if figures.answer:
        said.append(f"One answer is written at {_speed(figures.answer)}, without drafts.")
    if together := figures.together:
        within, gain = together.speed.within, _gain(figures, together.speed, "more in all", "less in all")
        said.append(
            f"{_number(together.count)} answers side by side are written at {_speed(within)} in all, "
            f"{_short(within.median / together.count)} each. Beside one alone that is {gain}"
        )
    return said


def _memory(figures: Figures) -> list[str]:
    return ["## Memory", *_told(figures.memory)] if figures.memory else []


def _told(memory: Memory) -> list[str]:
    first, chat = memory.first, memory.chat
    grown = chat.bytes - first.bytes
    more = f"{_bytes(grown)} more" if grown > 0 else "no more"
    return [
        f"After a first short answer the engine holds {_held(first)}. {_cells(first)}",
        f"After prompts of up to {memory.num_tokens:,} tokens it holds {_held(chat)}: {more}. {_cells(chat)}",
    ]


def _held(footprint: Footprint) -> str:
    vram = footprint.vram_bytes
    gpu = "" if vram is None else f" of memory; {_bytes(vram)} of the GPU's are in use by all programs together"
    return f"{_bytes(footprint.rss_bytes)}{gpu}"


def _cells(footprint: Footprint) -> str:
    it = footprint.cells
    return (
        f"Its KV cache has place for {it.allocated:,} tokens now and may grow to {it.limit:,}."
        if it.allocated < it.limit
        else f"Its KV cache has place for {it.allocated:,} tokens, which is all that it may have."
    )


def _options(figures: Figures) -> list[str]:
    said = [*_growth(figures), *_quantized(figures), *_all_drafts(figures)]
    return ["## What each optimization does here", *said] if said else []


def _growth(figures: Figures) -> list[str]:
    if not (option := figures.growth):
        return []
    return [
        f"**A KV cache that grows** ({'on' if option.is_own else 'off'} as you have it). After the first answer, "
        f"{_saving(option.compared('first_bytes'))} "
        f"The first long prompt, which makes it grow: {_change(figures, option.compared('prompt'))}"
    ]


def _quantized(figures: Figures) -> list[str]:
    if not (it := figures.quantized):
        return []
    return [f"**A KV cache of {it.kind}** instead of f16{_choice(it)}. {_speeds(figures, it)}{_quality(it)}"]


def _choice(it: Quantized) -> str:
    return " (as you have it)" if it.option and it.option.is_own else ""


def _speeds(figures: Figures, it: Quantized) -> str:
    if not (option := it.option):
        return ""
    return (
        f"Behind a prompt of some {figures.depth:,} tokens, {_saving(option.compared('chat_bytes'))} "
        f"Reading: {_change(figures, option.compared('prompt'))} "
        f"Answering: {_change(figures, option.compared('answer'))} "
    )


def _quality(it: Quantized) -> str:
    if not (found := it.divergence):
        return "What it changes in the answers was not measured."
    kept = 1 - found.same_top
    return (
        f"What it changes in the answers: at {kept:.1%} of the words of a text (± {found.same_top_error:.1%}) another "
        f"one would have come first; the KL divergence is {found.mean:.5f} ± {found.error:.5f} nats per token."
    )


def _all_drafts(figures: Figures) -> list[str]:
    return [_drafted(figures, drafts) for drafts in figures.drafts]


def _drafted(figures: Figures, it: Drafts) -> str:
    held = (
        f"{it.num_accepted:,} of {_count(it.num_drafted, 'draft token')} accepted."
        if it.num_drafted
        else "Nothing was drafted: by what steps cost here, none would have paid."
    )
    return f"**Drafts by {_plain(it.source)}, in {it.task}**: {_change(figures, it.speed)} {held}"


def _left_out(figures: Figures) -> list[str]:
    if not figures.left_out:
        return []
    return ["## What could not be measured", "\n".join(f"- {_plain(sentence)}" for sentence in figures.left_out)]


def _change(figures: Figures, speeds: Comparison) -> str:
    """Of a speed, in a sentence."""
    return _gain(figures, speeds, "quicker", "slower")


def _gain(figures: Figures, speeds: Comparison, more: str, less: str) -> str:
    if none := _no_difference(speeds):
        return none
    ratio = speeds.ratio
    if ratio >= 2:
        said = f"{ratio:.1f} times as much" if more.startswith("more") else f"{ratio:.1f} times as quick"
    else:
        said = f"{abs(ratio - 1):.0%} {more if ratio > 1 else less}"
    return _with_doubt(figures, said, speeds)


def _saving(sizes: Comparison) -> str:
    """Of memory, in a sentence that goes on behind a comma."""
    if none := _no_difference(sizes):
        return f"memory: {none}"
    saved = sizes.without.median - sizes.within.median
    word = "less" if saved > 0 else "more"
    said = f"it takes {_bytes(abs(saved))} {word} ({_bytes(sizes.within.median)} for {_bytes(sizes.without.median)})"
    return said + "."


def _no_difference(comparison: Comparison) -> str | None:
    scatter = comparison.scatter
    if scatter is None:
        return "measured only once, which tells no difference."
    if comparison.is_shown:
        return None
    return f"no difference that this machine can show: two equal runs differed by {_percent(scatter)}."


def _with_doubt(figures: Figures, said: str, comparison: Comparison) -> str:
    assert comparison.scatter is not None
    if figures.is_busy:
        return f"it looked {said}, but other programs were at work: measure again before you believe it."
    return f"{said} (two equal runs differed by {_percent(comparison.scatter)} at most)."


def _table(figures: Figures) -> list[str]:
    rows = [_row(name, unit, sample) for name, unit, sample in _samples(figures)]
    if not rows:
        return []
    head = ["| | median | lowest | highest | runs | two equal runs differed by |", "|---|---|---|---|---|---|"]
    return ["## All figures", "\n".join(head + rows)]


def _samples(figures: Figures) -> list[tuple[str, str, Sample]]:
    found: list[tuple[str, str, Sample]] = []
    if figures.starts:
        found.append(("Start to first token", "s", figures.starts))
    for reading in figures.readings:
        name = f"{reading.num_tokens:,} tokens"
        found.append((f"Reading {name}", "tokens/s", reading.speed))
        found.append((f"First token behind {name}", "s", reading.cold))
        found.append((f"The same again, {name}", "s", reading.warm))
    if figures.answer:
        found.append(("One answer", "tokens/s", figures.answer))
    if together := figures.together:
        found.append((f"{_number(together.count)} answers, all together", "tokens/s", together.speed.within))
    for drafts in figures.drafts:
        found.append((f"In {drafts.task}, without drafts", "tokens/s", drafts.speed.without))
        found.append((f"In {drafts.task}, drafts by {drafts.source}", "tokens/s", drafts.speed.within))
    if figures.growth:
        found += _sides("KV cache allocated whole", "KV cache that grows", figures.growth)
    if figures.quantized and figures.quantized.option:
        found += _sides("KV cache of f16", f"KV cache of {figures.quantized.kind}", figures.quantized.option)
    return found


def _sides(without: str, within: str, option: Option) -> list[tuple[str, str, Sample]]:
    found = []
    for name, life in ((without, option.without), (within, option.within)):
        found += [
            (f"{name}: first prompt", "tokens/s", life.prompt),
            (f"{name}: answer behind it", "tokens/s", life.answer),
            (f"{name}: memory after the first answer", "MB", _in_megabytes(life.first_bytes)),
            (f"{name}: memory after it", "MB", _in_megabytes(life.chat_bytes)),
        ]
    return found


def _row(name: str, unit: str, sample: Sample) -> str:
    numbers = [_short(value) for value in (sample.median, min(sample.values), max(sample.values))]
    scatter = "–" if sample.scatter is None else _percent(sample.scatter)
    return f"| {_plain(name)}, {unit} | {' | '.join(numbers)} | {len(sample.values)} | {scatter} |"


def _in_megabytes(sample: Sample) -> Sample:
    return Sample(tuple(value / 1e6 for value in sample.values))


def _speed(sample: Sample) -> str:
    return f"{_short(sample.median)} tokens/s{_spread(sample)}"


def _seconds(sample: Sample) -> str:
    return f"{_short(sample.median)} s{_spread(sample)}"


def _spread(sample: Sample) -> str:
    if len(sample.values) < 2:
        return " (one run)"
    return f" ({_short(min(sample.values))} to {_short(max(sample.values))})"


def _short(value: float) -> str:
    """Three digits, as many as are worth reading."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else f"{share:.1%}"


def _bytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _number(count: int) -> str:
    return {2: "Two", 3: "Three", 4: "Four"}.get(count, str(count))


def _plain(text: str) -> str:
    """A name from a file is no Markdown of ours."""
    return "".join(f"\\{c}" if c in "\\`*[]<>|#" else c for c in printable(text))
