from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fakes import FakeMachine

from suite.measure.host import Counters, Host, shares


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)


def _shares_after(machine: FakeMachine, **used: float):  # type: ignore[no-untyped-def]
    host = machine.host()
    before = host.counters()
    machine.passes(10.0, **used)
    return shares(before, host.counters())


def test_the_processors_time_is_split_into_ours_others_and_stolen(machine: FakeMachine) -> None:
    found = _shares_after(machine, own=14.0, foreign=2.0, steal=1.0)
    assert found.foreign.value == pytest.approx(0.1)
    assert found.steal.value == pytest.approx(0.05)
    assert found.processors == 2
    assert found.idle_processors == pytest.approx(0.3)


def test_the_error_of_counting_in_ticks_is_known(machine: FakeMachine) -> None:
    # Each of the two processors: 1000 ticks, half of them busy, so 250 and 1 for the edges; √502 of 2000 ticks.
    assert _shares_after(machine, own=10.0).foreign_error == pytest.approx(502**0.5 / 2000)


def test_counting_in_ticks_errs_as_much_as_it_says() -> None:
    """Simulated: 64 processors, 90 % busy with our own work for 2 s, looked at in every tick."""
    seeded = random.Random(0)
    n, ticks, busy = 64, 200, 0.9
    counted = [[sum(seeded.random() < busy for _ in range(ticks)) for _ in range(n)] for _ in range(50)]
    errors = [(sum(trial) - n * ticks * busy) / (n * ticks) for trial in counted]
    nothing = Counters(0.0, 0.0, dict.fromkeys(range(n), (0.0, 0.0, 0.0)), "none")
    seen = dict.fromkeys(range(n), (busy * 2.0, (1 - busy) * 2.0, 0.0))
    said = shares(nothing, Counters(2.0, 0.0, seen, "none")).foreign_error
    assert statistics.pstdev(errors) == pytest.approx(said, rel=0.3)


def test_a_machine_of_our_own_has_no_foreign_load(machine: FakeMachine) -> None:
    found = _shares_after(machine, own=20.0)
    assert (found.foreign.value, found.steal.value) == (0.0, 0.0)


def test_ticks_behind_our_own_exact_time_are_not_a_negative_load(machine: FakeMachine) -> None:
    host = machine.host()
    before = host.counters()
    machine.passes(10.0, own=19.0)
    machine.own_seconds += 0.02
    assert shares(before, host.counters()).foreign.value == 0.0


def test_a_window_of_a_few_ticks_has_no_shares(machine: FakeMachine) -> None:
    host = machine.host()
    before = host.counters()
    machine.passes(0.5, own=1.0)
    found = shares(before, host.counters())
    assert found.foreign.value is None
    assert "0.50 s is shorter than the 1 s" in str(found.foreign.reason)


def test_processors_that_the_kernel_does_not_count_here_are_a_reason(machine: FakeMachine) -> None:
    # lxcfs numbers a container's processors from 0, whichever they are.
    host = Host(machine.root, frozenset({4, 5}), lambda: machine.seconds, lambda: 0.0)
    before = host.counters()
    machine.passes(10.0)
    found = shares(before, host.counters())
    assert found.foreign == found.steal == (None, before.processors)


def test_a_system_without_proc_says_so(tmp_path: Path) -> None:
    host = Host(tmp_path, frozenset({0}))
    found = shares(host.counters(), host.counters())
    assert None in found.foreign
    assert found.throttled.value is None
    assert None in host.run_queue()
    assert None in host.clock_mhz()
    assert None in host.temperature_celsius()


def test_the_most_stopped_of_the_groups_around_us_counts(machine: FakeMachine) -> None:
    machine.write("sys/fs/cgroup/cpu.stat", "nr_periods 0\nnr_throttled 0\n")
    machine.quota(100, 10)
    host = machine.host()
    before = host.counters()
    machine.passes(10.0)
    machine.quota(200, 35)
    assert shares(before, host.counters()).throttled.value == 0.25


def test_without_a_quota_nothing_is_stopped(machine: FakeMachine) -> None:
    machine.quota(0, 0)
    assert _shares_after(machine).throttled.value == 0.0


def test_control_groups_of_version_1_are_read_too(machine: FakeMachine) -> None:
    machine.write("proc/self/cgroup", "4:memory:/x\n2:cpu,cpuacct:/box\n0::/\n")
    machine.write("sys/fs/cgroup/cpu/box/cpu.stat", "nr_periods 7\nnr_throttled 3\nthrottled_time 5\n")
    assert machine.host().counters().quota_periods == ((7, 3),)


