"""Names that are longer than their place: shortened in the middle, with what must be seen behind them whole."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics

GAP = "  "


def elided(name: str, tail: str, metrics: QFontMetrics, width: int) -> str:
    """The name, as far as it fits into `width` pixels, and the tail, which is never cut: a quantization, a size."""
    tail = f"{GAP}{tail}" if tail else ""
    room = max(0, width - metrics.horizontalAdvance(tail))
    return metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, room) + tail
