"""The time of a step by operator: literal events with known answers, and the real profiler on real steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from ampmark_tiny import Tiny, TinySettings
from torch import Tensor, nn
from torch.autograd import DeviceType
from trials import CPU, SETUP, SPEC, bench

from suite.measure import precision as modes
from suite.measure.operators import (
    LONGEST_NAME,
    ProfilingMeter,
    _Enough,
    operators_of_cpu,
    operators_of_device,
    profiler_of,
    summary,
)
from suite.measure.precision import Precision
from suite.measure.trial import Bench, run_trial
from suite.readings import OperatorProfile, OperatorTime
from suite.record import OTHER_OPERATORS, Outcome, TrialRecord
from suite.spec import Setup


@dataclass(frozen=True)
class FakeKernel:
    name: str
    duration: float


@dataclass(frozen=True)
class FakeEvent:
    """What is read of one of torch's events; times in microseconds."""

    name: str
    self_cpu_time_total: float = 0.0
    self_device_time_total: float = 0.0
    kernels: tuple[FakeKernel, ...] = ()
    device_type: DeviceType = DeviceType.CPU
    is_user_annotation: bool = False


def _device(name: str, microseconds: float, *, annotation: bool = False) -> FakeEvent:
    return FakeEvent(
        name,
        self_device_time_total=microseconds,
        device_type=DeviceType.CUDA,
        is_user_annotation=annotation,
    )


def _steps(*steps: dict[str, float]) -> list[dict[str, OperatorTime]]:
    """One call of each operator per step, with its seconds."""
    return [{name: OperatorTime(name, 1.0, seconds) for name, seconds in step.items()} for step in steps]


# --- one step -------------------------------------------------------------------------------------------------------


def test_events_of_one_name_are_one_operator() -> None:
    events = [FakeEvent("aten::mm", 30.0), FakeEvent("aten::add", 5.0), FakeEvent("aten::mm", 20.0)]
    assert operators_of_cpu(events) == {
        "aten::mm": OperatorTime("aten::mm", 2.0, 50e-6),
        "aten::add": OperatorTime("aten::add", 1.0, 5e-6),
    }


def test_events_without_time_of_their_own_are_left_out() -> None:
    assert operators_of_cpu([FakeEvent("aten::view", 0.0), FakeEvent("rounded below zero", -1e-4)]) == {}


def test_a_kernel_is_its_operators_time_and_does_not_count_again_as_an_event_of_the_device() -> None:
    events = [
        FakeEvent("aten::mm", 9.0, 30.0, (FakeKernel("gemm", 10.0), FakeKernel("split", 20.0))),
        FakeEvent("aten::mm", 9.0, 10.0, (FakeKernel("gemm", 10.0),)),
        FakeEvent("cudaLaunchKernel", 7.0),
        FakeEvent("Activity Buffer Request", 900.0),
        _device("gemm", 10.0),
        _device("gemm", 10.0),
        _device("split", 20.0),
        _device("Optimizer.step#AdamW.step", 500.0, annotation=True),
    ]
    assert operators_of_device(events) == {"aten::mm": OperatorTime("aten::mm", 2.0, 40e-6)}


def test_a_kernel_without_an_operator_stands_under_its_own_name() -> None:
    events = [
        FakeEvent("aten::add", 9.0, 4.0, (FakeKernel("add", 4.0),)),
        _device("add", 4.0),
        _device("add", 6.0),
        _device("triton_fused", 8.0),
    ]
    assert operators_of_device(events) == {
        "aten::add": OperatorTime("aten::add", 1.0, 4e-6),
        "add": OperatorTime("add", 1.0, 6e-6),
        "triton_fused": OperatorTime("triton_fused", 1.0, 8e-6),
    }


def test_long_names_are_cut_and_a_compiled_graph_has_no_key_in_its_name() -> None:
    events = [
        FakeEvent("## Call CompiledFxGraph fabc123 ##", 2.0),
        FakeEvent("## Call CompiledFxGraph fdef456 ##", 3.0),
        FakeEvent("k" * 5000, 1.0),
    ]
    assert operators_of_cpu(events) == {
        "## Call CompiledFxGraph ##": OperatorTime("## Call CompiledFxGraph ##", 2.0, 5e-6),
        "k" * LONGEST_NAME: OperatorTime("k" * LONGEST_NAME, 1.0, 1e-6),
    }


