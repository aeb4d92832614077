"""The training loop with a fake clock and a tiny real workload: every number of the record is known beforehand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ampmark_tiny import Tiny, TinySettings
from fakes import FakeMachine
from torch import nn
from trials import CAPABLE, CPU, SETUP, SPEC, TickingMeter

from suite.errors import PrecisionUnsupported
from suite.measure import precision as modes
from suite.measure.attestation import attest
from suite.measure.device import Arithmetic, Hardware
from suite.measure.instruments import Instruments
from suite.measure.precision import Precision
from suite.measure.switches import pin_arithmetic, switches
from suite.measure.trial import Bench, _with_quality, run_trial
from suite.record import Outcome, TrialRecord
from suite.spec import Setup


def _run(
    precision: Precision = modes.FP32, setup: Setup = SETUP, hardware: Hardware = CAPABLE, **settings: object
) -> TrialRecord:
    spec = replace(SPEC, precision=precision.name, setup=setup)
    bench = Bench(CPU, hardware, Instruments(CPU, "no NVIDIA device"), TickingMeter())
    made = TinySettings(**settings)  # type: ignore[arg-type]
    return run_trial(
        spec, lambda: Tiny(made, batch_size=setup.batch_size, seed=spec.seed, device=CPU), precision, bench
    )


def test_a_record_holds_every_step_and_what_they_cost() -> None:
    record = _run()
    assert record.outcome is Outcome.OK
    assert record.reason is None
    assert record.steps is not None
    assert record.steps.seconds == (1.0,) + (0.25,) * 9
    assert record.steps.warmup_steps == 2
    assert len(record.steps.losses) == len(record.steps.gradient_norms) == 10
    assert record.steps.losses[-1] < record.steps.losses[0]
    assert record.steps.overflowed == (False,) * 10
    assert record.steps.scales is None
    assert (record.samples_per_step, record.tokens_per_step, record.flops_per_step) == (8, None, 6 * 8 * 16)
    assert record.quality is not None
    assert set(record.quality.metrics) == {"rmse"}
    assert record.attestation is not None
    assert record.attestation.effective == "fp32"


def test_accumulation_multiplies_the_work_of_a_step_and_averages_its_loss() -> None:
    record = _run(setup=replace(SETUP, accumulation=3))
    assert record.samples_per_step == 24
    assert record.steps is not None
    assert len(record.steps.losses) == 10


def test_two_micro_batches_train_like_one_batch_of_twice_the_size() -> None:
    class Halves(Tiny):
        def batches(self):  # type: ignore[no-untyped-def]
            whole = replace_batch_size(self, 16).batches()
            while True:
                x, y = next(whole)
                yield x[:8], y[:8]
                yield x[8:], y[8:]

    def replace_batch_size(tiny: Tiny, batch_size: int) -> Tiny:
        return Tiny(TinySettings(), batch_size=batch_size, seed=0, device=CPU)

    def losses(make: object, setup: Setup) -> tuple[float, ...]:
        bench = Bench(CPU, CAPABLE, Instruments(CPU, "none"), TickingMeter())
        record = run_trial(replace(SPEC, setup=setup), make, modes.FP32, bench)  # type: ignore[arg-type]
        assert record.steps is not None
        return record.steps.losses

    halves = losses(lambda: Halves(TinySettings(), batch_size=8, seed=0, device=CPU), replace(SETUP, accumulation=2))
    whole = losses(lambda: Tiny(TinySettings(), batch_size=16, seed=0, device=CPU), replace(SETUP, batch_size=16))
    assert halves == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("precision", [modes.FP16_STATIC, modes.FP16_DYNAMIC])
def test_an_overflow_under_scaling_is_skipped_and_training_goes_on(precision: Precision) -> None:
    record = _run(precision, fault="overflow", fault_step=3)
    assert record.outcome is Outcome.OK
    assert record.steps is not None
    assert [step for step, flag in enumerate(record.steps.overflowed) if flag] == [3]
    assert record.steps.losses[3] == math.inf
    assert record.attestation is not None
    assert record.attestation.effective == "fp16"


def test_an_overflow_without_scaling_is_a_divergence_with_its_step() -> None:
    record = _run(modes.BF16, fault="overflow", fault_step=3)
    assert record.outcome is Outcome.DIVERGED
    assert record.first_bad_step == 3
    assert record.reason == "a gradient was not finite at step 3, and the step was applied."
    assert record.quality is None


def test_a_scale_that_never_fits_is_a_divergence() -> None:
    spec = replace(SPEC.scaler, static_scale=2.0**40)
    bench = Bench(CPU, CAPABLE, Instruments(CPU, "none"), TickingMeter())
    record = run_trial(
        replace(SPEC, precision="fp16-static", scaler=spec),
        lambda: Tiny(TinySettings(), batch_size=8, seed=0, device=CPU),
        modes.FP16_STATIC,
        bench,
    )
    assert record.outcome is Outcome.DIVERGED
    assert record.reason == "every one of 10 steps from step 0 on overflowed and was skipped."
    assert record.steps is not None
    assert record.steps.scales == (2.0**40,) * 10


def test_the_loss_scale_falling_below_one_is_a_divergence() -> None:
    scaler = replace(SPEC.scaler, initial_scale=1.0)
    bench = Bench(CPU, CAPABLE, Instruments(CPU, "none"), TickingMeter())
    record = run_trial(
        replace(SPEC, scaler=scaler),
        lambda: Tiny(TinySettings(fault="overflow"), batch_size=8, seed=0, device=CPU),
        modes.FP16_DYNAMIC,
        bench,
    )
    assert record.outcome is Outcome.DIVERGED
    assert record.reason == "the loss scale fell below 1 at step 3."


class PoisonedBuffer(Tiny):
    """Training is sound, but a running statistic ends as NaN: only the evaluation would show it."""

    def model(self) -> nn.Module:
        model = super().model()
        model.register_buffer("running_mean", torch.tensor([math.nan]))
        return model


def test_a_poisoned_buffer_is_a_divergence_that_names_it() -> None:
    bench = Bench(CPU, CAPABLE, Instruments(CPU, "none"), TickingMeter())
    record = run_trial(
        SPEC, lambda: PoisonedBuffer(TinySettings(), batch_size=8, seed=0, device=CPU), modes.FP32, bench
    )
    assert record.outcome is Outcome.DIVERGED
    assert record.reason == "running_mean is not finite after training."


def test_the_switches_of_the_training_come_back_also_when_the_evaluation_raises() -> None:
    workload = Tiny(TinySettings(fault="evaluate"), batch_size=8, seed=0, device=CPU)
    record = TrialRecord(spec=SPEC, outcome=Outcome.OK, started_at="2026-01-01T00:00:00+00:00")
    pin_arithmetic(Arithmetic.TF32)
    try:
        with pytest.raises(RuntimeError, match="no evaluation"):
            _with_quality(record, workload, workload.model())
        assert switches()["cuda.matmul.fp32_precision"] == "tf32"
    finally:
        pin_arithmetic(Arithmetic.FP32)


def test_a_mode_without_hardware_is_emulated_with_the_reason() -> None:
    record = _run(modes.FP16_STATIC, hardware=Hardware("cpu", "old"))
    assert record.outcome is Outcome.EMULATED
    assert record.reason == record.emulation
    assert record.reason is not None
    assert "emulated" in record.reason


def test_an_emulated_trial_that_diverges_is_diverged_and_still_known_to_be_emulated() -> None:
    record = _run(modes.FP16_UNSCALED, hardware=Hardware("cpu", "old"), fault="overflow")
    assert record.outcome is Outcome.DIVERGED
    assert record.emulation is not None


def test_nothing_is_put_in_the_place_of_an_unsupported_mode() -> None:
    with pytest.raises(PrecisionUnsupported):
        _run(modes.TF32)


class StubbornlyFloat32(Tiny):
    """A workload that leaves autocast: the label says bf16, the products are float32."""

    def loss(self, model, batch):  # type: ignore[no-untyped-def]
        with torch.autocast("cpu", enabled=False):
            return super().loss(model, batch)


def test_a_precision_that_did_not_run_fails_the_trial() -> None:
    bench = Bench(CPU, CAPABLE, Instruments(CPU, "none"), TickingMeter())
    record = run_trial(
        SPEC, lambda: StubbornlyFloat32(TinySettings(), batch_size=8, seed=0, device=CPU), modes.BF16, bench
    )
    assert record.outcome is Outcome.PRECISION_MISMATCH
    assert record.reason is not None
    assert record.reason.startswith("bf16 was asked for, but fp32 ran; its numbers are not bf16's.")


class SecretlyReduced(Tiny):
    """A workload that lowers the precision of fp32 products for itself and puts the switch back."""

    def loss(self, model, batch):  # type: ignore[no-untyped-def]
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        try:
            return super().loss(model, batch)
        finally:
            torch.backends.mkldnn.matmul.fp32_precision = "ieee"


class LeftReduced(Tiny):
    """A library that changes the switch when the model is built, and leaves it so."""

    def model(self) -> nn.Module:
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        return super().model()


class ReducedWhileTraining(Tiny):
    """Lowers the precision in every training step and has put it back before anybody attests."""

    def evaluate(self, model):  # type: ignore[no-untyped-def]
        torch.backends.mkldnn.matmul.fp32_precision = "ieee"
        return super().evaluate(model)

    def loss(self, model, batch):  # type: ignore[no-untyped-def]
        if self._calls < SETUP.steps:
            torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        return super().loss(model, batch)


def test_every_switch_is_judged_and_not_only_those_of_float32() -> None:
    class Benchmarking(Tiny):
        def model(self) -> nn.Module:
            torch.backends.cudnn.benchmark = True
            torch.backends.cuda.matmul.allow_fp16_accumulation = True
            return super().model()

    bench = Bench(CPU, CAPABLE, Instruments(CPU, "none"), TickingMeter())
    record = run_trial(SPEC, lambda: Benchmarking(TinySettings(), batch_size=8, seed=0, device=CPU), modes.FP32, bench)
    assert record.reason == (
        "something changed torch's switches during the trial: "
        "cuda.matmul.allow_fp16_accumulation was True and not False, cudnn.benchmark was True and not False."
    )


@pytest.mark.parametrize(
    ("workload", "found"), [(ReducedWhileTraining, "bf16"), (SecretlyReduced, "bf16, ieee"), (LeftReduced, "bf16")]
)
def test_a_switch_moved_behind_the_suites_back_fails_the_trial(workload: type[Tiny], found: str) -> None:
    bench = Bench(CPU, CAPABLE, Instruments(CPU, "none"), TickingMeter())
    record = run_trial(SPEC, lambda: workload(TinySettings(), batch_size=8, seed=0, device=CPU), modes.FP32, bench)
    assert record.outcome is Outcome.PRECISION_MISMATCH
    assert record.reason == (
        f"something changed torch's switches during the trial: mkldnn.matmul.fp32_precision was {found} and not ieee."
    )


def test_the_seed_decides_everything_and_another_seed_changes_everything() -> None:
    def digests(seed: int) -> tuple[str | None, str | None]:
        bench = Bench(CPU, CAPABLE, Instruments(CPU, "none"), TickingMeter())
        made = TinySettings()
        record = run_trial(
            replace(SPEC, seed=seed),
            lambda: Tiny(made, batch_size=8, seed=seed, device=CPU),
            modes.FP32,
            bench,
        )
        return record.losses_sha256, record.parameters_sha256

    assert digests(0) == digests(0)
    assert not set(digests(0)) & set(digests(1))


@pytest.mark.parametrize(("warmup_steps", "resumed_after"), [(2, 1), (1, 0), (0, 0)])
def test_what_the_instruments_do_before_the_last_step_of_the_warm_up_belongs_to_no_step(
    warmup_steps: int, resumed_after: int
) -> None:
    meter = TickingMeter()
    bench = Bench(CPU, CAPABLE, Instruments(CPU, "none"), meter)
    spec = replace(SPEC, setup=replace(SETUP, warmup_steps=warmup_steps))
    run_trial(spec, lambda: Tiny(TinySettings(), batch_size=8, seed=0, device=CPU), modes.FP32, bench)
    assert meter.resumed_after == resumed_after


@pytest.mark.parametrize(("warmup_steps", "steps"), [(2, 9), (1, 10), (0, 10)])
def test_energy_is_that_of_the_timed_steps_and_the_one_before_them(
    tmp_path: Path, warmup_steps: int, steps: int
) -> None:
    machine = FakeMachine(tmp_path)
    machine.package(0, 0.0)

    class Heating(TickingMeter):
        """Every step takes 4 J."""

        def mark(self) -> None:
            super().mark()
            machine.package(0, 4.0 * self.marks)

    bench = Bench(CPU, CAPABLE, Instruments(CPU, "none", host=machine.host()), Heating())
    spec = replace(SPEC, setup=replace(SETUP, warmup_steps=warmup_steps))
    record = run_trial(spec, lambda: Tiny(TinySettings(), batch_size=8, seed=0, device=CPU), modes.FP32, bench)
    assert (record.energy.joules, record.energy.steps) == (4.0 * steps, steps)


def test_the_attestation_leaves_the_record_of_the_run_alone() -> None:
    policy = modes.FP16_DYNAMIC.policy(CPU, 3, SPEC.scaler, None)
    workload = Tiny(TinySettings(), batch_size=8, seed=0, device=CPU)
    attestation = attest(workload, workload.model(), policy, CPU, modes.FP16_DYNAMIC)
    assert attestation.effective == "fp16"
    assert policy.gradient_norms() == ()
    assert attestation.settings["cuda.matmul.fp32_precision"] == "ieee"


def _run_compiled(setup: Setup) -> TrialRecord:
    torch._dynamo.reset()
    bench = Bench(CPU, CAPABLE, Instruments(CPU, "none"), TickingMeter(), compile_backend="aot_eager")
    spec = replace(SPEC, setup=replace(setup, compile=True))
    return run_trial(spec, lambda: Tiny(TinySettings(), batch_size=8, seed=0, device=CPU), modes.BF16, bench)


def test_a_compiled_trial_trains_evaluates_and_attests_like_an_eager_one() -> None:
    record, eager = _run_compiled(SETUP), _run(modes.BF16)
    assert record.outcome is Outcome.OK
    assert record.compilation is not None
    assert (record.compilation.graphs, record.compilation.recompiled_in_window) == (1, 0)
    assert record.cautions == ()
    assert eager.compilation is None
    assert record.steps is not None
    assert eager.steps is not None
    assert record.steps.losses == pytest.approx(eager.steps.losses, rel=1e-2)  # a fused bf16 product rounds elsewhere
    assert record.initial_sha256 == eager.initial_sha256
    assert record.attestation == eager.attestation
    assert record.quality is not None


def test_compilation_in_the_only_step_of_the_warm_up_is_none_in_the_window() -> None:
    record = _run_compiled(replace(SETUP, warmup_steps=1))
    assert record.compilation is not None
    assert (record.compilation.graphs, record.compilation.recompiled_in_window, record.cautions) == (1, 0, ())


def test_compilation_after_a_warm_up_of_no_steps_is_a_caution() -> None:
    record = _run_compiled(replace(SETUP, warmup_steps=0))
    assert [caution.code for caution in record.cautions] == ["compiled_in_window"]
    assert record.compilation is not None
    assert record.compilation.recompiled_in_window == 1


def test_float16_counts_what_it_loses_at_the_last_scale_and_the_others_say_why_not() -> None:
    static = _run(modes.FP16_STATIC)
    assert static.flush is not None
    # One product: 8 gradients of the output, 16 of the weight and one of the bias.
    assert (static.flush.scale, static.flush.values) == (64.0, 25)
    assert static.flush_reason is None
    unscaled = _run(modes.FP16_UNSCALED)
    assert unscaled.flush is not None
    assert unscaled.flush.scale == 1.0
    bf16 = _run(modes.BF16)
    assert (bf16.flush, bf16.flush_reason) == (None, "bf16 does not hold gradients in float16")
