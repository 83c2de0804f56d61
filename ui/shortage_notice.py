"""Says that a model ran out of memory, or was refused for want of it, with the two buttons that help."""

from collections.abc import Callable

from PySide6.QtCore import QObject

from ui.engine_desk import EngineDesk
from ui.widgets.banner import BannerArea, Tone

FITS, SETTINGS = "Load what fits", "Open settings"
TOPIC = "want of memory"


class ShortageNotice(QObject):
    """One banner, which a later one replaces."""

    def __init__(self, desk: EngineDesk, banners: BannerArea, open_settings: Callable[[], None]):
        super().__init__(desk)
        self._desk = desk
        self._banners = banners
        self._open_settings = open_settings
        desk.fell_short.connect(self._show)

    def _show(self, text: str, log: str) -> None:
        self._banners.withdraw(TOPIC)
        actions = [(FITS, self._desk.load_what_fits), (SETTINGS, self._open_settings)]
        self._banners.show_banner(Tone.ERROR, text, actions, log, topic=TOPIC)
