"""Says that an engine does not answer, and offers to wait or to restart it. Knows engines' states, no chat."""

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QObject

from app.inference.snapshot import EngineSnapshot
from app.inference.supervisor import Supervisor
from ui.bridge import Bridge
from ui.widgets.banner import Banner, BannerArea, Tone


class SilenceNotice(QObject):
    """One banner for each silent engine, which goes when the engine is back."""

    def __init__(
        self, supervisor: Supervisor, bridge: Bridge, banners: BannerArea, title_of: Callable[[str], str | None]
    ):
        super().__init__(bridge)
        self._supervisor = supervisor
        self._bridge = bridge
        self._banners = banners
        self._title_of = title_of
        self._shown: dict[str, Banner] = {}  # by the engine's name
        self._asked: dict[str, float] = {}  # of its silence, when the person chose to wait: ask again at twice that
        bridge.engine_changed.connect(self._take)

    def _take(self, snapshot: EngineSnapshot) -> None:
        name, seconds = snapshot.name, snapshot.silent_seconds
        if seconds is None:
            self._asked.pop(name, None)
            if banner := self._shown.pop(name, None):
                banner.finish()
        elif banner := self._shown.get(name):
            banner.rephrase(self._sentence(name, seconds))
        elif seconds >= 2 * self._asked.get(name, 0.0):
            self._show(name, seconds)

    def _show(self, name: str, seconds: float) -> None:
        restart = ("Restart", partial(self._restart, name))
        banner = self._banners.show_banner(
            Tone.WARNING, self._sentence(name, seconds), [restart], topic=f"silence {name}", dismiss="Wait"
        )
        self._shown[name] = banner
        banner.closed.connect(partial(self._forget, name, banner))

    def _forget(self, name: str, banner: Banner) -> None:
        """Wait was clicked; Restart makes the silence end, and with it what is noted here."""
        if self._shown.get(name) is banner:
            del self._shown[name]
            self._asked[name] = self._silence(name)

    def _silence(self, name: str) -> float:
        engines = {handle.name: handle.snapshot.silent_seconds for handle in self._supervisor.engines()}
        return engines.get(name) or 0.0

    def _restart(self, name: str) -> None:
        self._bridge.call(partial(self._supervisor.restart, name), lambda _: None)

    def _sentence(self, name: str, seconds: float) -> str:
        return f"“{self._title_of(name) or name}” has not answered for {_duration(seconds)}."


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
