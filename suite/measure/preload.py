"""Imported once by the fork server, so that every later trial starts with torch and the model libraries in memory.

Nothing here may start CUDA or a thread: a process forked from one that did cannot use them. torch's device count
goes through NVML for that reason (the CUDA runtime would mark this process, and every fork of it, as unusable).
"""

from __future__ import annotations

import importlib
import os

os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")

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
