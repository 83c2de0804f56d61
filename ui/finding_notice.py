"""Says that a model is not where it should be or not as fast as it could be, with the one button that helps."""

from collections.abc import Callable, Mapping

from PySide6.QtCore import QObject

from app.telemetry import Sample
from app.telemetry.finding import Finding, Kind, Remedy
from ui.bridge import Bridge
from ui.widgets.banner import Banner, BannerArea, Tone

PATIENCE = 5  # samples without it, after which it is over: a fan that comes and goes is one story

Key = tuple[str, Kind]


class FindingNotice(QObject):
    """One banner for each engine and kind, which goes when that is over. Dismissed, it stays away until the engine is
    loaded anew."""

    def __init__(self, bridge: Bridge, banners: BannerArea, remedies: Mapping[Remedy, Callable[[], None]]):
        super().__init__(bridge)
        self._banners = banners
        self._remedies = remedies
        self._shown: dict[Key, Banner] = {}
        self._dismissed: set[Key] = set()
        self._misses: dict[Key, int] = {}
        bridge.sampled.connect(self._take)

    def _take(self, sample: Sample) -> None:
        found = {(finding.engine, finding.kind): finding for finding in sample.findings}
        loaded = {engine.name for engine in sample.engines if engine.device}
        self._dismissed = {key for key in self._dismissed if key[0] in loaded}
        for key, finding in found.items():
            self._misses[key] = 0
            if banner := self._shown.get(key):
                if banner.text != finding.sentence:
                    banner.rephrase(finding.sentence)
            elif key not in self._dismissed:
                self._show(key, finding)
        for key in self._shown.keys() - found.keys():
            self._misses[key] += 1
            if self._misses[key] >= PATIENCE or key[0] not in loaded:
                self._shown.pop(key).finish()

    def _show(self, key: Key, finding: Finding) -> None:
        remedy = self._remedies.get(finding.remedy)
        actions = [(finding.remedy.value, remedy)] if remedy else []
        banner = self._banners.show_banner(Tone.WARNING, finding.sentence, actions, topic=f"finding {key}")
        self._shown[key] = banner
        banner.closed.connect(lambda: self._forget(key, banner))

    def _forget(self, key: Key, banner: Banner) -> None:
        """A person has closed it, or done what it says."""
        if self._shown.get(key) is banner:
            del self._shown[key]
            self._dismissed.add(key)