def test_without_a_control_group_nobody_knows(machine: FakeMachine) -> None:
    found = _shares_after(machine).throttled
    assert found == (None, "no control group with a CPU quota is visible")


def test_the_clock_is_that_of_our_processors(machine: FakeMachine) -> None:
    for cpu, kilohertz in enumerate((1_000_000, 3_000_000, 9_000_000)):
        machine.write(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", f"{kilohertz}\n")
    assert machine.host().clock_mhz().value == 2000.0


def test_a_constant_that_a_virtual_machine_shows_is_not_a_clock(machine: FakeMachine) -> None:
    reading = machine.host().clock_mhz()
    assert reading.value is None
    assert "virtual machines" in str(reading.reason)


def test_cpuinfo_is_believed_where_the_counters_behind_it_exist(machine: FakeMachine) -> None:
    block = "processor\t: {}\nflags\t\t: fpu aperfmperf sse\ncpu MHz\t\t: {}\n\n"
    machine.write("proc/cpuinfo", block.format(0, 1000.0) + block.format(1, 2000.0) + block.format(2, 9000.0))
    assert machine.host().clock_mhz().value == 1500.0


def test_the_hottest_sensor_of_the_processors_is_shown_and_no_other(machine: FakeMachine) -> None:
    for number, (name, *degrees) in enumerate([("nvme", 90), ("coretemp", 50, 61), ("acpitz", 20)]):
        machine.write(f"sys/class/hwmon/hwmon{number}/name", f"{name}\n")
        for sensor, value in enumerate(degrees, start=1):
            machine.write(f"sys/class/hwmon/hwmon{number}/temp{sensor}_input", f"{value}000\n")
    assert machine.host().temperature_celsius().value == 61.0


def test_our_own_running_threads_are_not_in_the_run_queue(machine: FakeMachine) -> None:
    machine.write("proc/self/task/2/stat", "2 (b) S 0")
    machine.write("proc/self/task/3/stat", "3 (c) R 0")
    assert machine.host().run_queue().value == 1.0


def test_what_our_own_living_children_use_is_ours(machine: FakeMachine) -> None:
    # A compiler with a helper in another task; utime, stime, cutime and cstime are the last four numbers, in ticks.
    machine.write("proc/self/task/1/children", "70 ")
    machine.write("proc/70/stat", "70 (c++ (plus) R 1 70 70 0 -1 4194304 9 9 9 9 100 20 30 4 20 0")
    machine.write("proc/70/task/70/stat", "70 (c++ (plus) R 1 70")
    machine.write("proc/70/task/71/children", "72")
    machine.write("proc/72/stat", "72 (as) S 70 70 70 0 -1 4194304 9 9 9 9 5 1 0 0 20 0")
    machine.own_seconds = 2.0
    host = machine.host()
    assert host.counters().own_seconds == pytest.approx(2.0 + 1.54 + 0.06)
    assert host.run_queue().value == 1.0  # of three, one is ours and one the compiler


def test_a_child_that_ends_in_the_window_brings_only_what_it_used_there(machine: FakeMachine) -> None:
    machine.write("proc/self/task/1/children", "70")
    machine.write("proc/70/stat", "70 (cc1plus) R 1 70 70 0 -1 4194304 9 9 9 9 900 0 0 0 20 0")
    host = machine.host()
    before = host.counters()
    machine.passes(10.0, own=9.0, foreign=5.0)
    machine.write("proc/self/task/1/children", "")
    machine.own_seconds += 9.0  # what it used before the window, now among the finished children's
    assert shares(before, host.counters()).foreign.value == pytest.approx(5.0 / 20.0)


_WORKING_CHILD = """
import time
while time.process_time() < 0.3:
    pass
print("worked", flush=True)
input()
"""


@pytest.mark.skipif(not Path("/proc/thread-self/children").exists(), reason="this kernel does not list children")
def test_this_machine_counts_the_time_of_a_child_once_while_it_lives_and_when_it_has_ended() -> None:
    host = Host(allowed=frozenset(os.sched_getaffinity(0)))
    before = host.counters().own_seconds
    child = subprocess.Popen([sys.executable, "-c", _WORKING_CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"worked\n"
    alive = host.counters().own_seconds - before
    child.communicate(b"\n")
    ended = host.counters().own_seconds - before
    assert alive >= 0.25
    assert abs(ended - alive) < 0.15


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_this_machine_counts_the_time_of_a_thread_as_our_own() -> None:
    host = Host(allowed=frozenset(os.sched_getaffinity(0)))
    before = host.counters()
    thread = threading.Thread(target=_spin, args=(0.1,))
    thread.start()
    thread.join()
    assert host.counters().own_seconds - before.own_seconds >= 0.09


def _spin(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
