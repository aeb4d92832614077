"""What really computes: the attestation of each arithmetic on this device, and of one that was spoilt on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from suite.errors import PrecisionUnsupported
from suite.measure.device import hardware, native_or_reason
from suite.measure.instruments import Instruments
from suite.measure.precision import BF16, FP16_STATIC, FP32, TF32, Precision
from suite.measure.trial import Bench, run_trial
from suite.record import Outcome, TrialRecord
from tools.checks import Conditions, Measurement
from tools.checks.small import KINDS, Small, SmallSettings, spec_of

__all__ = ["attestation"]


def attestation(conditions: Conditions) -> Iterator[Measurement]:
    """Networks of one operator each, in each arithmetic, through the suite's own trial.

    Target: fp32 is IEEE in matmul, convolution and recurrence, tf32 is TF32 in all three (CUDA), fp16 and bf16 are
    what they say; a float32 switch that is changed during training is caught (the design's list, 3).
    """
    device = torch.device(conditions.device)
    for precision in (FP32, TF32, FP16_STATIC, BF16):
        for kind in KINDS:
            yield _attested(precision, SmallSettings(kind), device)
    record = _trial(FP32, SmallSettings("matmul", spoil=True), device)
    value = f"{record.outcome.value}: {record.reason}"
    yield Measurement("fp32 with a spoilt switch", value, "mismatch", record.outcome is Outcome.PRECISION_MISMATCH)
    if record.attestation is not None:
        worst = max(record.attestation.probe_errors.values())
        value = f"attested {record.attestation.effective}, probe error {worst:.1e}"
        # On a CPU the switch is a permission: with AVX512_BF16 and no AMX, oneDNN went on in float32 (torch 2.14.1,
        # ONEDNN_VERBOSE: brg_matmul:avx512_core under attr-fpmath:bf16).
        must = device.type == "cuda" and native_or_reason(TF32.arithmetic, hardware(device), onednn=True) is None
        met = not must or record.attestation.effective != "fp32"
        yield Measurement("its products", value, "not fp32" if must else "", met)


def _attested(precision: Precision, settings: SmallSettings, device: torch.device) -> Measurement:
    name, wanted = f"{precision.name} {settings.kind}", precision.arithmetic.value
    try:
        record = _trial(precision, settings, device)
    except PrecisionUnsupported as reason:
        return Measurement(name, f"unsupported: {reason}", met=precision is TF32 and device.type == "cpu")
    if record.attestation is None:
        return Measurement(name, f"{record.outcome.value}: {record.reason}", wanted, met=False)
    errors = ", ".join(f"{kind} {error:.1e}" for kind, error in record.attestation.probe_errors.items())
    value = f"{record.attestation.effective} (error against float64: {errors})"
    return Measurement(name, value, wanted, record.outcome.measured)


def _trial(precision: Precision, settings: SmallSettings, device: torch.device) -> TrialRecord:
    spec = spec_of(device, precision.name)
    # oneDNN has no 16-bit LSTM on most CPUs (the profiles turn it off for that workload as well).
    spec = replace(spec, setup=replace(spec.setup, onednn=settings.kind != "recurrence"))
    bench = Bench(device, hardware(device), Instruments(device, "not read in this check"))
    return run_trial(
        spec, lambda: Small(settings, batch_size=spec.setup.batch_size, seed=0, device=device), precision, bench
    )
