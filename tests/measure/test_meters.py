from __future__ import annotations

import time

import torch

from suite.measure.meters import CudaMeter, WallMeter, meter_for


def test_the_wall_meter_gives_one_duration_per_mark_that_add_up_to_the_window() -> None:
    meter = WallMeter()
    before = time.perf_counter()
    meter.start()
    for _ in range(3):
        time.sleep(0.002)
        meter.mark()
    seconds = meter.stop()
    assert len(seconds) == 3
    assert min(seconds) >= 0.002
    assert sum(seconds) <= time.perf_counter() - before


def test_a_meter_can_be_started_again() -> None:
    meter = WallMeter()
    meter.start()
    meter.mark()
    meter.start()
    meter.mark()
    meter.mark()
    assert len(meter.stop()) == 2


def test_the_cpu_is_timed_by_the_host_clock() -> None:
    assert isinstance(meter_for(torch.device("cpu"), 10), WallMeter)


class FakeEvent:
    """A CUDA event whose time is the number of events recorded before it, in units of 5 ms."""

    clock = 0

    def record(self, stream: object) -> None:
        FakeEvent.clock += 1
        self.at = FakeEvent.clock

    def elapsed_time(self, later: FakeEvent) -> float:
        return 5.0 * (later.at - self.at)


class FakeCuda:
    """The four functions of torch.cuda that the meter needs."""

    def __init__(self) -> None:
        self.synchronised: list[str] = []

    def Event(self, *, enable_timing: bool) -> FakeEvent:
        assert enable_timing
        return FakeEvent()

    def current_stream(self, device: torch.device) -> str:
        return f"stream of {device}"

    def synchronize(self, device: torch.device) -> None:
        self.synchronised.append(str(device))


def test_the_cuda_meter_reads_events_after_one_synchronisation() -> None:
    cuda = FakeCuda()
    meter = CudaMeter(torch.device("cuda:1"), steps=3, cuda=cuda)
    meter.start()
    for _ in range(3):
        meter.mark()
    assert cuda.synchronised == ["cuda:1"]  # at the start; none in the loop
    assert meter.stop() == (0.005, 0.005, 0.005)
    assert cuda.synchronised == ["cuda:1", "cuda:1"]


def test_a_loop_that_stopped_early_reads_only_its_own_events() -> None:
    meter = CudaMeter(torch.device("cuda:0"), steps=10, cuda=FakeCuda())
    meter.start()
    meter.mark()
    assert meter.stop() == (0.005,)


def test_time_before_a_resume_belongs_to_no_step() -> None:
    wall = WallMeter()
    wall.start()
    wall.mark()
    time.sleep(0.2)
    wall.resume()
    wall.mark()
    assert max(wall.stop()) < 0.1
    cuda = CudaMeter(torch.device("cuda:0"), steps=2, cuda=FakeCuda())
    cuda.start()
    cuda.mark()
    cuda.resume()  # another event, 5 ms on the fake clock, that no step counts
    cuda.mark()
    assert cuda.stop() == (0.005, 0.005)
