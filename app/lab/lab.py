"""The laboratory: measures model files with what is known of this machine, and keeps the cards. Thread-safe."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.jobs.child import OnProgress, ignore_progress
from app.lab.card import Card
from app.lab.card_store import CardStore
from app.lab.evaluate import evaluate
from app.lab.make_card import content_identity, make_card
from app.lab.settings import DEFAULT, Settings
from app.paths import Paths
from backends.measurement import Evaluation


class Lab:
    def __init__(self, paths: Paths, has_extra_buffers: Callable[[], bool]):
        """has_extra_buffers: whether this build survives with them, by its self-test (`Preflight.verdict`)."""
        self._paths = paths
        self._has_extra_buffers = has_extra_buffers
        self.cards = CardStore(paths.cards)

    def measure(
        self,
        file: Path,
        against: Path | None = None,
        on_progress: OnProgress = ignore_progress,
        cancelled: threading.Event | None = None,
        *,
        settings: Settings = DEFAULT,
        name: str | None = None,
    ) -> Card:
        """Makes a card and keeps it. Raises EvaluationError, ModelFileError, EngineError or Cancelled."""
        settings, paths = self._fitted(settings), self._paths
        card = make_card(
            file,
            against,
            settings=settings,
            name=name,
            logs=paths.logs,
            cache=paths.cache,
            on_progress=on_progress,
            cancelled=cancelled,
        )
        self.cards.save(card)
        return card

    def evaluate(
        self,
        file: Path,
        against: Path | None = None,
        on_progress: OnProgress = ignore_progress,
        cancelled: threading.Event | None = None,
        *,
        settings: Settings = DEFAULT,
    ) -> Evaluation:
        """Quality alone, and no card. Raises the same."""
        settings, paths = self._fitted(settings), self._paths
        return evaluate(
            file,
            against,
            settings=settings,
            logs=paths.logs,
            cache=paths.cache,
            on_progress=on_progress,
            cancelled=cancelled,
        )

    def cards_of(self, file: Path) -> list[Card]:
        """Those with a quality first, the newest of them before the others, whatever the file is called now.

        Raises ModelFileError.
        """
        return sorted(self.cards.of(content_identity(file)), key=lambda card: card.kld is None)

    def _fitted(self, settings: Settings) -> Settings:
        return replace(settings, extra_buffer_types=self._has_extra_buffers())
