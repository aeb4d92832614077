from __future__ import annotations

import pytest
import torch

from suite.decode import decode, encode
from suite.errors import CompilationUnsupported, DeterminismUnsupported, PrecisionUnsupported, UsageError
from suite.measure.worker import classify, run_job
from suite.record import Outcome, TrialRecord
from suite.spec import OptimizerSpec, ScalerSpec, Setup, TrialSpec
from workloads.base import DataDamaged, WorkloadUnavailable


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (PrecisionUnsupported("no TF32 here."), Outcome.UNSUPPORTED, "no TF32 here."),
        (CompilationUnsupported("no compiler."), Outcome.UNSUPPORTED, "no compiler."),
        (DeterminismUnsupported("put_ has none."), Outcome.UNSUPPORTED, "put_ has none."),
        (WorkloadUnavailable("install x."), Outcome.UNAVAILABLE, "install x."),
        (DataDamaged("file y."), Outcome.UNAVAILABLE, "file y."),
        (torch.OutOfMemoryError("CUDA out of memory."), Outcome.OUT_OF_MEMORY, "CUDA out of memory."),
        (MemoryError(), Outcome.OUT_OF_MEMORY, "MemoryError"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: 9"),
            Outcome.OUT_OF_MEMORY,
            "DefaultCPUAllocator: can't allocate memory: 9",
        ),
        (RuntimeError("CUDA error: out of memory"), Outcome.OUT_OF_MEMORY, "CUDA error: out of memory"),
        (UsageError("unknown name."), Outcome.FAILED, "unknown name."),
        (ValueError("two\n  lines"), Outcome.FAILED, "ValueError: two lines"),
        (SystemExit(3), Outcome.FAILED, "SystemExit: 3"),
    ],
)
def test_every_exception_stands_for_an_outcome(error: BaseException, outcome: Outcome, reason: str) -> None:
    assert classify(error) == (outcome, reason)


def _trial(*, deterministic: bool = False, **settings: object) -> dict[str, object]:
    setup = Setup(5, 1, 4, OptimizerSpec("sgd", 0.01), settings=settings)  # type: ignore[arg-type]
    threads = torch.get_num_threads()
    spec = TrialSpec("tiny", "fp32", 0, 0, "cpu", threads, "test", 10.0, ScalerSpec(), setup, deterministic)
    return {"trial": {"spec": encode(spec), "device_uuid": None}}


def _messages(job: dict[str, object]) -> list[dict[str, object]]:
    sent: list[dict[str, object]] = []
    run_job(job, lambda message: sent.append(dict(message)))
    return sent


def test_phases_come_first_and_exactly_one_record_last() -> None:
    messages = _messages(_trial())
    phases = [message["phase"] for message in messages[:-1]]
    assert phases == [
        "starting",
        "building the model",
        "training 5 steps",
        "evaluating",
        "attesting the precision",
        "counting flushed gradients",
        "profiling the operators",
        "measuring the ceiling",
    ]
    assert messages[-1]["record"]["ceiling"]["matmul_shape"] == [1024, 1024, 1024]  # type: ignore[index]
    assert messages[-1]["record"]["outcome"] == "ok"  # type: ignore[index]
    assert len(str(messages[-1]["record"]["workload_sha256"])) == 64  # type: ignore[index]


def test_an_exception_in_the_workload_is_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    record = _messages(_trial(fault="raise"))[-1]["record"]
    assert record["outcome"] == "failed"  # type: ignore[index]
    assert record["reason"] == "RuntimeError: the <workload> broke"  # type: ignore[index]
    assert "Traceback" in capsys.readouterr().err


def test_a_deterministic_trial_trains_the_same_and_says_that_it_is_not_timed() -> None:
    ordinary, deterministic = (_messages(_trial(deterministic=wanted))[-1]["record"] for wanted in (False, True))
    assert ordinary["parameters_sha256"] == deterministic["parameters_sha256"]  # type: ignore[index]
    assert ordinary["cautions"] == []  # type: ignore[index]
    assert [caution["code"] for caution in deterministic["cautions"]] == ["not_timed"]  # type: ignore[index]


def test_an_operator_without_a_deterministic_form_is_unsupported_in_this_mode_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ordinary, deterministic = (
        _messages(_trial(deterministic=wanted, fault="put"))[-1]["record"] for wanted in (False, True)
    )
    assert ordinary["outcome"] == "ok"  # type: ignore[index]
    assert (deterministic["outcome"], deterministic["reason"]) == (  # type: ignore[index]
        "unsupported",
        "put_ has no deterministic form on this device; this workload cannot be repeated bit for bit here.",
    )
    capsys.readouterr()


def test_settings_that_the_workload_does_not_have_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    record = _messages(_trial(widht=3))[-1]["record"]
    assert record["reason"] == (  # type: ignore[index]
        "settings of workload 'tiny': unknown key 'widht'; did you mean 'width'?"
    )
    capsys.readouterr()


def test_the_survey_describes_the_machine_without_its_names() -> None:
    variables = {"ONEDNN_MAX_CPU_ISA": "AVX2", "TOKEN": "secret"}
    (message,) = _messages({"survey": {"device": "cpu", "variables": variables}})
    survey = message["survey"]
    assert survey["device"] == "cpu"  # type: ignore[index]
    assert survey["torch"] == torch.__version__  # type: ignore[index]
    assert survey["variables"]["ONEDNN_MAX_CPU_ISA"] == "AVX2"  # type: ignore[index]
    assert message["device_uuid"] is None
    assert "secret" not in str(message)


def test_a_device_that_is_not_here_is_refused_in_words() -> None:
    (message,) = _messages({"survey": {"device": "cuda:99", "variables": {}}})
    assert "'cuda:99' is not here" in str(message["refused"])


@pytest.mark.parametrize("fault", ["wrong-cost", "wrong-metric"])
def test_values_of_a_wrong_type_fail_their_own_trial(fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    record = _messages(_trial(fault=fault))[-1]["record"]
    assert decode(TrialRecord, record, "record").spec.workload == "tiny"
    assert record["outcome"] == "failed"  # type: ignore[index]
    assert "is not allowed; give a value of type" in record["reason"]  # type: ignore[index]
    capsys.readouterr()


def test_an_error_in_the_evaluation_keeps_the_steps(capsys: pytest.CaptureFixture[str]) -> None:
    record = _messages(_trial(fault="evaluate"))[-1]["record"]
    assert (record["outcome"], record["reason"]) == ("failed", "RuntimeError: no evaluation")  # type: ignore[index]
    assert len(record["steps"]["seconds"]) == 5  # type: ignore[index]
    capsys.readouterr()
