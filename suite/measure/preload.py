"""Imported once by the fork server, so that every later trial starts with torch and the model libraries in memory.

Nothing here may start CUDA: a process forked from one that did cannot use it. torch's device count goes through NVML
for that reason (the CUDA runtime would mark this process, and every fork of it, as unusable). Libraries start idle
threads of their own while they are imported; those do not survive the fork, and their libraries know that.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import threading

from suite.variables import OVERRIDES

# Ctrl-C is meant for the run, which ends this process by closing its pipe; here it would only print a traceback.
signal.signal(signal.SIGINT, signal.SIG_IGN)

os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
# One numbering of the devices for the survey and for every trial, the one that NVML and nvidia-smi use.
os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
# Above every level there is: torch's profiler reports each of its beginnings and ends into the trial's log.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")
for _variable in OVERRIDES:
    os.environ.pop(_variable, None)

# transformers imports torchao where it is installed, and torch 2.14 then logs, on the user's terminal, that torchao
# 0.18 registers two enumerations in a way that will end.
logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)

# torch.compile draws a progress bar that nobody sees, and tqdm shares a lock between processes for it, which Python
# calls leaked, on the user's terminal, when a trial has ended.
with contextlib.suppress(ModuleNotFoundError):
    importlib.import_module("tqdm").tqdm.set_lock(threading.RLock())

_HEAVY_MODULES = (
    "torch",
    "torch.utils._python_dispatch",
    "torch._dynamo",  # optimizers import it on first use, which costs a second
    "torchvision.models.resnet",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.bert.modeling_bert",
    "suite.measure.worker",
)

for _name in _HEAVY_MODULES:
    try:
        importlib.import_module(_name)
    except ModuleNotFoundError:
        # A machine without one of the model libraries still runs the workloads that do not need it; the others'
        # trials raise the import error themselves and are recorded with it.
        continue
