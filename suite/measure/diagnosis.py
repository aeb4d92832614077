"""What this machine can measure, seen from a process that has torch: the measuring half of `ampmark doctor`.

No names of users, hosts or folders appear in a finding.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import torch

from suite.checks import Check, okay, unavailable, warning
from suite.errors import PrecisionUnsupported
from suite.measure.cautions import FOREIGN_PROCESSORS, SMALLEST_CHANGE, surely_foreign
from suite.measure.device import Hardware, cpu_name
from suite.measure.energy import PackageMeter
from suite.measure.environment import default_threads
from suite.measure.host import SHORTEST_SHARE_SECONDS, Host, Shares, shares
from suite.measure.nvml import SLOWDOWNS, NvmlDevice, clock_reason_names
from suite.measure.precision import Precision
from suite.measure.processes import distrust, foreign_count
from suite.measure.reading import Reading
from suite.measure.switches import switches

__all__ = ["gpu_checks", "host_checks", "precision_checks", "torch_checks"]


def torch_checks(device: torch.device) -> list[Check]:
    """The build of torch, its devices, and its precision switches as it came."""
    checks = [okay("torch", f"{torch.__version__}, CPU kernels for {torch.backends.cpu.get_cpu_capability()}")]
    if device.type == "cuda":
        names = [torch.cuda.get_device_properties(index).name for index in range(torch.cuda.device_count())]
        checks.append(okay("CUDA devices", f"{', '.join(names)}; CUDA {torch.version.cuda}"))
    elif torch.version.cuda is None:
        checks.append(unavailable("CUDA devices", "this build of torch has no CUDA", "install a CUDA build of torch"))
    else:
        remedy = "on a machine with an NVIDIA GPU: check the driver, the container's --gpus, and CUDA_VISIBLE_DEVICES"
        checks.append(unavailable("CUDA devices", "torch sees none, so trials run on the CPU", remedy))
    found = switches()
    shown = ", ".join(f"{name.removesuffix('.fp32_precision')} {found[name]}" for name in _fp32_switches(found))
    checks.append(okay("float32 switches", f"torch's own: {shown}; every trial sets all of them and reads them back"))
    return checks


def _fp32_switches(settings: Mapping[str, str]) -> list[str]:
    return [name for name in settings if name.endswith("fp32_precision")]


def precision_checks(precisions: Iterable[Precision], on: Hardware) -> list[Check]:
    """Which modes this hardware computes, emulates or cannot run; one check for all that are alike."""
    alike: dict[Check, list[str]] = {}
    for precision in precisions:
        alike.setdefault(_precision_check(precision, on), []).append(precision.name)
    found: dict[str, Check] = {}
    for check, modes in alike.items():
        # A mode that does something else with the same arithmetic (`int8-qat`) goes by its own name.
        name = ", ".join(modes) if check.name in found else check.name
        found[name] = replace(check, name=name, finding=f"for {', '.join(modes)}: {check.finding}")
    return list(found.values())


def _precision_check(precision: Precision, on: Hardware) -> Check:
    name = f"{precision.arithmetic} arithmetic"
    try:
        emulation = precision.emulation(on, onednn=True)
    except PrecisionUnsupported as error:
        return unavailable(name, str(error))
    if emulation is None:
        return okay(name, "in hardware")
    return warning(name, emulation, "nothing; the speed of these is never ranked")


def gpu_checks(nvml: NvmlDevice | str, use_device: Callable[[], object]) -> list[Check]:
    """What NVML tells of the GPU; `use_device` makes this process one of those that compute on it."""
    if isinstance(nvml, str):
        return [unavailable("NVML", nvml)]
    idle = nvml.processes()
    use_device()
    listed = nvml.processes()
    return [
        _nvml_memory(nvml),
        _own_process(distrust(os.getpid(), idle, listed)),
        _foreign_processes(foreign_count(os.getpid(), listed, distrust(os.getpid(), idle, listed))),
        _gpu_clock(nvml),
        _number("GPU temperature", nvml.temperature_celsius(), "°C"),
        _number("power limit", nvml.power_limit_watts(), "W"),
        _energy_counter(nvml),
        _switched("persistence", nvml.text("nvmlDeviceGetPersistenceMode"), on="1", remedy="sudo nvidia-smi -pm 1"),
        _ecc(nvml.text("nvmlDeviceGetEccMode")),
        _mig(nvml),
    ]


def _nvml_memory(nvml: NvmlDevice) -> Check:
    used, total = nvml.used_bytes(), nvml.total_bytes()
    if used.value is None or total.value is None:
        return unavailable("device memory (NVML)", str(used.reason or total.reason))
    shown = (
        f"{used.value / 2**20:.0f} of {total.value / 2**20:.0f} MiB in use (memory info version {nvml.memory_version})"
    )
    return okay("device memory (NVML)", shown)


def _own_process(distrusted: str | None) -> Check:
    name = "process ids"
    if distrusted is None:
        return okay(name, "NVML lists this process, so its own memory and foreign processes can be told")
    return unavailable(name, distrusted, "in a container: docker run --pid=host")


def _foreign_processes(count: Reading) -> Check:
    name = "other processes on the GPU"
    if count.value is None:
        return unavailable(name, str(count.reason))
    return warning(name, f"{count.value:.0f}", "end them before measuring") if count.value else okay(name, "none")


def _gpu_clock(nvml: NvmlDevice) -> Check:
    clock, mask = nvml.sm_clock_mhz(), nvml.clock_reasons()
    if clock.value is None or mask.integer is None:
        return unavailable("GPU clock", str(clock.reason or mask.reason))
    names = clock_reason_names(mask.integer)
    finding = f"{clock.value:.0f} MHz now; held by: {', '.join(names) or 'nothing'}"
    if SLOWDOWNS & set(names):
        return warning("GPU clock", finding, "let it cool down, and check its fans and its power supply")
    return okay("GPU clock", finding)


def _energy_counter(nvml: NvmlDevice) -> Check:
    counter, power = nvml.energy_joules(), nvml.power_watts()
    if counter.value is not None:
        return okay("GPU energy", "NVML has an energy counter")
    if power.value is not None:
        return okay("GPU energy", "no energy counter; sampled power is integrated instead, and the records say so")
    return unavailable("GPU energy", f"{counter.reason}; {power.reason}")


def _number(name: str, reading: Reading, unit: str) -> Check:
    if reading.value is None:
        return unavailable(name, str(reading.reason))
    return okay(name, f"{reading.value:.0f} {unit}")


def _switched(name: str, text: str | None, on: str, remedy: str) -> Check:
    if text is None:
        return unavailable(name, "NVML does not tell")
    if text == on:
        return okay(name, "on")
    return warning(name, "off: the driver may unload between trials, and each start then takes seconds", remedy)


def _ecc(text: str | None) -> Check:
    """NVML gives the current and the pending mode as a pair."""
    if text is None:
        return unavailable("ECC", "this device has none, or NVML does not tell")
    return okay("ECC", "on" if text.lstrip("[(").startswith("1") else "off")


def _mig(nvml: NvmlDevice) -> Check:
    if not nvml.divided:
        return okay("MIG", "off: the whole GPU is ours")
    if nvml.own_known:
        return okay("MIG", "on: an instance of its own, without power and energy")
    return warning("MIG", str(nvml.used_bytes().reason), "set CUDA_VISIBLE_DEVICES to the instance's full MIG- UUID")


def host_checks(host: Host, wait: Callable[[float], None] = time.sleep) -> list[Check]:
    """The processors: who uses them, at what clock, with what energy counter. Takes a second."""
    before = host.counters()
    wait(SHORTEST_SHARE_SECONDS * 1.1)
    seen = shares(before, host.counters())
    meter = PackageMeter(host.powercap)
    checks = [
        okay("processors", f"{cpu_name()}; {default_threads()} threads in every trial"),
        _load(seen, host.run_queue()),
        _share("steal time", seen.steal, "the hypervisor takes {:.1%} now", "measure on a machine of its own"),
        _share("CPU quota", seen.throttled, "it stops us in {:.1%} of its periods now", "raise the container's quota"),
        _governor(host.governors()),
        _number("CPU clock", host.clock_mhz(), "MHz"),
        _number("CPU temperature", host.temperature_celsius(), "°C"),
    ]
    if meter.reason is None:
        return [*checks, okay("CPU energy", "RAPL counters of the processor packages are readable")]
    remedy = "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj" if "root only" in meter.reason else None
    return [*checks, unavailable("CPU energy", meter.reason, remedy)]


def _load(seen: Shares, queue: Reading) -> Check:
    if seen.foreign.value is None:
        return unavailable("foreign load", str(seen.foreign.reason))
    tasks = "" if queue.integer is None else f"; {queue.integer} tasks run or wait"
    finding = f"others take {seen.foreign.value * seen.processors:.2f} of {seen.processors} processors{tasks}"
    if surely_foreign(seen) >= FOREIGN_PROCESSORS:
        return warning("foreign load", finding, "end other programs before measuring")
    return okay("foreign load", finding)


def _share(name: str, share: Reading, words: str, remedy: str) -> Check:
    if share.value is None:
        return unavailable(name, str(share.reason))
    finding = words.format(share.value)
    return warning(name, finding, remedy) if share.value >= SMALLEST_CHANGE else okay(name, finding)


def _governor(governors: Iterable[str]) -> Check:
    found = sorted(set(governors))
    if not found:
        return unavailable("CPU governor", "this machine hides its frequency scaling (virtual machines do)")
    if found == ["performance"]:
        return okay("CPU governor", "performance")
    remedy = "sudo cpupower frequency-set -g performance, for numbers that do not depend on the load before"
    return warning("CPU governor", f"{', '.join(found)}: the clock follows the load", remedy)
