"""Stand-ins at the seams: an NVML that answers what it is told, the parts of torch.cuda that instruments read, and a
machine's /proc and /sys."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from suite.measure.host import Host


class NVMLError(Exception):
    """As pynvml.NVMLError."""


class NVMLLibraryMismatchError(Exception):
    """As pynvml's: the driver has no function of the version that the bindings call. It is no NVMLError."""


class FakeNvml:
    """`answers` maps a function's name to a value, a list of successive values, an exception to raise, or a function.

    After `lost_after` calls the driver is gone: every further call raises.
    """

    NVMLError = NVMLError
    NVMLLibraryMismatchError = NVMLLibraryMismatchError
    nvmlMemory_v2 = 2

    def __init__(self, lost_after: int | None = None, **answers: Any) -> None:
        self.answers = answers
        self.asked_uuids: list[str] = []
        self.calls = 0
        self.lost_after = lost_after

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        self.asked_uuids.append(uuid)
        if uuid not in self.answers.get("uuids", (uuid,)):
            raise NVMLError("Not Found")
        return f"handle of {uuid}"

    def __getattr__(self, name: str) -> Any:
        if name not in self.answers:
            raise AttributeError(f"no {name}")
        return lambda *arguments, **options: self._answer(name, *arguments, **options)

    def _answer(self, name: str, *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        if self.lost_after is not None and self.calls > self.lost_after:
            raise NVMLError("GPU is lost")
        answer = self.answers[name]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(*arguments, **options) if callable(answer) else answer


#: More than any device has, in bytes.
PLENTY = 10**15


def memory(used: int, total: int = PLENTY) -> SimpleNamespace:
    """An nvmlMemory_t."""
    return SimpleNamespace(used=used, total=total)


def process(pid: int, used: int | None) -> SimpleNamespace:
    """An nvmlProcessInfo_t."""
    return SimpleNamespace(pid=pid, usedGpuMemory=used)


class FakeCuda:
    """Allocator statistics of torch.cuda; `peaks` and `reserved` are successive answers, the last one repeated."""

    def __init__(self, peaks: list[int], reserved: list[int] | None = None, retries: int | None = 0) -> None:
        self.peaks = peaks
        self.reserved = reserved or [0]
        self.retries = retries
        self.resets = 0

    def synchronize(self, device: torch.device) -> None:
        pass

    def reset_peak_memory_stats(self, device: torch.device) -> None:
        self.resets += 1

    def max_memory_allocated(self, device: torch.device) -> int:
        return self.peaks.pop(0)

    def max_memory_reserved(self, device: torch.device) -> int:
        return self.reserved.pop(0) if len(self.reserved) > 1 else self.reserved[0]

    def memory_stats(self, device: torch.device) -> dict[str, int]:
        return {} if self.retries is None else {"num_alloc_retries": self.retries}


class FakeMachine:
    """A folder with the files of /proc and /sys that `suite.measure.host` reads, for a machine of two processors."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seconds = 0.0
        self.own_seconds = 0.0
        self.ticks = {0: [0] * 8, 1: [0] * 8}
        self.write("proc/self/task/1/stat", "1 (a (name) R) R 0 0")
        self.write("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu\ncpu MHz\t\t: 2000.0\n")
        self.write("proc/self/cgroup", "0::/box\n")
        self._write_stat()

    def host(self) -> Host:
        return Host(self.root, frozenset(self.ticks), lambda: self.seconds, lambda: self.own_seconds)

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def passes(self, seconds: float, own: float = 0.0, foreign: float = 0.0, steal: float = 0.0) -> None:
        """Time passes, and the two processors together are used for so many seconds by each; the rest is idle."""
        self.seconds += seconds
        self.own_seconds += own
        for ticks in self.ticks.values():
            ticks[0] += round(50 * (own + foreign))
            ticks[7] += round(50 * steal)
            ticks[3] += round(50 * (2 * seconds - own - foreign - steal))
        self._write_stat()

    def quota(self, periods: int, throttled: int) -> None:
        self.write("sys/fs/cgroup/box/cpu.stat", f"usage_usec 5\nnr_periods {periods}\nnr_throttled {throttled}\n")

    def package(self, number: int, joules: float, wraps_at: float = 262_144.0, name: str | None = None) -> None:
        folder = f"sys/class/powercap/intel-rapl:{number}"
        self.write(f"{folder}/name", f"{name or f'package-{number}'}\n")
        self.write(f"{folder}/energy_uj", f"{round(joules * 1e6)}\n")
        self.write(f"{folder}/max_energy_range_uj", f"{round(wraps_at * 1e6)}\n")

    def _write_stat(self) -> None:
        lines = [f"cpu{cpu} {' '.join(map(str, ticks))} 0 0" for cpu, ticks in self.ticks.items()]
        self.write("proc/stat", "\n".join(["cpu  9 9 9 9 9 9 9 9 0 0", *lines, "procs_running 3", ""]))
