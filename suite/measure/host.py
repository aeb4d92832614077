"""The host's processors: who had their time, their clock, their temperature. Read at the edges of a window only.

Everything is a counter or a state that the kernel keeps anyway, in /proc and /sys; another system has none of it, and
each quantity then is None with that reason. What is read here costs about a millisecond and runs no thread.
"""

from __future__ import annotations

import math
import os
import re
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from suite.measure.reading import Reading, highest, mean

__all__ = ["SHORTEST_SHARE_SECONDS", "Counters", "Host", "Shares", "shares"]

SHORTEST_SHARE_SECONDS = 1.0
"""The kernel counts a processor's time in ticks of 10 ms (see `Shares.foreign_error`)."""
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
"""Drivers of the processors' own sensors (Linux hwmon): Intel, AMD (two), ARM."""


@dataclass(frozen=True)
class Counters:
    """What has been counted until one moment. Only differences mean anything."""

    at_seconds: float
    own_seconds: float
    """Processor time of this process, all threads, user and system, and of everything it started (compilers), living
    or finished. One that outlives the process that started it is no longer told from others."""
    processors: Mapping[int, tuple[float, float, float]] | str
    """Processor -> seconds busy, idle and stolen by the hypervisor, of those this process may use; or why not."""
    quota_periods: tuple[tuple[int, int], ...] | str
    """Of each control group around this process: periods of the CPU quota, and those in which it was stopped."""


@dataclass(frozen=True)
class Shares:
    """Who had the processors between two moments."""

    foreign: Reading
    """Share of the processors' time that others took: what was busy, less our own."""
    foreign_error: float
    """Standard error of `foreign`. Our own time is exact (that of living children to a tick), but the kernel finds out
    whether a processor is busy at each tick only: n ticks of a processor that is busy for a share p of the time count
    n·p(1−p) too many or too few (the variance of a binomial count), and the window's edges one more."""
    steal: Reading
    throttled: Reading
    """Share of the CPU quota's periods in which this process was stopped; 0 without a quota."""
    processors: int
    idle_processors: float
    """Processors' worth of idle time."""


class Host:
    """This machine's /proc and /sys; `root`, the clock and the own time are replaced in tests."""

    def __init__(
        self,
        root: Path = Path("/"),
        allowed: frozenset[int] | None = None,
        clock: Callable[[], float] = time.monotonic,
        own_seconds: Callable[[], float] | None = None,
    ) -> None:
        self._root = root
        self._allowed = allowed or frozenset(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ())
        self._clock = clock
        self._own_seconds = own_seconds or _own_seconds
        self.powercap = root / "sys/class/powercap"
        """Where the energy counters of the processors are."""

    def counters(self) -> Counters:
        """All counters now."""
        own_seconds = self._living_children_seconds() + self._own_seconds()
        return Counters(self._clock(), own_seconds, self._processors(), self._quota_periods())

    def clock_mhz(self) -> Reading:
        """Mean clock of the processors this process may use.

        Without the counters behind it (`aperfmperf`, which virtual machines hide) /proc/cpuinfo shows a constant.
        """
        folder = self._root / "sys/devices/system/cpu"
        scaled = [self._number(folder / f"cpu{cpu}/cpufreq/scaling_cur_freq", 1e-3) for cpu in sorted(self._allowed)]
        if (found := mean(scaled)).value is not None:
            return found
        text = self._text("proc/cpuinfo")
        if re.search(r"^flags\s*:.*\baperfmperf\b", text, re.M) is None:
            return Reading(None, "this machine does not tell its processors' clock (virtual machines hide it)")
        listed = dict(re.findall(r"^processor\s*:\s*(\d+)$.*?^cpu MHz\s*:\s*([\d.]+)$", text, re.M | re.S))
        return mean(Reading(float(mhz)) for cpu, mhz in listed.items() if int(cpu) in self._allowed)

    def temperature_celsius(self) -> Reading:
        """The hottest of the processors' own sensors."""
        found = [
            self._number(file, 1e-3)
            for name in sorted(self._root.glob("sys/class/hwmon/hwmon*/name"))
            if _read(name).strip() in _CPU_SENSORS
            for file in sorted(name.parent.glob("temp*_input"))
        ]
        return highest(found) if found else Reading(None, "this machine shows no temperature of its processors")

    def governors(self) -> list[str]:
        """The kernel's policy for the clock of each processor this process may use; empty where it is hidden."""
        folder = self._root / "sys/devices/system/cpu"
        found = [_read(folder / f"cpu{cpu}/cpufreq/scaling_governor").strip() for cpu in sorted(self._allowed)]
        return [governor for governor in found if governor]

    def run_queue(self) -> Reading:
        """Tasks of others that run or wait for a processor now."""
        found = re.search(r"^procs_running (\d+)$", self._text("proc/stat"), re.M)
        if found is None:
            return Reading(None, "this system has no /proc/stat")
        states = [_stat(file)[:1] for folder in self._own_processes() for file in folder.glob("task/*/stat")]
        return Reading(float(max(0, int(found[1]) - states.count(["R"]))))

    def _own_processes(self) -> list[Path]:
        """/proc of this process and of all its living descendants; of this one alone where the kernel does not list
        children (proc(5), CONFIG_PROC_CHILDREN)."""
        found = [self._root / "proc/self"]
        for folder in found:  # grows meanwhile
            children = " ".join(_read(file) for file in folder.glob("task/*/children")).split()
            found += [self._root / "proc" / pid for pid in children]
        return found

    def _living_children_seconds(self) -> float:
        """utime, stime, cutime and cstime (proc(5)): the last two are of finished children of theirs.

        Without the living ones, all that a compiler did before the window would become ours when it ends inside it.
        """
        times = (_stat(folder / "stat")[11:15] for folder in self._own_processes()[1:])
        return sum(int(ticks) for four in times for ticks in four) / _TICKS_PER_SECOND

    def _processors(self) -> Mapping[int, tuple[float, float, float]] | str:
        """/proc/stat, proc(5): user nice system idle iowait irq softirq steal (guest time is part of user)."""
        listed = {
            int(cpu): [int(ticks) / _TICKS_PER_SECOND for ticks in counts.split()]
            for cpu, counts in re.findall(r"^cpu(\d+) (.+)$", self._text("proc/stat"), re.M)
        }
        if not self._allowed or not self._allowed <= set(listed):
            return "this system does not count the time of the processors that this process may use (/proc/stat)"
        return {
            cpu: (user + nice + system + irq + softirq, idle + waiting, steal)
            for cpu in self._allowed
            for user, nice, system, idle, waiting, irq, softirq, steal in [listed[cpu][:8]]
        }

    def _quota_periods(self) -> tuple[tuple[int, int], ...] | str:
        files = [file for file in self._quota_files() if "nr_periods" in _read(file)]
        if not files:
            return "no control group with a CPU quota is visible"
        return tuple(
            (int(counts["nr_periods"]), int(counts["nr_throttled"]))
            for counts in (dict(line.split()[:2] for line in _read(file).splitlines()) for file in files)
        )

    def _quota_files(self) -> list[Path]:
        """cpu.stat of this process's control group and of those above it, in version 2 and version 1."""
        files = []
        for line in self._text("proc/self/cgroup").splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0" or "cpu" in controllers.split(","):
                mount = self._root / "sys/fs/cgroup" / ("cpu" if controllers else "")
                group = Path(path.lstrip("/"))
                files += [mount / part / "cpu.stat" for part in (group, *group.parents)]
        return list(dict.fromkeys(files))

    def _text(self, path: str) -> str:
        return _read(self._root / path)

    def _number(self, file: Path, factor: float) -> Reading:
        text = _read(file).strip()
        return Reading(int(text) * factor) if text.isdigit() else Reading(None, f"{file.name} is not readable")


