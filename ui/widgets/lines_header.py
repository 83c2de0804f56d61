"""The head of a table whose titles may have several lines: a column is as wide as its longest line needs."""

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QHeaderView

EDGES = 22  # pixels beside the text, as in the style sheet; the sorting's arrow fits into them


class LinesHeader(QHeaderView):
    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setHighlightSections(False)
        self.setSectionsClickable(True)

    def sectionSizeFromContents(self, section: int) -> QSize:
        """Qt measures all lines as one, and adds room for the arrow to each column."""
        told = super().sectionSizeFromContents(section)
        lines = str(self.model().headerData(section, self.orientation())).split("\n")
        metrics = self.fontMetrics()
        return QSize(EDGES + max(map(metrics.horizontalAdvance, lines)), told.height())
