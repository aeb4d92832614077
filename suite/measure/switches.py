"""torch's precision switches: set, read back, and held for a while.

Every operator's switch is set by itself through the `fp32_precision` interface (torch ≥ 2.9). torch's own older one
(`allow_tf32`, `set_float32_matmul_precision`) is set first and alike: parts of torch, Inductor among them, still read
it, and where the two contradict each other reading it raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from suite.measure.device import Arithmetic

__all__ = ["pin_arithmetic", "pinned", "process", "restore", "switches", "under"]

#: Backend and operator as torch's own properties name them. The properties themselves are not used: in torch 2.9 and
#: 2.10 building an LSTM on CUDA replaces `torch.backends.cudnn.rnn` by a module of that name (pytorch issue 159828),
#: and setting the property then sets nothing. Contract test: tests/measure/test_switches.py (torch 2.9.1, 2.14.1).
_SWITCHES = ("cuda.matmul", "cuda.conv", "cuda.rnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn")


#: How 16-bit products on CUDA may add up, pinned to torch's defaults: they change sums inside one and the same mode.
_REDUCTIONS = {
    "allow_fp16_reduced_precision_reduction": True,
    "allow_bf16_reduced_precision_reduction": True,
    "allow_fp16_accumulation": False,
}
_ATTENTION_REDUCTION = "cuda.allow_fp16_bf16_reduction_math_sdp"
_BENCHMARK = "cudnn.benchmark"
"""Off: it lets cuDNN choose another algorithm in every process, which breaks repeatability."""


def pin_arithmetic(arithmetic: Arithmetic) -> None:
    """Set every float32 switch: TF32 where asked for, IEEE everywhere else; and the defaults of 16-bit reductions."""
    restore(pinned(arithmetic))


def pinned(arithmetic: Arithmetic) -> dict[str, str]:
    """What :func:`pin_arithmetic` sets, by the names of :func:`switches`."""
    tf32 = arithmetic is Arithmetic.TF32
    return {
        **{f"{name}.fp32_precision": "tf32" if tf32 and name.startswith("cuda") else "ieee" for name in _SWITCHES},
        **{f"cuda.matmul.{name}": str(allowed) for name, allowed in _REDUCTIONS.items()},
        _ATTENTION_REDUCTION: "False",
        _BENCHMARK: "False",
    }


def switches() -> dict[str, str]:
    """The precision switches as torch reports them now, and what else of the process decides which kernels run."""
    cuda = torch.backends.cuda
    return {
        **{f"{name}.fp32_precision": _get_switch(name) for name in _SWITCHES},
        **{f"cuda.matmul.{name}": str(getattr(cuda.matmul, name)) for name in _REDUCTIONS},
        _ATTENTION_REDUCTION: str(cuda.fp16_bf16_reduction_math_sdp_allowed()),
        _BENCHMARK: str(torch.backends.cudnn.benchmark),
        **process(torch.get_num_threads(), onednn=bool(torch.backends.mkldnn.enabled)),
    }


def process(threads: int, *, onednn: bool) -> dict[str, str]:
    """CPU threads and whether oneDNN may be used, by the names of :func:`switches`; a trial sets them once."""
    return {"threads": str(threads), "onednn": str(onednn)}


def restore(settings: Mapping[str, str]) -> None:
    """Put back the precision switches as :func:`switches` returned them."""
    wanted = {name: settings[f"{name}.fp32_precision"] for name in _SWITCHES}
    torch.backends.cuda.matmul.allow_tf32 = wanted["cuda.matmul"] == "tf32"
    torch.backends.cudnn.allow_tf32 = wanted["cuda.conv"] == "tf32"
    for name, value in wanted.items():
        _set_switch(name, value)
    for name in _REDUCTIONS:
        setattr(torch.backends.cuda.matmul, name, settings[f"cuda.matmul.{name}"] == "True")
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(settings[_ATTENTION_REDUCTION] == "True")
    torch.backends.cudnn.benchmark = settings[_BENCHMARK] == "True"


@contextmanager
def under(arithmetic: Arithmetic) -> Iterator[None]:
    """Pinned to this arithmetic inside the block, and the switches as they were afterwards."""
    before = switches()
    pin_arithmetic(arithmetic)
    try:
        yield
    finally:
        restore(before)


def _set_switch(name: str, value: str) -> None:
    backend, _, operator = name.partition(".")
    torch._C._set_fp32_precision_setter(backend, operator, value)


def _get_switch(name: str) -> str:
    backend, _, operator = name.partition(".")
    return str(torch._C._get_fp32_precision_getter(backend, operator))
