"""What `--help` says: of each argument what it does, and what holds where it is not given."""

import argparse
import re
from collections.abc import Iterator
from importlib import import_module

import pytest

from app.cli.engine_options import add_engine_options
from app.command_line import COMMANDS, _parser
from backends.protocol import EngineOptions

ENGINE = EngineOptions()
ENGINE_DEFAULTS = {
    "--parallel": f"({ENGINE.parallel})",
    "--kv-type-k": f"({ENGINE.kv_type_k.value})",
    "--kv-type-v": f"({ENGINE.kv_type_v.value})",
    "--kv-layout": f"({ENGINE.kv_layout.value})",
    "--kv-grow": "(on)" if ENGINE.kv_grow else "(off)",
    "--kv-idle": f"({ENGINE.kv_idle_seconds:.0f})",
    "--flash-attn": f"({ENGINE.flash_attention.value})",
    "--draft": f"({ENGINE.draft.value})",
    "--max-interval": f"({1000 * ENGINE.max_interval:.0f})",
    "--prompt-cache-ram": f"({ENGINE.prompt_cache_ram >> 20}MiB)",
    "--prompt-cache-disk": f"({(ENGINE.prompt_cache_disk or 0) >> 30}GiB)",
}


NAMES_A_JOB = "--cancel"  # a number that nothing could stand in for


def arguments_of(command: str) -> Iterator[argparse.Action]:
    (commands,) = (each for each in _parser()._actions if isinstance(each, argparse._SubParsersAction))
    parser = commands.choices[command]
    import_module(f"app.cli.{command}").add_arguments(parser)
    return (action for action in parser._actions if not isinstance(action, argparse._HelpAction))


@pytest.mark.parametrize("command", COMMANDS)
def test_each_argument_is_explained(command: str) -> None:
    silent = [action.option_strings or action.dest for action in arguments_of(command) if not action.help]
    assert not silent


@pytest.mark.parametrize("command", COMMANDS)
def test_what_holds_without_an_argument_is_named(command: str) -> None:
    for action in arguments_of(command):
        told = f"{action.option_strings}: {action.help}"
        if action.default not in (None, [], False, argparse.SUPPRESS):
            assert re.search(rf"\([^)]*\b{re.escape(str(action.default))}\b", action.help or ""), told
        if action.type in (int, float) and NAMES_A_JOB not in action.option_strings:
            assert re.search(r"\(.+\)$", action.help or ""), told


def test_the_engine_options_name_what_the_engine_takes_without_them() -> None:
    parser = argparse.ArgumentParser()
    add_engine_options(parser)
    helps = {flag: action.help or "" for action in parser._actions for flag in action.option_strings}
    for flag, default in ENGINE_DEFAULTS.items():
        assert default in helps[flag], flag
