"""The one place of the engine's build flags, for the installed build and for those beside it. Standard library only."""

from collections.abc import Mapping, Sequence

# gcc 12 miscompiles llama.cpp's AMX kernels: every quantized batch would crash (llama.cpp issue #20824)
AMX_OFF = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
ARGUMENTS = "CMAKE_ARGS"


def with_flags(
    environment: Mapping[str, str], processor: str, system: str, arguments: Sequence[str] = ()
) -> dict[str, str]:
    """For a build. What the person has set in the environment stands; arguments: for CMake, behind the person's."""
    result = dict(environment)
    if processor.lower() in ("x86_64", "amd64") and system != "win32":
        for name in ("CFLAGS", "CXXFLAGS"):
            result[name] = f"{AMX_OFF} {environment.get(name, '')}".strip()
    if arguments:
        result[ARGUMENTS] = " ".join((environment.get(ARGUMENTS, ""), *arguments)).strip()
    return result
