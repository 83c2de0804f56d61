"""Figures in words: a page of Markdown that reads like a letter. Knows no engine; every number in it was measured.

What is no larger than the difference between equal runs is called none, and beside other programs nothing is sure.
"""

from datetime import datetime

from app.bench.figures import (
    CPU,
    Answering,
    Comparison,
    Drafts,
    Figures,
    Footprint,
    Memory,
    Quantized,
    Reading,
    Sample,
    Together,
)
from app.bench.rows import Row, rows
from app.bench.words import percent, plain, short


def page(figures: Figures) -> str:
    """Markdown, with a line feed at its end."""
    parts = [
        f"# {plain(figures.subject.name)} on this machine",
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
    place = f"the processor, with {_count(it.threads, 'thread')}" if it.place == CPU else plain(it.place)
    grows = "grows with the chat" if it.kv_grows else "is allocated whole at the start"
    notes = "".join(f" {plain(note)}" for note in it.notes)
    return (
        f"Measured on {when:%d %B %Y at %H:%M} on {plain(it.machine)}.\n"
        f"The model is {plain(it.file)}: {_bytes(it.bytes)}, {plain(it.quantization) or 'no quantization named'}, "
        f"{it.num_parameters / 1e6:,.0f} million parameters. It ran on {place}.\n"
        f"Context: {it.context:,} tokens, for {_count(it.parallel, 'answer')} at once at most. "
        f"KV cache: {it.kv_type_k} keys, {it.kv_type_v} values; it {grows}. "
        f"Flash attention: {it.flash_attention}. Drafts: {plain(it.draft)}.\n"
        f"Slipstream {it.version}, {plain(it.build)}.{notes}\n\n"
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
    said = [_answer(figures, each) for each in figures.answers]
    if figures.answers and figures.bandwidth:
        said.append(_limit(figures.bandwidth))
    said += [_together(figures, each) for each in figures.together]
    if figures.equal:
        said.append(_equal(figures))
    return said


def _answer(figures: Figures, it: Answering) -> str:
    where = f"Behind a prompt of {it.depth:,} tokens it" if it.depth else "One answer"
    share = figures.share(it)
    limit = "" if share is None else f" That is {share:.0%} of what the memory allows."
    drafts = "" if it.depth else ", without drafts"
    return (
        f"{where} is written at {_speed(it.speed)}{drafts}; 95 of 100 tokens come within {short(it.interval)} ms."
        f"{limit}"
    )


def _limit(bandwidth: float) -> str:
    return (
        f"The memory that holds the model gives {bandwidth / 1e9:,.1f} GB per second, and each token reads all weights "
        "and the KV cache behind it: that is the limit which the shares above are of."
    )


def _together(figures: Figures, it: Together) -> str:
    within, gain = it.speed.within, _gain(figures, it.speed, "more in all", "less in all")
    where = f", each behind {it.depth:,} tokens," if it.depth else ""
    return (
        f"{_number(it.count)} answers side by side{where} are written at {_speed(within)} in all, "
        f"{short(within.median / it.count)} each. Beside one alone that is {gain}"
    )


def _equal(figures: Figures) -> str:
    return (
        f"The same answer was measured as if it were two things to compare, in turns: they came out "
        f"{percent(figures.noise)} apart. Differences up to that are none."
    )


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
    said = [*_processor(figures), *_growth(figures), *_quantized(figures), *_all_drafts(figures)]
    return ["## What each optimization does here", *said] if said else []


def _processor(figures: Figures) -> list[str]:
    if not (option := figures.processor):
        return []
    return [
        f"**The processor alone** instead of {plain(figures.subject.place)}. Behind a prompt of some "
        f"{figures.depth:,} tokens, reading: {_change(figures, option.compared('prompt'))} "
        f"Answering: {_change(figures, option.compared('answer'))}"
    ]


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
    return f"**Drafts by {plain(it.source)}, in {it.task}**: {_change(figures, it.speed)} {held}"


def _left_out(figures: Figures) -> list[str]:
    if not figures.left_out:
        return []
    return ["## What could not be measured", "\n".join(f"- {plain(sentence)}" for sentence in figures.left_out)]


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
    return f"no difference that this machine can show: two equal runs differed by {percent(scatter)}."


def _with_doubt(figures: Figures, said: str, comparison: Comparison) -> str:
    assert comparison.scatter is not None
    if figures.is_busy:
        return f"it looked {said}, but other programs were at work: measure again before you believe it."
    return f"{said} (two equal runs differed by {percent(comparison.scatter)} at most)."


def _table(figures: Figures) -> list[str]:
    found = rows(figures)
    if not found:
        return []
    head = [
        "| | median | P95 | lowest | highest | runs | two equal runs differed by |",
        "|---|---|---|---|---|---|---|",
    ]
    return ["## All figures", "\n".join(head + list(map(_row, found)))]


def _row(row: Row) -> str:
    sample = row.sample
    numbers = [short(value) for value in (sample.median, row.p95, min(sample.values), max(sample.values))]
    scatter = "–" if sample.scatter is None else percent(sample.scatter)
    return f"| {plain(row.name)}, {row.unit} | {' | '.join(numbers)} | {len(sample.values)} | {scatter} |"


def _speed(sample: Sample) -> str:
    return f"{short(sample.median)} tokens/s{_spread(sample)}"


def _seconds(sample: Sample) -> str:
    return f"{short(sample.median)} s{_spread(sample)}"


def _spread(sample: Sample) -> str:
    if len(sample.values) < 2:
        return " (one run)"
    return f" ({short(min(sample.values))} to {short(max(sample.values))})"


def _bytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _number(count: int) -> str:
    return {2: "Two", 3: "Three", 4: "Four", 8: "Eight"}.get(count, str(count))
