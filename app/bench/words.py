"""Figures as people read them, and names from files that are no Markdown of ours."""

from backends.bounds import printable


def short(value: float) -> str:
    """Three digits, as many as are worth reading."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def percent(share: float, *, signed: bool = False) -> str:
    sign = "+" if signed and share > 0 else ""
    return f"{sign}{share:.0%}" if abs(share) >= 0.01 else f"{sign}{share:.1%}"


def plain(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*[]<>|#" else c for c in printable(text))
