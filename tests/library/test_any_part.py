"""Any part of a model in several files stands for all of it, wherever a model is named; what is missing is named."""

import re
from pathlib import Path

import pytest

from app.cli.engine_options import add_engine_options, engine_options
from app.cli.quantize import _source
from app.errors import ModelFileError
from app.inference.supervisor import Supervisor
from app.jobs.bring_in import BringIn
from app.jobs.queue import JobQueue
from app.library.entry import file_entry
from app.paths import Paths
from backends.protocol import EngineOptions
from tests.inference.conftest import SECONDS
from tests.library import foreign
from tests.library.conftest import Stage
from tests.library.real_split import split


def test_part_two_of_a_real_model_loads_it(stage: Stage, smollm2: Path, tmp_path: Path) -> None:
    first, second = split(smollm2, stage.home / "outside", "SmolLM2")
    entry = stage.library.find(str(second))
    assert (entry.path, entry.parts, entry.problem) == (first, (second,), None)
    assert entry.parameters == file_entry("whole", smollm2).parameters
    supervisor = Supervisor(tmp_path / "logs")
    try:
        ready = supervisor.load("m", entry.path, EngineOptions(context=256)).wait_ready(SECONDS)
        assert ready.num_parameters == entry.parameters
    finally:
        supervisor.close()


def test_it_is_found_by_each_of_its_names(stage: Stage) -> None:
    paths = foreign.parts(stage.home / "f", "big", 3)
    stage.folders.append(str(stage.home / "f"))
    for path in paths:
        assert stage.library.find(str(path)).path == paths[0]
        assert stage.library.find(path.name).path == paths[0]


def test_what_is_missing_is_named_whichever_part_is_asked_for(stage: Stage) -> None:
    paths = foreign.parts(stage.home / "f", "big", 4)
    for path in paths[:1]:
        path.unlink()
    with pytest.raises(ModelFileError, match=r"^big-00001-of-00004\.gguf is missing: it is a part of this model"):
        stage.library.find(str(paths[1]))
    stage.folders.append(str(stage.home / "f"))
    assert "big-00001-of-00004.gguf is missing" in str(stage.library.find(paths[2].name).problem)


def test_parts_under_other_names_are_told_their_own(stage: Stage) -> None:
    first, second = foreign.parts(stage.home / "f", "big", 2)
    first.rename(first.with_name("left.gguf"))
    second.rename(second.with_name("right.gguf"))
    stage.folders.append(str(stage.home / "f"))
    problems = {entry.id: str(entry.problem) for entry in stage.library.models()}
    assert "left.gguf is part 1 of 2 of a model" in problems["left"]
    assert "this one NAME-00002-of-00002.gguf" in problems["right"]


def test_commands_take_any_part(tmp_path: Path) -> None:
    import argparse

    first, second = foreign.parts(tmp_path / "f", "big", 2)
    assert _source(str(second), Paths.below(tmp_path / "home"), has_place=True) == first
    parser = argparse.ArgumentParser()
    add_engine_options(parser)
    options = engine_options(parser.parse_args(["--draft", str(second)]), EngineOptions())
    assert options.draft_model == first


def test_part_two_dropped_brings_in_the_set(stage: Stage) -> None:
    first, second = foreign.parts(stage.home / "in", "big", 2)
    queue = JobQueue()
    try:
        handle = queue.add(BringIn(stage.library.store, (second,)))
        handle.wait()
        (entry,) = handle.result
    finally:
        queue.close()
    assert [path.name for path in (entry.path, *entry.parts)] == [first.name, second.name]


@pytest.mark.parametrize("wrong", ["Big-00002-of-00002.gguf", "big-00002-OF-00002.gguf", "big-00002-of-00002.GGUF"])
def test_a_part_that_is_spelled_otherwise_is_told_its_name(stage: Stage, wrong: str) -> None:
    """llama.cpp makes the others' names from the first one's, letter for letter."""
    first, second = foreign.parts(stage.home / "f", "big", 2)
    other = second.rename(second.with_name(wrong))
    stage.folders.append(str(stage.home / "f"))
    (entry,) = stage.library.models()
    sentence = f"{wrong} lies here and is not named as part 2 of 2; rename it to {second.name}."
    assert (entry.problem, entry.is_offered) == (sentence, False)
    for path in (first, other):
        assert stage.library.find(str(path)).problem == sentence
    stage.folders.clear()
    with pytest.raises(ModelFileError, match=re.escape(sentence)):
        stage.library.find(str(first))
    other.rename(second)
    assert stage.library.find(str(first)).problem is None


def test_sets_whose_names_differ_by_case_alone_are_two(stage: Stage) -> None:
    foreign.parts(stage.home / "f", "big", 2)
    foreign.parts(stage.home / "f", "Big", 2)
    stage.folders.append(str(stage.home / "f"))
    assert [entry.problem for entry in stage.library.models()] == [None, None]


def test_a_part_of_another_model_is_told(stage: Stage, smollm2: Path) -> None:
    first, second = split(smollm2, stage.home / "f", "SmolLM2")
    other = foreign.parts(stage.home / "other", "SmolLM2", 2)[1]
    other.replace(second)
    sentence = f"{second.name} holds weights that {first.name} has, so it is of another set."
    with pytest.raises(ModelFileError, match=re.escape(sentence)):
        file_entry("x", first)
