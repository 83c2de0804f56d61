"""Who loads, who waits and who leaves, by a clock that is moved by hand."""

from hypothesis import given, settings
from hypothesis import strategies as st

from app.residency.pace import Pace
from app.residency.room import RAM, Bytes
from app.residency.roster import Resident, Stage
from tests.residency.world import World


def world(limit: int = 3, **costs: int) -> World:
    return World({name: {RAM: cost} for name, cost in costs.items()}, {RAM: limit})


def load(here: World, *names: str, keep: bool = False) -> list[Resident]:
    """One after the other, each used once; keep: its user stays."""
    result = []
    for name in names:
        resident = here.want(name)
        assert resident
        here.pass_by(2.0)
        assert resident.stage is Stage.READY
        if not keep:
            here.done(resident)
        result.append(resident)
    return result


def test_the_one_that_nobody_has_used_for_the_longest_leaves() -> None:
    here = world(a=1, b=1, c=1, d=1)
    a, *_ = load(here, "a", "b", "c")
    here.want("a")
    here.pass_by(1.0)
    here.done(a)
    here.pass_by(2.0)
    here.want("d")
    here.pass_by(3.0)
    assert here.inside() == ["a", "c", "d"]


def test_only_those_leave_without_whom_there_is_no_room() -> None:
    here = world(limit=10, small=1, large=6, other=3, new=6)
    load(here, "small", "large", "other")
    here.pass_by(2.0)
    here.want("new")
    here.pass_by(2.0)
    assert here.inside() == ["small", "other", "new"]


def test_one_that_has_just_been_loaded_has_its_time_though_nobody_has_asked_it_yet() -> None:
    here = world(limit=1, a=1, b=1)
    here.load = 5.0
    a = here.want("a", is_person=True)
    assert a
    here.done(a)
    here.pass_by(2.0)
    here.want("b")
    here.pass_by(5.0)
    assert here.inside() == ["a"]
    here.pass_by(4.0)
    assert here.inside() == ["b"]


def test_who_waits_is_told_of_those_that_can_make_room() -> None:
    here = world(limit=3, pinned=1, coming=2, b=2)
    (pinned,) = load(here, "pinned", keep=True)
    pinned.is_pinned = True
    here.load = 60.0
    here.done(here.want("coming", is_person=True) or pinned)
    b = here.want("b")
    assert b
    assert b.waits == "Waits for memory while “coming” is being loaded."


def test_memory_counts_until_the_process_is_gone() -> None:
    here = world(limit=1, a=1, b=1)
    load(here, "a")
    here.pass_by(2.0)
    b = here.want("b")
    assert b
    assert b.stage is Stage.WAITING
    assert b.waits == "Waits for the memory of “a”."
    here.pass_by(0.3)
    assert b.stage is Stage.LOADING


def test_a_busy_model_is_never_ended_and_takes_no_more_requests_in_the_end() -> None:
    here = world(limit=1, a=1, b=1)
    (a,) = load(here, "a", keep=True)
    b = here.want("b")
    assert b
    here.pass_by(1.0)
    assert here.want("a") is a, "its time is not over yet"
    here.done(a)
    here.pass_by(10.0)
    assert here.want("a") is None, "it makes room"
    assert b.waits == "Waits for memory until “a” is done."
    here.done(a)
    here.pass_by(0.5)
    assert b.stage is Stage.LOADING


def test_one_that_was_to_leave_stays_when_nobody_waits_any_more() -> None:
    here = world(limit=1, a=1, b=1)
    (a,) = load(here, "a", keep=True)
    b = here.want("b")
    assert b
    here.pass_by(10.0)
    assert a.is_drained
    here.done(b)
    here.pass_by(10.0)
    assert not a.is_drained
    assert [each.refusal for each in here.refused] == ["Nobody waited for it any more."]


def test_a_program_is_refused_when_it_has_waited_long_enough() -> None:
    here = world(limit=1, a=1, b=1)
    load(here, "a", keep=True)
    b = here.want("b")
    assert b
    here.pass_by(Pace().wait + 1.0)
    assert here.inside() == ["a"]
    assert b.refusal == "Waits for memory until “a” is done. It has waited for 120 s."


def test_a_person_goes_ahead_of_programs() -> None:
    here = world(limit=1, a=1, b=1, c=1)
    (a,) = load(here, "a", keep=True)
    program = here.want("b")
    here.pass_by(1.0)
    person = here.want("c", is_person=True)
    here.pass_by(10.0)
    here.done(a)
    here.pass_by(0.5)
    assert person
    assert program
    assert (person.stage, program.stage) == (Stage.LOADING, Stage.WAITING)


def test_a_person_waits_as_long_as_it_takes() -> None:
    here = world(limit=1, a=1, b=1)
    (a,) = load(here, "a", keep=True)
    person = here.want("b", is_person=True)
    here.pass_by(Pace().wait + 10.0)
    here.done(a)
    here.pass_by(0.5)
    assert person
    assert person.stage is Stage.LOADING


