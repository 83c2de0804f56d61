"""Rows of 576 and 1536, as SmolLM2 has them: whatever type is asked for, what the dry run says is what is written."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.errors import ConversionError
from app.jobs.child import run_in_child
from app.jobs.convert import plan_quantization
from backends.formats.quantizations import QUANTIZATIONS, TENSOR_NUMBERS
from backends.formats.recipe import Recipe
from tests.convert import sources
from tests.real.cut import cut_model

PREDICTION_BYTES = 64
NEED_DATA = ("IQ2_XXS", "IQ2_XS", "IQ1_S")


@pytest.fixture(scope="module")
def tied(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut_model(smollm2, tmp_path_factory.mktemp("tied") / "tied-F16.gguf")


@pytest.fixture(scope="module")
def untied(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut_model(smollm2, tmp_path_factory.mktemp("untied") / "untied-F16.gguf", is_tied=False)


def recipes() -> list[Recipe]:
    """Every type that is offered, for the file and for each of the tensors that can have their own."""
    found = [Recipe(type_, is_pure=is_pure) for type_ in QUANTIZATIONS for is_pure in (False, True)]
    found += [Recipe("Q8_0", embedding_type=type_) for type_ in TENSOR_NUMBERS]
    found += [Recipe("F16", embedding_type=type_) for type_ in TENSOR_NUMBERS]
    found += [Recipe("Q4_K_M", output_type=type_) for type_ in TENSOR_NUMBERS]
    found += [Recipe("Q8_0", overrides=(("token_embd|ffn_down", type_),)) for type_ in TENSOR_NUMBERS]
    return found


def test_every_type_is_planned_and_a_sample_written_as_planned(untied: Path, tmp_path: Path) -> None:
    check(untied, recipes(), tmp_path, step=7)


@pytest.mark.real
@pytest.mark.parametrize("model", ["tied", "untied"])
def test_every_type_is_written_as_planned(model: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    check(request.getfixturevalue(model), recipes(), tmp_path)


@pytest.mark.real
def test_the_whole_model_is_written_as_planned(smollm2: Path, tmp_path: Path) -> None:
    """From its Q4_1 file, and with embeddings of their own."""
    embeddings = [Recipe("Q8_0", embedding_type=type_) for type_ in ("IQ4_XS", "Q6_K", "Q2_K", "F16")]
    outputs = [Recipe("Q8_0", output_type=type_) for type_ in ("IQ4_XS", "Q6_K", "Q2_K", "F16")]
    plain = [Recipe(type_) for type_ in ("Q4_K_M", "Q2_K", "IQ4_XS", "TQ2_0", "F16", "COPY")]
    check(smollm2, [replace(recipe, allow_requantize=True) for recipe in plain + embeddings + outputs], tmp_path)


def check(source: Path, wanted: list[Recipe], folder: Path, step: int = 1) -> None:
    """That all are planned, and each `step`-th is written just so."""
    results = asked(source, wanted, folder, step)
    assert len(results) == len(wanted)
    for recipe, (plan, made) in zip(wanted, results, strict=True):
        if isinstance(plan, str):
            assert made in (plan, None), recipe  # the same sentence, and before any work
            assert "no type" in plan or "importance data" in plan, plan
        elif isinstance(made, str):
            assert plan.needs_imatrix, (recipe, made)
        elif made:
            assert abs(plan.bytes - made[0]) <= PREDICTION_BYTES, recipe
            assert {share.type: share.num_tensors for share in plan.tensors} == made[1], recipe


def asked(source: Path, wanted: list[Recipe], folder: Path, step: int = 1) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = run_in_child(
        "tests.convert.quantizing:each",
        log_path=folder / "log",
        source=source,
        folder=folder,
        recipes=wanted,
        step=step,
    )
    return found


def test_embeddings_and_output_fall_back_as_all_tensors_do(untied: Path, tmp_path: Path) -> None:
    becomes = {"IQ4_XS": "IQ4_NL", "Q6_K": "Q8_0", "Q4_K": "Q5_0", "TQ1_0": "Q4_0", "Q2_0": "Q2_0", "Q5_1": "Q5_1"}
    wanted = [Recipe("F16", embedding_type=type_, output_type=type_) for type_ in becomes]
    for (type_, instead), (plan, made) in zip(becomes.items(), asked(untied, wanted, tmp_path), strict=True):
        assert made[1][instead] == 2
        said = [
            f"{name} becomes {instead}: its rows of 576 do not divide by the 256 of {type_}."
            for name in ("token_embd.weight", "output.weight")
        ]
        assert plan.fallbacks == (tuple(said) if instead != type_ else ())


def test_embeddings_that_would_end_the_process_are_refused_in_the_dry_run(tmp_path: Path) -> None:
    source = sources.write_llama(tmp_path)  # rows of 256, which these types can hold
    for type_ in NEED_DATA:
        wanted = {
            "token_embd.weight": Recipe("Q8_0", embedding_type=type_),
            "output.weight": Recipe("Q8_0", output_type=type_),
            "token_embd.weight ": Recipe("Q8_0", overrides=(("token_embd", type_),)),
        }
        for name, (plan, made) in zip(wanted, asked(source, list(wanted.values()), tmp_path), strict=True):
            assert plan == made
            assert plan.startswith(f"'{name.strip()}' cannot become {type_}: that takes importance data of this very")
            assert plan.endswith("Choose another type for it, for example Q4_K.")


def test_a_type_without_a_stand_in_is_refused_in_a_sentence(tied: Path, tmp_path: Path) -> None:
    for options in ({"type": "Q1_0"}, {"type": "Q8_0", "embedding_type": "Q1_0"}):
        with pytest.raises(ConversionError, match="rows that do not divide by the 128 weights of a block of Q1_0, and"):
            plan_quantization(tied, logs=tmp_path, **options)


def test_a_choice_that_changes_nothing_is_told(tied: Path, tmp_path: Path) -> None:
    plan = plan_quantization(tied, "Q8_0", output_type="Q5_0", is_pure=True, logs=tmp_path)
    assert plan.warnings == (
        "The output type was not used: tied-F16.gguf has no output tensor of its own, its token embeddings serve for "
        "it. Give them a type instead.",
    )
    assert plan_quantization(tied, "Q8_0", output_type="Q5_0", logs=tmp_path).warnings == ()
    with pytest.raises(ConversionError, match="F16 gives all tensors the same type, so rules for single ones do no"):
        plan_quantization(tied, "F16", overrides=(("ffn_down", "Q8_0"),), logs=tmp_path)
