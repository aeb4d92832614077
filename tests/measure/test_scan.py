"""The scan trains like a float32 trial, looks where it says, and disturbs nothing."""

from __future__ import annotations

import pytest
import torch
from ampmark_tiny import Tiny, TinySettings

from suite.decode import decode, encode
from suite.errors import Unsupported
from suite.loss_scale.scan import ScaleScan
from suite.measure import precision as modes
from suite.measure.device import Hardware
from suite.measure.instruments import Instruments
from suite.measure.scan import scan_scales
from suite.measure.trial import Bench, run_trial
from suite.measure.worker import run_job
from suite.spec import OptimizerSpec, ScalerSpec, Setup, TrialSpec

CPU = torch.device("cpu")
SETUP = Setup(steps=16, warmup_steps=2, batch_size=8, optimizer=OptimizerSpec("adamw", 0.05), accumulation=2)
SPEC = TrialSpec("tiny", "fp32", 3, 0, "cpu", torch.get_num_threads(), "test", 60.0, ScalerSpec(), SETUP)


def make() -> Tiny:
    return Tiny(TinySettings(), batch_size=8, seed=3, device=CPU)


def test_gradients_are_counted_before_the_first_step_and_after_every_eighth() -> None:
    phases: list[str] = []
    scan = scan_scales(SPEC, make, CPU, phases.append)
    assert [point.step for point in scan.points] == [0, 2, 4, 6, 8, 10, 12, 14, 16]
    # One product: 8 gradients of the output, 16 of the weight, and one of the bias.
    assert {point.counts.values + point.counts.zeros for point in scan.points} == {8 + 16 + 1}
    assert scan.points[-1].counts.largest != scan.points[0].counts.largest
    assert phases == ["building the model", "training 16 steps in float32"]


def test_the_training_is_that_of_a_float32_trial() -> None:
    scan = scan_scales(SPEC, make, CPU, lambda name: None)
    trial = run_trial(SPEC, make, modes.FP32, Bench(CPU, Hardware("cpu", "test"), Instruments(CPU, "none")))
    assert trial.steps is not None
    assert scan.losses == trial.steps.losses


def test_each_look_is_at_the_batch_that_is_trained_on_next() -> None:
    class Remembering(Tiny):
        """The losses of all forward passes; those of the looks come between those of the steps."""

        def loss(self, model, batch):  # type: ignore[no-untyped-def]
            seen.append(float(batch[0].sum()))
            return super().loss(model, batch)

    seen: list[float] = []
    scan_scales(SPEC, lambda: Remembering(TinySettings(), batch_size=8, seed=3, device=CPU), CPU, lambda name: None)
    # Every look is two passes, under autocast and in float32; then come two steps of two micro-batches each, and the
    # batch of the look is the first of them.
    under_autocast, in_float32, firsts = seen[:-2:6], seen[1:-2:6], seen[2::6]
    assert len(under_autocast) == len(in_float32) == len(firsts) == 8
    assert under_autocast == in_float32 == firsts


def test_a_model_that_cannot_be_matched_under_autocast_is_refused() -> None:
    class Otherwise(Tiny):
        def loss(self, model, batch):  # type: ignore[no-untyped-def]
            once = super().loss(model, batch)
            return once + super().loss(model, batch) if torch.is_autocast_enabled("cpu") else once

    made = Otherwise(TinySettings(), batch_size=8, seed=3, device=CPU)
    with pytest.raises(Unsupported, match="the 2 products of the forward pass under float16 autocast are not the 1 of"):
        scan_scales(SPEC, lambda: made, CPU, lambda name: None)


def test_a_run_shorter_than_the_looks_is_looked_at_once_a_step() -> None:
    short = TrialSpec(**{**vars(SPEC), "setup": Setup(2, 0, 8, OptimizerSpec("sgd", 0.1))})
    assert [point.step for point in scan_scales(short, make, CPU, lambda name: None).points] == [0, 1, 2]


def _messages(**changes: object) -> list[dict[str, object]]:
    spec = TrialSpec(**{**vars(SPEC), **changes})
    sent: list[dict[str, object]] = []
    run_job({"scan": {"spec": encode(spec), "device_uuid": None}}, lambda message: sent.append(dict(message)))
    return sent


def test_the_worker_answers_with_the_scan() -> None:
    messages = _messages()
    assert [list(message) for message in messages] == [["phase"], ["phase"], ["scan"]]
    assert len(decode(ScaleScan, messages[-1]["scan"], "scan").points) == 9


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workload": "tinny"}, "workload 'tinny' is not known; did you mean 'tiny'?"),
        (
            {"setup": Setup(2, 0, 8, OptimizerSpec("sgd", 0.1), settings={"widht": 3})},
            "settings of workload 'tiny': unknown key 'widht'; did you mean 'width'?",
        ),
    ],
)
def test_what_the_user_can_mend_is_refused_in_words(changes: dict[str, object], words: str) -> None:
    assert _messages(**changes)[-1] == {"refused": words}
