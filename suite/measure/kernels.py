"""Which oneDNN kernels computed a step on a CPU, as oneDNN itself reports them.

A processor may multiply 16-bit numbers in hardware and oneDNN still have no such kernel for an operator: it then takes
its reference implementation, plain loops in which that hardware plays no part. (oneDNN 3.11 on a processor with
AVX512_FP16 but without AMX_FP16 has none for the weight gradient of a float16 convolution, and takes 40 times as long.)
The processor's features do not show that; oneDNN's verbose mode names the kernel of every product.

The format of the report is oneDNN's (developer guide, "Verbose Mode"), whose first version lacks the field `v1`.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from suite.measure.device import Arithmetic

__all__ = ["by_reference", "kernels_of", "reported_kernels"]

_HEAVY = ("convolution", "deconvolution", "inner_product", "matmul", "rnn")
_TYPES = {"f16": Arithmetic.FP16, "bf16": Arithmetic.BF16}
_REFERENCE = "ref"


@contextmanager
def reported_kernels(device: torch.device) -> Iterator[Counter[str]]:
    """Counts what oneDNN reports inside the block, complete when it ends: `{"matmul undef f32 brg_matmul:…": 8}`.

    Empty on other devices and where torch was built without oneDNN. The report comes on the process's standard output,
    which goes to a file meanwhile; whatever else was printed is printed again afterwards.
    """
    found = Counter[str]()
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        yield found
        return
    with tempfile.TemporaryFile() as report:
        with _standard_output_to(report.fileno()), torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
            yield found
        report.seek(0)
        text = report.read().decode("utf-8", errors="replace")
    found.update(kernels_of(text))
    sys.stdout.write("".join(line for line in text.splitlines(keepends=True) if not _is_report(line)))


def kernels_of(report: str) -> Counter[str]:
    """Products in a verbose report: `kind direction type-of-source implementation` -> how often."""
    counted = Counter[str]()
    for line in filter(_is_report, report.splitlines()):
        fields = line.split(",")
        # …,exec,cpu,convolution,ref:any,backward_weights,src:f16:a:blocked:abcd::f0 wei:…
        if "exec" not in fields[:4]:
            continue
        kind, implementation, direction, tensors = fields[fields.index("exec") + 2 :][:4]
        source = re.match(r"src[:_](\w+?):", tensors)
        if kind in _HEAVY and source:
            counted[f"{kind} {direction} {source[1]} {implementation}"] += 1
    return counted


def by_reference(kernels: Mapping[str, int], arithmetic: Arithmetic) -> str | None:
    """Why the speed of a step says nothing of the hardware's 16-bit units, though it has them; None where it does."""
    ours = {name: count for name, count in kernels.items() if _TYPES.get(name.split()[2]) is arithmetic}
    slow = {name: count for name, count in ours.items() if name.split()[3].startswith(_REFERENCE)}
    if not slow:
        return None
    kinds = sorted({" ".join(name.split()[:2]) for name in slow})
    return (
        f"oneDNN has no {arithmetic} kernel of this CPU for {sum(slow.values())} of {sum(ours.values())} products of a "
        f"step ({', '.join(kinds)}) and takes its reference implementation; read the numerics, not the speed."
    )


def _is_report(line: str) -> bool:
    return line.startswith("onednn_verbose,")


@contextmanager
def _standard_output_to(descriptor: int) -> Iterator[None]:
    """Point file descriptor 1, to which C code prints, elsewhere; what was buffered before and inside goes where it
    belongs."""
    _flush()
    kept = os.dup(1)
    try:
        os.dup2(descriptor, 1)
        yield
    finally:
        _flush()
        os.dup2(kept, 1)
        os.close(kept)


def _flush() -> None:
    sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)
