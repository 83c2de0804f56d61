"""The graph of a model (src/models/*.cpp), and the memory that each device needs to compute its part of it."""

from collections import Counter
from collections.abc import Sequence

from app.planner.graph.allocator import buffer_bytes
from app.planner.graph.attention import Attention, Inputs
from app.planner.graph.batch import Batch
from app.planner.graph.feed_forward import FeedForward
from app.planner.graph.lying import RAM, Lying
from app.planner.graph.recurrent import Recurrent
from app.planner.graph.scheduler import Schedule
from app.planner.graph.tensors import I32, Graph, Tensor
from app.planner.model import Layer, Model

NUM_TELLING = 2
ALIGNMENT, GPU_ALIGNMENT = 32, 128  # TENSOR_ALIGNMENT of the CPU's buffers; a GPU's
CAPPED_LOGITS = ("gemma2", "gemma3", "gemma3n", "gemma4", "grok", "muse-glimmer")
SCALED_INPUT = ("gemma", "gemma2", "gemma3", "gemma3n", "gemma4", "gemma-embedding", "granite", "granitemoe", "minicpm")
POST_NORMS = ("post_attention_norm", "attn_post_norm")
LAST_NORMS = ("post_ffw_norm", "ffn_post_norm")
ADDED_TO = ("lfm2", "lfm2moe", "jamba", "openelm")  # what came before is the first to be added, and overwritten
ADDED_TO_LATER = (*ADDED_TO, "phi3", "phimoe")  # after the feed-forward network
# the rows that are wanted are chosen behind the last layer (`embeddings_nextn_masked`)
CHOSEN_LAST = (
    "bailingmoe3",
    "cohere2moe",
    "gpt-oss",
    "mimo2",
    "nemotron_h",
    "qwen35",
    "qwen35moe",
    "qwen3next",
    "step35",
)
NORMED_FIRST = ("qwen35", "qwen35moe", "qwen3next", "cohere2moe", "bailingmoe3")


