"""Stand-ins at the seams: an NVML that answers what it is told, and the parts of torch.cuda that instruments read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch


class NVMLError(Exception):
    """As pynvml.NVMLError."""


class FakeNvml:
    """`answers` maps a function's name to a value, a list of successive values, or an exception to raise."""

    NVMLError = NVMLError
    nvmlMemory_v2 = 2

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked_uuid: str | None = None

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        self.asked_uuid = uuid
        if uuid not in self.answers.get("uuids", (uuid,)):
            raise NVMLError("Not Found")
        return f"handle of {uuid}"

    def __getattr__(self, name: str) -> Any:
        if name not in self.answers:
            raise AttributeError(name)
        return lambda *arguments, **options: self._answer(name)

    def _answer(self, name: str) -> Any:
        answer = self.answers[name]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def memory(used: int) -> SimpleNamespace:
    """An nvmlMemory_t."""
    return SimpleNamespace(used=used)


def process(pid: int, used: int | None) -> SimpleNamespace:
    """An nvmlProcessInfo_t."""
    return SimpleNamespace(pid=pid, usedGpuMemory=used)


class FakeCuda:
    """Allocator statistics of torch.cuda; `peaks` and `reserved` are successive answers, the last one repeated."""

    def __init__(self, peaks: list[int], reserved: list[int] | None = None, retries: int = 0) -> None:
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
        return {"num_alloc_retries": self.retries}
