"""The inside of a trial process: the only place where the suite meets the workloads.

Messages go to the parent as JSON, one per frame: `{"phase": …}` any number of times, then exactly one
`{"record": …}` (or `{"survey": …}`, `{"scan": …}`). What the process prints is captured separately and never parsed.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from suite import catalog
from suite.checks import Check, okay, unavailable
from suite.decode import DecodeError, decode, encode
from suite.errors import SuiteError, Unsupported, UsageError, one_line
from suite.measure.ceiling import ceiling_of
from suite.measure.compilation import compiling_from_nothing
from suite.measure.determinism import NOT_TIMED, allowing_only_deterministic_kernels
from suite.measure.device import choose, hardware
from suite.measure.diagnosis import gpu_checks, host_checks, precision_checks, torch_checks
from suite.measure.environment import describe, device_uuid
from suite.measure.host import Host
from suite.measure.instruments import Instruments
from suite.measure.nvml import open_device
from suite.measure.scan import scan_scales
from suite.measure.trial import Bench, run_trial
from suite.record import Outcome, TrialRecord
from suite.spec import TrialSpec
from workloads.base import DataDamaged, Workload, WorkloadUnavailable

__all__ = ["run_job"]

Send = Callable[[Mapping[str, Any]], None]


def run_job(job: Mapping[str, Any], send: Send) -> None:
    """Do what the parent asked for: one kind of job and its request, `{"trial": {…}}`."""
    ((kind, request),) = job.items()
    try:
        _JOBS[kind](request, send)
    except (UsageError, Unsupported, WorkloadUnavailable, DataDamaged, DecodeError) as error:
        # What the user can do something about is said by the command that asked, in the same words.
        send({"refused": str(error)})


def _run_trial(request: Mapping[str, Any], send: Send) -> None:
    send({"phase": "starting"})
    send({"record": encode(_trial(request, lambda name: send({"phase": name})))})


def _survey(request: Mapping[str, Any], send: Send) -> None:
    environment, uuid = describe(request["device"], request["variables"])
    send({"survey": encode(environment), "device_uuid": uuid})


def _scan(request: Mapping[str, Any], send: Send) -> None:
    spec = decode(TrialSpec, request["spec"], "scan")
    device = torch.device(spec.device)
    workload_class = catalog.load(catalog.require("workload", spec.workload, catalog.workloads()))
    if device.type == "cuda":
        torch.cuda.set_device(device)
        _check_identity(device, request.get("device_uuid"))
    try:
        scan = scan_scales(
            spec, lambda: _make(workload_class, spec, device), device, lambda name: send({"phase": name})
        )
    except RuntimeError as error:  # of the model, or of the device
        raise Unsupported(f"{spec.workload} cannot be scanned: {one_line(error)}") from error
    send({"scan": encode(scan)})


def _trial(request: Mapping[str, Any], phase: Callable[[str], None]) -> TrialRecord:
    spec = decode(TrialSpec, request["spec"], "trial")
    kept = [TrialRecord(spec=spec, outcome=Outcome.FAILED, started_at=datetime.now(UTC).isoformat(timespec="seconds"))]
    try:
        with allowing_only_deterministic_kernels(spec.deterministic):
            _measure(spec, request.get("device_uuid"), phase, lambda record: kept.append(_checked(record)))
        return replace(kept[-1], cautions=(*kept[-1].cautions, NOT_TIMED)) if spec.deterministic else kept[-1]
    # The one broad except: whatever a workload or a driver raises becomes a record, and the run goes on.
    except BaseException as error:
        traceback.print_exc(file=sys.stderr)
        outcome, reason = classify(error)
        return replace(kept[-1], outcome=outcome, reason=reason)


def _checked(record: TrialRecord) -> TrialRecord:
    """The record, or DecodeError: a workload's value of a wrong type is this trial's own failure, not the run's."""
    plain = encode(record)
    json.dumps(plain, ensure_ascii=False).encode()  # a name that is no text cannot be stored
    return decode(TrialRecord, plain, "the trial's record")


