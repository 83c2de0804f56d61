"""The layers that keep a state instead of keys and values, as llama.cpp builds them.

src/models: lfm2.cpp (short convolution), mamba-base.cpp (both), delta-net-base.cpp with qwen3next.cpp and qwen35.cpp.
"""

from app.planner.graph.batch import Batch
from app.planner.graph.tensors import F32, I32, Graph, Tensor
from app.planner.model import Layer, Model

REPEATS_KEYS = ("qwen3next",)


class Recurrent:
    def __init__(self, graph: Graph, model: Model, batch: Batch):
        self._graph, self._model, self._batch = graph, model, batch
        self._places = graph.input(batch.slots, width=I32)
        self._main = graph.view(self._places, batch.slots)

    def build(self, layer: Layer, current: Tensor) -> Tensor:
        if "shortconv.in_proj" in layer:
            return self._convolved(layer, current)
        if "ssm_x" in layer:
            return self._mamba(layer, current)
        if "ssm_beta_alpha" in layer or "ssm_ba" in layer or "ssm_beta" in layer or "ssm_alpha" in layer:
            return self._delta(layer, current)
        return self._mamba2(layer, current)

    @property
    def _length(self) -> int:
        """Rows of one sequence."""
        return self._batch.rows // self._batch.slots

    def _state(self, layer: Layer, numbers: int) -> Tensor:
        """[numbers, slots] as the batch finds them; those that wait are moved (`build_rs`)."""
        graph, slots = self._graph, self._batch.slots
        held = graph.kept(layer, numbers * F32 * slots * (1 + self._batch.snapshots))
        found = graph.op((numbers, slots), held, self._main)
        graph.expand(found)
        return found

    def _keep(self, layer: Layer, tensor: Tensor, *shape: int) -> None:
        """A part of it becomes the state."""
        graph = self._graph
        graph.expand(graph.store(graph.kept(layer), graph.view(tensor, *shape, is_contiguous=False)))

    def _joined(self, layer: Layer, channels: int, kernel: int, new: Tensor) -> Tensor:
        """[last tokens and new ones, channels, slots]"""
        graph, slots = self._graph, self._batch.slots
        before = graph.view(self._state(layer, self._model.conv_state), kernel - 1, channels, slots)
        joined = graph.op((kernel - 1 + self._length, channels, slots), before, graph.view(new, is_contiguous=False))
        for _ in range(min(self._length, 1 + self._batch.snapshots)):
            self._keep(layer, joined, kernel - 1, channels, slots)
        return joined

    def _convolved(self, layer: Layer, current: Tensor) -> Tensor:
        graph, model, rows = self._graph, self._model, self._batch.rows
        width, slots = model.width, self._batch.slots
        rows_of_slots = graph.view(current, width, self._length, slots)
        weight = graph.weight(layer, "shortconv.in_proj")
        three = graph.op((3 * width, self._length, slots), weight, rows_of_slots)
        parts = [graph.view(three, width, self._length, slots, is_contiguous=False) for _ in range(3)]
        new = graph.change(parts[0], parts[2])
        joined = self._joined(layer, width, model.number("shortconv.l_cache", 1), new)
        made = graph.op((width, self._length, slots), joined, graph.weight(layer, "shortconv.conv"))
        made = graph.op((width, rows), graph.weight(layer, "shortconv.out_proj"), graph.change(parts[1], made))
        return graph.view(made, width, rows)

    def _mamba(self, layer: Layer, current: Tensor) -> Tensor:
        graph, model, rows, slots = self._graph, self._model, self._batch.rows, self._batch.slots
        inner, states, rank = (model.number(f"ssm.{key}") for key in ("inner_size", "state_size", "time_step_rank"))
        both = graph.op((2 * inner, self._length, slots), graph.weight(layer, "ssm_in"), current)
        new = graph.view(both, inner, self._length, slots, is_contiguous=False)
        gate = graph.view(both, inner, self._length, slots, is_contiguous=False)
        joined = self._joined(layer, inner, model.number("ssm.conv_kernel", 1), new)
        convolved = graph.op((inner, self._length, slots), joined, graph.weight(layer, "ssm_conv1d"))
        made = graph.change(graph.change(convolved))
        packed = graph.op((rank + 2 * states, self._length, slots), graph.weight(layer, "ssm_x"), made)
        step = graph.op((rank, self._length, slots), graph.view(packed, rank, self._length, slots, is_contiguous=False))
        step = graph.change(graph.op((inner, self._length, slots), graph.weight(layer, "ssm_dt"), step))
        ends = [graph.view(packed, states, 1, self._length, slots, is_contiguous=False) for _ in range(2)]
        view = graph.view(made, 1, inner, self._length, slots)
        size, decaying = inner * rows + states * inner * slots, graph.weight(layer, "ssm_a")
        scanned = graph.op((size,), decaying, view, step, *ends, self._main)
        graph.expand(scanned)
        self._keep(layer, scanned, states * inner * slots)
        result = graph.view(scanned, inner, self._length, slots)
        result = graph.change(result, graph.change(made))
        gate = graph.op((inner, self._length, slots), gate)
        made = graph.op((inner, self._length, slots), gate, result)
        return graph.op((model.width, rows), graph.weight(layer, "ssm_out"), made)

    def _mamba2(self, layer: Layer, current: Tensor) -> Tensor:
        graph, model, rows, slots = self._graph, self._model, self._batch.rows, self._batch.slots
        inner, states, heads = (model.number(f"ssm.{key}") for key in ("inner_size", "state_size", "time_step_rank"))
        groups = model.number("ssm.group_count")
        channels = inner + 2 * groups * states
        width = layer.rows("ssm_in") or inner + channels + heads
        whole = graph.op((width, rows), graph.weight(layer, "ssm_in"), current)
        gate = graph.view(whole, inner, rows, is_contiguous=False)
        new = graph.view(whole, channels, rows, is_contiguous=False)
        step = graph.view(whole, heads, rows, is_contiguous=False)
        joined = self._joined(layer, channels, model.number("ssm.conv_kernel", 1), new)
        convolved = graph.op((channels, self._length, slots), joined, graph.weight(layer, "ssm_conv1d"))
        made = graph.change(graph.change(convolved))
        parts = [graph.view(made, size, rows, is_contiguous=False) for size in (inner, states, states)]
        step = graph.change(graph.op((heads, rows), step))
        kept = states * inner * slots * min(self._length, 1 + self._batch.snapshots)
        decaying = graph.weight(layer, "ssm_a")
        scanned = graph.op((inner * rows + kept,), decaying, parts[0], step, *parts[1:], self._main)
        graph.expand(scanned)
        self._keep(layer, scanned, kept)
        result = graph.view(scanned, inner, rows)
        result = graph.change(result, graph.change(parts[0]))
        result = graph.op((inner, rows), graph.op((inner, rows), gate), result)
        if "ssm_norm" in layer:
            result = graph.norm(graph.view(result, inner, rows), layer, "ssm_norm")
        return graph.op((model.width, rows), graph.weight(layer, "ssm_out"), result)

    def _delta(self, layer: Layer, current: Tensor) -> Tensor:
        """A gated delta net, in one operation (`ggml_gated_delta_net`)."""
        graph, model, rows, slots = self._graph, self._model, self._batch.rows, self._batch.slots
        inner, size, values = (model.number(f"ssm.{key}") for key in ("inner_size", "state_size", "time_step_rank"))
        keys = model.number("ssm.group_count", 1)
        channels = inner + 2 * keys * size
        new, gate = self._mixed(layer, current, channels, inner)
        strength, decay = self._strengths(layer, current, values)
        joined = self._joined(layer, channels, model.number("ssm.conv_kernel", 1), new)
        state = graph.view(self._state(layer, model.state), model.state, slots)
        weight = graph.weight(layer, "ssm_conv1d")
        made = graph.change(graph.op((channels, self._length, slots), joined, weight))
        query, key = (graph.view(made, size, keys, rows, is_contiguous=False) for _ in range(2))
        value = graph.view(made, inner, rows, is_contiguous=False)
        query, key = (graph.change(graph.change(part)) for part in (query, key))
        if keys != values and model.architecture in REPEATS_KEYS:
            query, key = (
                graph.op((size, values, rows), graph.view(part, size, 1, keys, rows)) for part in (query, key)
            )
        kept = model.state * slots * min(self._length, 1 + self._batch.snapshots)
        both = graph.op((inner * rows + kept,), query, key, value, decay, strength, state)
        result = graph.view(both, inner, rows, is_contiguous=False)
        self._keep(layer, both, kept)
        result = graph.norm(result, layer, "ssm_norm")
        result = graph.change(result, graph.change(graph.view(gate, inner, rows)))
        return graph.op((model.width, rows), graph.weight(layer, "ssm_out"), graph.view(result, inner, rows))

    def _mixed(self, layer: Layer, current: Tensor, channels: int, inner: int) -> tuple[Tensor, Tensor]:
        graph, rows = self._graph, self._batch.rows
        if "attn_qkv" in layer:
            mixed = graph.op((channels, rows), graph.weight(layer, "attn_qkv"), current)
            return mixed, graph.op((inner, rows), graph.weight(layer, "attn_gate"), current)
        whole = graph.op((channels + inner, rows), graph.weight(layer, "ssm_in"), current)
        gate = graph.op((inner, rows), graph.view(whole, inner, rows, is_contiguous=False))
        key = (channels - inner) // 2
        query, keys = (graph.op((key, rows), graph.view(whole, key, rows, is_contiguous=False)) for _ in range(2))
        value = graph.op((inner, rows), graph.view(whole, inner, rows, is_contiguous=False))
        mixed = graph.op((2 * key, rows), query, keys)
        return graph.op((channels, rows), mixed, value), gate

    def _strengths(self, layer: Layer, current: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        graph, rows = self._graph, self._batch.rows
        if "ssm_ba" in layer or "ssm_beta_alpha" in layer:
            weight = graph.weight(layer, "ssm_ba" if "ssm_ba" in layer else "ssm_beta_alpha")
            both = graph.op((2 * heads, rows), weight, current)
            strength, decay = (
                graph.op((heads, rows), graph.view(both, heads, rows, is_contiguous=False)) for _ in range(2)
            )
            strength = graph.change(strength)
        else:
            made = (graph.op((heads, rows), graph.weight(layer, name), current) for name in ("ssm_beta", "ssm_alpha"))
            strength, decay = (graph.view(each, 1, heads, rows) for each in made)
            strength, decay = graph.change(strength), graph.view(decay, heads, rows)
        decay = graph.change(graph.change(graph.change(decay)))
        return strength, graph.view(decay, 1, heads, rows)
