"""Lays out the chat and connects its parts. Each part knows one thing; the session knows the conversation."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app.conversation import Role, Turn
from app.guide import SUGGESTED_QUESTIONS
from app.history import FAULTS, why
from app.history_tables import Removed
from app.inference.crash import CrashReport
from app.library.entry import BASE_MODEL
from app.repetition import Repetition
from backends.bounds import as_name
from ui.chat.branches import Branches
from ui.chat.composer import Composer
from ui.chat.conversation_actions import ConversationActions
from ui.chat.conversation_list import ConversationList
from ui.chat.conversation_model import ConversationModel
from ui.chat.model_picker import ModelPicker
from ui.chat.search_preparing import SearchPreparing
from ui.chat.session import ChatSession
from ui.chat.transcript import COLUMN_WIDTH, Transcript
from ui.chat.welcome import Welcome
from ui.engine_desk import EngineDesk
from ui.guide_desk import GuideDesk
from ui.library.models_model import ModelsModel
from ui.theme import Theme
from ui.widgets.banner import Action, Banner, BannerArea, Tone
from ui.widgets.labels import rule

if TYPE_CHECKING:
    from app.services import Services

UNDO_SECONDS = 8.0
FULL = "a full context"
CIRCLE = "an answer that repeats"
REPEATS = "{}. The answer may never end; small models do that. Stop it, then ask otherwise or raise the temperature."
ROLL, LAST, LARGER = "Drop the oldest messages", "New chat with the last ones", "Larger context…"
DELETED = "The chat was deleted."
HEAD_HEIGHT = 56
MAX_SHOWN = 40  # characters of a name in the empty field


class ChatPage(QWidget):
    plan_wanted = Signal(object)  # ModelEntry: its load was refused

    def __init__(
        self,
        services: "Services",
        desk: EngineDesk,
        models: ModelsModel,
        guide: GuideDesk,
        theme: Theme,
        banners: BannerArea,
    ):
        super().__init__()
        self._services = services
        self._desk = desk
        self._models = models
        self._guide = guide
        self._banners = banners
        self._deleting: int | None = None
        self._crash: Banner | None = None
        self._welcomed: tuple[str, ...] = ()  # what the empty chat shows now
        self.session = ChatSession(services, desk)
        self.branches = Branches(services.history, self.session)
        self.conversations = ConversationModel(services.history, self)
        self._actions = ConversationActions(services.history, self)
        self._preparing = SearchPreparing(services.history, self)
        self.list = ConversationList(self.conversations, theme)
        self.picker = ModelPicker(desk, models, theme)
        self.transcript = Transcript(theme)
        self.welcome = Welcome(theme)
        self.composer = Composer(theme)
        self._lay_out()
        self._connect()
        if self.conversations.problem:
            self._show_problem(self.conversations.problem)
        self._preparing.wake()
        self._refresh()

    def start_new(self) -> None:
        self.session.start_new()
        self.composer.focus()

    def close_down(self) -> None:
        self._finish_delete()
        self._preparing.stop()
        self.session.close()

    def delete(self, conversation: int) -> None:
        """Hidden at once, gone when the way back has closed."""
        self._finish_delete()
        self._deleting = conversation
        self.session.forget(conversation)
        self.conversations.hide(conversation)
        # the action runs after the banner has closed, so closing must not delete by itself
        banner = self._banners.show_banner(Tone.INFO, DELETED, [("Undo", self._undo_delete)])
        banner.close_after(UNDO_SECONDS)
        banner.closed.connect(lambda: QTimer.singleShot(0, self, self._finish_delete))

    def _undo_delete(self) -> None:
        if self._deleting is not None:
            self.conversations.unhide(self._deleting)
            self._deleting = None

    def _finish_delete(self) -> None:
        if self._deleting is None:
            return
        conversation, self._deleting = self._deleting, None
        try:
            self._services.history.delete(conversation)
        except FAULTS as error:
            self._banners.show_banner(Tone.ERROR, f"The chat could not be deleted: {why(error)}.")
        self.conversations.unhide(conversation)

    def _connect(self) -> None:
        session, transcript = self.session, self.transcript
        session.opened.connect(self._show_conversation)
        self.conversations.refused.connect(self._show_problem)
        session.listed.connect(self.conversations.refresh)
        session.listed.connect(lambda: self.list.select(session.conversation))
        session.turn_added.connect(self._add_turn)
        session.turns_removed.connect(transcript.remove_from)
        session.turn_grew.connect(transcript.grow)
        session.turn_ended.connect(transcript.end)
        session.busy_changed.connect(self.composer.set_busy)
        session.busy_changed.connect(self._close_past_banners)
        session.refused.connect(self._show_refusal)
        session.context_filled.connect(self._show_full_context)
        session.repeated.connect(self._show_repetition)
        session.unkept.connect(lambda text: self._banners.show_banner(Tone.WARNING, text))
        session.returned.connect(self.composer.edit.put_back)
        transcript.try_again_clicked.connect(self._try_again)
        session.rerouted.connect(self._show_branch)
        transcript.stepped.connect(self._step)
        transcript.edited.connect(self._edit)
        transcript.deleted.connect(self.branches.delete)
        transcript.tail_deleted.connect(self.branches.delete_from)
        transcript.branched.connect(self.branches.start_from)
        self.branches.removed.connect(self._offer_undo)
        self.branches.refused.connect(lambda text: self._banners.show_banner(Tone.WARNING, text))
        transcript.call_decided.connect(session.decide)
        transcript.stop_clicked.connect(lambda: session.stop())
        session.called.connect(transcript.show_calls)
        session.noted.connect(lambda text: self._banners.show_banner(Tone.INFO, text))
        self.composer.tools.toggled.connect(self._set_tools)
        self.composer.submitted.connect(session.ask)
        self.composer.stop_clicked.connect(lambda: session.stop())
        self.composer.completes_changed.connect(self._set_completes)
        self.composer.refused.connect(lambda text: self._banners.show_banner(Tone.WARNING, text))
        self.list.new_clicked.connect(self.start_new)
        self.list.opened.connect(session.open)
        self.list.deleted.connect(self.delete)
        self.list.left.connect(self.composer.focus)
        self.list.view.pinned.connect(self._actions.pin)
        self.list.view.duplicated.connect(self._actions.duplicate)
        self.list.view.copied.connect(self._actions.copy_markdown)
        self._actions.changed.connect(self.conversations.refresh)
        self._actions.refused.connect(self._show_problem)
        session.running_changed.connect(self.conversations.set_running)
        for news in (session.listed, session.turn_ended, self._actions.changed):
            news.connect(self._preparing.wake)
        welcome = self.welcome  # what was clicked there goes: the person will write next
        for clicked in (welcome.asked, welcome.chosen, welcome.install_clicked, welcome.smollm2_clicked):
            clicked.connect(self.composer.focus)
        welcome.again_clicked.connect(self.composer.focus)
        self.picker.chosen.connect(self._desk.load)
        self.picker.unload_clicked.connect(self._desk.unload)
        self.welcome.chosen.connect(self._desk.load)
        self.welcome.asked.connect(session.ask)
        self.welcome.install_clicked.connect(self._guide.install)
        self.welcome.smollm2_clicked.connect(self._guide.install_smollm2)
        self.welcome.again_clicked.connect(self._guide.try_again)
        self.welcome.cancel_clicked.connect(self._services.jobs.cancel)
        self._desk.changed.connect(self._refresh)
        self._desk.crashed.connect(self._show_crash)
        self._desk.refused.connect(self._show_lost_load)
        self._models.refreshed.connect(self._refresh)
        self._guide.changed.connect(self._refresh)

    def _set_tools(self, is_on: bool) -> None:
        self.session.uses_tools = is_on
        self.composer.focus()

    def _set_completes(self, completes: bool) -> None:
        self.session.completes = completes
        self._refresh()

    def _show_conversation(self) -> None:
        session = self.session
        for topic in (FULL, CIRCLE):
            self._banners.withdraw(topic)
        running = session.turns[-1].id if session.is_busy else None
        self.transcript.show_turns(session.turns, running)
        self._mark_siblings()
        if session.is_busy:
            self.transcript.show_calls(session.turns[-1], session.calls())
        self.list.select(session.conversation)
        self.conversations.mark_read(session.conversation)
        self._refresh()

    def _add_turn(self, turn: Turn) -> None:
        self.transcript.add(turn, is_running=turn.role is Role.ASSISTANT)
        self._mark_siblings()
        self._refresh()

    def _show_branch(self) -> None:
        self.transcript.show_path(self.session.turns)
        self._mark_siblings()
        self._refresh()

    def _mark_siblings(self) -> None:
        self.transcript.set_siblings(self.branches.siblings())

    def _step(self, turn_id: int, num_places: int) -> None:
        """The focus goes with it, to the next step."""
        shown = self.branches.step(turn_id, num_places)
        widget = self.transcript.widget_of(shown) if shown is not None else None
        if widget:
            widget.switcher.focus()

    def _edit(self, turn_id: int, text: str) -> None:
        if not self.branches.edit(turn_id, text):
            return
        if unchanged := self.transcript.widget_of(turn_id):
            unchanged.end_edit()
        self.composer.focus()

    def _offer_undo(self, removed: Removed) -> None:
        count = len(removed.turns)
        text = "The message was deleted." if count == 1 else f"{count:,} messages were deleted."
        undo = partial(self.branches.put_back, removed)
        self._banners.show_banner(Tone.INFO, text, [("Undo", undo)]).close_after(UNDO_SECONDS)

    def _refresh(self) -> None:
        has_turns = bool(self.session.turns)
        self._stack.setCurrentWidget(self.transcript if has_turns else self.welcome)
        is_base, name = self._desk.is_base, as_name(self._desk.name or "", MAX_SHOWN)
        completes = is_base and self.session.completes
        self.composer.set_obstacle(self._obstacle(), f"Write with {name}" if completes else f"Ask {name}")
        self.composer.set_base(is_base)
        self.composer.tools.set_possible(self._desk.takes_tools)
        self.composer.set_note(BASE_MODEL if is_base and has_turns else "")  # an empty chat says it itself
        if not has_turns:
            self._refresh_welcome()

    def _obstacle(self) -> str | None:
        if self._desk.is_ready or self._desk.is_resting:
            return None
        if self._desk.is_loading:
            return f"{as_name(self._desk.name or '', MAX_SHOWN)} is loading…"
        if self._models.offered:
            return "Choose a model first, above"
        return "Install a model first" if self._models.is_known else "Looking for models…"

    def _refresh_welcome(self) -> None:
        """The way to the first answer, as far as it has been gone. Built anew only when something changed."""
        name, entries, job = self._desk.name or "", self._models.offered, self._guide.job
        can_ask = self._desk.is_ready or self._desk.is_resting
        if job and not can_ask:
            self._welcomed = ()
            self.welcome.show_job(job, self._guide.first)
        elif can_ask:
            entry, is_base = self._desk.entry, self._desk.is_base
            completes = is_base and self.session.completes
            questions = SUGGESTED_QUESTIONS if entry and entry.path == self._services.guide_path else ()
            state = ("ready", entry.id if entry else "", name, str(is_base), str(completes))
            ready = partial(self.welcome.show_ready, name, questions, is_base=is_base, completes=completes)
            self._welcome(*state, show=ready)
        elif self._desk.is_loading:
            self._welcome("loading", name, show=lambda: self.welcome.show_loading(name))
        elif entries:
            shown = [f"{entry.id} {entry.full_name}" for entry in entries]
            self._welcome("models", *shown, show=lambda: self.welcome.show_models(entries))
        elif self._models.is_known:
            self._welcome("first", show=lambda: self.welcome.show_first_start(self._guide.num_bytes))

    def _welcome(self, *state: str, show: Callable[[], None]) -> None:
        if state != self._welcomed:
            self._welcomed = state
            show()

    def _try_again(self) -> None:
        self.session.try_again()
        self.composer.focus()

    def _show_refusal(self, text: str) -> None:
        actions = [("Try again", self._try_again)] if self.session.turns else []
        self._banners.show_banner(Tone.WARNING, text, actions)

    def _show_full_context(self, text: str) -> None:
        """With all that helps."""
        self._banners.withdraw(FULL)
        actions: list[Action] = []
        if self.session.turns:
            actions += [(ROLL, self.session.roll), (LAST, self.session.start_with_last)]
        snapshot, entry = self._desk.snapshot, self._desk.entry
        ready = snapshot.ready if snapshot else None
        if entry and ready and ready.context < ready.context_trained:
            actions.append((LARGER, partial(self.plan_wanted.emit, entry)))
        banner = self._banners.show_banner(Tone.WARNING, text, actions, topic=FULL)
        banner.closed.connect(self.composer.focus)

    def _show_repetition(self, found: Repetition) -> None:
        self._banners.withdraw(CIRCLE)
        self._banners.show_banner(Tone.WARNING, REPEATS.format(found), [("Stop", self.session.stop)], topic=CIRCLE)

    def _show_problem(self, text: str) -> None:
        self._banners.show_banner(Tone.ERROR, text)

    def _show_lost_load(self, text: str) -> None:
        """With a look at what could be chosen."""
        entry = self._desk.entry
        actions = [("Plan…", partial(self.plan_wanted.emit, entry))] if entry else []
        self._banners.show_banner(Tone.ERROR, text, actions)

    def _show_crash(self, crash: CrashReport) -> None:
        self._close_crash()
        actions = [("Try again", self._try_again)] if self.session.turns else []
        self._crash = self._banners.show_banner(Tone.ERROR, str(crash), actions, "\n".join(crash.log))
        self._crash.closed.connect(self._forget_crash)

    def _forget_crash(self) -> None:
        self._crash = None

    def _close_past_banners(self, is_busy: bool) -> None:
        self._banners.withdraw(CIRCLE)
        if is_busy:
            self._close_crash()
            self._banners.withdraw(FULL)

    def _close_crash(self) -> None:
        """What it says is over: another answer has begun, or another crash has come."""
        if self._crash:
            self._crash.finish()

    def _lay_out(self) -> None:
        self._stack = QStackedWidget()
        self._stack.addWidget(self.transcript)
        self._stack.addWidget(self.welcome)
        head = QWidget()
        head.setFixedHeight(HEAD_HEIGHT)
        head_row = QHBoxLayout(head)
        head_row.setContentsMargins(16, 0, 16, 0)
        head_row.addWidget(self.picker)
        foot = QWidget()
        foot_row = QHBoxLayout(foot)
        foot_row.setContentsMargins(24, 8, 24, 8)
        foot_row.addStretch(1)
        foot_row.addWidget(self.composer, 1000)
        foot_row.addStretch(1)
        self.composer.setMaximumWidth(COLUMN_WIDTH)
        right = QVBoxLayout()
        right.setSpacing(0)
        right.addWidget(head)
        right.addWidget(rule())
        right.addWidget(self._stack, 1)
        right.addWidget(foot)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.list)
        layout.addWidget(rule(is_vertical=True))
        layout.addLayout(right, 1)
