"""LSTM: the temperature some hours ahead is forecast from the last day of hourly weather at three New York airports.

The model is torch.nn.LSTM; a linear layer on its last output predicts by how much the temperature will differ from the
last one observed, so an untrained model is close to persistence and a trained one has to learn the daily cycle.

Inputs are six measured variables and the hour of the day (sine and cosine, UTC). Windows never cross a gap in the
record nor touch a missing value. The last fifth of the year is held out; means and deviations come from the first four
fifths alone. Card: `workloads/data/weather.md`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import torch
from torch import Tensor, nn
from torch.nn import functional

from workloads.base import Cost, Evaluation, check_loss_weight, derive_seed, generator
from workloads.data import load

VARIABLES = ("temp", "dewp", "humid", "wind_speed", "precip", "visib")
FEATURES = len(VARIABLES) + 2
FASTEST_WIND_MILES_PER_HOUR = 200.0  # one record says 1048
HELD_OUT_SHARE = 0.2
SECONDS_PER_HOUR = 3600
BATCHES_PER_DRAW = 1024

Batch = tuple[Tensor, Tensor]
"""Weather float32 ``[batch, hours, features]``, normalised, and the change in temperature float32 ``[batch]``."""


class Lstm:
    """Weather forecasting with a recurrent network."""

    @dataclass(frozen=True)
    class Settings:
        """Sizes of the network, how far it looks back and ahead, and the size of the evaluation."""

        layers: int = 1
        hidden_size: int = 48
        context_hours: int = 24
        horizon_hours: int = 12
        dropout: float = 0.0
        evaluation_windows: int = 2000
        loss_weight: float = 1.0
        """Factor of the training loss; 1/A stands for one of A identical accumulated micro-batches."""

        def __post_init__(self) -> None:
            for name in ("layers", "hidden_size", "context_hours", "horizon_hours", "evaluation_windows"):
                if getattr(self, name) < 1:
                    raise ValueError(f"{name} = {getattr(self, name)}: set it to 1 or more")
            if not 0 <= self.dropout < 1:
                raise ValueError(f"dropout = {self.dropout}: set a probability from 0 up to, not including, 1")
            if self.dropout and self.layers == 1:
                raise ValueError(f"dropout = {self.dropout}: it acts between layers; set layers to 2 or more, or 0")
            check_loss_weight(self.loss_weight)

    def __init__(self, settings: Settings, batch_size: int, seed: int, device: torch.device | str) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size = {batch_size}: set it to 1 or more")
        self.settings, self.batch_size, self.seed, self.device = settings, batch_size, seed, torch.device(device)
        hours, weather = observations(load("weather.csv").decode())
        first, last = int(hours.min()), int(hours.max())
        boundary = first + round((last - first) * (1 - HELD_OUT_SHARE))
        starts = window_starts(hours, weather, settings.context_hours, settings.horizon_hours)
        ends = hours[starts + settings.context_hours - 1 + settings.horizon_hours]
        held_out = starts[hours[starts] >= boundary]
        if not len(held_out):
            raise ValueError(f"context_hours = {settings.context_hours}: no held-out window is so long; set it lower")
        spaced = torch.linspace(0, len(held_out) - 1, min(settings.evaluation_windows, len(held_out))).long()
        self.train, self.held_out = starts[ends < boundary].to(self.device), held_out[spaced].to(self.device)
        past = weather[hours < boundary]
        self.mean, self.deviation = _mean_and_deviation(past)
        self.weather = ((weather - self.mean) / self.deviation).to(self.device)

    def model(self) -> nn.Module:
        """The network with random weights drawn from the trial's seed alone."""
        sizes = self.settings
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive_seed(self.seed, "init"))
            model = Forecaster(sizes.hidden_size, sizes.layers, sizes.dropout)
        return model.to(self.device).train()

    def batches(self) -> Iterator[Batch]:
        """Windows of any airport, drawn with replacement."""
        random = generator(self.seed, "order")
        while True:
            draws = torch.randint(len(self.train), (BATCHES_PER_DRAW, self.batch_size), generator=random)
            for rows in draws.to(self.device):
                yield self._windows(self.train[rows])

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean squared error of the normalised change in temperature, times ``loss_weight``; taken in float32."""
        inputs, change = batch
        return self.settings.loss_weight * functional.mse_loss(model(inputs).float(), change)

    def evaluate(self, model: nn.Module) -> Evaluation:
        """Error in degrees Fahrenheit on held-out windows, against persistence: "the same as now"."""
        pairs = [self._windows(part) for part in self.held_out.split(self.batch_size)]
        predicted = torch.cat([model(inputs).float() for inputs, _ in pairs]).double()
        change = torch.cat([change for _, change in pairs]).double()
        errors = (predicted - change).cpu() * float(self.deviation[0])
        persistence = root_mean_square(change.cpu() * float(self.deviation[0]))
        rmse = root_mean_square(errors)
        return Evaluation(
            metrics={
                "rmse_fahrenheit": rmse,
                "mae_fahrenheit": float(errors.abs().mean()),
                "skill": 1 - rmse / persistence,
            },
            primary="rmse_fahrenheit",
            higher_is_better=False,
            baseline=persistence,
            baseline_name="persistence",
        )

    def cost(self) -> Cost:
        """FLOPs = 3 · B · (T · Σ over layers of 8 · h · (inputs + h) + 2 · h).

        The backward pass costs twice the forward (the gradient of the weather itself, which nobody asks for, included:
        0.5 % at h = 1024). Per step and layer the four gates of torch.nn.LSTM's equations
        multiply 4 h · (inputs + h) weights, ``inputs`` being the features for the first layer and h above it; then
        the linear output, once a window. Gate arithmetic, of order h per step, is not counted.
        """
        width, hours = self.settings.hidden_size, self.settings.context_hours
        inputs = FEATURES + (self.settings.layers - 1) * width
        window = hours * 8 * width * (inputs + self.settings.layers * width) + 2 * width
        return Cost(samples=self.batch_size, tokens=self.batch_size * hours, flops=3 * self.batch_size * window)

    def _windows(self, starts: Tensor) -> Batch:
        """Inputs and targets of the windows whose first row is given."""
        hours, horizon = self.settings.context_hours, self.settings.horizon_hours
        inputs = self.weather[starts[:, None] + torch.arange(hours, device=self.device)]
        future = self.weather[starts + hours - 1 + horizon, 0]
        return inputs, future - inputs[:, -1, 0]


class Forecaster(nn.Module):
    """LSTM over the hours, then one number from its last output."""

    def __init__(self, hidden_size: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(FEATURES, hidden_size, layers, batch_first=True, dropout=dropout)
        self.output = nn.Linear(hidden_size, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Change in temperature ``[batch]``, normalised, from weather ``[batch, hours, features]``."""
        outputs, _ = self.lstm(inputs)
        change: Tensor = self.output(outputs[:, -1])
        return change.squeeze(1)


