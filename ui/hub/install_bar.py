"""One click to have what is chosen. For a checkpoint it also asks what to make of it, and says how large that gets."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.hub.quantizations import BITS_PER_WEIGHT, DEFAULT, predicted_bytes
from app.hub.repository import Repository, Variant, VariantKind
from ui.figures import size
from ui.hub.variants_model import VerdictOn
from ui.settings.fields import Choice
from ui.widgets.labels import button, label

OPTIONS = tuple((name, name) for name in BITS_PER_WEIGHT)


class InstallBar(QWidget):
    clicked = Signal(object)  # the quantization to make of a checkpoint, or None
    show_clicked = Signal(str)  # SHA-256 of a file that is in the library already

    def __init__(self) -> None:
        super().__init__()
        self._repository: Repository | None = None
        self._variant: Variant | None = None
        self._verdict_on: VerdictOn = lambda *_: None
        self._problem = ""
        self._here: str | None = None
        self.quantization = Choice(OPTIONS, DEFAULT)
        self.quantization.setAccessibleName("Quantization")
        self.install = button("Install", "primary")
        self.note = label("", "caption", wraps=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.note, 1)
        row.addWidget(self.quantization)
        row.addWidget(self.install)

        self.quantization.picked.connect(lambda _: self._refresh())
        self.install.clicked.connect(self._press)

    def show_variant(
        self, repository: Repository, variant: Variant, verdict_on: VerdictOn, is_here: bool, problem: str
    ) -> None:
        """verdict_on: tells whether so many bytes run here. problem: why it had better not be downloaded; empty when
        nothing speaks against it."""
        self._repository, self._variant, self._verdict_on = repository, variant, verdict_on
        self.quantization.setVisible(variant.kind is VariantKind.CHECKPOINT)
        self._here = variant.files[0].sha256 if is_here else None
        self.install.setText("Show in Models" if self._here else f"Install ({_download(variant)})")
        self.install.setAccessibleName(f"{self.install.text()}: {repository.id} {variant.label}")
        self.install.setEnabled(self._here is not None or not problem)
        self._problem = problem
        self._refresh()

    def _press(self) -> None:
        if self._here:
            self.show_clicked.emit(self._here)
        else:
            self.clicked.emit(self._wanted())

    def _wanted(self) -> str | None:
        is_checkpoint = self._variant is not None and self._variant.kind is VariantKind.CHECKPOINT
        return self.quantization.values[self.quantization.currentIndex()] if is_checkpoint else None

    def _refresh(self) -> None:
        text = self._problem
        quantization = self._wanted()
        if not text and quantization and self._repository and self._variant:
            num_bytes = predicted_bytes(self._repository, self._variant, quantization)
            verdict = self._verdict_on(num_bytes)
            here = f" {verdict.sentence}." if verdict else ""
            again = "The checkpoint is not kept: another quantization downloads it again."
            text = f"About {size(num_bytes)} once it is converted.{here} {again}"
        elif not text and self._variant and len(self._variant.files) > 1:
            text = f"{self._variant.label}: {len(self._variant.files)} files that belong together."
        self.note.setText(text or (self._variant.label if self._variant else ""))


def _download(variant: Variant) -> str:
    return size(variant.bytes + (variant.mmproj.bytes if variant.mmproj else 0))
