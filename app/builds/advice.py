"""What to do about a failed step of the set-up, told from the last lines of its output. Standard library only."""

from __future__ import annotations

import re

NUM_SHOWN = 15
AGAIN = "then run the same command again: it goes on from here."
INDEX = "Check the network, and pip's settings for an index or a proxy (`pip config list`, HTTPS_PROXY), "

# the first that fits the output counts: a cause stands before what it brings about
CAUSES = (
    (
        r"No space left on device|Errno 28|disk quota exceeded|don't have enough free space",
        "The disk is full. The set-up needs about 8 GB here, and 2 GB for temporary files (TMPDIR); make room, "
        f"{AGAIN}",
    ),
    (
        r"Killed signal terminated program|internal compiler error: Killed|out of memory|virtual memory exhausted"
        r"|Cannot allocate memory",
        "There was too little memory for the compiler. Close other programs, or compile one file at a time "
        f"(export CMAKE_BUILD_PARALLEL_LEVEL=1), {AGAIN}",
    ),
    (
        r"^E: .*(could not get lock|unable to acquire the dpkg)",
        f"Another program is installing system packages at this moment. Wait until it has ended, {AGAIN}",
    ),
    (r"^E: dpkg was interrupted", f"An installation before was cut off. Run sudo dpkg --configure -a, {AGAIN}"),
    (
        r"^(Err:\d|[EW]: Failed to fetch)|Temporary failure resolving",
        "apt could not fetch the system packages from where they lie. Check the network and apt's settings for its "
        f"sources and a proxy (/etc/apt, http_proxy; `apt-get update` shows whether they work), {AGAIN}",
    ),
    (
        r"^E: (Unable to locate package|Package .* has no installation candidate)",
        "apt does not know a package of that name here. Look what this system calls it (apt-cache search) and install "
        f"it yourself, {AGAIN}",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError",
        "The certificate of the package index is not valid. Check the date of this computer, and whether a proxy or "
        f"a virus scanner stands in between, {AGAIN}",
    ),
    (
        r"No CMAKE_C(XX)?_COMPILER could be found|CMAKE_C(XX)?_COMPILER not set"
        r"|C(XX)? compiler identification is unknown|is not able to compile a simple test program"
        r"|Unable to find a C\+\+ compiler",
        "There is no C++ compiler that works. Install one (Debian, Ubuntu: sudo apt-get install build-essential; "
        "Fedora: sudo dnf install gcc-c++ make; macOS: xcode-select --install; Windows: the Visual Studio Build Tools "
        f"with C++), {AGAIN}",
    ),
    (
        r"No CMAKE_CUDA_COMPILER|CUDA compiler identification is unknown|CUDAToolkit|nvcc fatal"
        r"|unsupported GNU version",
        'CUDA\'s compiler does not work here. Mend it, or build for the CPU (export CMAKE_ARGS="-DGGML_CUDA=off"), '
        f"{AGAIN}",
    ),
    (
        r"NewConnectionError|ConnectTimeoutError|NameResolutionError|Temporary failure in name resolution|ProxyError"
        r"|ReadTimeoutError|Connection refused|Network is unreachable|Could not fetch URL|Retrying \(Retry\("
        r"|Failed to fetch|Could not resolve",
        f"The package index could not be reached. {INDEX}{AGAIN}",
    ),
    (
        r"Could not find a version that satisfies|No matching distribution found",
        f"The package index that pip uses lacks a package, or has none for this Python and this system. {INDEX}{AGAIN}",
    ),
    (r"Permission denied|Errno 13", f"A folder cannot be written. Look who may write in this checkout, {AGAIN}"),
)
CMAKE = r"CMake Error|variables were not used|ninja: build stopped"
UNKNOWN = f"The lines above say why. Mend that, {AGAIN} If they do not help, open an issue with the whole output."


def advise(lines: list[str], cmake_args: str | None) -> str:
    """One paragraph. cmake_args: what the person has set in CMAKE_ARGS; it is suspected only where cmake failed."""
    output = "\n".join(lines)
    for pattern, sentence in CAUSES:
        if re.search(pattern, output, re.IGNORECASE | re.MULTILINE):
            return sentence
    if cmake_args and re.search(CMAKE, output):
        return f"CMAKE_ARGS is “{cmake_args}”, and the build did not get through with it. Correct or unset it, {AGAIN}"
    return UNKNOWN


def last_lines(lines: list[str]) -> str:
    """What a person should see of the output, from the first error on where there is one."""
    shown = [line for line in lines if line.strip()]
    first = next((at for at, line in enumerate(shown) if re.search(r"\b(FAILED:|fatal error|CMake Error)", line)), None)
    end = shown[-NUM_SHOWN:]
    if first is not None and first < len(shown) - NUM_SHOWN:
        end = [*shown[first : first + NUM_SHOWN // 2], "…", *shown[-NUM_SHOWN // 2 :]]
    return "\n".join(f"  | {line[:200]}" for line in end)
