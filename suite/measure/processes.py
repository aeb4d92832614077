"""This process among those that compute on the GPU, where the driver's list can be trusted.

The driver knows the host's process ids. In a container this process is listed under another id or not at all, and its
own id may by chance be a stranger's. So the list counts only if this process was not on it before it touched the
device, and is on it afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping

from suite.measure.reading import Reading

__all__ = ["Listed", "distrust", "foreign_count", "own_bytes"]

Listed = Mapping[int, int | None] | str
"""`NvmlDevice.processes()`."""

_UNKNOWN = (
    "NVML does not list this process, so nothing can be said of the listed ones "
    "(a container sees the host's process ids, WSL none; docker run --pid=host shows them)"
)
_TAKEN = "NVML listed this process's id before it used the device: it is another one's (a container has ids of its own)"


def distrust(pid: int, idle: Listed, listed: Listed) -> str | None:
    """Why the lists say nothing about this process and the others; `idle` was read before it touched the device."""
    for answer in (idle, listed):
        if isinstance(answer, str):
            return answer
    if pid in idle:
        return _TAKEN
    return None if pid in listed else _UNKNOWN


def foreign_count(pid: int, listed: Listed, distrusted: str | None) -> Reading:
    """Processes besides this one; `distrusted` is what :func:`distrust` said."""
    if distrusted is not None or isinstance(listed, str):
        return Reading(None, distrusted or str(listed))
    return Reading(float(len(set(listed) - {pid})))


def own_bytes(pid: int, idle: Listed, listed: Listed, total: Reading) -> Reading:
    """This process's device memory, if it is possible on a device of `total` bytes.

    Managed (unified) memory is not in it (gpuopenanalytics/pynvml issue 63).
    """
    reason = distrust(pid, idle, listed)
    if reason is not None or isinstance(listed, str):
        return Reading(None, reason)
    used = listed[pid]
    if used is None:
        return Reading(None, "the driver hides the memory of processes (WSL, WDDM)")
    if used <= 0 or (total.value is not None and used > total.value):
        return Reading(None, f"NVML says that this process holds {used} bytes, which cannot be")
    return Reading(float(used))
