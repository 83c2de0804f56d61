"""`slipstream chat`: talk to a model in a terminal, or have one question from a pipe answered."""

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from app.cli.engine_options import add_engine_options, engine_options
from app.cli.model_name import find_model
from app.cli.terminal import say, say_json, stream, warn
from app.errors import Cancelled, EngineError, ModelFileError, UnknownModelError, UsageError
from app.library.entry import BASE_MODEL, EMBEDDER_MEANS
from app.library.own_models import SMOLLM2_SIZE
from backends.protocol import EngineOptions, Finish, SamplingParams

if TYPE_CHECKING:
    from pathlib import Path

    from app.cli.talk.choices import Choices
    from app.cli.talk.interrupts import Interrupts
    from app.cli.talk.session import Session
    from app.inference.standby import Standby
    from app.library.entry import ModelEntry
    from app.services import Services

MAX_PIPED = 64 << 20  # bytes of a question from a pipe
NUM_NAMED = 12
FLAGS: dict[str, tuple[type, str]] = {
    "temperature": (float, "0 takes the likeliest token each time (that of the settings)"),
    "top_p": (float, "draw from the likeliest tokens that reach this share together ({top_p}; 1: from all)"),
    "top_k": (int, "draw from so many of the likeliest tokens ({top_k}; 0: from all)"),
    "min_p": (float, "draw from tokens at least so likely, as a share of the likeliest one ({min_p}; 0: from all)"),
    "seed": (int, "the same seed, the same answer (another each time)"),
    "max_tokens": (int, "end an answer after so many tokens (none: it ends by itself, or with the context)"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="?", metavar="M", help="a model's id or a GGUF file (the only one there is)")
    parser.add_argument(
        "question", nargs="*", metavar="QUESTION", help="one question, answered on stdout; or pipe it in"
    )
    parser.add_argument("--system", metavar="TEXT", help="the system message (that of the settings)")
    defaults = asdict(SamplingParams())
    for name, (kind, text) in FLAGS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help=text.format(**defaults))
    parser.add_argument("--stop", action="append", metavar="TEXT", help="ends an answer; may be repeated")
    parser.add_argument(
        "--raw", action="store_true", help="complete the text as it is: no chat template, no system message, no turns"
    )
    parser.add_argument("--verbose", action="store_true", help="tokens per second and more after each answer")
    parser.add_argument("--no-history", action="store_true", help="do not keep what is typed for the next time")
    parser.add_argument("--json", action="store_true", help="the answer to one question as one JSON object")
    add_engine_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Raises SlipstreamError."""
    from app.cli.talk.interrupts import Interrupts
    from app.inference.standby import Standby

    engine_options(arguments, EngineOptions())  # a wrong flag is told before anything starts
    interrupts, is_one = Interrupts(), bool(arguments.question) or not _is_typed()
    if arguments.raw and arguments.system is not None:
        raise UsageError("--raw completes a text as it is, without a system message: leave --system out.")
    if arguments.json and not is_one:
        raise UsageError("--json is for one question: write it after the model's name, or pipe it in.")
    question = _question(arguments.question, interrupts) if is_one else ""
    standby = Standby()
    try:
        return _chat(arguments, interrupts, question if is_one else None, standby)
    finally:
        standby.close()


def _chat(arguments: argparse.Namespace, interrupts: "Interrupts", question: str | None, standby: "Standby") -> int:
    """question: None for a conversation."""
    from app.cli.talk.session import Session
    from app.paths import Paths
    from app.services import Services

    services = Services(Paths.from_environment(), standby)
    try:
        choices, system = _choices(arguments, services)
        entry = _model(arguments.model, services)
        name = services.directory.free_name(entry)
        services.supervisor.load(name, entry.path, engine_options(arguments, services.options_for(entry)))
        session = Session(services.supervisor, name, interrupts, choices, system)
        session.is_verbose, session.is_raw = arguments.verbose, arguments.raw
        ready = session.ready()
        for note in (*services.take_notices(), *ready.notes):
            warn(note)
        if ready.is_base and not session.is_raw:
            warn(f"{BASE_MODEL} A chat with it is a plain dialogue; --raw completes your text.")
        if question is not None:
            return _answer_one(session, question, is_json=arguments.json)
        return converse(session, None if arguments.no_history else services.paths.chat_history)
    finally:
        services.close()


def _choices(arguments: argparse.Namespace, services: "Services") -> tuple["Choices", str]:
    """And the system message. Raises UsageError for a number out of range."""
    from app.cli.talk.choices import Choices

    choices = Choices(services.settings.temperature)
    for name in (*FLAGS, "stop"):
        if (value := getattr(arguments, name)) is not None:
            choices.set(name, value)
    return choices, services.settings.system_prompt if arguments.system is None else arguments.system


def _model(name: str | None, services: "Services") -> "ModelEntry":
    """Raises UnknownModelError or ModelFileError."""
    if name is not None:
        entry = find_model(name, services)
        if entry.is_embedder:
            raise ModelFileError(f"{entry.id} {EMBEDDER_MEANS}. Choose another model to talk to.")
        return entry
    entries = [entry for entry in services.library.models() if entry.can_chat]
    if len(entries) == 1:
        return entries[0]
    if not entries:
        raise UnknownModelError(
            f"There is no model here yet. “slipstream install smollm2” brings a small one ({SMOLLM2_SIZE}), "
            "“slipstream install guide” the one that comes with Slipstream."
        )
    names = ", ".join(entry.id for entry in entries[:NUM_NAMED])
    raise UnknownModelError(f"Say which model: {names}{' …' if len(entries) > NUM_NAMED else ''}.")


def _is_typed() -> bool:
    """Whether a person sits before stdin, which may be closed altogether."""
    return sys.stdin is not None and sys.stdin.isatty()


def _question(words: list[str], interrupts: "Interrupts") -> str:
    """What is piped in comes first, then the words of the command line. Raises UsageError or Cancelled."""
    piped = b""
    if sys.stdin is not None and not _is_typed():
        try:
            with interrupts.reading():
                piped = sys.stdin.buffer.read(MAX_PIPED + 1)
        except KeyboardInterrupt:
            raise Cancelled("Stopped.") from None
    if len(piped) > MAX_PIPED:
        raise UsageError(f"A question may have at most {MAX_PIPED >> 20} MiB. Pipe in less.")
    parts = (piped.decode("utf-8", "replace").strip("\r\n"), " ".join(words))
    question = "\n\n".join(part for part in parts if part.strip())
    if not question:
        raise UsageError("There is no question: stdin is empty. Pipe one in, or write it after the model's name.")
    return question


def _answer_one(session: "Session", question: str, *, is_json: bool) -> int:
    """Raises EngineError or Cancelled, after what had come until then."""
    from app.cli.demo import timings_json
    from app.cli.talk.answer import told, told_of_limit

    say_on = session.complete if session.is_raw else session.ask
    said = say_on(question, is_shown=not is_json)
    if not is_json and said.text and not said.text.endswith("\n"):
        stream("\n")
    if is_json and (said.text or not said.problem) and said.finish is not Finish.ABORT:
        timings: dict[str, Any] | None = timings_json(said.timings) if said.timings else None
        say_json({"model": session.name, "text": said.text, "finish": said.finish, "timings": timings})
    if said.problem:
        raise EngineError(said.problem)
    if said.finish is Finish.ABORT:
        raise Cancelled("Stopped.")
    if is_json:
        return 0
    if said.finish is Finish.LENGTH:
        warn(told_of_limit(said, session.ready().context))
    if session.is_verbose and said.timings:
        warn(told(said.timings))
    return 0


def converse(session: "Session", history: "Path | None") -> int:
    """Until the person leaves. history: the file of what was typed."""
    from app.cli.talk.entry import Dropped, TooLong, read_entry
    from app.cli.talk.keyboard import Keyboard
    from app.cli.talk.orders import Orders
    from app.cli.talk.session import loop

    orders = Orders(session)
    keyboard = Keyboard(history, orders.words)

    def read_line(mark: str) -> str:
        with session.interrupts.reading():
            return keyboard.read(mark)

    def read() -> str | None:
        while True:
            try:
                return read_entry(read_line)
            except TooLong:
                warn("That message is too long to be one. Nothing of it was sent.")
            except Dropped:
                stream("\n")
                if session.interrupts.leave.is_set():
                    return None
            except (EOFError, KeyboardInterrupt):
                stream("\n")
                return None

    say(f"{session.name} is loaded. /help lists the commands, /bye leaves.")
    loop(session, read, orders.obey)
    return 0
