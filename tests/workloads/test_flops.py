"""Analytic FLOPs against torch's FlopCounterMode, forward and backward, at the sizes of the quick profile.

The counter knows neither torch.nn.LSTM nor the CPU's fused attention (it counts 0), so the LSTM is unrolled and
attention takes the math backend. A gradient that nobody asks for is not computed: the input of the first layer has
none, which the convention "the backward pass costs twice the forward" credits all the same. That part is computed here
by hand, must be the whole difference, and is at most 4 % of the formula (0.5 % to 1 % at the standard sizes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import test_lstm
from test_all import CLASSES, profile
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from workloads.base import Workload
from workloads.lstm import FEATURES
from workloads.resnet import CHANNELS

BATCH_SIZE = 2
LARGEST_DIFFERENCE = 0.04


def _counted(loss: Callable[[], Tensor]) -> int:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        loss().backward()
    return int(counter.get_total_flops())


def _made(name: str) -> tuple[Any, dict[str, Any]]:
    settings = profile("quick")["workloads"][name]["settings"]
    if name == "bert":
        settings["weights"] = "random"  # the same network, and nothing that must be installed
    return CLASSES[name](CLASSES[name].Settings(**settings), batch_size=BATCH_SIZE, seed=0, device="cpu"), settings


def _check(workload: Workload, counted: int, spared: int) -> None:
    stated = workload.cost().flops
    assert counted > 0
    assert stated == counted + spared
    assert spared <= LARGEST_DIFFERENCE * stated


@pytest.mark.parametrize("name", ["gpt", "bert"])
def test_transformers_cost_what_is_counted(name: str) -> None:
    workload, _ = _made(name)
    model, batch = workload.model(), next(workload.batches())
    _check(workload, _counted(lambda: workload.loss(model, batch)), spared=0)


def test_a_resnet_costs_what_is_counted_but_for_the_gradient_of_its_images() -> None:
    workload, sizes = _made("resnet")
    model, batch = workload.model(), next(workload.batches())
    stem = 2 * 3 * 3 * CHANNELS * sizes["width"] * sizes["image_size"] ** 2
    _check(workload, _counted(lambda: workload.loss(model, batch)), spared=BATCH_SIZE * stem)


def test_an_unrolled_lstm_costs_what_is_counted_but_for_the_gradients_of_its_first_inputs() -> None:
    workload, sizes = _made("lstm")
    width, hours, layers = sizes["hidden_size"], sizes["context_hours"], sizes["layers"]
    unrolled = test_lstm.Unrolled(width, layers)
    inputs, change = next(workload.batches())
    counted = _counted(lambda: nn.functional.mse_loss(unrolled(inputs), change))
    # Neither the weather nor the state before the first hour has a gradient.
    spared = BATCH_SIZE * 8 * width * (hours * FEATURES + layers * width)
    _check(workload, counted, spared)
