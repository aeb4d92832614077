"""The sentences of docs/detectors.md."""

from __future__ import annotations

__all__ = ["LIMITS", "OPENING", "READING", "REDUCED"]

OPENING = """
# How often the detectors cry wolf, and what they see

A tool that says "regressed" should know how often it is wrong. `nox -s detectors` gives our rules and those of other
tools the same seeded random series and counts. This page and `suite/judge/detectors.json`, which every report quotes,
are its output; nothing here is written by hand. The code is in `tools/detectors/`.
"""

REDUCED = """
> **Reduced run.** Fewer draws than the programme's own number: the intervals are wide. It shows that everything runs.
"""

READING = """
A share is followed by Wilson's 95 % interval: `0.4 % [0.1, 1.0]`.

**Two sides**: base and candidate, a number of fresh processes each, run in the order A B B A. Our gate sees the
processes' medians; tools that pool get all steps, tools that look at one process get the first of each side. An
alarm is a candidate called slower; where nothing changed it is false.

**Nights**: series of 60. The code changes, if it does, in the thirty-first night; nights 31 to 60 are monitored, and
each night a detector sees only the nights so far. An alarm is a slow-down that was not reported before (more than two
nights away from all that was). A change counts as found when an alarm names its night give or take two; the delay is
the number of nights at the new level that it took, so 1 is the first such night. A detector that tests the newest
night can find a change in its first three nights only, for later it names a later night. "Fresh runs" is
the whole procedure of `ampmark history`: a suspect night is run again at once (`--confirm`), and a change point counts
only when a later run stands by it; the second run of a night shares the machine's state with
the first, and spikes are each run's own.
"""

LIMITS = """
## What to bear in mind

- Ports are our own words for rules read in the named sources, with their usual settings; the other tools' own code
  runs where Python can call it. criterion's bootstrap takes 1 000 resamples here and 100 000 there. Otava is installed
  without its dependencies (it pins older numpy and scipy than this project's, and its statistics need no more).
- Several of these tools are built for another job: github-action-benchmark compares with the last commit, conbench,
  MongoDB's and Mozilla's systems have people who look at each alarm, criterion and pytest-benchmark time functions of
  microseconds. The tables say what their rules do with training steps and nights, not what the tools are worth.
- A share of series with a false alarm in 30 nights grows with the number of nights and of series watched.
- The recorded processes are few, so the blocks that are drawn overlap, and the intervals of that column are too narrow.
- Noise whose level wanders (AR(1) φ 0.8, a machine that is slower for weeks) looks like a change to whoever sees the
  series alone. Those columns are there to be seen; the anchor is the remedy.
- Slow-downs are multiplied onto the step time. Overflow counts, memory and quality are compared by exact or other
  tests (docs/decisions/0004) and are not part of this.
"""
