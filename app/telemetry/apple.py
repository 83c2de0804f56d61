"""Apple's GPUs, which use the machine's RAM up to a limit: the recommended working set. What is used of it only the
engine's own process can tell (backends.protocol.DeviceMemory)."""

import ctypes
import ctypes.util
from typing import Any

from app.telemetry.sample import Gpu

LARGE = 36 << 30  # bytes of RAM from which on Metal recommends three quarters instead of two thirds


class AppleProvider:
    def read(self) -> tuple[Gpu, ...] | None:
        ram = _sysctl("hw.memsize", ctypes.c_uint64)
        if not ram:
            return None
        set_by_hand = _sysctl("iogpu.wired_limit_mb", ctypes.c_uint32) or 0  # 0: the system's own choice
        limit = set_by_hand << 20 or (ram * 3 // 4 if ram > LARGE else ram * 2 // 3)
        return (Gpu("Apple GPU", "Metal's recommended working set, part of RAM", total=limit),)

    def close(self) -> None:
        pass


def _sysctl(name: str, kind: Any) -> int | None:
    value = kind()
    size = ctypes.c_size_t(ctypes.sizeof(value))
    libc = ctypes.CDLL(ctypes.util.find_library("c"))
    failed = libc.sysctlbyname(name.encode(), ctypes.byref(value), ctypes.byref(size), None, 0)
    return None if failed else int(value.value)
