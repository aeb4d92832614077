"""Where a dynamic loss scale settles and how low it falls: it moves before the accuracy does.

The scale moves by factors of two, so a change is counted in halvings (log2). One halving is within the play of the
growth interval; two and more mean that gradients four times as large have appeared. Sides are compared seed by seed,
for a seed may settle where another one does not: one that fell is enough, whatever the others do. Where the processes
of a seed disagree, the mean over seeds is tested by exchanging them between the sides. The lowest scale is compared
likewise, for a dip that is over before the end leaves the settled one where it was; as it falls with that, it speaks
only where it says more. How often steps are skipped is judged in `skips.py`.

False alarms that the lowest scale adds, of equal sides over 60 to 1000 steps, growth intervals of 10 to 2000 and one
to five seeds: none in 3200 comparisons where processes of a seed differ by some percent of their gradients. Where every
process has other gradients altogether: 0 to 2 % of log-normal ones, and with one process under each of five seeds 10 to
15 % of heavy-tailed ones (Student's t with 3 degrees of freedom in the logarithm), beside 18 to 50 % by the settled
scale; two processes under each seed leave at most 0.5 % (200 draws each).

A scale that falls below 1 needs no rule here: the trial has diverged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean

import pandas as pd

from suite.judge.cells import Cell, Sides, seed_difference
from suite.judge.findings import ORDER, Finding, MetricClass, Verdict
from suite.judge.permutation import Pair, by_seed, permute
from suite.judge.skips import judge_skips
from suite.judge.stats import ALPHA, FEWEST

__all__ = ["judge_scale_shape"]

HALVINGS = 2.0
"""A scale that is lower by so many halvings has moved."""

Words = tuple[str, str]
"""A scale, and how it is said to be lower or higher."""
SETTLED: Words = ("the settled scale", "the scale settles")
LOWEST: Words = ("the lowest scale", "the lowest scale is")


def judge_scale_shape(cell: Cell, sides: Sides, alpha: float = ALPHA) -> Finding | None:
    """A finding on the settled and the lowest scale and on the steady skip rate.

    None where the base has no scale, or no scale moved at all. `alpha` is the one-sided level of the tests over
    processes, where those of one seed differ.
    """
    known = (_scaled(sides[0]), _scaled(sides[1]))
    if known[0].empty or all((s["scale_lowest"] == s["scale_highest"]).all() for s in known):
        return None
    finding = Finding(*cell, "loss_scale", Verdict.NOT_MEASURED, MetricClass.SHAPE)
    if known[1].empty:
        return replace(finding, reasons=("the candidate has no loss scale, the base has",))
    differ = seed_difference(*known)
    said: tuple[str, ...] = () if differ is None else (differ,)
    settled = _judged(known, "scale_settled", SETTLED, alpha)
    lowest = _judged(known, "scale_lowest", LOWEST, alpha)
    found = [(settled.verdict, settled.reasons) if settled else (Verdict.NOT_MEASURED, said)]
    # It falls with the settled one, and by itself only a fall means something.
    if settled and lowest and lowest.move.moved <= -HALVINGS and ORDER[lowest.verdict] < ORDER[settled.verdict]:
        found.append((lowest.verdict, lowest.reasons))
    skips = judge_skips(known, alpha)
    found += [] if skips is None else [(skips[0], (skips[1],))]
    verdict = min((verdict for verdict, _ in found), key=lambda verdict: ORDER[verdict])
    before, after = (side["scale_settled"] for side in known)
    return replace(
        finding,
        verdict=verdict,
        base=2.0**settled.move.before if settled else None,
        candidate=2.0 ** (settled.move.before + settled.move.moved) if settled else None,
        test=f"settled and lowest scale, {HALVINGS:g} halvings",
        values_base=tuple(map(float, before)),
        values_candidate=tuple(map(float, after)),
        processes_base=len(before),
        processes_candidate=len(after),
        reasons=tuple(reason for its, reasons in found if its is verdict for reason in reasons),
        notes=said if settled else (),
    )


@dataclass(frozen=True)
class _Move:
    """Where a scale was, as a power of two, and by how many doublings it moved."""

    words: Words
    before: float
    moved: float
    seed: int | None = None
    """None for the mean over seeds."""

    def __str__(self) -> str:
        under = "" if self.seed is None else f"under seed {self.seed} "
        if abs(self.moved) < HALVINGS:
            moved = f"{under}{self.words[0]} moved by {self.moved:+.1f} doublings"
            return f"{moved}, within the play of its growth interval"
        # The finding's own numbers are those of the settled scale.
        shown = f" ({2 ** (self.before + self.moved):.0f}, before {2**self.before:.0f})" * (self.words is LOWEST)
        return (
            f"{under}{self.words[1]} {2 ** abs(self.moved):.0f} times {'lower' if self.moved < 0 else 'higher'}{shown}"
        )


@dataclass(frozen=True)
class _Judged:
    """A verdict on one scale, the move that it rests on, and the reasons."""

    verdict: Verdict
    move: _Move
    reasons: tuple[str, ...] = ()


def _scaled(side: pd.DataFrame) -> pd.DataFrame:
    return side.dropna(subset=["scale_settled", "scale_lowest", "scale_highest"])


def _judged(sides: Sides, column: str, words: Words, alpha: float) -> _Judged | None:
    """None without a common seed."""
    seeds: dict[int, Pair] = {
        seed: ([math.log2(value) for value in before], [math.log2(value) for value in after])
        for seed, (before, after) in by_seed(sides, column).items()
    }
    return _verdict(seeds, words, alpha) if seeds else None


def _verdict(seeds: Mapping[int, Pair], words: Words, alpha: float) -> _Judged:
    moves = [_Move(words, fmean(before), fmean(after) - fmean(before), seed) for seed, (before, after) in seeds.items()]
    spreads = [max(max(side) - min(side) for side in pair) for pair in seeds.values()]
    # Where other seeds vary, processes of one may agree by chance: it must fall further than those vary.
    fallen = [
        move
        for move, spread in zip(moves, spreads, strict=True)
        if not spread and move.moved <= -HALVINGS and -move.moved > max(spreads)
    ]
    if fallen:
        return _certain(min(fallen, key=lambda move: move.moved))
    if not any(spreads):
        return _certain(max(moves, key=lambda move: abs(move.moved)))
    mean = _Move(words, fmean(move.before for move in moves), fmean(move.moved for move in moves))
    if abs(mean.moved) >= HALVINGS and _differ(seeds, alpha):
        return _certain(mean)
    for move in (mean, min(moves, key=lambda move: move.moved)):
        if abs(move.moved) >= HALVINGS:
            few = f"{move}, but it varies between processes and they are too few to tell"
            return _Judged(Verdict.INCONCLUSIVE, move, (few,))
    return _certain(mean)


def _certain(move: _Move) -> _Judged:
    """What a move means that is no chance."""
    if not round(move.moved, 9):  # means of thirds are not exact
        return _Judged(Verdict.UNCHANGED, move)
    return _Judged(Verdict.REGRESSED if move.moved <= -HALVINGS else Verdict.CHANGED, move, (str(move),))


def _differ(seeds: Mapping[int, Pair], alpha: float) -> bool:
    found = permute(seeds)
    return found.fewest >= FEWEST and found.decides(alpha)
