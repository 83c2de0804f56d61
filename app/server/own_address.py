"""Under which address other computers of the network find this one."""

import ipaddress
import socket
from collections.abc import Iterable

import psutil


def network_address() -> str | None:
    """Of an interface that is up, a private one first; None where there is none but loopback."""
    up = {name for name, each in psutil.net_if_stats().items() if each.isup}
    found = [
        each.address
        for name, addresses in psutil.net_if_addrs().items()
        if name in up
        for each in addresses
        if each.family == socket.AF_INET
    ]
    return best(found)


def best(addresses: Iterable[str]) -> str | None:
    """The likeliest to be reached; bridges of containers mostly have 172.x."""
    usable = [ipaddress.IPv4Address(each) for each in addresses]
    usable = [each for each in usable if not each.is_loopback and not each.is_link_local]
    ranked = sorted(usable, key=lambda each: (not each.is_private, str(each).startswith("172.")))
    return str(ranked[0]) if ranked else None
