"""Whether a GPU lies idle because of the build that is used, in one sentence with its cure. Pure."""

from app.builds.machine import Machine, Vendor
from app.builds.way import Obstacle, Way, unused, way_for

MAKE = "slipstream builds --make"


def unused_sentence(machine: Machine, kind: str | None) -> str | None:
    """kind: what GPUs the build can use, as of `gpu_kind`. None: nothing to say. One that shares the RAM with the
    processor is not missed: it is seldom faster."""
    gpu = machine.gpu
    if gpu is None or gpu.is_integrated or gpu.vendor is Vendor.APPLE:
        return None
    way = way_for(machine)
    if kind is None:
        return str(way) if isinstance(way, Obstacle) else _not_made(way) if way else None
    if gpu.vendor is Vendor.NVIDIA and machine.driver is None:
        cure = "Install or start NVIDIA's driver (`nvidia-smi` should list the card), then load the model again"
        return unused(gpu, "its driver does not answer", cure)
    return None


def _not_made(way: Way) -> str:
    return unused(
        way.gpu, "the engine that is used is built for the CPU alone", f"“{MAKE}” builds it for the GPU, {way.does}"
    )
