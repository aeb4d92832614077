"""Exchanging processes between the two sides, within each seed: an exact test that assumes no distribution.

Five processes a side can be divided in 252 ways, so their smallest one-sided p is 0.004: above a level that is divided
among three looks. Samples that do not overlap at all are the most that a permutation can show; where that alone has a
chance below the undivided level, it decides at any level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb, prod

import numpy as np
import numpy.typing as npt

from suite.judge.cells import Sides
from suite.judge.stats import ALPHA

__all__ = ["ENOUGH_TO_SEPARATE", "EXCHANGE", "PERMUTATIONS", "Pair", "Permuted", "by_seed", "permute"]

EXCHANGE = "permutation of processes"
"""The name of the test."""
PERMUTATIONS = 9999
"""So many are drawn where there are more."""
SEED = 20260101
"""Of the permutations drawn; a verdict must repeat."""
ENOUGH_TO_SEPARATE = 5
"""Processes a side whose complete separation decides."""

Pair = tuple[Sequence[float], Sequence[float]]
"""Values of the base and of the candidate under one seed."""
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Permuted:
    """What exchanging the processes within each seed says."""

    difference: float
    """Candidate minus base, the mean over seeds."""
    p: float
    """Two-sided: twice the smaller one-sided, at most 1."""
    smallest: float
    """The smallest one-sided p that so many processes can have."""
    separated: bool
    """Whether under every seed all values of one side lie on the same side of all of the other's."""
    fewest: int
    """Processes on the smaller side."""

    def can_decide(self, alpha: float) -> bool:
        """Whether so many processes could show a difference at this one-sided level at all."""
        return self.smallest <= alpha or self._separation_counts

    def decides(self, alpha: float) -> bool:
        """Whether the sides differ at this one-sided level, or as clearly as so many processes can."""
        return self.p / 2 <= alpha or (self.separated and self._separation_counts)

    @property
    def _separation_counts(self) -> bool:
        return self.fewest >= ENOUGH_TO_SEPARATE and self.smallest <= ALPHA


def by_seed(sides: Sides, column: str) -> dict[int, Pair]:
    """The values of a column, one per process, under each seed that both sides have."""
    before, after = ({s: side.loc[side["seed"] == s, column].tolist() for s in set(side["seed"])} for side in sides)
    return {seed: (before[seed], after[seed]) for seed in sorted(before) if seed in after}


def permute(seeds: Mapping[int, Pair]) -> Permuted:
    """The test on the mean over seeds of the differences; every seed has values on both sides."""
    pairs = [(np.asarray(before, dtype=float), np.asarray(after, dtype=float)) for before, after in seeds.values()]
    found = sum(float(after.mean() - before.mean()) for before, after in pairs)
    if found < 0:
        # The same ways are drawn of both orders: who swaps the sides must get the mirrored answer.
        mirrored = permute({seed: (after, before) for seed, (before, after) in seeds.items()})
        return replace(mirrored, difference=-mirrored.difference)
    ways = prod(comb(len(before) + len(after), len(after)) for before, after in pairs)
    others = _all(pairs) if ways <= PERMUTATIONS else _drawn(pairs)
    near = 1e-9 * max(1.0, abs(found))
    extreme = min(int((others >= found - near).sum()), int((others <= found + near).sum()))
    p = extreme / ways if ways <= PERMUTATIONS else (extreme + 1) / (PERMUTATIONS + 1)
    return Permuted(
        found / len(pairs),
        p=min(1.0, 2 * p),
        smallest=1 / min(ways, PERMUTATIONS + 1),
        separated=all(a.min() > b.max() for b, a in pairs) or all(a.max() < b.min() for b, a in pairs),
        fewest=min(sum(len(pair[side]) for pair in pairs) for side in (0, 1)),
    )


def _all(pairs: Iterable[tuple[Numbers, Numbers]]) -> Numbers:
    """The sum over seeds of the differences, of every way to divide the processes of each."""
    sums = np.zeros(1)
    for before, after in pairs:
        pool = np.concatenate([before, after])
        chosen = pool[np.array(list(combinations(range(len(pool)), len(after))))]
        sums = np.add.outer(sums, _differences(chosen.sum(axis=1), pool, len(after))).ravel()
    return sums


def _drawn(pairs: Iterable[tuple[Numbers, Numbers]]) -> Numbers:
    generator = np.random.default_rng(SEED)
    sums = np.zeros(PERMUTATIONS)
    for before, after in pairs:
        pool = np.concatenate([before, after])
        mixed = generator.permuted(np.tile(pool, (PERMUTATIONS, 1)), axis=1)
        sums += _differences(mixed[:, : len(after)].sum(axis=1), pool, len(after))
    return sums


def _differences(chosen: Numbers, pool: Numbers, count: int) -> Numbers:
    """Mean of those chosen minus mean of the rest, from the sum of those chosen."""
    difference: Numbers = chosen / count - (pool.sum() - chosen) / (len(pool) - count)
    return difference
