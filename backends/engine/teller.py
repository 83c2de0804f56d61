"""Makes of the steps' news what the application is told. Belongs to one thread, the sender's."""

from collections.abc import Callable, Iterable

from backends.embedding import EmbeddingEvent
from backends.engine.account import Account
from backends.engine.answers import Answers
from backends.engine.news import Again, Begun, Counts, Ended, Lost, News, Stepped, Told
from backends.engine.runner import LoadedModel
from backends.protocol import Event, Output, Outputs


class Teller:
    def __init__(self, model: LoadedModel, on_stop: Callable[[int], None]):
        """on_stop: told the uid of an answer whose stop string was found."""
        self._answers = Answers(model.piece, on_stop)
        self._account = Account(model.devices)

    def events(self, news: News) -> Iterable[Event | EmbeddingEvent]:
        match news:
            case Stepped():
                return self._say(news)
            case Again():
                return self._say(self._answers.whole(news))
            case Begun():
                self._answers.begin(news)
            case Ended():
                return _together(self._answers.end(news))
            case Lost(failed) if failed.uid is not None and self._answers.lose(failed.uid):
                return (failed,)
            case Told(event):
                return (event,)
            case Counts():
                return (self._account.stats(news),)
        return ()

    def _say(self, stepped: Stepped) -> Iterable[Event]:
        self._account.add(stepped)
        return _together(self._answers.say(stepped))


def _together(outputs: tuple[Output, ...]) -> tuple[Event, ...]:
    return (Outputs(outputs),) if outputs else ()
