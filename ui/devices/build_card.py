"""One engine build: what it is for, what it said of itself, how it did when it was tried; the button that uses it."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.builds.build import Build
from app.builds.doctor import Findings
from app.builds.view import title_of
from app.builds.words import build_text, trial_text
from ui.widgets.labels import button, label


class BuildCard(QWidget):
    chosen = Signal(str)  # its name

    def __init__(self, findings: Findings, build: Build):
        super().__init__()
        is_used, title = build.name == findings.active, title_of(build)
        text = build_text(findings, build.name)
        trial = trial_text(findings, build.name)
        self.use = button("Try again" if build.name in findings.rejected else "Use", name=f"Use {title}")
        self.use.setEnabled(not is_used)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(label(title, "strong", wraps=True))
        texts.addWidget(label(text, "caption", wraps=True))
        if trial:
            texts.addWidget(label(trial, "problem" if build.name in findings.rejected else "caption", wraps=True))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addLayout(texts, 1)
        row.addWidget(label("In use", "good") if is_used else self.use)

        self.use.clicked.connect(lambda: self.chosen.emit(build.name))
