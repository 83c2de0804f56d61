"""results/engine_misses.md: what is behind the figures that the engine's table misses; each command has a section."""

from pathlib import Path

PAGE = Path(__file__).parent / "results" / "engine_misses.md"
TITLE = "# The engine's misses, and what is behind them"


def keep(section: str, lines: list[str]) -> None:
    """In place of what it said before; the others stay."""
    known = _sections(PAGE.read_text("utf-8")) if PAGE.exists() else {}
    known[section] = "\n".join(lines).strip("\n")
    text = "\n\n".join([TITLE, *(f"## {name}\n\n{said}" for name, said in known.items())])
    PAGE.write_text(text + "\n", "utf-8")


def _sections(text: str) -> dict[str, str]:
    parts = text.split("\n## ")[1:]
    return {name.strip(): said.strip("\n") for name, _, said in (part.partition("\n") for part in parts)}
