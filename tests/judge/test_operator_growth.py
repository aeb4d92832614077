"""Where a slower step got slower: operators that grew are named, those that did not are not."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from suite.judge.findings import OperatorGrowth
from suite.judge.operators import growth

Profile = dict[str, tuple[float, float]]
"""Operator -> milliseconds of its own and calls, per step."""

BASE: Profile = {
    "aten::mm": (60.0, 12),
    "aten::add": (20.0, 40),
    "aten::native_layer_norm": (10.0, 4),
    "(other)": (5.0, 90),
}


def _side(*profiles: Profile | None) -> pd.DataFrame:
    texts = [
        None
        if profile is None
        else json.dumps(
            {"operators": [{"name": n, "self_seconds": ms / 1000, "calls": c} for n, (ms, c) in profile.items()]}
        )
        for profile in profiles
    ]
    return pd.DataFrame({"operators": pd.Series(texts, dtype="str")})


def _named(base: pd.DataFrame, candidate: pd.DataFrame) -> list[str]:
    return [item.name for item in growth(base, candidate)]


def test_the_operator_that_grew_is_named_with_its_numbers() -> None:
    (found,) = growth(_side(BASE), _side(BASE | {"aten::mm": (90.0, 24)}))
    assert found == OperatorGrowth("aten::mm", 0.060, 0.090, 12, 24)


def test_the_largest_growth_comes_first() -> None:
    grown = BASE | {"aten::add": (30.0, 40), "aten::mm": (80.0, 12), "aten::native_layer_norm": (16.0, 4)}
    assert _named(_side(BASE), _side(grown)) == ["aten::mm", "aten::add", "aten::native_layer_norm"]


def test_an_operator_that_is_called_more_often_comes_before_one_that_only_takes_longer() -> None:
    grown = BASE | {"aten::mm": (80.0, 12), "aten::add": (25.0, 41), "aten::native_layer_norm": (18.0, 5)}
    assert _named(_side(BASE), _side(grown)) == ["aten::native_layer_norm", "aten::add", "aten::mm"]


def test_what_a_profile_does_not_name_one_by_one_is_not_named_and_is_no_growth() -> None:
    grown = BASE | {"(other)": (500.0, 900), "aten::add": (21.0, 40)}
    assert _named(_side(BASE), _side(grown)) == ["aten::add"]


def test_growth_that_is_noise_beside_the_one_that_matters_is_not_named() -> None:
    noisy = {"aten::mm": (90.0, 12), "aten::add": (20.4, 40), "aten::native_layer_norm": (9.8, 4), "(other)": (5.3, 90)}
    assert _named(_side(BASE), _side(noisy)) == ["aten::mm"]


def test_a_new_operator_has_grown_from_nothing_where_every_operator_has_a_name() -> None:
    base: Profile = {"aten::mm": (60.0, 12)}
    (found,) = growth(_side(base), _side(base | {"aten::_to_copy": (7.0, 30)}))
    assert found == OperatorGrowth("aten::_to_copy", 0.0, 0.007, 0.0, 30)


def test_of_an_operator_that_the_base_does_not_name_the_least_growth_counts() -> None:
    # It may have been all of the base's rest of 5 ms, in any number of calls.
    (found,) = growth(_side(BASE), _side(BASE | {"aten::_to_copy": (7.0, 30)}))
    assert found == OperatorGrowth("aten::_to_copy", 0.005, 0.007, None, 30)


def test_an_operator_that_only_crossed_the_cut_is_not_named() -> None:
    crossed = BASE | {"aten::copy_": (1.5, 30), "(other)": (3.5, 60), "aten::mm": (70.0, 12)}
    assert _named(_side(BASE), _side(crossed)) == ["aten::mm"]


def test_calls_that_are_not_known_are_no_more_calls() -> None:
    grown = BASE | {"aten::copy_": (9.0, 30), "aten::mm": (70.0, 12), "aten::add": (22.0, 41)}
    assert _named(_side(BASE), _side(grown)) == ["aten::add", "aten::mm", "aten::copy_"]


def test_an_operator_near_the_cut_is_known_where_most_processes_name_it() -> None:
    named = BASE | {"aten::copy_": (1.0, 30), "(other)": (4.0, 60)}
    grown = BASE | {"aten::copy_": (20.0, 400)}
    (most,) = growth(_side(named, BASE, named), _side(grown, grown, BASE))
    # Of 1, 1 and at most 5 ms the median is 1; of 20, 20 and at least 0 it is 20.
    assert most == OperatorGrowth("aten::copy_", 0.001, 0.020, 30, 400)
    (few,) = growth(_side(BASE, BASE, named), _side(grown, grown, BASE))
    assert few == OperatorGrowth("aten::copy_", 0.005, 0.020, None, 400)


def test_an_operator_that_one_process_alone_names_has_not_grown() -> None:
    grown = BASE | {"aten::mm": (90.0, 12)}
    assert _named(_side(BASE, BASE, BASE), _side(grown, grown, grown | {"cudaMalloc": (500.0, 1)})) == ["aten::mm"]


def test_an_operator_that_is_gone_or_faster_is_not_named() -> None:
    after = {"aten::mm": (50.0, 12), "aten::native_layer_norm": (11.0, 4), "(other)": (5.0, 90)}
    assert _named(_side(BASE), _side(after)) == ["aten::native_layer_norm"]


def test_one_process_that_was_disturbed_names_nothing() -> None:
    disturbed = BASE | {"aten::add": (500.0, 40)}
    grown = BASE | {"aten::mm": (90.0, 12)}
    assert _named(_side(BASE, BASE, BASE), _side(grown, disturbed | {"aten::mm": (90.0, 12)}, grown)) == ["aten::mm"]


def test_no_more_than_five_are_named() -> None:
    names = [f"aten::op{number}" for number in range(8)]
    before, after = (dict.fromkeys(names, (ms, 1)) for ms in (1.0, 2.0))
    assert _named(_side(before), _side(after)) == names[:5]


@pytest.mark.parametrize(
    ("base", "candidate"),
    [((None,), (BASE,)), ((BASE,), (None, None)), ((BASE,), (BASE,)), (({},), (BASE,))],
    ids=["no profile of the base", "none of the candidate", "nothing grew", "an empty one"],
)
def test_without_a_profile_on_both_sides_or_growth_nothing_is_named(
    base: tuple[Profile | None, ...], candidate: tuple[Profile | None, ...]
) -> None:
    assert growth(_side(*base), _side(*candidate)) == ()


def test_processes_without_a_profile_are_left_out_of_the_median() -> None:
    (found,) = growth(_side(None, BASE), _side(BASE | {"aten::mm": (90.0, 12)}, None))
    assert (found.base_seconds, found.candidate_seconds) == (0.060, 0.090)