def _measure(
    spec: TrialSpec, surveyed_uuid: str | None, phase: Callable[[str], None], keep: Callable[[TrialRecord], None]
) -> None:
    # NVML first: the idle reading must come before this process touches CUDA.
    nvml = open_device(surveyed_uuid)
    device = torch.device(spec.device)
    instruments = Instruments(device, nvml)
    precision = catalog.load(catalog.require("precision", spec.precision, catalog.precisions()))
    workload_class = catalog.load(catalog.require("workload", spec.workload, catalog.workloads()))
    if device.type == "cuda":
        torch.cuda.set_device(device)
        _check_identity(device, surveyed_uuid)
    bench = Bench(device, hardware(device), instruments, phase=phase, keep=keep)
    with compiling_from_nothing(spec.setup.compile):
        record = run_trial(spec, lambda: _make(workload_class, spec, device), precision, bench)
    keep(record := _with_source_digest(record, workload_class))
    phase("measuring the ceiling")
    keep(replace(record, ceiling=ceiling_of(record, precision.arithmetic, bench.hardware, device)))


def _check_identity(device: torch.device, surveyed_uuid: str | None) -> None:
    found = device_uuid(device)
    if found != surveyed_uuid:
        raise UsageError(
            f"{device} is {found} in this trial and was {surveyed_uuid} when the run was planned; run again."
        )


def _make(workload_class: Any, spec: TrialSpec, device: torch.device) -> Workload:
    settings = decode(workload_class.Settings, dict(spec.setup.settings), f"settings of workload {spec.workload!r}")
    made: Workload = workload_class(settings, batch_size=spec.setup.batch_size, seed=spec.seed, device=device)
    return made


#: How a want of memory is worded where it has no exception of its own: torch's CPU allocator, CUDA, cuBLAS, cuDNN.
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def classify(error: BaseException) -> tuple[Outcome, str]:
    """The outcome an exception stands for, and one sentence of reason."""
    text = one_line(str(error)) or type(error).__name__
    if isinstance(error, StopIteration):
        return Outcome.FAILED, "the workload's batches ended before the last step; they must be endless."
    if isinstance(error, Unsupported):
        return Outcome.UNSUPPORTED, text
    if isinstance(error, WorkloadUnavailable | DataDamaged):
        return Outcome.UNAVAILABLE, text
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in text for words in _OUT_OF_MEMORY):
        return Outcome.OUT_OF_MEMORY, text
    if isinstance(error, SuiteError | DecodeError):
        return Outcome.FAILED, text
    return Outcome.FAILED, f"{type(error).__name__}: {text}"


def _with_source_digest(record: TrialRecord, workload_class: Any) -> TrialRecord:
    source = inspect.getsourcefile(workload_class)
    digest = hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else None
    return replace(record, workload_sha256=digest)


def _doctor(request: Mapping[str, Any], send: Send) -> None:
    device = choose(request["device"])
    precisions = [catalog.load(target) for target in catalog.precisions().values()]
    checks = [
        *torch_checks(device),
        *precision_checks(precisions, hardware(device)),
        *gpu_checks(open_device(device_uuid(device)), lambda: torch.zeros(1, device=device)),
        *host_checks(Host()),
        _bert_weights(),
    ]
    send({"checks": encode(checks)})


def _bert_weights() -> Check:
    try:
        catalog.load("workloads.bert:weights_folder")("minilm")
    except (WorkloadUnavailable, ModuleNotFoundError) as error:
        return unavailable("BERT weights", one_line(str(error)))
    return okay("BERT weights", "MiniLM is installed and is what it should be")


_JOBS: Mapping[str, Callable[[Mapping[str, Any], Send], None]] = {
    "survey": _survey,
    "trial": _run_trial,
    "doctor": _doctor,
    "scan": _scan,
}
"""Kind of job -> what does it. Each sends any number of `{"phase": …}` and then exactly one result."""
