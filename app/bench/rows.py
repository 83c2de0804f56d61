"""All figures of a run in one list, each under a name that is the same in every run: tables, histories and comparisons
are made of it."""

from dataclasses import dataclass

from app.bench.figures import Figures, Option, Sample

PER_SECOND = "tokens/s"


@dataclass(frozen=True, slots=True)
class Row:
    """key: for programs and histories. name: for people."""

    key: str
    name: str
    unit: str
    sample: Sample

    @property
    def is_more_better(self) -> bool:
        return self.unit == PER_SECOND

    @property
    def p95(self) -> float:
        """What 95 of 100 runs keep to: as slow, or as large, at most."""
        if not self.is_more_better:
            return self.sample.p95
        return -Sample(tuple(-value for value in self.sample.values)).p95


def rows(figures: Figures) -> list[Row]:
    found: list[Row] = []
    if figures.starts:
        found.append(Row("start", "Start to first token", "s", figures.starts))
    for answer in figures.answers:
        where = f" behind {answer.depth:,} tokens" if answer.depth else ""
        found.append(Row(f"answer {answer.depth}", f"One answer{where}", PER_SECOND, answer.speed))
        interval = Sample((answer.interval,))
        found.append(Row(f"interval {answer.depth}", f"95 of 100 tokens{where} come within", "ms", interval))
    for reading in figures.readings:
        tokens, depth = f"{reading.depth:,} tokens", reading.depth
        found.append(Row(f"prompt {depth}", f"Reading {tokens}", PER_SECOND, reading.speed))
        found.append(Row(f"first {depth}", f"First token behind {tokens}", "s", reading.cold))
        found.append(Row(f"again {depth}", f"The same again, {tokens}", "s", reading.warm))
    for each in figures.together:
        where = f" behind {each.depth:,} tokens" if each.depth else ""
        name = f"{each.count} answers side by side{where}, in all"
        found.append(Row(f"together {each.count} {each.depth}", name, PER_SECOND, each.speed.within))
    for drafts in figures.drafts:
        key = f"drafts {drafts.source} {drafts.task}"
        found.append(Row(f"{key} off", f"In {drafts.task}, without drafts", PER_SECOND, drafts.speed.without))
        found.append(Row(key, f"In {drafts.task}, drafts by {drafts.source}", PER_SECOND, drafts.speed.within))
    if figures.growth:
        found += _sides("KV cache allocated whole", "KV cache that grows", figures.growth)
    if figures.quantized and figures.quantized.option:
        found += _sides("KV cache of f16", f"KV cache of {figures.quantized.kind}", figures.quantized.option)
    if figures.processor:
        found += _sides("As it is placed", "On the processor alone", figures.processor)
    return found


def row_of(figures: Figures, key: str) -> Row | None:
    return next((row for row in rows(figures) if row.key == key), None)


def _sides(without: str, within: str, option: Option) -> list[Row]:
    found = []
    for name, life in ((without, option.without), (within, option.within)):
        found += [
            Row(f"{name}: prompt", f"{name}: first prompt", PER_SECOND, life.prompt),
            Row(f"{name}: answer", f"{name}: answer behind it", PER_SECOND, life.answer),
            Row(f"{name}: first bytes", f"{name}: memory after the first answer", "MB", _megabytes(life.first_bytes)),
            Row(f"{name}: bytes", f"{name}: memory after it", "MB", _megabytes(life.chat_bytes)),
        ]
    return found


def _megabytes(sample: Sample) -> Sample:
    return Sample(tuple(value / 1e6 for value in sample.values))
