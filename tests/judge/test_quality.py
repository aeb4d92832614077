"""Held-out quality: paired by seed, against a margin in the metric's own unit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import pytest
import records
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from suite.columns import TRIAL_COLUMNS
from suite.judge.findings import Finding, MetricClass, PrecisionQuality, Verdict
from suite.judge.quality import against_fp32, judge_quality, seed_values
from suite.judge.stats import Levels
from suite.record import Quality

CELL = ("gpt", "bf16")
LOSSES = (1.00, 1.02, 0.98, 1.01, 0.99)
"""Five seeds with the standard deviation 0.0158; the margin of 1.5 of these is 0.0237."""
SD = 0.0158114
ACCURACIES = (0.80, 0.82, 0.78, 0.81, 0.79)
"""Five seeds with the same standard deviation."""
#: What a seed adds on one side and not on the other: mean 0, standard deviation 0.00158.
OWN = (0.001, -0.002, 0.001, 0.001, -0.001)


def _side(
    values: Sequence[float],
    seeds: Sequence[int] | None = None,
    metric: str = "perplexity",
    *,
    higher_is_better: bool = False,
    guess: float | None = None,
) -> pd.DataFrame:
    """One row per process; seeds count from 0."""
    rows = {
        "seed": list(range(len(values))) if seeds is None else list(seeds),
        "quality": list(values),
        "quality_metric": [metric] * len(values),
        "quality_higher_is_better": [higher_is_better] * len(values),
        "quality_baseline": [guess] * len(values),
        "quality_baseline_name": ["unigram entropy"] * len(values),
        "losses_sha256": [None] * len(values),
    }
    return pd.DataFrame({name: pd.Series(column, dtype=TRIAL_COLUMNS[name]) for name, column in rows.items()})


def _judge(base: pd.DataFrame, candidate: pd.DataFrame, margin: float | None = None, looks: int = 1) -> Finding:
    (found,) = judge_quality({CELL: (base, candidate)}, Levels().split(looks), lambda cell, metric: margin)
    return found


def _worse(by: float) -> pd.DataFrame:
    """The losses with so much added, and with a little of each seed's own."""
    return _side([value + by + own for value, own in zip(LOSSES, OWN, strict=True)])


# --- the verdict ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", [None, 1.5 * SD], ids=["of the base's own seeds", "frozen"])
@pytest.mark.parametrize(
    ("by", "verdict"),
    [
        (3 * SD, Verdict.REGRESSED),
        (1.7 * SD, Verdict.REGRESSED),
        (1.0 * SD, Verdict.UNCHANGED),
        (0.0, Verdict.UNCHANGED),
        (-1.0 * SD, Verdict.UNCHANGED),
        (-3 * SD, Verdict.IMPROVED),
    ],
)
def test_a_loss_beyond_one_and_a_half_standard_deviations_of_a_seed_is_what_matters(
    margin: float | None, by: float, verdict: Verdict
) -> None:
    found = _judge(_side(LOSSES), _worse(by), margin)
    assert (found.verdict, found.reasons) == (verdict, ())
    assert found.change == pytest.approx(by, abs=1e-9)
    assert found.limit == pytest.approx(1.5 * SD, rel=1e-4)


def test_a_finding_carries_all_that_it_was_computed_from() -> None:
    found = _judge(_side(LOSSES), _worse(3 * SD))
    assert (found.metric, found.metric_class, found.test) == (
        "quality (perplexity)",
        MetricClass.QUALITY,
        "paired t over seeds",
    )
    assert found.values_base == LOSSES
    assert (found.base, found.candidate) == (pytest.approx(1.0), pytest.approx(1.0 + 3 * SD))
    assert (found.processes_base, found.processes_candidate, found.family) == (5, 5, 1)
    # The differences are those of OWN around 3 sd: error 0.00141 / √5 = 0.000632, 4 degrees of freedom.
    error = float(pd.Series(OWN).std(ddof=1)) / math.sqrt(5)
    assert found.p == pytest.approx(2 * stats.t.sf(3 * SD / error, 4), rel=1e-3)
    assert found.low == pytest.approx(3 * SD - 3.74695 * error, rel=1e-4)
    assert found.low90 == pytest.approx(3 * SD - 2.13185 * error, rel=1e-4)
    assert (found.p_adjusted, found.runs_to_decide) == (found.p, None)
    assert found.minimum_detectable is not None
    assert 1.5 * SD < found.minimum_detectable < 2 * SD


