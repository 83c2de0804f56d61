"""What a person may choose. Engine defaults hold from the next load on, which is offered at once."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QHideEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from backends.protocol import DraftMode, KVType
from ui.bridge import Bridge
from ui.engine_desk import EngineDesk
from ui.gpu_desk import GpuDesk
from ui.settings.build_row import BuildRow
from ui.settings.fields import Choice, Decimal, Field, Number
from ui.settings.library_rows import FoldersRow, LibrariesRow
from ui.settings.prompt_cache_row import PromptCacheRow
from ui.settings.settings_desk import SettingsDesk
from ui.settings.token_row import TokenRow
from ui.settings.tools_panel import ToolsPanel
from ui.theme import Theme
from ui.widgets.copy_button import CopyButton
from ui.widgets.labels import button, label, rule
from ui.widgets.page_column import PageColumn

if TYPE_CHECKING:
    from app.services import Services

THEMES = (("Match system", "system"), ("Light", "light"), ("Dark", "dark"))
KV_TYPES = (
    ("f16 — exact", KVType.F16),
    ("q8_0 — half the memory", KVType.Q8_0),
    ("q5_1", KVType.Q5_1),
    ("q4_0 — a quarter", KVType.Q4_0),
)
PROMPT_MS = 500
CACHE_RAM = (0, 256 << 20, 512 << 20, 1 << 30, 2 << 30, 4 << 30, 8 << 30, 16 << 30)
CACHE_DISK = (0, 1 << 30, 2 << 30, 4 << 30, 8 << 30, 16 << 30, 32 << 30, 64 << 30)
MODEL_MEMORY = tuple(gigabytes << 30 for gigabytes in (4, 8, 16, 24, 32, 48, 64, 96))
UNLOAD_MINUTES = (0, 5, 15, 30, 60, 240)
Row = tuple[str, str, str, Choice | Number]  # of a setting its name, title and explanation, and its control
DRAFTS = (
    ("Automatic", DraftMode.AUTO),
    ("From the text itself", DraftMode.LOOKUP),
    ("From the draft model", DraftMode.MODEL),
    ("Off", DraftMode.OFF),
)


class SettingsPage(QWidget):
    theme_chosen = Signal(str)

    def __init__(
        self, services: "Services", settings: SettingsDesk, desk: EngineDesk, gpu: GpuDesk, theme: Theme, bridge: Bridge
    ):
        super().__init__()
        self._services = services
        self._settings = settings
        self._desk = desk
        self._reload = self._make_reload()
        self.builds = BuildRow(gpu, settings)
        self.libraries, self.folders = LibrariesRow(settings), FoldersRow(services, settings)
        # a file is written per change: not for every letter
        self._prompt_timer = QTimer(self, interval=PROMPT_MS, singleShot=True)
        self._prompt = self._make_prompt()
        lead = "Everything is kept on this machine, in one file."
        self._column = column = PageColumn("Settings", lead)
        column.rows.addWidget(label("Appearance", "section"))
        column.rows.addWidget(_card([self._theme_field()]))
        column.rows.addWidget(label("Answers", "section"))
        column.rows.addWidget(_card(self._answer_fields()))
        column.rows.addWidget(label("Engine", "section"))
        column.rows.addWidget(self._reload)
        column.rows.addWidget(_card([*self._engine_fields(), self.builds]))
        column.rows.addWidget(label("Loaded models", "section"))
        column.rows.addWidget(_card(self._residency_fields()))
        column.rows.addWidget(label("Prompt cache", "section"))
        column.rows.addWidget(_card([*self._cache_fields(), PromptCacheRow(services.paths.prompt_cache, bridge)]))
        column.rows.addWidget(label("Tools", "section"))
        self.tools = ToolsPanel(services, bridge)
        column.rows.addWidget(_card([self.tools]))
        column.rows.addWidget(label("Hub", "section"))
        column.rows.addWidget(_card([TokenRow(services.tokens, bridge)]))
        column.rows.addWidget(label("Folders", "section"))
        column.rows.addWidget(_card([self._folder_row(), self.libraries, self.folders]))
        column.rows.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(column)

        self._prompt_timer.timeout.connect(self._save_prompt)
        self.theme_chosen.connect(theme.choose)
        self.tools.refused.connect(settings.refused)
        self.builds.picked.connect(self._offer_reload)
        desk.changed.connect(self._hide_reload_once_loading)

    def show_builds(self) -> None:
        self._column.ensureWidgetVisible(self.builds)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._save_prompt()

    def _save(self, name: str, value: Any) -> None:
        self._settings.set(**{name: value})

    def _save_engine(self, name: str, value: Any) -> None:
        if self._settings.set(**{name: value}):
            self._offer_reload()

    def _offer_reload(self) -> None:
        self._reload.setVisible(self._desk.entry is not None)

    def _choose_theme(self, choice: str) -> None:
        self._save("theme", choice)
        self.theme_chosen.emit(choice)

    def _hide_reload_once_loading(self) -> None:
        if self._desk.is_loading or self._desk.entry is None:
            self._reload.hide()

    def _theme_field(self) -> Field:
        control = Choice(THEMES, self._settings.settings.theme)
        control.picked.connect(self._choose_theme)
        return Field("Theme", "Follows the system unless you choose.", control)

    def _answer_fields(self) -> list[QWidget]:
        temperature = Decimal(0.0, 2.0, self._settings.settings.temperature)
        temperature.picked.connect(partial(self._save, "temperature"))
        why = "0 always takes the likeliest word; higher values vary more. Holds from the next answer on."
        return [
            Field("Temperature", why, temperature),
            _stacked(
                "System prompt", "Told to the model before every chat. It costs its length in context.", self._prompt
            ),
        ]

    def _engine_fields(self) -> list[QWidget]:
        settings = self._settings.settings
        rows: list[Row] = [
            (
                "context",
                "Context",
                "Tokens that all chats share. More remembers longer and takes memory in proportion.",
                Number(512, 1_048_576, settings.context, "Automatic", 512),
            ),
            (
                "parallel",
                "Parallel answers",
                "Each more takes a little memory; programs on the port then wait less for each other.",
                Number(1, 64, settings.parallel),
            ),
            (
                "kv_type_k",
                "Key cache",
                "Smaller types save context memory; keys are the more sensitive half.",
                Choice(KV_TYPES, settings.kv_type_k),
            ),
            (
                "kv_type_v",
                "Value cache",
                "Smaller types save context memory, at a small cost in quality. They use flash attention.",
                Choice(KV_TYPES, settings.kv_type_v),
            ),
            (
                "draft",
                "Speculative decoding",
                "Cheap drafts that the model checks: the same answers, sooner. A draft model takes memory.",
                Choice(DRAFTS, settings.draft),
            ),
            (
                "gpu_layers",
                "Layers on the GPU",
                "More is faster, until the GPU's memory is full. Automatic takes what fits.",
                Number(0, 999, settings.gpu_layers, "Automatic"),
            ),
            (
                "threads",
                "Processor threads",
                "More than the machine has cores makes it slower.",
                Number(1, 256, settings.threads, "Automatic"),
            ),
        ]
        return self._fields(rows)

    def _cache_fields(self) -> list[QWidget]:
        settings = self._settings.settings
        return self._fields(
            [
                (
                    "prompt_cache_ram",
                    "Memory for prompts",
                    "Chats that had to leave the context come back at once instead of being read again.",
                    Choice(_sizes(CACHE_RAM, settings.prompt_cache_ram), settings.prompt_cache_ram),
                ),
                (
                    "prompt_cache_disk",
                    "Disk for prompts",
                    "Keeps them over a restart, in a folder that only your account can open.",
                    Choice(_sizes(CACHE_DISK, settings.prompt_cache_disk), settings.prompt_cache_disk),
                ),
            ]
        )

    def _residency_fields(self) -> list[QWidget]:
        """They hold at once: no model need be loaded anew for them."""
        settings = self._settings.settings
        memory = Choice(_limits(MODEL_MEMORY, settings.model_memory), settings.model_memory)
        minutes = Choice(_minutes(UNLOAD_MINUTES, settings.unload_minutes), settings.unload_minutes)
        memory.picked.connect(partial(self._save, "model_memory"))
        minutes.picked.connect(partial(self._save, "unload_minutes"))
        why = "Several models may be loaded; those unused for the longest make room. Automatic takes what is free."
        when = "Gives the memory back. A pinned model stays; any other is loaded again when it is asked."
        return [Field("Memory for models", why, memory), Field("Unload unused models", when, minutes)]

    def _fields(self, rows: list[Row]) -> list[QWidget]:
        for name, _, _, control in rows:
            control.picked.connect(partial(self._save_engine, name))
        return [Field(title, why, control) for _, title, why, control in rows]

    def _make_prompt(self) -> QPlainTextEdit:
        result = QPlainTextEdit(self._settings.settings.system_prompt)
        result.setProperty("kind", "field")
        result.setTabChangesFocus(True)
        result.setFixedHeight(72)
        result.setPlaceholderText("None")
        result.textChanged.connect(self._prompt_timer.start)
        return result

    def _save_prompt(self) -> None:
        self._prompt_timer.stop()
        self._save("system_prompt", self._prompt.toPlainText())

    def _make_reload(self) -> QFrame:
        result = QFrame()
        result.setProperty("kind", "banner-info")
        row = QHBoxLayout(result)
        row.setContentsMargins(16, 8, 8, 8)
        row.addWidget(label("The loaded model still runs with the earlier engine settings.", wraps=True), 1)
        now = button("Reload now")
        now.clicked.connect(self._desk.reload)
        row.addWidget(now)
        result.hide()
        return result

    def _folder_row(self) -> QWidget:
        folder = str(self._services.paths.models)
        result = QWidget()
        row = QHBoxLayout(result)
        row.setContentsMargins(0, 0, 0, 0)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(label("Models", "strong"))
        texts.addWidget(label(folder, "caption", wraps=True))
        row.addLayout(texts, 1)
        row.addWidget(CopyButton(lambda: folder, "Copy models folder"))
        return result


def _sizes(offered: Sequence[int], chosen: int) -> list[tuple[str, int]]:
    """With the one from the settings file, whatever that is."""
    return [(_size(num_bytes), num_bytes) for num_bytes in sorted({*offered, chosen})]


def _limits(offered: Sequence[int], chosen: int | None) -> list[tuple[str, int | None]]:
    sizes = sorted({*offered, chosen} - {None})  # type: ignore[type-var]
    return [("Automatic", None), *((_size(each), each) for each in sizes if each)]


def _minutes(offered: Sequence[int], chosen: int) -> list[tuple[str, int]]:
    return [(_after(minutes), minutes) for minutes in sorted({*offered, chosen})]


def _after(minutes: int) -> str:
    if not minutes:
        return "Never"
    return f"After {minutes} minutes" if minutes < 60 or minutes % 60 else f"After {minutes // 60} h"


def _size(num_bytes: int) -> str:
    if not num_bytes:
        return "Off"
    return f"{num_bytes / (1 << 30):g} GiB" if num_bytes >= 1 << 30 else f"{num_bytes / (1 << 20):.4g} MiB"


def _card(fields: Sequence[QWidget]) -> QFrame:
    card = QFrame()
    card.setProperty("kind", "card")
    layout = QVBoxLayout(card)
    layout.setContentsMargins(24, 16, 24, 16)
    layout.setSpacing(12)
    for number, field in enumerate(fields):
        if number:
            layout.addWidget(rule())
        layout.addWidget(field)
    return card


def _stacked(title: str, explanation: str, control: QWidget) -> QWidget:
    result = QWidget()
    control.setAccessibleName(title)
    layout = QVBoxLayout(result)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    layout.addWidget(label(title, "strong"))
    layout.addWidget(label(explanation, "caption", wraps=True))
    layout.addSpacing(8)
    layout.addWidget(control)
    return result
