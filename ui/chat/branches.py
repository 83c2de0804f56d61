"""The branches of the open conversation: what stands beside what is shown, and how a person changes it."""

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from app.conversation import Role
from app.history import FAULTS, History, why
from app.history_tables import Removed
from ui.chat.session import ChatSession

BUSY = "An answer is being written in this chat. Stop it first, then change the chat."


class Branches(QObject):
    """Nothing is changed while an answer is being written there: it belongs to the branch that is shown."""

    removed = Signal(object)  # Removed: to be put back, as long as its reader wants it
    refused = Signal(str)  # a sentence: nothing was changed

    def __init__(self, history: History, session: ChatSession):
        super().__init__(session)
        self._history = history
        self._session = session

    def siblings(self) -> dict[int, tuple[int, ...]]:
        """Of the turns that are shown, those beside which others stand; the oldest first, with itself."""
        if self._session.conversation is None:
            return {}
        try:
            tree = self._history.tree(self._session.conversation)
        except FAULTS:
            return {}  # who reads the chat is told of that already
        beside = {turn.id: tree.siblings(turn.id) for turn in self._session.turns if turn.id in tree}
        return {turn: found for turn, found in beside.items() if len(found) > 1}

    def step(self, turn_id: int, num_places: int) -> int | None:
        """Show the turn that stands so many places on, and its id; None at either end."""
        beside = self.siblings().get(turn_id, ())
        place = beside.index(turn_id) + num_places if beside else -1
        if not 0 <= place < len(beside) or not self._change(lambda: self._history.choose(beside[place]), "switched"):
            return None
        return beside[place]

    def edit(self, turn_id: int, text: str) -> bool:
        """Beside this turn one with the text, which is shown; a question is asked at once. Whether it was taken."""
        turns = self._session.turns
        number = next((place for place, turn in enumerate(turns) if turn.id == turn_id), None)
        if number is None or not text.strip():
            return False
        if turns[number].text == text:
            return True  # as it was: nothing is to be kept
        is_question = turns[number].role is Role.USER
        if is_question and not self._session.can_ask(text, turns[:number]):
            return False
        if not self._change(lambda: self._history.edit(turn_id, text), "changed"):
            return False
        if is_question:
            self._session.answer()
        return True

    def delete(self, turn_id: int) -> None:
        """This turn alone: what followed it follows the one before it."""
        self._remove(lambda: self._history.delete_turn(turn_id))

    def delete_from(self, turn_id: int) -> None:
        """This turn and all that follow it."""
        self._remove(lambda: self._history.delete_turns_from(turn_id))

    def put_back(self, removed: Removed) -> None:
        try:
            self._history.put_back(removed)
        except FAULTS as error:
            self.refused.emit(f"What was deleted could not be put back: {why(error)}.")
            return
        if removed.conversation == self._session.conversation:
            self._session.reload()

    def start_from(self, turn_id: int) -> None:
        """Another conversation with what leads to this turn, and it."""
        try:
            conversation = self._history.branch(turn_id).id
        except FAULTS as error:
            self.refused.emit(f"The new chat could not be saved: {why(error)}.")
            return
        self._session.open(conversation)
        self._session.listed.emit()

    def _remove(self, remove: Callable[[], Removed]) -> None:
        gone: list[Removed] = []
        if self._change(lambda: gone.append(remove()), "deleted"):
            self.removed.emit(gone[0])

    def _change(self, change: Callable[[], object], done: str) -> bool:
        if self._session.is_busy:
            self.refused.emit(BUSY)
            return False
        try:
            change()
        except FAULTS as error:
            self.refused.emit(f"The message could not be {done}: {why(error)}.")
            return False
        self._session.reload()
        return True
