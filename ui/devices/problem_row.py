"""One thing that is wrong, and its cure in a line that can be copied."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.builds.doctor import Problem
from ui.widgets.copy_button import CopyButton
from ui.widgets.labels import label


class ProblemRow(QWidget):
    def __init__(self, problem: Problem):
        super().__init__()
        cure = label(f"{problem.cure}.", wraps=True)
        cure.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        texts = QVBoxLayout()
        texts.setSpacing(4)
        texts.addWidget(label(problem.what, "problem", wraps=True))
        texts.addWidget(cure)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addLayout(texts, 1)
        row.addWidget(CopyButton(lambda: problem.cure, f"Copy the cure: {problem.cure}"))
