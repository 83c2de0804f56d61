"""Sizes on the command line: units, off, and refusals."""

import argparse
from pathlib import Path

import pytest

from app.cli.engine_options import add_engine_options, engine_options
from app.errors import UsageError
from backends.protocol import Adapter, EngineOptions, KVLayout

DEFAULTS = EngineOptions(prompt_cache_folder=Path("prompts"))


def parse(*flags: str) -> EngineOptions:
    parser = argparse.ArgumentParser()
    add_engine_options(parser)
    return engine_options(parser.parse_args(flags), DEFAULTS)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1000", 1000), ("512MiB", 512 << 20), ("2GB", 2 * 10**9), ("4G", 4 << 30), ("1.5 kib", 1536)],
)
def test_a_size_has_a_unit_or_is_in_bytes(text: str, size: int) -> None:
    options = parse("--prompt-cache-ram", text, "--prompt-cache-disk", text)
    assert options.prompt_cache_ram == size
    assert options.prompt_cache_disk == (size or None)
    assert options.prompt_cache_folder == DEFAULTS.prompt_cache_folder


@pytest.mark.parametrize("text", ["", "-1", "many", "5XB", "1e9", "99999999T"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="--prompt-cache-ram"):
        parse(f"--prompt-cache-ram={text}")


def test_the_layout_of_the_kv_cache_is_a_flag() -> None:
    assert parse().kv_layout is KVLayout.AUTO
    assert parse("--kv-layout", "streams").kv_layout is KVLayout.STREAMS
    with pytest.raises(SystemExit):
        parse("--kv-layout", "heaps")


def test_the_kv_cache_grows_unless_all_of_it_is_wanted_at_once() -> None:
    assert (parse().kv_grow, parse().kv_idle_seconds) == (True, 300)
    assert parse("--kv-grow", "off").kv_grow is False
    assert parse("--kv-idle", "20").kv_idle_seconds == 20
    with pytest.raises(UsageError, match="--kv-idle must lie between 1 and"):
        parse("--kv-idle", "0")


def test_the_tokens_of_a_step_have_a_range() -> None:
    assert (parse().batch, parse().micro_batch) == (None, None)
    options = parse("--batch-size", "1024", "--ubatch-size", "256")
    assert (options.batch, options.micro_batch) == (1024, 256)
    for flag in ("--batch-size", "--ubatch-size"):
        with pytest.raises(UsageError, match=f"{flag} must lie between 32 and 8192"):
            parse(flag, "16")


def test_how_long_a_prompt_may_hold_answers_up_is_given_in_milliseconds() -> None:
    assert parse().max_interval == DEFAULTS.max_interval == 0.15
    assert parse("--max-interval", "400").max_interval == 0.4
    parser = argparse.ArgumentParser()
    add_engine_options(parser)
    assert "0: always 4 of its steps" in " ".join(parser.format_help().split())
    assert parse("--max-interval", "0").max_interval == 0, "four steps of the answers, whatever they take"
    with pytest.raises(UsageError, match="--max-interval must lie between 0 and 60000"):
        parse("--max-interval", "60001")


def test_without_the_flags_the_defaults_stand() -> None:
    options = parse()
    assert (options.prompt_cache_ram, options.prompt_cache_disk) == (512 << 20, 4 << 30)
    assert parse("--prompt-cache-disk", "0").prompt_cache_disk is None


def test_adapters_have_a_scale_of_one_or_their_own(tmp_path: Path) -> None:
    file = tmp_path / "style:1.gguf"
    file.touch()
    options = parse("--lora", str(file), "--lora", f"{file}:0.5", "--lora", f"{file}:-2")
    assert options.adapters == (Adapter(file), Adapter(file, 0.5), Adapter(file, -2.0))
    assert parse().adapters == ()


@pytest.mark.parametrize("text", ["missing.gguf", "missing.gguf:1", "missing.gguf:loud", "", ":1"])
def test_an_adapter_without_a_file_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--lora takes an adapter's file"):
        parse(f"--lora={text}")


@pytest.mark.parametrize("scale", ["nan", "inf", "101"])
def test_a_scale_out_of_range_is_refused(tmp_path: Path, scale: str) -> None:
    file = tmp_path / "style.gguf"
    file.touch()
    with pytest.raises(UsageError, match="must lie between -100 and 100"):
        parse("--lora", f"{file}:{scale}")
