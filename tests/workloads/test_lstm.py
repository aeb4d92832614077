"""The weather forecaster: which windows it may see, what it is compared with, what it costs."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from workloads import lstm
from workloads.data import load
from workloads.lstm import FEATURES, Lstm, observations, root_mean_square, window_starts

SETTINGS = Lstm.Settings(layers=2, hidden_size=8, context_hours=6, horizon_hours=3, evaluation_windows=50)
HEADER = "origin,time_hour,temp,dewp,humid,wind_dir,wind_speed,precip,pressure,visib"


@pytest.fixture(scope="module")
def workload() -> Lstm:
    return Lstm(SETTINGS, batch_size=4, seed=0, device="cpu")


def table(temperatures: list[float]) -> str:
    """Hourly records of one airport; all but the temperature varies in a pattern of its own."""
    start = datetime(2013, 1, 1, tzinfo=UTC)
    rows = [
        f"JFK,{start + timedelta(hours=i):%Y-%m-%dT%H:%M:%SZ},{t},{i % 5},{i % 7},0,{i % 3},{i % 2},1000,{i % 4}"
        for i, t in enumerate(temperatures)
    ]
    return "\n".join([HEADER, *rows])


def zeroed(workload: Lstm) -> nn.Module:
    model = workload.model().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return model


def test_records_become_hours_and_features() -> None:
    midnight = "EWR,1970-01-02T00:00:00Z,39.02,26.06,59.37,270,10.5,0.1,1012,9"
    six = "EWR,1970-01-02T06:00:00Z,NA,26.06,59.37,270,1048.36,0.1,NA,9"
    hours, weather = observations("\n".join([HEADER, midnight, six]))
    assert hours.tolist() == [24, 30]
    assert weather[0].tolist() == pytest.approx([39.02, 26.06, 59.37, 10.5, 0.1, 9, 0, 1], abs=1e-5)
    assert weather[1].isnan().tolist() == [True, False, False, True, False, False, False, False]
    assert weather[1, 6:].tolist() == pytest.approx([1, 0], abs=1e-6)


def test_windows_skip_gaps_other_airports_and_missing_values() -> None:
    #        0  1  2  3  | gap   4  5  6  7  | next airport  8  9  10 11
    hours = torch.tensor([0, 1, 2, 3, 5, 6, 7, 8, 0, 1, 2, 3])
    weather = torch.zeros(12, 1)
    assert window_starts(hours, weather, 2, 1).tolist() == [0, 1, 4, 5, 8, 9]
    weather[5] = math.nan
    assert window_starts(hours, weather, 2, 1).tolist() == [0, 1, 8, 9]


def test_no_real_window_holds_a_missing_value_or_a_gap(workload: Lstm) -> None:
    hours, _ = observations(load("weather.csv").decode())
    for starts in (workload.train, workload.held_out):
        inputs, change = workload._windows(starts)
        assert not inputs.isnan().any()
        assert not change.isnan().any()
        assert set((hours[starts + 8] - hours[starts]).tolist()) == {8}


def test_training_ends_before_the_held_out_part_begins(workload: Lstm) -> None:
    hours, _ = observations(load("weather.csv").decode())
    assert int(hours[workload.train + 8].max()) < int(hours[workload.held_out].min())


def test_the_held_out_part_does_not_touch_the_normalisation(workload: Lstm, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = load("weather.csv").decode().splitlines()
    changed = [row.replace(",0,", ",1,") if ",2013-12-" in row else row for row in rows]
    monkeypatch.setattr(lstm, "load", lambda name: "\n".join(changed).encode())
    other = Lstm(SETTINGS, batch_size=4, seed=0, device="cpu")
    assert torch.equal(other.mean, workload.mean)
    assert torch.equal(other.deviation, workload.deviation)


def test_root_mean_square_of_a_literal_series() -> None:
    assert root_mean_square(torch.tensor([2.0, -3.0, 0.0])) == pytest.approx(math.sqrt(13 / 3))


def test_persistence_on_a_literal_series_errs_by_the_rise(monkeypatch: pytest.MonkeyPatch) -> None:
    # The temperature rises by half a degree an hour, so "the same as now" is 1.5 degrees off three hours ahead.
    monkeypatch.setattr(lstm, "load", lambda name: table([30 + 0.5 * i for i in range(200)]).encode())
    rising = Lstm(SETTINGS, batch_size=4, seed=0, device="cpu")
    with torch.no_grad():
        evaluation = rising.evaluate(zeroed(rising))
    assert evaluation.baseline == pytest.approx(1.5, abs=1e-4)


def test_a_model_of_zeros_is_persistence(workload: Lstm) -> None:
    with torch.no_grad():
        evaluation = workload.evaluate(zeroed(workload))
    assert evaluation.metrics["rmse_fahrenheit"] == evaluation.baseline
    assert evaluation.metrics["skill"] == 0
    assert evaluation.metrics["mae_fahrenheit"] < evaluation.baseline


def test_targets_are_the_change_from_the_last_hour_seen(workload: Lstm) -> None:
    starts = workload.train[:3]
    inputs, change = workload._windows(starts)
    assert inputs.shape == (3, 6, FEATURES)
    assert torch.equal(workload.weather[starts + 5], inputs[:, -1])
    assert torch.equal(workload.weather[starts + 8, 0] - inputs[:, -1, 0], change)


class Unrolled(nn.Module):
    """The same network written with LSTMCell, one hour at a time: plain matrix products, which can be counted."""

    def __init__(self, hidden_size: int, layers: int) -> None:
        super().__init__()
        widths = [FEATURES] + [hidden_size] * (layers - 1)
        self.cells = nn.ModuleList(nn.LSTMCell(width, hidden_size) for width in widths)
        self.output = nn.Linear(hidden_size, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        hours = list(inputs.unbind(1))
        for cell in self.cells:
            state = None
            for i, hour in enumerate(hours):
                state = cell(hour, state)
                hours[i] = state[0]
        change: Tensor = self.output(hours[-1])
        return change.squeeze(1)


def test_the_formula_counts_an_unrolled_network(workload: Lstm) -> None:
    inputs, _ = next(workload.batches())
    with FlopCounterMode(display=False) as counter:
        Unrolled(8, 2)(inputs)
    assert workload.cost().flops == 3 * counter.get_total_flops()
    assert workload.cost().tokens == 24


def test_the_unrolled_network_is_the_same_network(workload: Lstm) -> None:
    model, unrolled = workload.model(), Unrolled(8, 2)
    names = {f"{kind}_l{layer}": f"cells.{layer}.{kind}" for layer in range(2) for kind in
             ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}  # fmt: skip
    weights = {names.get(name.removeprefix("lstm."), name): value for name, value in model.state_dict().items()}
    unrolled.load_state_dict(weights)
    inputs, _ = next(workload.batches())
    torch.testing.assert_close(model(inputs), unrolled(inputs))


def test_a_window_longer_than_any_held_out_record_is_refused() -> None:
    with pytest.raises(ValueError, match="context_hours = 5000: no held-out window is so long"):
        Lstm(Lstm.Settings(context_hours=5000), batch_size=4, seed=0, device="cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizon_hours": 0}, "horizon_hours = 0: set it to 1 or more"),
        ({"dropout": 1.5, "layers": 2}, "dropout = 1.5: set a probability"),
        ({"dropout": 0.1, "layers": 1}, "dropout = 0.1: it acts between layers"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lstm.Settings(**change)  # type: ignore[arg-type]


def test_the_weight_multiplies_the_loss_of_the_training_and_nothing_else(workload: Lstm) -> None:
    settings = replace(workload.settings, loss_weight=2.0**-10)
    weighted = Lstm(settings, batch_size=workload.batch_size, seed=workload.seed, device="cpu")
    model, batch = workload.model(), next(workload.batches())
    with torch.no_grad():
        assert float(weighted.loss(model, batch)) == float(workload.loss(model, batch)) / 1024
        assert weighted.evaluate(model) == workload.evaluate(model)
