"""Cards as a file for other programs: the picture as it is drawn, or all figures."""

from pathlib import Path
from typing import TYPE_CHECKING

from app.lab.export import to_csv, to_markdown
from ui.lab.quality_plot import QualityPlot

if TYPE_CHECKING:
    from app.lab.card import Card


def save_cards(path: Path, cards: "list[Card]", plot: QualityPlot) -> None:
    """By the name's end: a picture, a table for a spreadsheet, else one in Markdown. Raises OSError."""
    if path.suffix == ".png":
        if not plot.picture().save(str(path)):
            raise OSError(f"{path} cannot be written")
        return
    write = to_csv if path.suffix == ".csv" else to_markdown
    path.write_text(write(cards), "utf-8", newline="")