def test_where_more_is_better_a_fall_is_a_loss_and_the_values_keep_their_sign() -> None:
    accuracies = [0.80, 0.82, 0.78, 0.81, 0.79]
    lower = [value - 0.05 + own for value, own in zip(accuracies, OWN, strict=True)]
    base, candidate = (_side(side, metric="accuracy", higher_is_better=True) for side in (accuracies, lower))
    found = _judge(base, candidate)
    assert (found.metric, found.verdict) == ("quality (accuracy)", Verdict.REGRESSED)
    assert found.change == pytest.approx(0.05)
    assert (found.base, found.candidate) == (pytest.approx(0.80), pytest.approx(0.75))
    assert found.values_base == tuple(accuracies)
    assert found.values_candidate == pytest.approx(tuple(lower))
    assert _judge(candidate, base).verdict == Verdict.IMPROVED


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_equal_values_are_unchanged_by_equality_and_one_seed_is_enough(seeds: int) -> None:
    found = _judge(_side(LOSSES[:seeds]), _side(LOSSES[:seeds]))
    assert (found.verdict, found.reasons) == (Verdict.UNCHANGED, ())
    assert (found.test, found.change) == ("equality under equal seeds", 0.0)


@pytest.mark.parametrize("seeds", [1, 2, 3, 4])
def test_fewer_than_five_seeds_have_no_margin_and_are_inconclusive_with_what_to_do(seeds: int) -> None:
    found = _judge(_side(LOSSES[:seeds]), _side([value + 5.0 for value in LOSSES[:seeds]]))
    said = "1 seed" if seeds == 1 else f"{seeds} seeds"
    assert found.verdict == Verdict.INCONCLUSIVE
    assert found.reasons == (
        f"{said} and no margin: give at least 5 with --seeds, or freeze a margin with `ampmark calibrate`",
    )
    assert (found.limit, found.family, found.runs_to_decide) == (None, None, None)


@pytest.mark.parametrize("frozen", ["accuracy", "perplexity", None])
def test_a_margin_that_was_frozen_of_another_metric_is_not_used_and_a_note_says_so(frozen: str | None) -> None:
    """A loss of 0.79 to 0.69 in accuracy is nothing beside 7.95 of perplexity, and much beside 1.5 sd of the base."""
    base = _side(ACCURACIES, metric="accuracy", higher_is_better=True)
    lower = [value - 0.1 + own for value, own in zip(ACCURACIES, OWN, strict=True)]
    candidate = _side(lower, metric="accuracy", higher_is_better=True)
    (found,) = judge_quality(
        {CELL: (base, candidate)},
        Levels(),
        lambda cell, metric: 7.95 if metric == frozen else None,
        lambda cell: frozen,
    )
    expected = {
        "accuracy": (Verdict.UNCHANGED, 7.95, ()),
        "perplexity": (Verdict.REGRESSED, 1.5 * SD, ("the frozen margin is of perplexity and not of accuracy",)),
        None: (Verdict.REGRESSED, 1.5 * SD, ()),
    }
    assert (found.verdict, pytest.approx(found.limit, rel=1e-4), found.notes) == expected[frozen]


@pytest.mark.parametrize(
    ("seeds", "verdict", "reasons"),
    [
        (1, Verdict.INCONCLUSIVE, ("1 seed; at least 3 are needed (5 are usual)",)),
        (2, Verdict.INCONCLUSIVE, ("2 seeds; at least 3 are needed (5 are usual)",)),
        (3, Verdict.REGRESSED, ()),
    ],
)
def test_a_frozen_margin_needs_only_enough_seeds_to_know_the_spread(
    seeds: int, verdict: Verdict, reasons: tuple[str, ...]
) -> None:
    candidate = [value + 0.5 + own for value, own in zip(LOSSES[:seeds], OWN, strict=False)]
    found = _judge(_side(LOSSES[:seeds]), _side(candidate), margin=0.02)
    assert (found.verdict, found.reasons) == (verdict, reasons)


def test_where_no_seed_differs_from_another_any_significant_loss_counts() -> None:
    """Every seed of the base reaches the same: a margin of their spread is none, and no loss is too small for it."""
    perfect = _side([1.0] * 5, metric="accuracy", higher_is_better=True)
    halved = _side([0.5, 0.49, 0.51, 0.5, 0.5], metric="accuracy", higher_is_better=True)
    found = _judge(perfect, halved)
    assert (found.verdict, found.limit) == (Verdict.REGRESSED, 0.0)
    # One seed of five that lost something may be chance.
    once = _side([1.0, 1.0, 1.0, 1.0, 0.98], metric="accuracy", higher_is_better=True)
    assert _judge(perfect, once).verdict == Verdict.INCONCLUSIVE


