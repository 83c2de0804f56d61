"""One figure in Prometheus' text format."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Metric:
    """samples: for each its labels, and its value."""

    name: str
    kind: str  # counter or gauge
    help: str
    samples: Sequence[tuple[dict[str, str], float]] = field(default_factory=tuple)

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.kind}"
        for labels, value in self.samples:
            shown = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            yield f"{self.name}{{{shown}}} {value:.10g}" if shown else f"{self.name} {value:.10g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
