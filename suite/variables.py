"""Environment variables that change what a trial computes or how fast. Standard library only.

Nothing else of the environment is ever stored: it may hold names or tokens.
"""

from __future__ import annotations

__all__ = ["OVERRIDES", "RECORDED"]

OVERRIDES = {
    "NVIDIA_TF32_OVERRIDE": "overrides every TF32 switch",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "switches TF32 on in matrix products",
    "CUBLAS_EMULATE_SINGLE_PRECISION": "lets cuBLAS compute float32 out of bfloat16 products",
    "CUBLAS_EMULATE_DOUBLE_PRECISION": "lets cuBLAS compute float64 out of smaller products",
    "CUBLAS_EMULATION_STRATEGY": "decides when cuBLAS emulates float32",
    "ONEDNN_DEFAULT_FPMATH_MODE": "lets oneDNN compute float32 in less",
    "DNNL_DEFAULT_FPMATH_MODE": "lets oneDNN compute float32 in less",
    "XLA_USE_BF16": "turns float32 into bfloat16 under XLA",
    "XLA_DOWNCAST_BF16": "turns float32 into bfloat16 under XLA",
}
"""Variable -> what it does to the precision behind torch's back. They are removed from every trial's environment."""

RECORDED = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_MODULE_LOADING",
    "KMP_AFFINITY",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "ONEDNN_MAX_CPU_ISA",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_TUNABLEOP_ENABLED",
    "TORCHINDUCTOR_CPP_WRAPPER",
    "TORCHINDUCTOR_FREEZING",
    "TORCH_BLAS_PREFER_CUBLASLT",
    "TORCH_CUBLASLT_UNIFIED_WORKSPACE",
    "TORCH_CUDNN_SDPA_DEPRIORITIZED",
    "TORCH_CUDNN_USE_HEURISTIC_MODE_B",
    "TORCH_CUDNN_V8_API_DISABLED",
    "TORCH_LINEAR_FLATTEN_3D",
)
"""Those that stay, change numerics or speed, and are part of the fingerprint."""
