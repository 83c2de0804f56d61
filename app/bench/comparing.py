"""Two runs beside each other: of two builds, two files, two machines. What differs by no more than equal runs did is
called no difference. Values, and Markdown of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.bench.figures import Comparison, Figures
from app.bench.rows import Row, rows
from app.bench.words import percent, plain, short

FACTS = (
    ("model", "name"),
    ("file", "file"),
    ("quantization", "quantization"),
    ("machine", "machine"),
    ("runs on", "place"),
    ("build", "build"),
    ("Slipstream", "version"),
    ("threads", "threads"),
    ("context", "context"),
    ("answers side by side", "parallel"),
    ("keys", "kv_type_k"),
    ("values", "kv_type_v"),
    ("flash attention", "flash_attention"),
    ("batch", "batch"),
    ("micro-batch", "micro_batch"),
    ("drafts", "draft"),
)
SAME = "no difference"
LEAST_APART = 0.01  # a share that is called one, where figures did not scatter at all


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of both runs. noise: the share by which equal runs came out apart."""

    first: Row
    second: Row
    noise: float

    @property
    def comparison(self) -> Comparison:
        return Comparison(self.first.sample, self.second.sample)

    @property
    def is_shown(self) -> bool:
        both = self.comparison
        if both.apart <= max(self.noise, LEAST_APART):
            return False
        return both.is_shown if both.scatter is not None else _is_apart(both)

    @property
    def is_better(self) -> bool:
        """The second one, where there is a difference."""
        return (self.comparison.ratio > 1) == self.first.is_more_better

    @property
    def verdict(self) -> str:
        if not self.is_shown:
            return SAME
        return f"{percent(self.comparison.ratio - 1, signed=True)}, {'better' if self.is_better else 'worse'}"


@dataclass(frozen=True, slots=True)
class Difference:
    first: Figures
    second: Figures

    @property
    def facts(self) -> list[tuple[str, str, str]]:
        """What was not the same, as name and both values."""
        pairs = [(name, _fact(self.first, key), _fact(self.second, key)) for name, key in FACTS]
        return [(name, one, other) for name, one, other in pairs if one != other]

    @property
    def lines(self) -> list[Line]:
        """Of all figures that both have."""
        noise = max(self.first.noise, self.second.noise)
        others = {row.key: row for row in rows(self.second)}
        return [Line(row, others[row.key], noise) for row in rows(self.first) if row.key in others]

    @property
    def is_sure(self) -> bool:
        return not (self.first.is_busy or self.second.is_busy)


def to_markdown(difference: Difference) -> str:
    """With a line feed at its end."""
    parts = [f"# {plain(difference.first.subject.name)}: two runs compared", _doubt(difference), *_facts(difference)]
    lines = difference.lines
    if lines:
        head = ["| | first | second | second over first | |", "|---|---|---|---|---|"]
        parts.append("\n".join([*head, *map(_line, lines)]))
    else:
        parts.append("They have no figure in common.")
    return "\n\n".join(part for part in parts if part) + "\n"


def to_document(difference: Difference) -> dict[str, Any]:
    return {
        "is_trusted": difference.is_sure,
        "differs": {name: [one, other] for name, one, other in difference.facts},
        "figures": [
            {
                "key": line.first.key,
                "name": line.first.name,
                "unit": line.first.unit,
                "first": line.first.sample.median,
                "second": line.second.sample.median,
                "ratio": line.comparison.ratio,
                "noise": max(line.noise, line.comparison.scatter or 0.0),
                "is_different": line.is_shown,
                "is_better": line.is_better if line.is_shown else None,
            }
            for line in difference.lines
        ],
    }


def _doubt(difference: Difference) -> str:
    if difference.is_sure:
        return ""
    return "**A machine was busy** with other programs during one of them: no difference below is sure. Measure again."


def _facts(difference: Difference) -> list[str]:
    when = [datetime.fromisoformat(each.subject.measured) for each in (difference.first, difference.second)]
    measured = ("measured", *(f"{each:%d %B %Y at %H:%M}" for each in when))
    table = [f"| {plain(name)} | {plain(one)} | {plain(other)} |" for name, one, other in (measured, *difference.facts)]
    return ["\n".join(["| what differs | first | second |", "|---|---|---|", *table])]


def _line(line: Line) -> str:
    one, other = line.first.sample.median, line.second.sample.median
    ratio = f"{line.comparison.ratio:.2f}"
    return f"| {plain(line.first.name)}, {line.first.unit} | {short(one)} | {short(other)} | {ratio} | {line.verdict} |"


def _fact(figures: Figures, key: str) -> str:
    return str(getattr(figures.subject, key))


def _is_apart(both: Comparison) -> bool:
    """Where each was measured once: no value of one is among the other's."""
    one, other = both.without.values, both.within.values
    return max(one) < min(other) or max(other) < min(one)
