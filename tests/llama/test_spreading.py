"""A planned placement reaches llama.cpp: the tensors that are named stay in RAM, and a plan's rows are a batch's."""

import re
from pathlib import Path

import pytest

from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from backends.llama.placement import place
from backends.llama.spreading import pattern
from backends.protocol import EngineOptions, Keep, Placement


@pytest.mark.parametrize(
    ("keeps", "named", "others"),
    [
        (
            Keep.EXPERTS,
            ["blk.2.ffn_up_exps.weight", "blk.4.ffn_gate_up_exps.weight"],
            [
                "blk.1.ffn_up_exps.weight",
                "blk.5.ffn_up_exps.weight",
                "blk.2.ffn_up.weight",
                "blk.24.ffn_up_exps.weight",
            ],
        ),
        (
            Keep.FEED_FORWARD,
            ["blk.2.ffn_up.weight", "blk.3.ffn_down_exps.weight", "blk.4.ffn_gate_shexp.weight"],
            ["blk.2.ffn_norm.weight", "blk.2.attn_q.weight", "blk.2.ffn_gate_inp.weight", "output.weight"],
        ),
    ],
)
def test_the_pattern_names_what_stays_and_nothing_else(keeps: Keep, named: list[str], others: list[str]) -> None:
    found = pattern(Placement(10, keeps=keeps, kept=3, first=2))
    assert found
    assert [name for name in named + others if re.search(found, name)] == named


def test_nothing_is_named_where_nothing_stays() -> None:
    assert pattern(Placement(10)) is None
    assert pattern(Placement(10, keeps=Keep.EXPERTS)) is None


def test_a_plan_goes_before_the_engines_own_choice_and_a_person_before_both() -> None:
    planned = Placement(7, keeps=Keep.EXPERTS, kept=2, note="so it is")
    chosen = place(1 << 30, EngineOptions(placement=planned), ())
    assert (chosen.attempts, chosen.note, chosen.planned) == ((7, 0), "so it is", planned)
    assert place(1 << 30, EngineOptions(placement=planned, gpu_layers=3), ()).attempts == (3,)
    assert place(1 << 30, EngineOptions(placement=Placement(0)), ()).attempts == (0,)


def test_a_model_loads_with_overrides_and_rows_of_its_plan(tiny: Path) -> None:
    native.start()
    planned = Placement(0, split=(1, 1), keeps=Keep.FEED_FORWARD, kept=1, rows=64)
    with NativeModel(tiny, placement=planned) as model:
        params = ContextParams(256, 1, batch_tokens=128, threads=1, rows=planned.rows)
        with NativeContext(model, params) as context:
            context.batch.put(0, [5] * 100, 0, 0)
            assert context.decode(100) == 0
