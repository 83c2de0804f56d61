"""What is copied between devices for a graph, and what that takes of each. Sizes are bytes of tensors made for it."""

import pytest

from app.planner.graph.allocator import buffer_bytes
from app.planner.graph.lying import FIRST_GPU, RAM, Lying
from app.planner.graph.scheduler import LEAST_OFFLOADED, NUM_COPIES, Schedule
from app.planner.graph.tensors import F32, Graph, Tensor

WIDTH, ROWS = 256, LEAST_OFFLOADED
VECTORS, WEIGHT = WIDTH * ROWS * F32, WIDTH * WIDTH * F32
SECOND_GPU = FIRST_GPU + 1


def lying(*devices: int, num_devices: int = 2) -> Lying:
    return Lying(devices, devices[-1], num_devices=num_devices)


def multiplied(graph: Graph, vectors: Tensor, place: int) -> Tensor:
    weight = graph.external(WEIGHT, place, is_weight=True)
    return graph.op((WIDTH, vectors.shape[1]), weight, vectors)


def scheduled(*places: int, rows: int = ROWS, num_devices: int = 2) -> tuple[Schedule, tuple[int, ...]]:
    """Products with weights that lie there, one after another."""
    graph = Graph(lying(*places, num_devices=num_devices))
    vectors = graph.input(WIDTH, rows)
    for place in places:
        vectors = multiplied(graph, vectors, place)
    graph.expand(vectors)
    schedule = Schedule(graph)
    return schedule, buffer_bytes(schedule, (32,) * num_devices)


def test_without_a_gpu_nothing_is_copied() -> None:
    schedule, (in_ram,) = scheduled(RAM, RAM, num_devices=1)
    assert len(schedule.nodes) == 2
    assert in_ram == 2 * VECTORS


def test_an_input_is_copied_to_the_device_that_reads_it() -> None:
    schedule, sizes = scheduled(FIRST_GPU, FIRST_GPU)
    assert [node.place for node in schedule.nodes if not node.is_external] == [FIRST_GPU] * 3
    assert sizes == (VECTORS, 2 * VECTORS)


def test_many_rows_are_computed_on_the_gpu_and_bring_their_weights_one_after_another() -> None:
    """Each lies there no longer than it is needed: the next one is put in its place."""
    _, one = scheduled(RAM)
    _, sizes = scheduled(*[RAM] * 6)
    assert one == (VECTORS, 2 * VECTORS + WEIGHT)
    assert sizes == one


def test_few_rows_are_computed_where_the_weights_lie() -> None:
    few = ROWS - 1
    schedule, sizes = scheduled(RAM, FIRST_GPU, rows=few)
    assert [node.place for node in schedule.nodes if not node.is_external] == [RAM, FIRST_GPU, FIRST_GPU]
    assert sizes == (2 * VECTORS * few // ROWS, 2 * VECTORS * few // ROWS)


@pytest.mark.parametrize("place", [RAM, FIRST_GPU])
def test_keys_that_lie_in_ram_are_copied_for_what_the_gpu_attends_to(place: int) -> None:
    graph = Graph(lying(FIRST_GPU))
    query = multiplied(graph, graph.input(WIDTH, ROWS), FIRST_GPU)
    keys = graph.external(10 * VECTORS, place)
    graph.expand(multiplied(graph, graph.op((WIDTH, ROWS), query, keys), FIRST_GPU))
    _, on_gpu = buffer_bytes(Schedule(graph), (32, 32))
    assert on_gpu == (10 if place == RAM else 0) * VECTORS + 2 * VECTORS


def test_what_one_gpu_has_computed_is_copied_to_the_next() -> None:
    schedule, sizes = scheduled(FIRST_GPU, SECOND_GPU, num_devices=3)
    assert schedule.nodes[-1].place == SECOND_GPU
    copied = (NUM_COPIES + 1) * VECTORS  # as many batches are under way, and one is computed
    assert sizes == (NUM_COPIES * VECTORS, copied, copied)
