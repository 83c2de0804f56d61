"""Parses the command line and hands it to one of the commands in app.cli, the only one that is imported."""

import argparse
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from app.cli.terminal import guard_log, warn
from app.closing import kill_children_at_exit
from app.errors import Cancelled, SlipstreamError, UsageError
from backends.disk_fault import told

COMMANDS = {
    "demo": "the whole road on the bundled model: convert, quantize, load, two answers",
    "cache": "measure or clear the prompts kept on disk",
    "pull": "download a model or a checkpoint into the library",
    "install": "download, convert and quantize into the library",
    "convert": "make a GGUF file of a checkpoint",
    "quantize": "make a GGUF file smaller",
    "search": "find models on the Hub",
    "models": "the library: everything on this disk, its hashes and duplicates",
    "evaluate": "what a quantization costs: perplexity, and the divergence from the file it was made from",
    "bench": "what a model does on this machine: speed, memory, and what each optimization gains, told in words",
    "tune": "find the engine options that suit a model on this machine, and apply them if that is wanted",
    "chat": "talk to a model in this terminal, or have one question from a pipe answered",
    "plan": "what a model takes of this machine before it is loaded, how fast it will be, what else could be chosen",
    "ps": "what is loaded in the Slipstream that runs",
    "load": "have the Slipstream that runs load a model",
    "unload": "have it unload one",
    "jobs": "what it is downloading, converting, quantizing or measuring",
    "keys": "the port's API keys: list, add, revoke",
    "doctor": "what this machine computes with, and what keeps its GPU from being used, each with its cure",
    "builds": "the engine builds: list, make one for the GPU, choose, remove",
    "serve": "open the port (OpenAI, Anthropic, Ollama, llama-server APIs) without a window",
}
WITH_STANDBY = ("window", "serve", "chat")  # their children start before anything is known; `Services` chooses
EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def execute(argv: Sequence[str] | None = None) -> int:
    """The exit code. Raises KeyboardInterrupt while nobody else hears Ctrl+C."""
    kill_children_at_exit()
    multiprocessing.freeze_support()  # a frozen application starts its children through this very function
    arguments = _parsed(sys.argv[1:] if argv is None else list(argv))
    guard_log()
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # from here on a command may have something to put away
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if arguments.command not in WITH_STANDBY:
            _use_engine_build()
        code: int = import_module(f"app.cli.{arguments.command}").run(arguments)
        return code
    except UsageError as error:
        warn(str(error))
        return EXIT_USAGE
    except Cancelled as error:
        warn(str(error))
        return EXIT_INTERRUPTED
    except SlipstreamError as error:
        warn(str(error))
        return EXIT_FAILED
    except BrokenPipeError:  # “slipstream models | head” has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:  # the edge: a disk that fails where nobody expected it
        warn(told(error))
        return EXIT_FAILED


def _parsed(words: list[str]) -> argparse.Namespace:
    """Model files alone are for the window, as a file manager hands them over."""
    is_files = bool(words) and all(word.lower().endswith(".gguf") for word in words)
    arguments = _parser().parse_args([] if is_files else words)
    arguments.files = words if is_files else []
    return arguments


def _use_engine_build() -> None:
    """Before any child starts."""
    from app.paths import Paths

    paths = Paths.from_environment()
    if paths.builds.is_dir():
        from app.builds.builds import Builds
        from app.settings_file import SettingsFile

        wanted = SettingsFile(paths.settings_file).load()[0].engine_build
        Builds(paths.builds, paths.builds_state_file, paths.logs, lambda: wanted).start()


class _Command(argparse.ArgumentParser):
    """One of COMMANDS, whose arguments nobody knows before it is the one that is asked for."""

    def parse_known_args(self, *given: Any, **named: Any) -> Any:
        import_module(f"app.cli.{self.get_default('command')}").add_arguments(self)
        found, left = super().parse_known_args(*given, **named)
        if (words := getattr(found, "question", None)) is not None:  # argparse ends a list of words at an option
            words += [each for each in left if not each.startswith("-")]
            left = [each for each in left if each.startswith("-")]
        return found, left


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"slipstream {version('slipstream')}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="slipstream",
        description="Run language models on your own machine. Without a command, or with GGUF files: the window.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show program's version number and exit")
    parser.set_defaults(command="window")
    commands = parser.add_subparsers(metavar="command", parser_class=_Command)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        command.set_defaults(command=name)
    return parser