def test_scattered_differences_are_inconclusive_with_how_many_seeds_would_decide() -> None:
    candidate = _side([1.02, 1.0, 1.0, 0.99, 1.02])
    found = _judge(_side(LOSSES), candidate, margin=0.02)
    assert (found.verdict, found.reasons) == (Verdict.INCONCLUSIVE, ())
    # Differences 0.02, −0.02, 0.02, −0.02, 0.03: mean 0.006, sd 0.0241; 0.006 + t(0.95, K − 1) · 0.0241 / √K is 0.0209
    # for K = 9 and 0.01997 for K = 10.
    assert found.change == pytest.approx(0.006)
    assert found.runs_to_decide == 10


# --- pairing --------------------------------------------------------------------------------------------------------


def test_what_a_seed_moves_on_both_sides_alike_does_not_matter() -> None:
    wide = [1.0, 3.0, 2.0, 5.0, 4.0]
    found = _judge(_side(wide), _side([value + 0.1 + own for value, own in zip(wide, OWN, strict=True)]), margin=0.05)
    assert found.verdict == Verdict.REGRESSED


def test_only_seeds_that_both_sides_have_are_compared() -> None:
    found = _judge(_side((9.0, *LOSSES), seeds=(7, 0, 1, 2, 3, 4)), _side((*LOSSES, 5.0), seeds=(0, 1, 2, 3, 4, 8)))
    assert (found.verdict, found.values_base, found.processes_base) == (Verdict.UNCHANGED, LOSSES, 5)


def test_processes_of_one_seed_are_one_value_their_mean() -> None:
    side = _side([1.0, 3.0, 5.0, 7.0], seeds=[0, 0, 1, 1])
    assert list(seed_values(side)) == [2.0, 6.0]
    found = _judge(side, _side([2.0, 6.0]))
    assert (found.verdict, found.values_base, found.processes_base) == (Verdict.UNCHANGED, (2.0, 6.0), 2)


@pytest.mark.parametrize(
    ("candidate", "verdict", "reason"),
    [
        (_side(LOSSES, metric="loss"), Verdict.INCOMPARABLE, "quality metric: perplexity → loss"),
        (
            _side(LOSSES, seeds=[5, 6, 7, 8, 9]),
            Verdict.NOT_MEASURED,
            "no common seeds: the base has 0, 1, 2, 3, 4, the candidate 5, 6, 7, 8, 9",
        ),
        (_side([math.nan] * 5), Verdict.INCOMPARABLE, "the candidate has no quality, the base has"),
    ],
    ids=["another metric", "no common seed", "no value"],
)
def test_a_quality_without_a_counterpart_is_not_passed_over(
    candidate: pd.DataFrame, verdict: Verdict, reason: str
) -> None:
    found = _judge(_side(LOSSES), candidate)
    assert (found.metric, found.metric_class) == ("quality (perplexity)", MetricClass.QUALITY)
    assert (found.verdict, found.reasons) == (verdict, (reason,))


@pytest.mark.parametrize("candidate", [_side(LOSSES), _side([math.nan] * 5)], ids=["new", "neither side"])
def test_a_base_without_a_quality_has_no_finding(candidate: pd.DataFrame) -> None:
    assert judge_quality({CELL: (_side([math.nan] * 5), candidate)}, Levels(), lambda cell, metric: None) == []


def test_where_only_some_seeds_are_common_a_note_names_them() -> None:
    found = _judge(_side(LOSSES), _side((*LOSSES[:4], 9.0), seeds=(0, 1, 2, 3, 8)))
    said = "only the common seeds are compared (0, 1, 2, 3): the base has 0, 1, 2, 3, 4, the candidate 0, 1, 2, 3, 8"
    assert (found.verdict, found.notes) == (Verdict.UNCHANGED, (said,))
    assert _judge(_side(LOSSES), _side(LOSSES)).notes == ()


losses = st.lists(st.integers(-50, 50).map(lambda ticks: 1 + ticks / 1024), min_size=3, max_size=6)