def shares(before: Counters, after: Counters) -> Shares:
    """Who had the processors in between."""
    seconds = after.at_seconds - before.at_seconds
    throttled = _throttled(before.quota_periods, after.quota_periods)
    if isinstance(before.processors, str) or isinstance(after.processors, str):
        unknown = Reading(None, before.processors if isinstance(before.processors, str) else str(after.processors))
        return Shares(unknown, 0.0, unknown, throttled, 0, 0.0)
    spent = [
        tuple(now - then for now, then in zip(after.processors[cpu], before.processors[cpu], strict=True))
        for cpu in after.processors
    ]
    busy, idle, stolen = map(sum, zip(*spent, strict=True))
    count, total = len(spent), busy + idle + stolen
    if seconds < SHORTEST_SHARE_SECONDS or total <= 0:
        cut = math.floor(100 * seconds) / 100  # not rounded: 0.998 s is no 1.00 s
        short = Reading(
            None,
            f"the window of {cut:.2f} s is shorter than the {SHORTEST_SHARE_SECONDS:g} s that the kernel's ticks "
            "of 10 ms need; use more steps",
        )
        return Shares(short, 0.0, short, throttled, count, 0.0)
    foreign = max(0.0, busy - (after.own_seconds - before.own_seconds))
    error = math.sqrt(sum(_busy_variance(*times) for times in spent)) / _TICKS_PER_SECOND
    idle_processors = idle / total * count
    return Shares(Reading(foreign / total), error / total, Reading(stolen / total), throttled, count, idle_processors)


def _busy_variance(busy: float, idle: float, stolen: float) -> float:
    """Of one processor's busy time, in ticks squared."""
    ticks = (busy + idle + stolen) * _TICKS_PER_SECOND
    share = busy * _TICKS_PER_SECOND / ticks if ticks else 0.0
    return ticks * share * (1 - share) + 1.0


def _throttled(before: tuple[tuple[int, int], ...] | str, after: tuple[tuple[int, int], ...] | str) -> Reading:
    """The group that was stopped most counts."""
    if isinstance(before, str) or isinstance(after, str):
        return Reading(None, before if isinstance(before, str) else str(after))
    stopped = [
        (throttled - throttled_before) / max(1, periods - periods_before)
        for (periods_before, throttled_before), (periods, throttled) in zip(before, after, strict=True)
    ]
    return Reading(max(stopped))


def _own_seconds() -> float:
    """Of this process and of its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def _stat(file: Path) -> list[str]:
    """The fields of a stat file of /proc from the third one (the state) on; the second, a name, may hold anything."""
    return _read(file).rpartition(")")[2].split()


def _read(file: Path) -> str:
    """A file of /proc or /sys; empty where there is none, or this user may not."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
