"""What lines with a stroke before them do: /set, /system, /show, /reset … Most have Ollama's names."""

from collections.abc import Callable
from pathlib import Path

from app.cli.talk.saved import load_chat, save_chat
from app.cli.talk.session import Session
from app.cli.terminal import say, warn
from app.errors import SlipstreamError, UsageError
from app.library.entry import kind_of
from backends.protocol import Ready

HELP = '''\
  /set NAME VALUE   temperature, top_p, top_k, min_p, seed, max_tokens, stop …; VALUE “default” takes it back
  /set verbose      figures after each answer; /set quiet without
  /system TEXT      the system message; without TEXT: none
  /raw TEXT         complete TEXT as it is: no template, no turn of the conversation
  /show             the model, and what is set
  /reset            forget the conversation (also /clear)
  /save FILE        keep the conversation in a file; /load FILE brings it back
  /bye              leave (also Ctrl+D)
  """               begin a message of several lines, and end it; so do a backslash at the end of a line, and Alt+Enter
  Ctrl+C            stop the answer; drop a half-typed line; twice, or at an empty prompt: leave'''
NUM_SHOWN = 400  # characters of a system message


class Orders:
    """`obey` returns whether the chat goes on."""

    def __init__(self, session: Session):
        self._session = session
        self._orders: dict[str, Callable[[str], None]] = {
            "/help": self._help,
            "/?": self._help,
            "/set": self._set,
            "/system": self._system,
            "/show": self._show,
            "/raw": self._raw,
            "/reset": self._reset,
            "/clear": self._reset,
            "/save": self._save,
            "/load": self._load,
        }
        self.words = (*self._orders, "/bye")

    def obey(self, line: str) -> bool:
        """A wrong one is told in a sentence."""
        word, _, rest = line.partition(" ")
        if word in ("/bye", "/exit", "/quit"):
            return False
        order = self._orders.get(word.strip())
        if order is None:
            warn(f"There is no command {word[:40]}. /help lists them; put a space before a message that begins so.")
            return True
        try:
            order(rest.strip())
        except SlipstreamError as error:
            warn(str(error))
        return True

    def _help(self, _rest: str) -> None:
        say(HELP)

    def _set(self, rest: str) -> None:
        name, _, value = rest.removeprefix("parameter ").strip().partition(" ")
        if name in ("verbose", "quiet") and not value:
            self._session.is_verbose = name == "verbose"
            say("From now on figures follow each answer." if name == "verbose" else "From now on no figures follow.")
        elif name == "system":
            self._system(value)
        elif not name or not value.strip():
            raise UsageError("Say /set NAME VALUE, as in “/set temperature 0.2”. /show lists what is set.")
        else:
            self._session.choices.set_text(name, value.strip())
            say(f"{name}: {self._session.choices.given.get(name, 'default')}")

    def _system(self, rest: str) -> None:
        is_quoted = len(rest) > 1 and rest[0] == rest[-1] == '"'
        self._session.system = rest[1:-1] if is_quoted else rest
        say("The system message is set; it holds from the next question on." if rest else "There is no system message.")

    def _raw(self, rest: str) -> None:
        if not rest:
            raise UsageError("Say which text to complete, as in “/raw Once upon a time”.")
        self._session.tell(self._session.complete(rest))

    def _show(self, _rest: str) -> None:
        session = self._session
        for title, text in _facts(session.ready(), session.name):
            say(f"  {title:<14}{text}")
        given = ", ".join(f"{name} {value}" for name, value in session.choices.given.items())
        say(f"  {'set':<14}{given or 'nothing, so the defaults hold'}")
        say(f"  {'system':<14}{session.system[:NUM_SHOWN] or 'none'}")
        say(f"  {'conversation':<14}{len(session.messages)} messages")

    def _reset(self, _rest: str) -> None:
        self._session.messages = []
        say("The conversation is forgotten.")

    def _save(self, rest: str) -> None:
        save_chat(_file(rest), self._session.system, self._session.messages)
        say(f"{len(self._session.messages)} messages are saved.")

    def _load(self, rest: str) -> None:
        self._session.system, self._session.messages = load_chat(_file(rest))
        say(f"{len(self._session.messages)} messages are back.")


def _file(rest: str) -> Path:
    if not rest:
        raise UsageError("Say which file, as in “/save chat.json”.")
    return Path(rest).expanduser()


def _facts(ready: Ready, name: str) -> list[tuple[str, str]]:
    size = f"{ready.num_parameters / 1e6:,.0f} million parameters, {ready.model_bytes / 1e6:,.1f} MB"
    facts = [
        ("model", name),
        ("architecture", f"{ready.architecture}, {size}"),
        ("context", f"{ready.context:,} tokens, trained with {ready.context_trained:,}"),
        ("runs on", f"{ready.device}, {ready.gpu_layers} of {ready.num_layers} layers on the GPU"),
        ("KV cache", f"{ready.kv_type_k}/{ready.kv_type_v}"),
        ("drafts", ready.draft),
    ]
    return [*facts, ("", kind)] if (kind := kind_of(ready)) else facts