class WholeGraph:
    def __init__(self, model: Model, batch: Batch, layers: Sequence[Layer], lying: Lying):
        """layers: all, or as many as tell the memory of all."""
        self.graph = graph = Graph(lying)
        self._model, self._batch = model, batch
        self._positions = graph.input(batch.rows, width=I32)
        self._attention = Attention(graph, model, batch, self._positions)
        self._feed_forward = FeedForward(graph, model, batch)
        self._recurrent = Recurrent(graph, model, batch) if model.is_recurrent else None
        self._has_attention = any(layer.has_attention for layer in model.layers)
        self._inputs = Inputs.make(model, batch, batch.cells)
        self._window_inputs = Inputs.make(model, batch, batch.window_cells) if model.window else self._inputs
        self._outputs = graph.input(batch.outputs, width=I32)
        current = self._begin()
        for layer in layers:
            current = self._layer(layer, current, is_last=layer is layers[-1])
        graph.expand(self._end(current))

    def _begin(self) -> Tensor:
        graph, rows = self.graph, self._batch.rows
        current = graph.op((self._model.width, rows), graph.external(0, RAM), graph.input(rows, width=I32))
        current.place = RAM  # where rows are looked up in the weights
        graph.expand(current, graph.input(self._model.width, rows))  # a batch may bring vectors of its own
        if self._model.architecture in SCALED_INPUT:
            current = graph.change(current)
        return current

    def _layer(self, layer: Layer, before: Tensor, *, is_last: bool) -> Tensor:
        name = self._model.architecture
        if layer.has_attention or layer.is_recurrent:
            current = self._mixed(layer, before)
            if is_last and name not in CHOSEN_LAST:
                current, before = self._wanted(current), self._wanted(before)
            if (norm := _first(layer, POST_NORMS)) and not self._is_before_feed_forward(layer):
                current = self.graph.norm(current, layer, norm)
            before = self._sum(current, before, is_first=name in ADDED_TO)
        if not any(part.startswith("ffn_down") for part in layer.tensors):
            return before
        current = before
        if "ffn_norm" in layer or self._is_before_feed_forward(layer):
            current = self.graph.norm(before, layer, _first(layer, ("ffn_norm", *POST_NORMS)) or "ffn_norm")
        current = self._feed_forward.build(layer, current)
        if norm := _first(layer, LAST_NORMS):
            current = self.graph.norm(current, layer, norm)
        return self._sum(current, before, is_first=name in ADDED_TO_LATER)

    @staticmethod
    def _is_before_feed_forward(layer: Layer) -> bool:
        """The norm that is called after the attention's, where the feed-forward network has no other."""
        return "ffn_norm" not in layer and "post_ffw_norm" not in layer

    def _sum(self, current: Tensor, before: Tensor, *, is_first: bool) -> Tensor:
        return self.graph.change(before, current) if is_first else self.graph.change(current, before)

    def _mixed(self, layer: Layer, before: Tensor) -> Tensor:
        graph = self.graph
        current = graph.norm(before, layer, "attn_norm") if "attn_norm" in layer else before
        if layer.is_recurrent and self._recurrent:
            graph.expand(current)
            made = self._recurrent.build(layer, current)
            if not layer.has_attention:
                return made
            return graph.change(made, self._attend(layer, current))
        return self._attend(layer, current)

    def _attend(self, layer: Layer, current: Tensor) -> Tensor:
        batch = self._batch
        if layer.has_window:
            return self._attention.build(layer, current, self._window_inputs, batch.window_cells)
        return self._attention.build(layer, current, self._inputs, batch.cells)

    def _norm(self, tensor: Tensor) -> Tensor:
        """The last one."""
        return self.graph.change(self.graph.change(tensor), self._of_output())

    def _of_output(self, num_bytes: int = 0) -> Tensor:
        """A weight that no layer has."""
        return self.graph.external(num_bytes, self.graph.lying.output, is_weight=True)

    def _wanted(self, tensor: Tensor) -> Tensor:
        return self.graph.op((tensor.shape[0], self._batch.outputs), tensor, self._outputs)

    def _late(self, current: Tensor) -> Tensor:
        """All rows stay there, for a head that guesses from them."""
        current.is_output = True
        return self._wanted(current)

    def _end(self, current: Tensor) -> Tensor:
        name = self._model.architecture
        if name in CHOSEN_LAST and name not in NORMED_FIRST:
            current = self._norm(self._late(current))
        else:
            current = self._norm(current)
            current = self._late(current) if name in CHOSEN_LAST else current
        head = self._of_output(self._model.output_bytes or self._model.tied_bytes)
        logits = self.graph.op((self._model.num_vocabulary, self._batch.outputs), head, current)
        if self._model.architecture in CAPPED_LOGITS:
            for _ in range(3):
                logits = self.graph.change(logits)
        return logits


def compute_bytes(model: Model, batch: Batch, lying: Lying) -> tuple[int, ...]:
    """Of the buffer of each device, RAM first, in which it computes what lies there or is copied there."""
    telling = _telling(model, lying)
    kinds = tuple((model.kinds[layer.number], *lying.kind(layer.number)) for layer in telling)
    key = (batch, kinds, lying.keeps, lying.output, lying.num_devices, lying.is_pipelined)
    if key not in model.computed:
        graph = WholeGraph(model, batch, telling, lying).graph
        gpus = (GPU_ALIGNMENT,) * (lying.num_devices - 1)
        model.computed[key] = buffer_bytes(Schedule(graph), (ALIGNMENT, *gpus))
    return model.computed[key]


def _telling(model: Model, lying: Lying) -> list[Layer]:
    """Those that follow another kind for the first or second time, and the last: more of the same need no more."""
    kept: list[Layer] = []
    times = Counter[tuple[object, object]]()
    before: object = None
    for layer in model.layers:
        kind = (model.kinds[layer.number], lying.kind(layer.number))
        times[before, kind] += 1
        if times[before, kind] <= NUM_TELLING or layer is model.layers[-1]:
            kept.append(layer)
        before = kind
    return kept


def _first(layer: Layer, names: Sequence[str]) -> str | None:
    """That the layer has."""
    return next((name for name in names if name in layer), None)
