"""Other tools' own code, called with the settings it ships with: asv, pyperf, Apache Otava, ruptures.

They are installed by `nox -s detectors` only; a detector whose package is missing is left out, and the page says so.
Every import is inside its function for that reason.
"""

from __future__ import annotations

import importlib.util
import math

import numpy as np

from tools.detectors import Call, Detector, Gate, Kind, Nights, Ruling, Sides, Values, Watch

__all__ = ["GATES", "WATCHES", "is_installed", "segments"]


def is_installed(detector: Detector) -> bool:
    """Whether the package that it needs is here."""
    return not detector.needs or importlib.util.find_spec(detector.needs) is not None


def _asv_gate(sides: Sides, rng: np.random.Generator) -> Ruling:
    """`asv continuous`: medians of the pooled samples, their Mann–Whitney test (p < 0.002), factor 1.1."""
    from asv.commands.compare import _is_result_better
    from asv_runner.statistics import compute_stats

    (base, about_base), (candidate, about_candidate) = (
        (compute_stats(side, 1), side) for side in (sides.base.ravel().tolist(), sides.candidate.ravel().tolist())
    )
    first, second = (base[1], about_base), (candidate[1], about_candidate)
    if _is_result_better(base[0], candidate[0], first, second, 1.1):
        return Ruling(Call.SLOWER)
    faster = _is_result_better(candidate[0], base[0], second, first, 1.1)
    return Ruling(Call.FASTER if faster else Call.NOTHING)


def _pyperf(sides: Sides, rng: np.random.Generator) -> Ruling:
    """`pyperf compare_to`: Student's t at 95 % over all values of all processes."""
    from pyperf._utils import is_significant

    significant, t = is_significant(sides.candidate.ravel().tolist(), sides.base.ravel().tolist())
    return Ruling(Call.NOTHING if not significant else Call.SLOWER if t > 0.0 else Call.FASTER)


def _otava(nights: Nights, least: float) -> list[int]:
    from otava.analysis import compute_change_points

    found, _ = compute_change_points(nights.seconds.tolist(), min_magnitude=least)
    return [int(point.index) for point in found if point.stats.mean_2 > point.stats.mean_1]


def _asv_steps(nights: Nights, rng: np.random.Generator) -> list[int]:
    """What `asv publish` lists: upward steps of 5 % that the series has not come back from."""
    from asv.step_detect import detect_regressions, detect_steps

    _, _, found = detect_regressions(detect_steps(nights.seconds.tolist()), threshold=0.05, min_size=2)
    return [int(after) for _, after, _, _ in found or ()]


def segments(values: Values) -> list[int]:
    """Where the penalised least-squares optimum (PELT's and KernelCPD's alike) cuts; penalty 3 σ² ln n."""
    import ruptures

    steps = np.diff(values)
    sigma = max(1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / math.sqrt(2.0), 1e-4)
    search = ruptures.KernelCPD(kernel="linear", min_size=2).fit(values.reshape(-1, 1))
    return [int(cut) for cut in search.predict(pen=3.0 * sigma**2 * math.log(len(values)))[:-1]]


def _ruptures(nights: Nights, least: float) -> list[int]:
    values = np.log(nights.seconds)
    cuts = [0, *segments(values), len(values)]
    found = []
    for before, cut, end in zip(cuts, cuts[1:], cuts[2:], strict=False):
        change = math.expm1(float(values[cut:end].mean() - values[before:cut].mean()))
        if change > 0.0 and change >= least:
            found.append(cut)
    return found


GATES = (
    Gate(
        "pyperf",
        "Student's t on pooled values, 95 %",
        Kind.CODE,
        "pyperf 2.10.0 pyperf._utils.is_significant",
        "pyperf",
        portion=0.25,
        judge=_pyperf,
    ),
    Gate(
        "asv continuous",
        "Mann–Whitney on pooled samples, p < 0.002, and 1.1×",
        Kind.CODE,
        "asv 0.6.6 asv.commands.compare._is_result_better",
        "asv",
        portion=0.1,
        judge=_asv_gate,
    ),
)

WATCHES = (
    Watch(
        "Otava",
        "E-divisive in windows of 50, t-test p < 0.001",
        Kind.CODE,
        "apache-otava 0.8.0 otava.analysis.compute_change_points",
        "otava",
        portion=0.2,
        judge=lambda nights, rng: _otava(nights, 0.0),
    ),
    Watch(
        "Otava, ≥ 2 %",
        "the same with min_magnitude 0.02",
        Kind.CODE,
        "apache-otava 0.8.0 otava.analysis.compute_change_points",
        "otava",
        portion=0.2,
        judge=lambda nights, rng: _otava(nights, 0.02),
    ),
    Watch(
        "asv steps",
        "L1 Potts model with AR(1), steps ≥ 5 %",
        Kind.CODE,
        "asv 0.6.6 asv.step_detect",
        "asv",
        portion=0.2,
        judge=_asv_steps,
    ),
    Watch(
        "ruptures",
        "PELT/KernelCPD, least squares, penalty 3 σ² ln n",
        Kind.CODE,
        "ruptures 1.1.10 ruptures.KernelCPD",
        "ruptures",
        judge=lambda nights, rng: _ruptures(nights, 0.0),
    ),
    Watch(
        "ruptures, ≥ 2 %",
        "the same with a floor of 2 %",
        Kind.CODE,
        "ruptures 1.1.10 ruptures.KernelCPD",
        "ruptures",
        judge=lambda nights, rng: _ruptures(nights, 0.02),
    ),
)
