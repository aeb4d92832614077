"""How often the rules may be wrong, and the levels of the intervals on every page, which follow from it.

Numbers alone, so that whoever words them need not load the statistics.
"""

from __future__ import annotations

__all__ = ["ALPHA", "CHANGE_INTERVAL", "CHANGE_LEVEL", "EQUIVALENCE", "EQUIVALENCE_LEVEL", "RATIO_LEVEL", "Q"]

ALPHA = 0.01
"""One-sided level of a single test."""
Q = 0.05
"""False-discovery rate over all cells of one comparison and metric."""
EQUIVALENCE = 0.05
"""Level of the two one-sided tests."""
CHANGE_LEVEL = 1 - 2 * ALPHA
"""Of the interval of a change against the base: two one-sided bounds at ALPHA."""
CHANGE_INTERVAL = f"{100 * CHANGE_LEVEL:g} % interval"
"""Its name on every page and in the terminal."""
EQUIVALENCE_LEVEL = 1 - 2 * EQUIVALENCE
"""Of the interval that `unchanged` and `equivalent` are read off."""
RATIO_LEVEL = 0.95
"""Of the interval of a time, a speed-up or a cost, where nothing is decided by a test."""