def observations(table: str) -> tuple[Tensor, Tensor]:
    """Hour numbers int64 ``[rows]`` and features float32 ``[rows, features]``, airport after airport; NaN is missing.

    Hours count from the epoch; a new airport continues the rows but not the hours, which ends every window there.
    """
    rows = list(csv.DictReader(table.splitlines()))
    hours = [round(datetime.fromisoformat(row["time_hour"]).timestamp()) // SECONDS_PER_HOUR for row in rows]
    angles = [2 * math.pi * (hour % 24) / 24 for hour in hours]
    values = [
        [*(_number(row[name], name) for name in VARIABLES), math.sin(angle), math.cos(angle)]
        for row, angle in zip(rows, angles, strict=True)
    ]
    return torch.tensor(hours), torch.tensor(values)


def _number(cell: str, name: str) -> float:
    """The value of a cell; NaN where it is missing or impossible."""
    value = math.nan if cell in ("", "NA") else float(cell)
    return math.nan if name == "wind_speed" and value > FASTEST_WIND_MILES_PER_HOUR else value


def window_starts(hours: Tensor, weather: Tensor, context_hours: int, horizon_hours: int) -> Tensor:
    """First rows of the windows in which every hour up to the target follows the one before and no value is missing."""
    length = context_hours + horizon_hours
    unbroken = (hours[length - 1 :] - hours[: len(hours) - length + 1]) == length - 1
    missing = weather.isnan().any(1).long()
    counted = torch.cat([torch.zeros(1, dtype=torch.long), missing.cumsum(0)])
    complete = counted[length:] == counted[:-length]
    return torch.nonzero(unbroken & complete).flatten()


def _mean_and_deviation(weather: Tensor) -> tuple[Tensor, Tensor]:
    """Per feature, over the rows without missing values."""
    complete = weather[~weather.isnan().any(1)]
    return complete.mean(0), complete.std(0)


def root_mean_square(values: Tensor) -> float:
    """Square root of the mean of the squares."""
    return float(values.square().mean().sqrt())