@given(data=st.data(), values=losses)
@settings(max_examples=30, deadline=None)
def test_swapping_the_sides_mirrors_the_verdict_and_the_order_of_seeds_changes_nothing(
    data: st.DataObject, values: list[float]
) -> None:
    mirror = {Verdict.REGRESSED: Verdict.IMPROVED, Verdict.IMPROVED: Verdict.REGRESSED}
    others = [value + data.draw(st.sampled_from([-0.1, 0.0, 0.003, 0.1])) for value in values]
    one, other = (_judge(_side(x), _side(y), margin=0.02) for x, y in ((values, others), (others, values)))
    assert other.verdict == mirror.get(one.verdict, one.verdict)
    order = data.draw(st.permutations(range(len(values))))
    shuffled = _judge(_side([values[k] for k in order], order), _side([others[k] for k in order], order), margin=0.02)
    assert shuffled.verdict == one.verdict


# --- the family and the looks ---------------------------------------------------------------------------------------


def test_cells_without_a_test_do_not_enlarge_the_family_and_the_others_do() -> None:
    cells = {(f"lonely{number}", "bf16"): (_side([1.0]), _side([2.0])) for number in range(20)}
    cells |= {(f"quiet{number}", "bf16"): (_side(LOSSES), _side(LOSSES[::-1])) for number in range(9)}
    cells["gpt", "bf16"] = _side(LOSSES), _worse(3 * SD)
    found = judge_quality(cells, Levels(), lambda cell, metric: None)[-1]
    assert found.family == 10
    assert found.p is not None
    assert found.p_adjusted == pytest.approx(10 * found.p)


def test_one_look_of_three_asks_for_more() -> None:
    # Differences 0.035 + (−2 … 2) · 0.01 have the error 0.00707: t = 4.95 with 4 degrees of freedom, p = 0.0039
    # one-sided, which is below 0.01 and above 0.01 / 3.
    candidate = [value + 0.035 + 0.01 * k for value, k in zip(LOSSES, (-2, -1, 0, 1, 2), strict=True)]
    assert _judge(_side(LOSSES), _side(candidate), margin=0.02).verdict == Verdict.REGRESSED
    assert _judge(_side(LOSSES), _side(candidate), margin=0.02, looks=3).verdict == Verdict.INCONCLUSIVE


# --- a precision against float32 ------------------------------------------------------------------------------------


def _against(
    fp32: Sequence[float],
    other: Sequence[float],
    *,
    higher_is_better: bool = False,
    margin: float | None = None,
    bf16_losses: str | None = "1" * 64,
) -> PrecisionQuality:
    trials = [
        records.record(
            spec=records.spec("gpt", precision, seed=seed),
            quality=Quality({"m": value}, "m", higher_is_better, 9.0, "guessing"),
            losses_sha256=digest,
        )
        for precision, values, digest in (("bf16", other, bf16_losses), ("fp32", fp32, "1" * 64))
        for seed, value in enumerate(values)
    ]
    (said,) = against_fp32(
        records.run(trials), lambda cell, metric: {("gpt", "fp32", "m"): margin}.get((*cell, metric))
    )
    assert (said.workload, said.precision, said.metric) == ("gpt", "bf16", "m")
    return said


@pytest.mark.parametrize(
    ("by", "conclusion"), [(3 * SD, "worse"), (0.5 * SD, "equivalent"), (0.0, "equivalent"), (-3 * SD, "better")]
)
def test_a_precision_that_trains_worse_or_better_than_float32_is_reported(by: float, conclusion: str) -> None:
    said = _against(LOSSES, [value + by + own for value, own in zip(LOSSES, OWN, strict=True)])
    assert (said.conclusion, said.seeds, said.reason) == (conclusion, 5, None)
    assert said.difference == pytest.approx(by, abs=1e-9)
    assert said.margin == pytest.approx(1.5 * SD, rel=1e-4)
    assert said.low90 is not None
    assert said.high90 is not None
    assert said.low90 < by < said.high90


def test_more_accuracy_than_float32_is_better_and_less_is_worse() -> None:
    accuracies = (0.80, 0.82, 0.78, 0.81, 0.79)
    more = [value + 0.05 + own for value, own in zip(accuracies, OWN, strict=True)]
    assert _against(accuracies, more, higher_is_better=True).conclusion == "better"
    assert _against(more, accuracies, higher_is_better=True).conclusion == "worse"


def test_the_frozen_margin_is_that_of_float32() -> None:
    said = _against(LOSSES[:3], [value + 0.05 + own for value, own in zip(LOSSES[:3], OWN, strict=False)], margin=0.2)
    assert (said.conclusion, said.margin, said.seeds) == ("equivalent", 0.2, 3)


