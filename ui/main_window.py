"""Composes the pages, and keeps its own place on the screen. Every page is handed what it needs."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QSettings, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from app.errors import AlreadyThere
from app.jobs.install_request import InstallRequest
from app.late import late
from app.telemetry.finding import Remedy
from app.whole_file import usable
from ui.actions import Shortcut, add_shortcuts
from ui.bridge import Bridge
from ui.chat.chat_page import ChatPage
from ui.closing_question import ClosingQuestion
from ui.engine_desk import EngineDesk
from ui.finding_notice import FindingNotice
from ui.gpu_desk import GpuDesk
from ui.guide_desk import GuideDesk
from ui.hub.discover_page import DiscoverPage
from ui.hub.install_desk import InstallDesk
from ui.hub.notices import sentence
from ui.jobs.downloads_page import DownloadsPage
from ui.lab.lab_page import LabPage
from ui.library.models_model import ModelsModel
from ui.library.models_page import ModelsPage
from ui.library.verdict_desk import VerdictDesk
from ui.onlooker import Onlooker
from ui.performance.performance_page import PerformancePage
from ui.server.server_desk import ServerDesk
from ui.server.server_page import ServerPage
from ui.settings.settings_desk import SettingsDesk
from ui.settings.settings_page import SettingsPage
from ui.shortage_notice import ShortageNotice
from ui.silence_notice import SilenceNotice
from ui.strip.live_strip import LiveStrip
from ui.theme import Theme
from ui.widgets.banner import BannerArea, Tone
from ui.widgets.navigation_rail import NavigationRail

if TYPE_CHECKING:
    from app.library.entry import ModelEntry
    from app.services import Services
    from backends.protocol import EngineOptions
    from ui.devices.devices_page import DevicesPage
    from ui.plan.plan_page import PlanPage

START_SIZE = (1200, 800)
MINIMUM_SIZE = (900, 600)
TOLD_SECONDS = 8
ON_ITS_WAY = "on its way"  # topic of banners that the page Downloads makes needless
CHAT, MODELS, DISCOVER, DOWNLOADS, LAB, SERVER, PERFORMANCE, SETTINGS = range(8)


class MainWindow(QMainWindow):
    closed = Signal()

    def __init__(self, services: "Services", bridge: Bridge, theme: Theme):
        super().__init__()
        self._services = services
        self._bridge = bridge
        self._theme = theme
        self._before_plan: QWidget | None = None  # the page that the plan was opened from
        self._wanted: str | None = None  # a model to chat with as soon as the library knows it
        self.setWindowTitle("Slipstream")
        self.setMinimumSize(*MINIMUM_SIZE)
        self.resize(*START_SIZE)
        with theme.put_off():
            self._make_pages(services, bridge, theme)
            self._lay_out()
        self._geometry = QSettings(str(usable(services.paths.config / "window.ini")), QSettings.Format.IniFormat)
        self._restore()
        self._connect(bridge)
        self._add_shortcuts()
        self.go_to(CHAT)
        QTimer.singleShot(0, self, self._begin)

    def _make_pages(self, services: "Services", bridge: Bridge, theme: Theme) -> None:
        self.banners = BannerArea()
        self.closing = ClosingQuestion(services, self.banners, self._close_now)
        self.settings = SettingsDesk(services, bridge)
        self.desk = EngineDesk(services, self.settings, bridge)
        self.models = ModelsModel(services.library, bridge)
        self.silence = SilenceNotice(services.supervisor, bridge, self.banners, self._title_of)
        self.gpu = GpuDesk(services, bridge)
        self.guide = GuideDesk(services, bridge, self.desk, self.models)
        self.server = ServerDesk(services, self.settings, bridge)
        self.chat = ChatPage(services, self.desk, self.models, self.guide, theme, self.banners)
        self.verdicts = VerdictDesk(services, bridge, self.models)
        self.models_page = ModelsPage(services, bridge, self.desk, self.models, self.guide, self.verdicts, theme)
        self.install_desk = InstallDesk(services, bridge)
        self.discover = DiscoverPage(services, bridge, self.models, theme)
        self.downloads = DownloadsPage(services, bridge, theme)
        self.lab = LabPage(services, bridge, self.models, theme)
        self.server_page = ServerPage(services, self.server, self.settings, self.desk, bridge, self.banners, theme)
        self.performance = PerformancePage(services, bridge, theme)
        self.settings_page = SettingsPage(services, self.settings, self.desk, self.gpu, theme, bridge)
        self.findings = FindingNotice(bridge, self.banners, self._remedies())
        self.shortage = ShortageNotice(self.desk, self.banners, lambda: self.go_to(SETTINGS))
        self.strip = LiveStrip(self.desk, services.telemetry, theme)
        self.rail = NavigationRail(theme)
        self._onlooker = Onlooker(self, services.telemetry)
        self._pages = QStackedWidget()

    @late
    def plan(self) -> "PlanPage":
        """Made when it is first wanted: most loads need none."""
        from ui.plan.plan_desk import PlanDesk
        from ui.plan.plan_page import PlanPage

        page = PlanPage(PlanDesk(self._services, self._bridge), self._theme)
        page.left.connect(self._leave_plan)
        page.load_wanted.connect(self._load_planned)
        self._pages.addWidget(page)
        return page

    @late
    def devices(self) -> "DevicesPage":
        from ui.devices.devices_desk import DevicesDesk
        from ui.devices.devices_page import DevicesPage

        page = DevicesPage(DevicesDesk(self._services, self._bridge), self.gpu)
        page.left.connect(lambda: self.go_to(SETTINGS))
        page.reload_wanted.connect(self._offer_reload)
        self._pages.addWidget(page)
        return page

    def show_devices(self) -> None:
        self._pages.setCurrentWidget(self.devices)
        self.devices.back.setFocus()

    def _offer_reload(self) -> None:
        if self.desk.entry:
            text = "The loaded model still runs with the engine build from before."
            self.banners.show_banner(Tone.INFO, text, [("Reload now", self.desk.reload)])

    def show_plan(self, entry: "ModelEntry") -> None:
        """What a load of it takes, and what could be chosen."""
        if self._pages.currentWidget() is not self.plan:
            self._before_plan = self._pages.currentWidget()
        self._pages.setCurrentWidget(self.plan)
        self.plan.show_entry(entry)

    def _leave_plan(self) -> None:
        self.go_to(max(0, self._pages.indexOf(self._before_plan)) if self._before_plan else CHAT)

    def _load_planned(self, entry: "ModelEntry", options: "EngineOptions") -> None:
        self.go_to(CHAT)
        self.desk.load(entry, options)

    def _connect(self, bridge: Bridge) -> None:
        session = self.chat.session
        self.settings_page.builds.devices_wanted.connect(self.show_devices)
        self.models_page.plan_wanted.connect(self.show_plan)
        self.chat.picker.plan_wanted.connect(self.show_plan)
        self.chat.picker.opened.connect(self.verdicts.look)
        self.chat.plan_wanted.connect(self.show_plan)
        self.rail.chosen.connect(self.go_to)
        session.busy_changed.connect(lambda is_busy: self.strip.begin() if is_busy else None)
        session.advanced.connect(self.strip.advance)
        session.turn_ended.connect(self.strip.end)
        bridge.sampled.connect(self.strip.take_sample)
        self.desk.noted.connect(self._tell_note)
        self.gpu.idle_found.connect(self._tell_note)
        self.gpu.made.connect(
            lambda text: self.banners.show_banner(Tone.INFO, text, (("Reload now", self.desk.reload),))
        )
        self.gpu.refused.connect(lambda text: self.banners.show_banner(Tone.WARNING, text))
        self.models.refused.connect(lambda text: self.banners.show_banner(Tone.ERROR, text))
        self.settings.refused.connect(lambda text: self.banners.show_banner(Tone.WARNING, text))
        self.models.refreshed.connect(self._tell_notices)
        self.models.refreshed.connect(self._load_last_model)
        self.models.refreshed.connect(self._load_wanted)
        self.performance.models_wanted.connect(lambda: self.go_to(MODELS))
        self.discover.install_wanted.connect(self.install_desk.install)
        self.discover.show_wanted.connect(self._show_file)
        self.install_desk.begun.connect(self._tell_install)
        self.install_desk.is_there.connect(self._tell_there)
        for source in (self.discover, self.install_desk, self.lab):
            source.refused.connect(lambda text: self.banners.show_banner(Tone.WARNING, text))
        self._connect_downloads()
        for row in (self.settings_page.libraries, self.settings_page.folders):
            row.changed.connect(self.models.refresh)

    def _remedies(self) -> dict[Remedy, Callable[[], None]]:
        return {
            Remedy.RELOAD: self.desk.reload,
            Remedy.SETTINGS: lambda: self.go_to(SETTINGS),
            Remedy.LOOK: lambda: self.go_to(PERFORMANCE),
        }

    def go_to(self, page: int) -> None:
        self.rail.select(page)
        self._pages.setCurrentIndex(page)
        if page == CHAT:
            self.chat.composer.focus()
        elif page == DOWNLOADS:
            self.banners.withdraw(ON_ITS_WAY)

    def open_files(self, files: list[str]) -> None:
        """To the front, and what is to become of the files is asked: a later start has handed them over."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.raise_()
        self.activateWindow()
        if files:
            self.go_to(MODELS)
            self.models_page.dropped.ask([Path(file) for file in files])

    def _close_now(self) -> None:
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.closing.holds_back():
            event.ignore()
            return
        self._geometry.setValue("geometry", self.saveGeometry())
        self._geometry.sync()
        self.chat.close_down()
        self.discover.close_down()
        super().closeEvent(event)
        self.closed.emit()

    def _title_of(self, model_id: str) -> str | None:
        entry = self.models.find(model_id)
        return entry.name if entry else None

    def _begin(self) -> None:
        """What can wait until the window is seen."""
        self._tell_notices()
        self.models.refresh()
        if self._services.settings.serve:
            self.server.start()

    def take_up(self) -> None:
        """What an earlier run has left unfinished, on a worker: it looks through folders. And whether a GPU is idle."""
        self.gpu.look()
        take_up = self._services.recover_installs
        self._bridge.call(take_up, lambda _: self._tell_notices(), self._refuse)

    def _refuse(self, error: Exception) -> None:
        self.banners.show_banner(Tone.WARNING, sentence(error))

    def _tell_note(self, text: str) -> None:
        """Of a GPU that lies idle with what helps, if that is known yet."""
        view = self.gpu.view
        helps = self.gpu.can_make and view is not None and text == view.idle
        self.banners.show_banner(Tone.WARNING, text, (("Build it now", self._build_for_gpu),) if helps else ())

    def _build_for_gpu(self) -> None:
        self.gpu.make()
        self.go_to(SETTINGS)
        self.settings_page.show_builds()

    def _tell_notices(self) -> None:
        """At the start, and what reading the library has found out since."""
        for notice in self._services.take_notices():
            self.banners.show_banner(Tone.WARNING, notice)

    def _load_last_model(self) -> None:
        """Once, at the start: the model of last time, unless a person was faster."""
        self.models.refreshed.disconnect(self._load_last_model)
        entry = self.models.find(self._services.settings.last_model)
        if entry and self.desk.entry is None:
            self.desk.load(entry)

    def _connect_downloads(self) -> None:
        self.downloads.arrived.connect(self.models.refresh)
        self.downloads.told.connect(lambda text: self.banners.show_banner(Tone.WARNING, text))
        self.downloads.at_work_changed.connect(lambda count: self.rail.set_badge(DOWNLOADS, count))
        self.downloads.discover_wanted.connect(lambda: self.go_to(DISCOVER))
        self.downloads.show_wanted.connect(self._show_model)
        self.downloads.chat_wanted.connect(self._chat_with)

    def _tell_install(self, request: InstallRequest) -> None:
        show = ("Show downloads", lambda: self.go_to(DOWNLOADS))
        if self._pages.currentIndex() != DOWNLOADS:
            banner = self.banners.show_banner(Tone.INFO, f"{request.title} is downloading.", (show,), topic=ON_ITS_WAY)
            banner.close_after(TOLD_SECONDS)

    def _tell_there(self, there: AlreadyThere) -> None:
        """With the way to it: who asked for it wants it."""
        if there.model_id is not None:
            action = ("Show in Models", partial(self._show_model, there.model_id))
        else:
            action = ("Show downloads", partial(self.go_to, DOWNLOADS))
        self.banners.show_banner(Tone.INFO, str(there), (action,))

    def _show_file(self, sha256: str) -> None:
        entry = next((entry for entry in self.models.entries if entry.sha256 == sha256), None)
        if entry is not None:
            self._show_model(entry.id)

    def _show_model(self, model_id: str) -> None:
        self.go_to(MODELS)
        self.models_page.choose(model_id)

    def _chat_with(self, model_id: str) -> None:
        self._wanted = model_id
        self._new_chat()
        self._load_wanted()

    def _load_wanted(self) -> None:
        """What has just arrived may not be listed yet; then it is loaded as soon as it is."""
        entry = self.models.find(self._wanted)
        if entry:
            self._wanted = None
            self.desk.load(entry)

    def _restore(self) -> None:
        geometry = self._geometry.value("geometry")
        if geometry:
            self.restoreGeometry(geometry)

    def _new_chat(self) -> None:
        self.go_to(CHAT)
        self.chat.start_new()

    def _search(self) -> None:
        self.go_to(CHAT)
        self.chat.list.search.setFocus()

    def _add_shortcuts(self) -> None:
        add_shortcuts(
            self,
            (
                Shortcut("New chat", ("Ctrl+N",), self._new_chat),
                Shortcut("Chat", ("Ctrl+1",), lambda: self.go_to(CHAT)),
                Shortcut("Models", ("Ctrl+2",), lambda: self.go_to(MODELS)),
                Shortcut("Discover", ("Ctrl+3",), lambda: self.go_to(DISCOVER)),
                Shortcut("Downloads", ("Ctrl+4",), lambda: self.go_to(DOWNLOADS)),
                Shortcut("Lab", ("Ctrl+5",), lambda: self.go_to(LAB)),
                Shortcut("Server", ("Ctrl+6",), lambda: self.go_to(SERVER)),
                Shortcut("Performance", ("Ctrl+7",), lambda: self.go_to(PERFORMANCE)),
                Shortcut("Settings", ("Ctrl+8", "Ctrl+,"), lambda: self.go_to(SETTINGS)),
                Shortcut("Write a message", ("Ctrl+L",), lambda: self.go_to(CHAT)),
                Shortcut("Search chats", ("Ctrl+K", "Ctrl+F"), self._search),
                Shortcut("Stop the answer", ("Esc",), self.chat.session.stop),
                Shortcut("Try again", ("Ctrl+R",), self.chat.session.try_again),
                Shortcut("Quit", ("Ctrl+Q",), self.close),
            ),
        )

    def _lay_out(self) -> None:
        self.rail.add_page("Chat", "chat", "Ctrl+1")
        self.rail.add_page("Models", "models", "Ctrl+2")
        self.rail.add_page("Discover", "discover", "Ctrl+3")
        self.rail.add_page("Downloads", "download", "Ctrl+4")
        self.rail.add_page("Lab", "lab", "Ctrl+5")
        self.rail.add_page("Server", "server", "Ctrl+6")
        self.rail.add_page("Performance", "performance", "Ctrl+7")
        self.rail.add_page("Settings", "settings", "Ctrl+8")
        for page in (
            self.chat,
            self.models_page,
            self.discover,
            self.downloads,
            self.lab,
            self.server_page,
            self.performance,
            self.settings_page,
        ):
            self._pages.addWidget(page)
        right = QWidget()
        QVBoxLayout(right).setContentsMargins(0, 0, 0, 0)
        right.layout().addWidget(self._pages)  # type: ignore[union-attr]
        self.banners.lie_over(right)
        top = QHBoxLayout()
        top.setSpacing(0)
        top.addWidget(self.rail)
        top.addWidget(right, 1)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top, 1)
        layout.addWidget(self.strip)
        self.setCentralWidget(content)