# --- several steps --------------------------------------------------------------------------------------------------


def test_an_operator_has_the_median_of_its_steps_and_the_longest_is_first() -> None:
    steps = _steps({"a": 1.0, "b": 2.0}, {"a": 90.0, "b": 3.0}, {"a": 1.5, "b": 2.5})
    steps[2]["b"] = OperatorTime("b", 7.0, 2.5)
    assert summary(steps, "cpu") == OperatorProfile(
        3, "cpu", (OperatorTime("b", 1.0, 2.5), OperatorTime("a", 1.0, 1.5))
    )


def test_what_happens_in_fewer_than_half_of_the_steps_is_no_operator_of_a_step() -> None:
    steps = _steps({"a": 1.0, "rare": 9.0}, {"a": 1.0}, {"a": 1.0})
    assert summary(steps, "cpu").operators == (OperatorTime("a", 1.0, 1.0),)


def test_the_operators_beyond_99_percent_are_one_entry_and_the_sum_is_the_total() -> None:
    profile = summary(_steps({"a": 600.0, "b": 392.0, "c": 5.0, "d": 3.0}), "cuda")
    assert profile.operators == (
        OperatorTime("a", 1.0, 600.0),
        OperatorTime("b", 1.0, 392.0),
        OperatorTime(OTHER_OPERATORS, 2.0, 8.0),
    )
    assert profile.clock == "cuda"


def test_the_operator_that_reaches_99_percent_is_kept() -> None:
    names = [one.name for one in summary(_steps({"a": 600.0, "b": 380.0, "c": 15.0, "d": 5.0}), "cpu").operators]
    assert names == ["a", "b", "c", OTHER_OPERATORS]


def test_forty_operators_are_kept_at_most() -> None:
    profile = summary(_steps({f"operator{number:02}": 1.0 for number in range(100)}), "cpu")
    assert len(profile.operators) == 41
    assert profile.operators[0].name == "operator00"
    assert profile.operators[-1] == OperatorTime(OTHER_OPERATORS, 60.0, 60.0)


def test_without_any_event_there_is_no_operator() -> None:
    assert summary([{}, {}], "cuda").operators == ()


class Silent:
    """A profiler that saw one operator of a microsecond."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def events(self) -> Iterable[Any]:
        return [FakeEvent("aten::mm", 1.0)]


@pytest.mark.parametrize(
    ("step_seconds", "trained", "profiled"),
    [(2.0, 30, 2), (0.2, 30, 3), (0.125, 30, 4), (0.001, 30, 10), (0.001, 6, 5), (0.001, 1, 2)],
)
def test_half_a_second_is_profiled_but_no_fewer_than_two_steps_and_no_more_than_were_trained(
    step_seconds: float, trained: int, profiled: int
) -> None:
    clock = [0.0]
    meter = ProfilingMeter(Silent, CPU, most=trained - 1, now=lambda: clock[0])
    with suppress(_Enough), meter:
        for _ in range(100):
            clock[0] += step_seconds
            meter.mark()
    assert len(meter.found) == profiled
    assert clock[0] == pytest.approx((1 + profiled) * step_seconds)  # the first step is not profiled


def test_on_cuda_no_kernel_of_the_first_step_is_left_for_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernels(Silent):
        def __enter__(self) -> Silent:
            order.append("profiler")
            return self

        def events(self) -> Iterable[Any]:
            return [FakeEvent("aten::mm", 9.0, 2.0, (FakeKernel("gemm", 2.0),)), _device("gemm", 2.0)]

    order: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: order.append(f"wait for {device}"))
    meter = ProfilingMeter(Kernels, torch.device("cuda:1"), now=lambda: 0.0)
    with meter:
        for _ in range(3):
            meter.mark()
    assert order == ["wait for cuda:1", "profiler", "profiler", "profiler"]
    assert meter.found == [{"aten::mm": OperatorTime("aten::mm", 1.0, 2e-6)}] * 2


# --- the real profiler ----------------------------------------------------------------------------------------------


def _events_of(call: Callable[[], object]) -> dict[str, OperatorTime]:
    with profiler_of(CPU) as profiler:
        call()
    return operators_of_cpu(profiler.events() or ())


def test_the_contract_with_torchs_profiler() -> None:
    """If this fails, torch's events are of another form (checked with torch 2.14.1)."""
    x = torch.randn(256, 256)
    found = _events_of(lambda: (x @ x, x @ x, x.t().contiguous()))
    assert found["aten::mm"].calls == 2.0
    assert found["aten::copy_"].calls == 1.0
    assert 0 < found["aten::mm"].self_seconds < 1.0