def test_what_never_fits_is_refused_to_programs_and_tried_for_persons() -> None:
    here = world(limit=3, large=4, a=1)
    load(here, "a")
    here.want("large")
    assert here.refused[0].refusal == "It needs 0 MB of RAM, and models may have 0 MB."
    here.pass_by(2.0)
    here.want("large", is_person=True)
    here.pass_by(2.0)
    assert here.inside() == ["large"], "alone"


def test_a_pinned_model_stays() -> None:
    here = world(limit=1_000_000_000, a=900_000_000, b=200_000_000)
    (a,) = load(here, "a")
    a.is_pinned = True
    here.pass_by(100.0)
    here.want("b")
    assert here.refused[0].refusal == (
        "It needs 0.2 GB of RAM, and models may have 1.0 GB, of which pinned ones keep 0.9 GB: “a”."
    )
    a.is_pinned = False
    b = here.want("b")
    here.pass_by(1.0)
    assert b
    assert b.stage is not Stage.WAITING


def test_another_leaves_in_the_place_of_a_pinned_one() -> None:
    here = world(limit=2, pinned=1, other=1, new=1)
    pinned, _ = load(here, "pinned", "other")
    pinned.is_pinned = True
    here.pass_by(2.0)
    here.want("new")
    here.pass_by(1.0)
    assert here.inside() == ["pinned", "new"]


def test_small_ones_go_in_beside_a_large_one_that_waits_and_do_not_make_it_wait_longer() -> None:
    here = world(limit=10, busy=6, large=8, small=2, medium=2)
    (busy,) = load(here, "busy", keep=True)
    large = here.want("large")
    assert large
    here.pass_by(6.0)
    small, medium = here.want("small"), here.want("medium")
    assert small
    assert medium
    assert (small.stage, medium.stage) == (Stage.LOADING, Stage.WAITING)
    assert medium.waits == "Waits behind “large”."
    here.done(busy)
    here.pass_by(0.5)
    assert large.stage is Stage.LOADING


def test_two_programs_that_take_turns_do_not_have_all_their_time_spent_on_loading() -> None:
    here = world(limit=1, a=1, b=1)
    begun: dict[str, tuple[Resident, float] | None] = {"a": None, "b": None}
    num_answers = 0
    while here.now < 1200.0:
        for name, running in begun.items():
            if running and running[0].stage is Stage.READY and here.now >= max(running[1], running[0].ready) + 0.2:
                here.done(running[0])
                num_answers += 1
                running = begun[name] = None
            if running is None and (resident := here.want(name)):
                begun[name] = resident, here.now
        here.pass_by(0.1)
    assert not here.refused
    assert len(here.loads) <= 200 / 5 + 2, "of five seconds each, one for the load"
    assert num_answers >= 200 * 0.7 / 0.4


def test_each_device_has_a_limit_of_its_own() -> None:
    here = World({"a": {"CUDA0": 5, RAM: 1}, "b": {"CUDA0": 5, RAM: 1}, "c": {RAM: 7}}, {"CUDA0": 8, RAM: 10})
    load(here, "a", "c")
    here.pass_by(2.0)
    here.want("b")
    here.pass_by(1.0)
    assert here.inside() == ["c", "b"], "the one that has GPU memory has left"


NAMES = ("a", "b", "c", "d", "e")
ACTS = st.one_of(
    st.tuples(st.just("want"), st.sampled_from(NAMES), st.booleans()),
    st.tuples(st.just("done"), st.sampled_from(NAMES), st.just(False)),
    st.tuples(st.just("pin"), st.sampled_from(NAMES), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from((0.1, 1.0, 7.0)), st.just(False)),
)
COSTS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=len(NAMES), max_size=len(NAMES))


@settings(max_examples=60, deadline=None)
@given(COSTS, st.lists(ACTS, max_size=30))
def test_whatever_happens_the_limits_hold_and_nobody_waits_for_ever(
    costs: list[tuple[int, int]], acts: list[tuple[str, str | float, bool]]
) -> None:
    """World.look checks that limits hold and that nobody who is busy or pinned leaves."""
    each = zip(NAMES, costs, strict=True)
    all_costs: dict[str, Bytes] = {name: {RAM: one, "CUDA0": two} for name, (one, two) in each}
    here = World(all_costs, {RAM: 10, "CUDA0": 10})
    for act, what, flag in acts:
        if act == "wait":
            assert isinstance(what, float)
            here.pass_by(what)
            continue
        resident = here.at(str(what))
        if act == "want":
            here.want(str(what), is_person=flag)
        elif resident and act == "done" and here.users[resident]:
            here.done(resident)
        elif resident and act == "pin":
            resident.is_pinned = flag
            here.look()
    for each in here.roster:
        each.is_pinned = False
    for _ in range(len(NAMES) + 1):
        here.pass_by(6.0)
        for each in list(here.roster):
            if each.stage is Stage.READY:
                while here.users[each]:
                    here.done(each)
    assert not here.roster.queue, [each.waits for each in here.roster.queue]