@pytest.mark.parametrize(
    ("seeds", "margin", "reason"),
    [
        (1, None, "1 seed; 5 give a margin, or `ampmark calibrate` does"),
        (4, None, "4 seeds; 5 give a margin, or `ampmark calibrate` does"),
        (2, 0.02, "2 seeds; at least 3 are needed (5 are usual)"),
    ],
)
def test_too_few_seeds_are_undecided_with_the_reason(seeds: int, margin: float | None, reason: str) -> None:
    said = _against(LOSSES[:seeds], [value + 0.5 for value in LOSSES[:seeds]], margin=margin)
    assert (said.conclusion, said.reason, said.difference) == ("undecided", reason, pytest.approx(0.5))


def test_equal_qualities_by_equal_losses_are_equivalent_even_of_one_seed() -> None:
    said = _against(LOSSES[:1], LOSSES[:1])
    assert (said.conclusion, said.reason) == ("equivalent", None)


@pytest.mark.parametrize(
    ("digests", "seeds", "margin", "reason"),
    [
        (
            "b",
            1,
            None,
            "the same m by other losses may be chance; 1 seed; 5 give a margin, or `ampmark calibrate` does",
        ),
        ("", 1, None, "the same m by other losses may be chance; 1 seed; 5 give a margin, or `ampmark calibrate` does"),
        ("b", 2, 0.1, "the same m by other losses may be chance; 2 seeds; at least 3 are needed (5 are usual)"),
        ("b", 3, 0.1, None),
        ("b", 5, None, None),
    ],
    ids=["other", "unknown", "few", "a frozen margin", "the seeds' own margin"],
)
def test_equal_qualities_by_other_losses_need_seeds_and_a_margin(
    digests: str, seeds: int, margin: float | None, reason: str | None
) -> None:
    said = _against(LOSSES[:seeds], LOSSES[:seeds], margin=margin, bf16_losses=digests * 64 or None)
    assert (said.conclusion, said.reason) == ("equivalent" if reason is None else "undecided", reason)


def test_without_float32_there_is_nothing_to_be_better_than() -> None:
    trials = [records.record(spec=records.spec("gpt", "bf16", seed=seed)) for seed in range(5)]
    assert against_fp32(records.run(trials)) == []
    alone = [records.record(spec=records.spec("gpt", "fp32", seed=seed)) for seed in range(5)]
    assert against_fp32(records.run(alone)) == []


def test_more_processes_of_a_seed_that_reach_the_same_are_equal_to_the_last_bit() -> None:
    """0.1 + 0.1 + … of ten is not ten times 0.1."""
    for value in (0.1, 4.0053, 1 / 3):
        found = _judge(_side([value] * 5, seeds=[0] * 5), _side([value] * 10, seeds=[0] * 10))
        assert (found.verdict, found.test) == (Verdict.UNCHANGED, "equality under equal seeds")


# --- training that came to nothing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "higher", "verdict"),
    [
        (4.0, 9.0, False, Verdict.REGRESSED),
        (4.0, 4.5, False, Verdict.REGRESSED),
        (4.0, 4.49, False, Verdict.INCONCLUSIVE),
        (4.4, 9.0, False, Verdict.INCONCLUSIVE),  # 2 % better than the guess may be luck
        (4.8, 4.5, True, Verdict.REGRESSED),
        (4.8, 4.6, True, Verdict.INCONCLUSIVE),
    ],
)
def test_one_seed_is_enough_where_the_model_learned_and_now_only_guesses(
    before: float, after: float, higher: bool, verdict: Verdict
) -> None:
    found = _judge(
        _side([before], guess=4.5, higher_is_better=higher), _side([after], guess=4.5, higher_is_better=higher)
    )
    assert found.verdict == verdict
    if verdict is Verdict.REGRESSED:
        assert found.reasons == (
            f"{before:g} became {after:g}, no better than unigram entropy (4.5), which does not see its input",
        )


def test_of_several_seeds_one_that_only_guesses_is_enough() -> None:
    base, candidate = _side([4.0, 4.1, 4.0], guess=4.5), _side([4.0, 7.0, 4.1], guess=4.5)
    found = _judge(base, candidate)
    assert (found.verdict, found.test) == (Verdict.REGRESSED, "better than an input-blind predictor")
    assert found.reasons[0].startswith("4.1 became 7, ")


def test_a_quality_that_vanished_is_as_loud_as_a_cell_that_did() -> None:
    found = _judge(_side([4.0]), _side([]))
    assert (found.verdict, found.reasons) == (Verdict.INCOMPARABLE, ("the candidate has no quality, the base has",))
