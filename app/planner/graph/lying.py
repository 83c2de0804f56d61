"""Which device each part of a model lies on. Devices have numbers: RAM is the first, then each GPU."""

from dataclasses import dataclass

from app.planner.model import EXPERTS, Layer
from backends.protocol import Keep

RAM = 0
FIRST_GPU = 1
FEED_FORWARD = {f"ffn_{part}{kind}" for part in ("up", "down", "gate", "gate_up") for kind in ("", "_exps", "_shexp")}


def stays_in_ram(name: str, keeps: Keep) -> bool:
    """Of a layer's tensor, where the layer itself is on a GPU (`tensor_buft_overrides`)."""
    match keeps:
        case Keep.EXPERTS:
            return name in EXPERTS
        case Keep.FEED_FORWARD:
            return name in FEED_FORWARD
    return False


@dataclass(frozen=True, slots=True)
class Lying:
    """devices: of each layer. output: the device of what makes logits. kept: layers of which some tensors stay in RAM.

    num_devices: of the machine, with those that have none of it.
    """

    devices: tuple[int, ...]
    output: int = RAM
    keeps: Keep = Keep.NOTHING
    kept: range = range(0)
    num_devices: int = 1

    @classmethod
    def in_ram(cls, num_layers: int) -> "Lying":
        return cls((RAM,) * num_layers)

    def of(self, layer: Layer, name: str) -> int:
        """The device of one of its tensors."""
        stays = layer.number in self.kept and stays_in_ram(name, self.keeps)
        return RAM if stays else self.devices[layer.number]

    def kind(self, number: int) -> tuple[int, bool]:
        """Equal for layers that lie alike."""
        return self.devices[number], number in self.kept and self.keeps is not Keep.NOTHING

    @property
    def is_offloaded(self) -> bool:
        """All layers are on GPUs, whatever they leave in RAM."""
        return self.output != RAM and RAM not in self.devices

    @property
    def is_pipelined(self) -> bool:
        """Several batches are under way at once, with inputs of their own (llama-context.cpp, `pipeline_parallel`)."""
        return self.is_offloaded and self.num_devices > 1 + FIRST_GPU and not self.kept
