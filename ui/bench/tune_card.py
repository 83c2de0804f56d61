"""What tuning has found for the model that is chosen, and the way to take it or to go back."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from app.bench.tuned_page import named, offered, summary, tuned_page
from app.bench.words import percent
from ui.widgets.copy_button import CopyButton
from ui.widgets.labels import button, label

if TYPE_CHECKING:
    from app.bench.tuned import Tuned
    from app.library.defaults import ModelDefaults

BUSY = "Other programs were at work meanwhile: do not trust it, and tune again when nothing else runs."


class TuneCard(QFrame):
    apply_clicked = Signal(bool)  # whether the offered KV cache is wanted, too
    undo_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._tuned: Tuned | None = None
        self.setProperty("kind", "card")
        self._title = label("", "strong")
        self._words = label("", wraps=True)
        self._doubt = label(BUSY, "problem", wraps=True)
        self._offer = label("", "muted", wraps=True)
        self._now = label("", "caption", wraps=True)
        self.apply = button("Apply", "primary")
        self.apply_offer = button("Apply with the quantized KV cache")
        self.undo = button("Go back")
        self.copy = CopyButton(self._page, "Copy what was found as Markdown", says="Copy as Markdown", kind="")
        self._lay_out()

        self.apply.clicked.connect(lambda: self.apply_clicked.emit(False))
        self.apply_offer.clicked.connect(lambda: self.apply_clicked.emit(True))
        self.undo.clicked.connect(self.undo_clicked)

    def show_tuned(self, tuned: "Tuned | None", now: "ModelDefaults", can_undo: bool) -> None:
        """Hidden where there is nothing to say. now: the model's defaults. can_undo: they were changed once."""
        self._tuned = tuned
        self.setVisible(tuned is not None or can_undo)
        is_new = tuned is not None and tuned.before == now
        self._title.setText(f"Tuned for {tuned.purpose}" if tuned else "This model's defaults")
        self._words.setText(self._told(tuned, now))
        self._doubt.setVisible(tuned is not None and tuned.is_busy)
        offer = offered(tuned) if tuned and is_new else ""
        self._offer.setText(offer)
        self._offer.setVisible(bool(offer))
        self._now.setText(f"Now: {named(now)}.")
        self.apply.setVisible(is_new and tuned is not None and tuned.is_gain)
        self.apply_offer.setVisible(is_new and tuned is not None and tuned.is_offer_gain)
        self.undo.setVisible(can_undo)
        self.copy.setVisible(tuned is not None)

    def _told(self, tuned: "Tuned | None", now: "ModelDefaults") -> str:
        if tuned is None:
            return "They were changed once, and can be taken back."
        if tuned.is_gain and tuned.gain and now == tuned.after:
            return f"It has what was found, from its next load on: {percent(tuned.gain.ratio - 1)} more than before."
        if tuned.before != now:
            return "Its defaults have changed since. Tune it again for what suits them."
        return summary(tuned)

    def _page(self) -> str:
        return tuned_page(self._tuned) if self._tuned else ""

    def _lay_out(self) -> None:
        actions = QHBoxLayout()
        actions.setSpacing(8)
        for widget in (self.apply, self.apply_offer, self.undo):
            actions.addWidget(widget)
        actions.addStretch(1)
        actions.addWidget(self.copy)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(16, 12, 16, 12)
        rows.setSpacing(8)
        for text in (self._title, self._doubt, self._words, self._offer, self._now):
            rows.addWidget(text)
        rows.addLayout(actions)
