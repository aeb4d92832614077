"""What weakens a trial's numbers: from what the instruments saw to cautions with stable codes.

A caution makes a verdict on speed `inconclusive` (suite.judge.speed), so it must not come from the ordinary state of a
quiet machine; docs/measurement.md has the measurements behind the thresholds. Messages name the threshold and not the
trial's own number, which has a column: equal cautions of many trials are then one line of the report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from suite.measure.host import Shares
from suite.measure.nvml import SLOWDOWNS
from suite.readings import HardwareState
from suite.record import Caution

__all__ = ["FOREIGN_PROCESSORS", "SMALLEST_CHANGE", "cautions", "surely_foreign"]

SMALLEST_CHANGE = 0.02
"""The smallest change of the step time that counts as a regression (suite.judge.speed.DELTA): time that the trial
wanted and did not get is tolerated below it."""
FOREIGN_PROCESSORS = 0.05
"""A twentieth of one processor: what others may take. A step waits for its slowest thread, so it loses what that
thread loses, however many others there are."""
FOREIGN_ERRORS = 3.0
"""The share must be above it by so many standard errors: on many processors a short window is counted roughly."""


FOREIGN_BYTES = 2**30
"""A display and its desktop hold less of a GPU; a program that computes holds more."""


def cautions(
    during: HardwareState,
    clock_reasons: Sequence[str],
    shares: Shares | None,
    *,
    uses_all_processors: bool,
    held_before_bytes: float | None = None,
) -> tuple[Caution, ...]:
    """In the order of the sentences below. `clock_reasons` are all that were seen, even where some readings failed.

    With `uses_all_processors` whatever others took, the trial lost; else only where no processor was idle meanwhile.
    `held_before_bytes` is the GPU memory in use before the trial touched the device.
    """
    return (
        *_of_the_gpu(during, clock_reasons, held_before_bytes or 0.0),
        *(_of_the_host(shares, uses_all_processors) if shares else ()),
    )


def surely_foreign(shares: Shares) -> float:
    """Processors' worth of time that others took at least."""
    return ((shares.foreign.value or 0.0) - FOREIGN_ERRORS * shares.foreign_error) * shares.processors


def _of_the_gpu(during: HardwareState, clock_reasons: Sequence[str], held_before_bytes: float) -> Iterator[Caution]:
    if slowdowns := [reason for reason in clock_reasons if reason in SLOWDOWNS]:
        yield Caution(
            "clock_throttled", f"The GPU's clock was held back ({', '.join(slowdowns)}); cool it or lift the limit."
        )
    if during.foreign_processes:
        yield Caution(
            "foreign_gpu_process", "Other processes computed on this GPU; end what is no part of the measurement."
        )
    elif during.foreign_processes is None and held_before_bytes >= FOREIGN_BYTES:
        yield Caution(
            "foreign_gpu_memory",
            f"{FOREIGN_BYTES / 2**30:g} GiB or more of the GPU's memory were in use before the trial began, and who "
            "computes on it cannot be told here; end other programs, or in a container use --pid=host.",
        )


def _of_the_host(shares: Shares, uses_all_processors: bool) -> Iterator[Caution]:
    if surely_foreign(shares) >= FOREIGN_PROCESSORS and (uses_all_processors or shares.idle_processors < 1.0):
        yield Caution(
            "foreign_load",
            f"Other processes took {FOREIGN_PROCESSORS:.0%} or more of a processor while the steps were measured; "
            "end them, or measure when the machine is idle.",
        )
    if (shares.steal.value or 0.0) >= SMALLEST_CHANGE:
        yield Caution(
            "cpu_steal",
            f"The hypervisor gave {SMALLEST_CHANGE:.0%} or more of the processors' time to other virtual machines; "
            "measure on a machine of its own.",
        )
    if (shares.throttled.value or 0.0) >= SMALLEST_CHANGE:
        yield Caution(
            "cpu_throttled",
            f"The container was stopped in {SMALLEST_CHANGE:.0%} or more of its CPU quota's periods; "
            "raise the quota, or give the trial fewer processors (taskset).",
        )
