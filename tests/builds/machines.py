"""Machines that are not here: what their programs say and their files hold, as Probes."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from app.builds.probes import Probes

SMI = "/usr/bin/nvidia-smi"
TABLE = "| NVIDIA-SMI {0}     Driver Version: {0}     CUDA Version: {1} |"
CARD = "0000:01:00.0"


@dataclass
class Pretended:
    """programs: path by name. says: stdout by command line. files: text by path. `asked` are the commands that were
    run."""

    programs: dict[str, str] = field(default_factory=lambda: {"c++": "/usr/bin/c++"})
    says: dict[str, str | None] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    system: str = "linux"
    processor: str = "x86_64"
    asked: list[str] = field(default_factory=list)

    def probes(self) -> Probes:
        return Probes(
            self.programs.get, self._run, self.files.get, self._glob, self.system, self.processor, self.environment
        )

    def _run(self, command: tuple[str, ...]) -> str | None:
        line = " ".join(command)
        self.asked.append(line)
        return self.says.get(line)

    def _glob(self, folder: str, pattern: str) -> list[str]:
        """Also the folders on the way to a file."""
        found = set()
        for path in map(PurePosixPath, self.files):
            for place in (path, *path.parents):
                if str(place.parent) == folder and fnmatchcase(place.name, pattern):
                    found.add(str(place))
        return sorted(found)

    def with_card(self, vendor: str, place: str = CARD, **files: str) -> "Pretended":
        device = f"/sys/bus/pci/devices/{place}"
        self.files |= {f"{device}/vendor": vendor, f"{device}/class": "0x030000"}
        self.files |= {f"{device}/{name.replace('__', '/')}": text for name, text in files.items()}
        return self

    def with_nvidia(
        self, row: str = "NVIDIA GeForce RTX 4090, 580.95.05, 24564, 8.9", cuda: str = "13.0"
    ) -> "Pretended":
        self.with_card("0x10de")
        self.programs["nvidia-smi"] = SMI
        query = f"{SMI} --query-gpu=name,driver_version,memory.total,compute_cap --format=csv,noheader,nounits"
        self.says |= {query: f"{row}\n", SMI: TABLE.format(row.split(",")[1].strip(), cuda)}
        return self

    def with_nvcc(self, release: str = "13.0", path: str = "/usr/local/cuda/bin/nvcc") -> "Pretended":
        self.programs |= {path: path}
        self.says[f"{path} --version"] = f"Cuda compilation tools, release {release}, V{release}.88"
        return self

    def with_vulkan(self, minor: int = 4, patch: int = 309) -> "Pretended":
        header = "/usr/include/vulkan/vulkan_core.h"
        self.programs["glslc"] = "/usr/bin/glslc"
        self.files |= {
            "/usr/lib/x86_64-linux-gnu/libvulkan.so.1": "",
            "/usr/share/cmake/SPIRV-Headers/SPIRV-HeadersConfig.cmake": "",
            header: "",
        }
        self.says[f"grep -m2 -E define VK_HEADER_VERSION(_COMPLETE)?  {header}"] = (
            f"#define VK_HEADER_VERSION {patch}\n"
            f"#define VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION(0, 1, {minor}, VK_HEADER_VERSION)\n"
        )
        return self
