"""Which precision an attestation's evidence proves. Standard library only, so that a stored record can be read again.

The evidence is the operator census of one training step (`suite.measure.census`) and the errors of products against
float64 (`suite.measure.probe`): of seeded ones by kind, and of the model's heaviest float32 ones by kind and shape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from suite.record import Attestation

__all__ = ["effective_precision", "follows", "fulfils", "kind_of"]

#: Upper limits of the relative error (Frobenius norm, unit-variance inputs, inner length 256) of each arithmetic.
#: Rounding both inputs to a mantissa of m bits gives about 0.4 · 2^-m: 3e-4 for the 10 bits of TF32 and FP16,
#: 2.9e-3 for the 7 bits of BF16 (a recurrence: 4.5e-3), 3.8e-2 for the 3 bits of float8 e4m3; IEEE float32 accumulates
#: to about 2e-7.
_IEEE_LIMIT, _TEN_BIT_LIMIT, _SEVEN_BIT_LIMIT, _THREE_BIT_LIMIT = 1e-5, 1e-3, 1.2e-2, 1e-1


_IEEE_ATTENTION = "attention in fp32"
"""torch's float32 attention on CUDA (memory-efficient, CUTLASS) has no TF32 switch: it computes each product in three
TF32 ones, which is as exact as IEEE (torch/include/ATen/native/transformers/cuda/mem_eff_attention/gemm_kernel_utils.h,
`OpMultiplyAddFastF32`; torch 2.14.1)."""


def effective_precision(
    operations: Mapping[str, int], errors: Mapping[str, float], flops: Mapping[str, int] | None = None
) -> str:
    """`fp32`, `tf32`, `fp16`, `bf16` or `fp8` where census and probe agree; else a description of what was found.

    A model may keep some products in float32 on purpose, and so does torch (its math attention kernel, for one): the
    arithmetic of more than half of the work then comes first, and the rest is named: `bf16 + float32 ×6 (2 % of the
    FLOPs)`. The work is `flops` by type; without them every operator weighs the same.
    """
    kinds, work = Counter[str](), Counter[str]()
    for operation, count in operations.items():
        kinds[_type_of(operation)] += count
    if not kinds:
        return "unknown (the census found no heavy operator)"
    for kind, amount in (flops or kinds).items():
        work[_type_of(kind)] += amount
    named = {kind: _named(kind, count, work[kind] / work.total() if flops else None) for kind, count in kinds.items()}
    (main, most), *_ = work.most_common()
    if 2 * most <= work.total() or main not in kinds:
        return f"mixed ({', '.join(named.values())})"
    probed = sorted({kind_of(operation) for operation in operations if _type_of(operation) == main})
    missing = [kind for kind in probed if kind not in errors]
    if missing:
        return f"unknown (no probe of {', '.join(missing)})"
    rest = [words for kind, words in named.items() if kind != main]
    # A product that was made again in its own shape was a float32 one.
    shown = {
        what: _name(main, error)
        for what, error in errors.items()
        if what in probed or (main == "float32" and what.split()[0] in probed)
    }
    found = sorted(set(shown.values()))
    if found == ["fp32", "tf32"] and {what for what, name in shown.items() if name == "fp32"} == {"attention"}:
        return " + ".join(["tf32", _IEEE_ATTENTION, *rest])
    name = found[0] if len(found) == 1 else "mixed (" + ", ".join(found) + ")"
    return " + ".join([name, *rest])


def _named(kind: str, count: int, share: float | None) -> str:
    return f"{kind} ×{count}" + ("" if share is None else f" ({share:.1%} of the FLOPs)")


def fulfils(effective: str, wanted: str) -> bool:
    """Whether what ran may stand under the name of what was asked for.

    16-bit modes may leave a minority of the work in float32, and fp8, which is about linear layers alone, in
    bfloat16 or float32. tf32 may leave attention in IEEE.
    """
    if wanted == "fp32":
        return effective == wanted
    if wanted == "tf32":
        return effective in (wanted, f"{wanted} + {_IEEE_ATTENTION}")
    name, *rest = effective.split(" + ")
    minority = ("float32 ", "bfloat16 ") if wanted == "fp8" else ("float32 ",)
    return name == wanted and all(part.startswith(minority) for part in rest)


def _type_of(operation: str) -> str:
    """The type an operator of the census computed in; float8's two formats (e5m2 for gradients) are one."""
    name = operation.rpartition("/")[2]
    return "float8" if name.startswith("float8") else name


def kind_of(operation: str) -> str:
    """Which probe speaks for an operator of the census: `attention`, `convolution`, `matmul` or `recurrence`."""
    name = operation.rpartition("/")[0]
    for part, kind in (("attention", "attention"), ("convolution", "convolution"), ("rnn", "recurrence")):
        if part in name:
            return kind
    return "matmul"


def follows(attestation: Attestation) -> bool:
    """Whether the precision an attestation names is the one its own evidence proves; False for a forged one."""
    return (
        effective_precision(attestation.operations, attestation.probe_errors, attestation.flops)
        == attestation.effective
    )


_ARITHMETIC = {
    ("float32", "ieee"): "fp32",
    ("float32", "ten-bit"): "tf32",
    ("float16", "ten-bit"): "fp16",
    ("bfloat16", "seven-bit"): "bf16",
    ("float8", "three-bit"): "fp8",
}


def _name(kind: str, error: float) -> str:
    return _ARITHMETIC.get((kind, _mantissa(error)), f"{kind} operators, probe error {error:.1e}")


def _mantissa(error: float) -> str:
    limits = (
        (_IEEE_LIMIT, "ieee"),
        (_TEN_BIT_LIMIT, "ten-bit"),
        (_SEVEN_BIT_LIMIT, "seven-bit"),
        (_THREE_BIT_LIMIT, "three-bit"),
    )
    return next((name for limit, name in limits if error < limit), "broken")
