"""The attention of a layer as llama.cpp builds it (llama-graph.cpp: build_qkv, build_attn, build_attn_mha)."""

from dataclasses import dataclass

from app.planner.graph.batch import Batch
from app.planner.graph.tensors import F16, F32, I64, Graph, Tensor
from app.planner.model import Layer, Model

SOFT_CAPPED = ("gemma2", "grok")
WITHOUT_POSITIONS = ("jamba", "nemotron_h", "nemotron_h_moe", "bloom", "mpt", "gpt2")
GATED = ("qwen3next", "qwen35", "qwen35moe")  # the queries' matrix makes a gate, too


@dataclass(frozen=True, slots=True)
class Inputs:
    """Of all layers whose tokens see as far; made once for a graph."""

    key_places: Tensor
    value_places: Tensor
    mask: Tensor
    key_turn: Tensor | None
    value_turn: Tensor | None

    @classmethod
    def make(cls, model: Model, batch: Batch, cells: int) -> "Inputs":
        rows, streams = batch.rows, batch.streams
        values = max((layer.kv_heads * layer.value_length for layer in model.layers), default=1)
        turn = model.common_head
        return cls(
            Graph.input(rows, width=I64),
            Graph.input(rows * (1 if batch.flash_attention else values), width=I64),
            Graph.input(cells, rows // streams, 1, streams, width=F16 if batch.flash_attention else F32),
            Graph.input(turn, turn) if turn and batch.turns_keys else None,
            Graph.input(64, 64) if turn and batch.turns_values else None,
        )


class Attention:
    def __init__(self, graph: Graph, model: Model, batch: Batch, positions: Tensor):
        self._graph, self._model, self._batch = graph, model, batch
        self._positions = positions

    def build(self, layer: Layer, current: Tensor, inputs: Inputs, cells: int) -> Tensor:
        if "attn_kv_a_mqa" in layer:
            return self._latent(layer, current, inputs, cells)
        if self._model.architecture in GATED:
            return self._gated(layer, current, inputs, cells)
        query, key, value = self._queries(layer, current)
        query = self._turned(layer, "attn_q_norm", query)
        key = self._turned(layer, "attn_k_norm", key)
        return self._output(layer, self._attend(layer, query, key, value, inputs, cells))

    def _queries(self, layer: Layer, current: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        graph, rows = self._graph, self._batch.rows
        sizes = (
            (layer.key_length, layer.heads),
            (layer.key_length, layer.kv_heads),
            (layer.value_length, layer.kv_heads),
        )
        if "attn_qkv" in layer:
            whole = graph.op((layer.rows("attn_qkv"), rows), graph.weight(layer, "attn_qkv"), current)
            if "attn_qkv.bias" in layer:
                whole = graph.change(whole, graph.weight(layer, "attn_qkv.bias"))
            parts = [graph.view(whole, *size, rows, is_contiguous=False) for size in sizes]
        else:
            parts = []
            for name, size in zip(("attn_q", "attn_k", "attn_v"), sizes, strict=True):
                made = graph.op((size[0] * size[1], rows), graph.weight(layer, name), current)
                if f"{name}.bias" in layer:
                    made = graph.change(made, graph.weight(layer, f"{name}.bias"))
                if self._is_wide(layer, f"{name}_norm", size[0]):
                    made = graph.norm(made, layer, f"{name}_norm")
                parts.append(graph.view(made, *size, rows))
        return parts[0], parts[1], parts[2]

    def _turned(self, layer: Layer, norm: str, tensor: Tensor) -> Tensor:
        """Normalised where the layer does that, and turned by its position."""
        if norm in layer and not self._is_wide(layer, norm, tensor.shape[0]):
            tensor = self._graph.norm(tensor, layer, norm)
        return self._graph.change(tensor, self._positions) if self._has_positions else tensor

    @staticmethod
    def _is_wide(layer: Layer, norm: str, length: int) -> bool:
        """A norm over all heads at once."""
        return norm in layer and layer.tensors[norm].shape[0] > length

    @property
    def _has_positions(self) -> bool:
        name = self._model.architecture
        may_have = self._model.metadata.get(f"{name}.rope.scaling.finetuned", True)
        return name not in WITHOUT_POSITIONS and (name != "granitehybrid" or bool(may_have))

    def _attend(
        self, layer: Layer, query: Tensor, key: Tensor, value: Tensor, inputs: Inputs, cells: int
    ) -> Tensor:  # fmt: skip
        """[value length x heads, rows]"""
        graph = self._graph
        if inputs.key_turn:
            query, key = self._by(inputs.key_turn, query), self._by(inputs.key_turn, key)
        if inputs.value_turn:
            value = self._by(inputs.value_turn, value)
        order = (query, key, value) if self._model.window else (query, value, key)
        graph.expand(*order)
        if layer.keeps_kv:
            self._store(layer, key, inputs.key_places)
            self._store(layer, value, inputs.value_places)
        attended = self._over(layer, query, inputs.mask, cells, layer.value_length)
        graph.expand(attended)
        if inputs.value_turn:
            attended = self._by(inputs.value_turn, attended)
        return attended

    def _store(self, layer: Layer, tensor: Tensor, places: Tensor) -> None:
        graph = self._graph
        flat = graph.view(tensor, tensor.shape[0] * tensor.shape[1], *tensor.shape[2:])
        graph.expand(graph.store(graph.kept(layer), flat, places))

    def _over(self, layer: Layer, query: Tensor, mask: Tensor, cells: int, length: int) -> Tensor:
        """The values of all cells, weighted by how they answer the queries; one row for each."""
        graph, batch = self._graph, self._batch
        rows, streams, heads = batch.rows, batch.streams, layer.heads
        query = graph.view(graph.view(query, is_contiguous=False), is_contiguous=False)
        cells_of_all = cells * streams
        keys = graph.kept(layer, cells_of_all * batch.key_bytes(layer))
        values = graph.kept(layer, cells_of_all * batch.value_bytes(layer))
        if batch.flash_attention:
            made = graph.op((length, heads, rows // streams, streams), query, keys, values, mask)
            return graph.view(made, length * heads, rows)
        scores = graph.op((cells, rows // streams, heads, streams), keys, query)
        if self._model.architecture in SOFT_CAPPED:
            for _ in range(3):
                scores = graph.change(scores)
        scores = graph.change(scores, mask)
        made = graph.op((length, rows // streams, heads, streams), values, scores)
        return graph.op((length * heads, rows), graph.view(made, is_contiguous=False))

    def _by(self, turn: Tensor, tensor: Tensor) -> Tensor:
        graph, side = self._graph, turn.shape[0]
        count = tensor.num_bytes // (F32 * side)
        flat = graph.view(tensor, side, count) if tensor.is_contiguous else graph.op((side, count), tensor)
        return graph.view(graph.op((side, count), turn, flat), *tensor.shape)

    def _output(self, layer: Layer, attended: Tensor) -> Tensor:
        graph = self._graph
        name = "attn_output" if "attn_output" in layer else "attn_out"
        made = graph.op((self._model.width, self._batch.rows), graph.weight(layer, name), attended)
        return graph.change(made, graph.weight(layer, f"{name}.bias")) if f"{name}.bias" in layer else made

    def _gated(self, layer: Layer, current: Tensor, inputs: Inputs, cells: int) -> Tensor:
        """qwen3next.cpp, build_layer_attn: the queries' matrix makes a gate beside each head."""
        graph, rows = self._graph, self._batch.rows
        both = graph.op((2 * layer.key_length * layer.heads, rows), graph.weight(layer, "attn_q"), current)
        both = graph.view(both, 2 * layer.key_length, layer.heads, rows)
        key, value = (
            graph.view(
                graph.op((length * layer.kv_heads, rows), graph.weight(layer, name), current),
                length, layer.kv_heads, rows,
            )
            for name, length in (("attn_k", layer.key_length), ("attn_v", layer.value_length))
        )  # fmt: skip
        part = graph.view(both, layer.key_length, layer.heads, rows, is_contiguous=False)
        query = self._turned(layer, "attn_q_norm", part)
        key = self._turned(layer, "attn_k_norm", key)
        attended = self._attend(layer, query, key, value, inputs, cells)
        gate = graph.view(both, layer.key_length, layer.heads, rows, is_contiguous=False)
        gate = graph.change(graph.op((layer.key_length * layer.heads, rows), gate))
        return self._output(layer, graph.change(attended, gate))

    def _latent(self, layer: Layer, current: Tensor, inputs: Inputs, cells: int) -> Tensor:
        """deepseek2.cpp: keys and values are made of one short vector."""
        graph, rows, model = self._graph, self._batch.rows, self._model
        rank, turned = model.number("attention.kv_lora_rank"), model.number("rope.dimension_count")
        length = model.number("attention.key_length_mla") or layer.key_length
        query = current
        if "attn_q_a" in layer:
            query = graph.op((layer.rows("attn_q_a"), rows), graph.weight(layer, "attn_q_a"), query)
            query = graph.norm(query, layer, "attn_q_a_norm")
        weight = graph.weight(layer, "attn_q_b" if "attn_q_b" in layer else "attn_q")
        query = graph.view(graph.op((length * layer.heads, rows), weight, query), length, layer.heads, rows)
        packed = graph.op((rank + turned, rows), graph.weight(layer, "attn_kv_a_mqa"), current)
        short = graph.view(packed, rank, rows, is_contiguous=False)
        key_end = graph.change(graph.view(packed, turned, 1, rows, is_contiguous=False), self._positions)
        short = graph.norm(short, layer, "attn_kv_a_norm")
        if not layer.is_latent:
            return self._unpacked(layer, query, short, key_end, inputs, cells)
        part = graph.view(query, length - turned, layer.heads, rows, is_contiguous=False)
        query_end = graph.change(graph.view(query, turned, layer.heads, rows, is_contiguous=False), self._positions)
        weight = graph.weight(layer, "attn_k_b")
        absorbed = graph.op((rank, rows, layer.heads), weight, graph.view(part, is_contiguous=False))
        query = graph.op(
            (rank + turned, layer.heads, rows), graph.view(absorbed, is_contiguous=False), query_end
        )  # fmt: skip
        short = graph.view(short, rank, 1, rows)
        key = graph.op((rank + turned, 1, rows), short, key_end)
        graph.expand(query, short, key)
        self._store(layer, key, inputs.key_places)
        attended = self._over_latent(layer, query, inputs.mask, cells, rank)
        graph.expand(attended)
        return self._output(layer, attended)

    def _over_latent(self, layer: Layer, query: Tensor, mask: Tensor, cells: int, rank: int) -> Tensor:
        graph, batch = self._graph, self._batch
        rows, streams, heads = batch.rows, batch.streams, layer.heads
        length = self._model.number("attention.value_length_mla") or layer.value_length
        query = graph.view(graph.view(query, is_contiguous=False), is_contiguous=False)
        keys = graph.kept(layer, cells * streams * batch.key_bytes(layer))
        unpacking = graph.weight(layer, "attn_v_b")
        if batch.flash_attention:
            made = graph.op((rank, heads, rows // streams, streams), query, keys, mask)
            made = graph.view(made, is_contiguous=False)
            made = graph.op((length, rows // streams, heads, streams), unpacking, made)
        else:
            scores = graph.op((cells, rows // streams, heads, streams), keys, query)
            scores = graph.change(scores, mask)
            turned = graph.op((cells, rank, 1, streams), keys, width=F16)  # the values that lie in the keys' cells
            made = graph.op((rank, rows // streams, heads, streams), turned, scores)
            made = graph.op((length, rows // streams, heads, streams), unpacking, made)
        return graph.view(
            graph.op((length, heads, rows // streams, streams), graph.view(made, is_contiguous=False)),
            length * heads,
            rows,
        )

    def _unpacked(
        self, layer: Layer, query: Tensor, short: Tensor, key_end: Tensor, inputs: Inputs, cells: int
    ) -> Tensor:  # fmt: skip
        graph, rows = self._graph, self._batch.rows
        turned, part = key_end.shape[0], layer.key_length - key_end.shape[0]
        both = graph.op(
            ((part + layer.value_length) * layer.heads, rows), graph.weight(layer, "attn_kv_b"), short
        )  # fmt: skip
        value = graph.op(
            (layer.value_length, layer.heads, rows),
            graph.view(both, layer.value_length, layer.heads, rows, is_contiguous=False),
        )
        query = graph.change(query, self._positions)
        ends = graph.op((turned, layer.heads, rows), key_end)
        begins = graph.view(both, part, layer.heads, rows, is_contiguous=False)
        key = graph.op((layer.key_length, layer.heads, rows), begins, ends)
        return self._output(layer, self._attend(layer, query, key, value, inputs, cells))
