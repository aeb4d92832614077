"""What the device could have done: its datasheet peak, and the fastest large matrix product measured beside the trial.

The product is measured in the trial's own process after its training, with the trial's switches, threads and
arithmetic, so that a throttled or shared device shows in both numbers. Its operands are random and already in the
arithmetic's type: products of zeros run 13 % faster on an H200 (they switch fewer transistors, which lifts the clock),
and autocast's conversion would be timed with the product. It lasts a fifth of a second, so a device that only throttles
after seconds is measured before it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from suite.errors import one_line
from suite.measure.device import Arithmetic, Hardware
from suite.peaks import Peak, dense_peak
from suite.readings import Ceiling
from suite.record import Outcome, TrialRecord

__all__ = ["Product", "ceiling", "ceiling_of", "fastest_seconds", "side_that_fits"]

_TYPES = {
    Arithmetic.FP32: torch.float32,
    Arithmetic.TF32: torch.float32,  # what float32 products are computed in is a switch of the process
    Arithmetic.FP16: torch.float16,
    Arithmetic.BF16: torch.bfloat16,
    Arithmetic.FP8: torch.float8_e4m3fn,
}
_NO_PEAK = Peak(None, None, "the speed of an emulated trial is not held against a datasheet")
#: Side of the square product, native and emulated (16-bit products without hardware support are 36 times slower on a
#: CPU): fixed, so that two machines and two modes are compared on one shape, and a few tens of milliseconds at most.
_SIDES = {("cuda", True): 8192, ("cuda", False): 2048, ("cpu", True): 1024, ("cpu", False): 256}
SMALLEST = 256
MEASURE_SECONDS = 0.2
FEWEST_PRODUCTS = 3
LARGEST_MEMORY_SHARE = 0.5
"""Of the device's free memory, for the two operands and the product."""


def ceiling_of(
    record: TrialRecord,
    arithmetic: Arithmetic,
    on: Hardware,
    device: torch.device,
    product: Callable[[torch.device, torch.dtype, int], Product] | None = None,
) -> Ceiling:
    """The ceiling that a finished trial of this arithmetic is held against; a failure here is not the trial's."""
    if record.outcome is Outcome.PRECISION_MISMATCH:
        return _unknown(f"something other than {arithmetic} ran, so its ceiling is not this trial's")
    try:
        return ceiling(arithmetic, on, device, native=record.emulation is None, product=product)
    except RuntimeError as error:  # what CUDA and its libraries raise, out of memory among it
        return _unknown(f"the product could not be measured: {one_line(error)}")


def _unknown(reason: str) -> Ceiling:
    return Ceiling(reasons=dict.fromkeys(("peak_flops_per_second", "matmul_flops_per_second"), reason))


def ceiling(
    arithmetic: Arithmetic,
    on: Hardware,
    device: torch.device,
    *,
    native: bool,
    product: Callable[[torch.device, torch.dtype, int], Product] | None = None,
) -> Ceiling:
    """Datasheet peak and measured product of this device in this arithmetic, each None with its reason if need be."""
    peak = dense_peak(on.kind, on.name, arithmetic) if native else _NO_PEAK
    reasons = {} if peak.reason is None else {"peak_flops_per_second": peak.reason}
    kind = _TYPES[arithmetic]
    side = side_that_fits(_SIDES[device.type, native], kind, free_bytes := _free_bytes(device))
    if side is None:
        lacking = {"matmul_flops_per_second": f"{free_bytes} bytes are free, too few for a product of side {SMALLEST}"}
        return Ceiling(peak.flops_per_second, peak.source, reasons=reasons | lacking)
    flops_per_second = 2 * side**3 / fastest_seconds((product or Product)(device, kind, side).seconds)
    return Ceiling(peak.flops_per_second, peak.source, flops_per_second, (side, side, side), reasons)


def side_that_fits(side: int, kind: torch.dtype, free_bytes: int | None) -> int | None:
    """`side`, halved until both operands and the result take at most half of `free_bytes`; None below the smallest.

    `free_bytes` None stands for memory that is not asked for.
    """
    while free_bytes is not None and 3 * side * side * kind.itemsize > LARGEST_MEMORY_SHARE * free_bytes:
        side //= 2
        if side < SMALLEST:
            return None
    return side


class Product:
    """A square product of random data; `cuda` is `torch.cuda`, or a fake."""

    def __init__(self, device: torch.device, kind: torch.dtype, side: int, cuda: Any = torch.cuda) -> None:
        self._device = device
        self._cuda = cuda
        # A generator of its own: the trial's random streams are left as they are.
        source = torch.Generator(device).manual_seed(0)
        self._left, self._right, self._out = (
            torch.randn(side, side, generator=source, device=device).to(kind) for _ in range(3)
        )
        self._float8 = kind == torch.float8_e4m3fn
        if self._float8:
            # torch._scaled_mm takes its second factor by columns; the scales and the output are those of torchao.
            self._right, self._out = self._right.t(), torch.empty(side, side, device=device, dtype=torch.bfloat16)
            self._scale = torch.ones((), device=device)
        self._multiply()  # untimed: libraries load, and choose their kernel, at the first call

    def seconds(self) -> float:
        """Time of one product; waits for the device."""
        if self._device.type == "cuda":
            begin, end = (self._cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            self._multiply()
            end.record()
            self._cuda.synchronize(self._device)
            milliseconds: float = begin.elapsed_time(end)
            return milliseconds / 1e3
        started = time.perf_counter_ns()
        self._multiply()
        return (time.perf_counter_ns() - started) / 1e9

    def _multiply(self) -> None:
        if self._float8:
            torch._scaled_mm(self._left, self._right, self._scale, self._scale, out_dtype=torch.bfloat16, out=self._out)
        else:
            torch.mm(self._left, self._right, out=self._out)


def fastest_seconds(product_seconds: Callable[[], float], clock: Callable[[], float] = time.perf_counter) -> float:
    """The shortest of as many products as fit into a fifth of a second, and of three at least."""
    end = clock() + MEASURE_SECONDS
    times = [product_seconds() for _ in range(FEWEST_PRODUCTS)]
    while clock() < end:
        times.append(product_seconds())
    return min(times)


def _free_bytes(device: torch.device) -> int | None:
    """Free memory of a CUDA device, after torch has given back what it only keeps; None where it is not asked for."""
    if device.type != "cuda":
        return None
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    return free