def test_self_times_add_up_to_no_more_than_the_time_that_passed() -> None:
    x, weight = torch.randn(512, 512), torch.randn(512, 512, requires_grad=True)
    with profiler_of(CPU) as profiler, torch.profiler.record_function("whole"):
        (x @ weight).relu().sum().backward()
    events: Sequence[Any] = list(profiler.events() or ())
    (whole,) = (event.cpu_time_total for event in events if event.name == "whole")
    assert sum(one.self_seconds for one in operators_of_cpu(events).values()) == pytest.approx(whole / 1e6)


class Copying(Tiny):
    """The same regression, whose model copies its input three times."""

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return super().loss(model, (x.clone().clone().clone(), y))


def _run(
    kind: type[Tiny] = Tiny,
    precision: Precision = modes.FP32,
    setup: Setup = SETUP,
    made: Bench | None = None,
    deterministic: bool = False,
    **settings: Any,
) -> TrialRecord:
    spec = replace(SPEC, precision=precision.name, setup=setup, deterministic=deterministic)
    return run_trial(
        spec,
        lambda: kind(TinySettings(**settings), batch_size=setup.batch_size, seed=0, device=CPU),
        precision,
        made or bench(),
    )


def _all_calls(record: TrialRecord) -> dict[str, float]:
    assert record.operators is not None
    return {operator.name: operator.calls for operator in record.operators.operators}


def test_a_trial_has_the_profile_of_its_training_steps() -> None:
    record = _run()
    assert record.operators is not None
    assert record.operators_reason is None
    assert record.operators.clock == "cpu"
    assert 2 <= record.operators.steps <= 9
    calls = _all_calls(record)
    # Forward, backward and the optimizer, once per step.
    assert calls["aten::addmm"] == 1.0
    assert calls["AddmmBackward0"] == 1.0
    assert calls["aten::_fused_sgd_"] == 1.0
    seconds = [operator.self_seconds for operator in record.operators.operators if operator.name != OTHER_OPERATORS]
    assert seconds == sorted(seconds, reverse=True)
    assert min(seconds) > 0


def test_copies_that_a_model_makes_besides_are_seen() -> None:
    plain, copying = _all_calls(_run()), _all_calls(_run(Copying))
    assert copying["aten::clone"] - plain.get("aten::clone", 0.0) == 3.0
    assert copying["aten::copy_"] - plain.get("aten::copy_", 0.0) == 3.0


def test_a_step_is_profiled_with_all_of_its_micro_batches() -> None:
    assert _all_calls(_run(setup=replace(SETUP, accumulation=3)))["aten::addmm"] == 3.0


@pytest.mark.parametrize(
    "precision",
    [modes.FP32, modes.FP16_STATIC, modes.FP16_DYNAMIC, modes.FP16_PURE, modes.BF16, modes.BF16_PURE],
    ids=lambda precision: precision.name,
)
def test_every_mode_is_profiled_with_its_own_parameters(precision: Precision) -> None:
    """Also `fp16-pure`, whose model the flush meter leaves in float32."""
    kept: list[torch.dtype] = []

    class Telling(Tiny):
        def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
            kept.append(next(model.parameters()).dtype)
            return super().loss(model, batch)

    record = _run(Telling, precision)
    assert record.outcome.measured
    assert record.operators_reason is None
    assert _all_calls(record)["aten::addmm"] == 1.0
    assert kept[-1] == precision.parameters


