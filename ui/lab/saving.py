"""Cards as a file for other programs: the picture as it is drawn, or all figures."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtGui import QImage, QImageWriter

from app.lab.export import to_csv, to_markdown
from backends.ownership.files import write_whole
from ui.lab.quality_plot import QualityPlot

if TYPE_CHECKING:
    from app.lab.card import Card


def save_cards(path: Path, cards: "list[Card]", plot: QualityPlot) -> None:
    """By the name's end: a picture, a table for a spreadsheet, else one in Markdown. Raises OSError."""
    if path.suffix == ".png":
        content = _png(plot.picture())
    else:
        write = to_csv if path.suffix == ".csv" else to_markdown
        content = write(cards).encode()
    write_whole(path.resolve(), content)  # for this person alone: to share it is a choice


def _png(picture: QImage) -> bytes:
    content, buffer = QByteArray(), QBuffer()
    buffer.setBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if not QImageWriter(buffer, QByteArray(b"png")).write(picture):
        raise OSError("The picture cannot be made")
    return bytes(content.data())
