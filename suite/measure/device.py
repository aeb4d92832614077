"""Which device a run uses, and what its hardware can compute."""

from __future__ import annotations

import enum
import platform
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from suite.errors import PrecisionUnsupported, UsageError

__all__ = ["Arithmetic", "Hardware", "choose", "hardware", "native_or_reason"]


class Arithmetic(enum.StrEnum):
    """What matrix products, convolutions and recurrences are computed in."""

    FP32 = "fp32"
    TF32 = "tf32"
    FP16 = "fp16"
    BF16 = "bf16"
    FP8 = "fp8"


@dataclass(frozen=True)
class Hardware:
    """The facts that decide what a device can compute; made by hand in tests."""

    kind: str
    """`cpu` or `cuda`."""
    name: str
    compute_capability: tuple[int, int] | None = None
    """CUDA only."""
    cpu_flags: frozenset[str] = frozenset()
    """CPU only, as the kernel names them (`avx512_bf16`)."""


def choose(requested: str | None) -> torch.device:
    """The requested device, or the best one present.

    Raises:
        UsageError: the device is not known or not here.
    """
    if requested is None:
        requested = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = requested.partition(":")
    if kind not in ("cpu", "cuda") or not re.fullmatch("" if kind == "cpu" else "[0-9]{0,4}", index):
        raise UsageError(f"--device {requested!r} is not known; give cpu, cuda or cuda:N.")
    if kind == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(index or 0) >= count:
        raise UsageError(f"--device {requested!r} is not here: torch sees {count} CUDA devices; give one below that.")
    return torch.device("cuda", int(index or 0))


def hardware(device: torch.device) -> Hardware:
    """Read the facts of a real device."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return Hardware("cuda", properties.name, compute_capability=(properties.major, properties.minor))
    return Hardware("cpu", cpu_name(), cpu_flags=_cpu_flags())


def native_or_reason(arithmetic: Arithmetic, on: Hardware, *, onednn: bool) -> str | None:
    """None where the hardware computes in this arithmetic; else why the numbers are emulated.

    Raises:
        PrecisionUnsupported: there is no honest way to run it; nothing is put in its place.
    """
    if arithmetic is Arithmetic.FP32:
        return None
    if on.kind == "cuda":
        return _cuda_reason(arithmetic, on)
    if arithmetic is Arithmetic.TF32:
        raise PrecisionUnsupported(
            "TF32 exists on NVIDIA GPUs of compute capability 8.0 and later; this trial runs on a CPU."
        )
    if arithmetic is Arithmetic.FP8:
        raise PrecisionUnsupported(
            "float8 products need an NVIDIA GPU of compute capability 8.9 or later; this trial runs on a CPU."
        )
    if not onednn:
        return (
            f"oneDNN is off for this workload, so torch's CPU kernels compute {arithmetic} without hardware support; "
            "read the numerics, not the speed."
        )
    wanted = _CPU_FLAGS[arithmetic]
    if not wanted & on.cpu_flags:
        return (
            f"this CPU has none of {', '.join(sorted(wanted))}, so {arithmetic} is emulated; "
            "read the numerics, not the speed."
        )
    return None


#: CPU features with which oneDNN multiplies 16-bit matrices in hardware
#: (oneDNN developer guide, "Data Types": bf16 from avx512_core_bf16, f16 from avx512_core_fp16).
_CPU_FLAGS = {
    Arithmetic.BF16: frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
    Arithmetic.FP16: frozenset({"avx512_fp16", "amx_fp16", "asimdhp"}),
}


def _cuda_reason(arithmetic: Arithmetic, on: Hardware) -> str | None:
    capability = on.compute_capability or (0, 0)
    shown = f"{on.name} has compute capability {capability[0]}.{capability[1]}"
    if arithmetic is Arithmetic.TF32 and capability < (8, 0):
        raise PrecisionUnsupported(f"TF32 needs compute capability 8.0 or later; {shown}.")
    # torch._scaled_mm refuses older ones.
    if arithmetic is Arithmetic.FP8 and capability < (8, 9):
        raise PrecisionUnsupported(f"float8 products need compute capability 8.9 or later; {shown}.")
    if arithmetic is Arithmetic.BF16 and capability < (8, 0):
        return f"{shown}, and bfloat16 units came with 8.0: torch emulates it; read the numerics, not the speed."
    if arithmetic is Arithmetic.FP16 and capability < (5, 3):
        return f"{shown}, and half-precision units came with 5.3: torch emulates it; read the numerics, not the speed."
    return None


def cpu_name() -> str:
    """The processor's model name."""
    for line in _cpuinfo():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cpu_flags() -> frozenset[str]:
    for line in _cpuinfo():
        if line.startswith(("flags", "Features")):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