def test_a_compiled_trial_is_profiled_as_it_was_compiled() -> None:
    torch._dynamo.reset()
    made = replace(bench(), compile_backend="aot_eager")
    record = _run(setup=replace(SETUP, compile=True), made=made)
    assert any(name.startswith("Torch-Compiled Region") for name in _all_calls(record))


def test_the_profile_changes_nothing_else_of_the_record() -> None:
    class Broken:
        def __enter__(self) -> Broken:
            raise RuntimeError("CUPTI is\nbusy")

        def __exit__(self, *error: object) -> None:
            raise AssertionError("it never began")

        def events(self) -> Iterable[Any]:
            return []

    with_profile = _run(precision=modes.FP16_DYNAMIC)
    without = _run(precision=modes.FP16_DYNAMIC, made=replace(bench(), profiler=lambda device: Broken()))
    assert without.operators is None
    assert without.operators_reason == "profiling failed: RuntimeError: CUPTI is busy"
    assert without.outcome is with_profile.outcome is Outcome.OK
    for name in ("steps", "quality", "attestation", "flush", "parameters_sha256"):
        assert getattr(without, name) == getattr(with_profile, name)


def test_a_step_that_fails_the_second_time_costs_the_trial_nothing_and_leaves_no_profiler_running() -> None:
    class OnlyOnce(Tiny):
        def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
            if self._calls >= SETUP.steps + 3:  # the training, the attestation, the first step and the profiled one
                raise RuntimeError("out of luck")
            return super().loss(model, batch)

    record = _run(OnlyOnce)
    assert record.outcome is Outcome.OK
    assert (record.operators, record.operators_reason) == (None, "profiling failed: RuntimeError: out of luck")
    assert not torch.autograd._profiler_enabled()


def test_a_profiler_that_sees_nothing_is_a_reason() -> None:
    class Blind:
        def __enter__(self) -> Blind:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def events(self) -> Iterable[Any]:
            return []

    record = _run(made=replace(bench(), profiler=lambda device: Blind()))
    assert (record.operators, record.operators_reason) == (None, "torch's profiler saw no work of the device")


@pytest.mark.parametrize(
    ("settings", "precision", "deterministic", "reason"),
    [
        ({}, modes.FP32, True, "only deterministic kernels were allowed, and those are never timed"),
        (
            {"fault": "overflow"},
            modes.BF16,
            False,
            "the trial's outcome is diverged, so its times are compared with no others",
        ),
    ],
)
def test_trials_whose_times_are_compared_with_none_are_not_profiled(
    settings: dict[str, Any], precision: Precision, deterministic: bool, reason: str
) -> None:
    phases: list[str] = []
    record = _run(
        precision=precision, deterministic=deterministic, made=replace(bench(), phase=phases.append), **settings
    )
    assert (record.operators, record.operators_reason) == (None, reason)
    assert "profiling the operators" not in phases


def test_a_dynamic_scale_begins_where_the_training_left_it() -> None:
    """From its beginning it would overflow, and a skipped step has no optimizer in it."""
    scaler = replace(SPEC.scaler, initial_scale=2.0**28, growth_interval=1000)
    setup = replace(SETUP, steps=40)
    spec = replace(SPEC, precision="fp16-dynamic", scaler=scaler, setup=setup)
    scales: list[float] = []

    class Telling(Precision):
        def policy(self, device, steps, scaler, clip_norm):  # type: ignore[no-untyped-def]
            scales.append(scaler.initial_scale)
            return super().policy(device, steps, scaler, clip_norm)

    telling = Telling("fp16-dynamic", modes.FP16_DYNAMIC.arithmetic, "dynamic", "told")
    record = run_trial(spec, lambda: Tiny(TinySettings(), batch_size=8, seed=0, device=CPU), telling, bench())
    assert record.steps is not None
    assert scales == [2.0**28, record.steps.last_scale]
    assert scales[1] < 2.0**28
