"""One model on one machine, of which many plans are made: with each wish of a person's another one."""

from dataclasses import dataclass, replace

from app.planner.alternatives import Alternatives, may_quantize
from app.planner.corrections import NONE, Correction
from app.planner.machine import Machine
from app.planner.model import Model
from app.planner.plan import Plan
from app.planner.planner import plan
from backends.protocol import EngineOptions


@dataclass(frozen=True, slots=True)
class Study:
    """draft: the model whose guesses it checks, where there is one."""

    model: Model
    machine: Machine
    draft: Model | None = None
    correction: Correction = NONE

    @property
    def num_places(self) -> int:
        """That a GPU can hold: layers, and the output."""
        return len(self.model.layers) + 1

    @property
    def may_quantize(self) -> bool:
        """Keys and values: their heads are of whole blocks."""
        return may_quantize(self.model)

    def plan(self, options: EngineOptions) -> Plan:
        """Some milliseconds."""
        return plan(self.model, self.machine, options, self.draft, self.correction)

    def priced(self, found: Plan, options: EngineOptions) -> Plan:
        """With what else could be chosen: some dozen plans."""
        others = Alternatives(self.model, self.machine, options, self.draft, self.correction)
        return replace(found, alternatives=others.beside(found))
