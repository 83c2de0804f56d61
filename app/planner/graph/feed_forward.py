"""The feed-forward network of a layer as llama.cpp builds it (llama-graph.cpp: build_ffn, build_moe_ffn)."""

from app.planner.graph.batch import Batch
from app.planner.graph.tensors import I32, Graph, Tensor
from app.planner.model import Layer, Model

SOFTMAX, SIGMOID, SOFTMAX_WEIGHT = 1, 2, 3  # llama_expert_gating_func_type
WEIGHS_LATER = ("gpt-oss",)  # a softmax over the chosen experts alone
SQUARED = ("nemotron_h", "nemotron_h_moe")


class FeedForward:
    def __init__(self, graph: Graph, model: Model, batch: Batch):
        self._graph, self._model, self._batch = graph, model, batch

    def build(self, layer: Layer, current: Tensor) -> Tensor:
        if not layer.has_experts:
            return self.dense(layer, current, "")
        graph = self._graph
        made = self._experts(layer, current)
        if "ffn_up_shexp" in layer:
            shared = self.dense(layer, current, "_shexp")
            if "ffn_gate_inp_shexp" in layer:
                weight = graph.weight(layer, "ffn_gate_inp_shexp")
                gate = graph.change(graph.op((1, current.shape[1]), weight, current))
                shared = graph.change(shared, gate)
            made = graph.change(made, shared)
        return made

    def dense(self, layer: Layer, current: Tensor, kind: str) -> Tensor:
        graph, rows = self._graph, current.shape[1]
        up, down = f"ffn_up{kind}", f"ffn_down{kind}"
        wide = layer.rows(up)
        made = graph.op((wide, rows), graph.weight(layer, up), current)
        if f"{up}.bias" in layer:
            made = graph.change(made, graph.weight(layer, f"{up}.bias"))
        if f"ffn_gate{kind}" in layer:
            gate = graph.op((wide, rows), graph.weight(layer, f"ffn_gate{kind}"), current)
            made = graph.op((wide, rows), gate, made)  # both in one operation
        elif down in layer and (halves := layer.tensors[down].shape[0]) < wide:
            made = graph.op((halves, rows), made)
        else:
            made = graph.change(made)
        made = graph.op((self._model.width, rows), graph.weight(layer, down), made)
        return graph.change(made, graph.weight(layer, f"{down}.bias")) if f"{down}.bias" in layer else made

    def _experts(self, layer: Layer, current: Tensor) -> Tensor:
        graph, model, rows = self._graph, self._model, current.shape[1]
        used = model.num_used_experts or 1
        weights, chosen = self._choice(layer, current, rows, used)
        graph.expand(weights)
        begin = graph.view(current, model.width, 1, rows)
        made = self._wide(layer, begin, chosen, used, rows)
        made = graph.op((model.width, used, rows), graph.weight(layer, "ffn_down_exps"), made, chosen)
        made = self._biased(layer, "ffn_down_exps", made, chosen)
        made = graph.change(made, weights)
        graph.expand(made)
        parts = [graph.view(made, model.width, rows, is_contiguous=False) for _ in range(used)]
        graph.expand(*parts)
        total = parts[0]
        for part in parts[1:]:
            total = graph.change(total, part)
            graph.expand(total)
        return graph.op((model.width, rows), total) if used == 1 else total

    def _choice(self, layer: Layer, current: Tensor, rows: int, used: int) -> tuple[Tensor, Tensor]:
        """Weights [1, used, rows], and which experts [used, rows]."""
        graph, model = self._graph, self._model
        count = layer.rows("ffn_gate_inp")
        scores = graph.op((count, rows), graph.weight(layer, "ffn_gate_inp"), current)
        if "ffn_gate_inp.bias" in layer:
            scores = graph.change(scores, graph.weight(layer, "ffn_gate_inp.bias"))
        later = model.architecture in WEIGHS_LATER
        chances = scores if later else graph.change(scores)
        ranked = graph.change(chances) if "exp_probs_b.bias" in layer or "exp_probs_b" in layer else chances
        chosen = graph.view(graph.op((count, rows), ranked, width=I32), used, rows, is_contiguous=False)
        weights = graph.op((1, used, rows), graph.view(chances, 1, count, rows), chosen)
        if later:
            weights = graph.view(graph.change(graph.view(weights, used, rows)), 1, used, rows)
        elif self._evens(model):
            flat = graph.view(weights, used, rows)
            total = graph.change(graph.op((1, rows), flat))
            weights = graph.view(graph.change(flat, total), 1, used, rows)
        if model.real("expert_weights_scale") not in (0.0, 1.0):
            weights = graph.change(weights)
        return weights, chosen

    @staticmethod
    def _evens(model: Model) -> bool:
        """Whether the weights of the chosen are made to sum up to one."""
        return bool(model.metadata.get(f"{model.architecture}.expert_weights_norm", True))

    def _wide(self, layer: Layer, begin: Tensor, chosen: Tensor, used: int, rows: int) -> Tensor:
        graph = self._graph
        if "ffn_gate_up_exps" in layer:
            double = layer.rows("ffn_gate_up_exps")
            both = graph.op((double, used, rows), graph.weight(layer, "ffn_gate_up_exps"), begin, chosen)
            halves = [graph.view(both, double // 2, used, rows, is_contiguous=False) for _ in range(2)]
            return graph.op((double // 2, used, rows), *halves)
        wide = layer.rows("ffn_up_exps")
        up = graph.op((wide, used, rows), graph.weight(layer, "ffn_up_exps"), begin, chosen)
        up = self._biased(layer, "ffn_up_exps", up, chosen)
        if "ffn_gate_exps" not in layer:
            return graph.change(up)
        gate = graph.op((wide, used, rows), graph.weight(layer, "ffn_gate_exps"), begin, chosen)
        gate = self._biased(layer, "ffn_gate_exps", gate, chosen)
        return graph.op((wide, used, rows), gate, up)

    def _biased(self, layer: Layer, name: str, tensor: Tensor, chosen: Tensor) -> Tensor:
        bias = f"{name}.bias"
        return self._graph.change(tensor, self._graph.weight(layer, bias), chosen) if bias in layer else tensor
