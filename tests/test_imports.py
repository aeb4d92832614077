"""Who may import whom (docs/architecture in one table); read from the source, so that no import can hide."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STANDARD = set(sys.stdlib_module_names)

#: Module or package -> what it may import besides the standard library (prefixes).
ALLOWED = {
    "suite.errors": "",
    "suite.decode": "",
    "suite.checks": "",
    "suite.columns": "",
    "suite.home": "suite.errors",
    "suite.emissions": "suite.errors pandas",
    "suite.readings": "",
    "suite.peaks": "suite.decode",
    "suite.variables": "",
    "suite.window": "",
    "suite.evidence": "suite.record",
    "suite.spec": "suite.decode suite.errors",
    "suite.record": "suite.decode suite.readings suite.spec",
    "suite.replay": "suite.decode suite.evidence suite.record suite.window",
    "suite.verification": "suite.errors suite.record suite.replay suite.runner suite.spec suite.store",
    "suite.rows": "suite.decode suite.readings suite.record",
    "suite.catalog": "suite.decode suite.errors",
    "suite.loss_scale.scan": "suite.spec",
    "suite.loss_scale": "suite.loss_scale suite.record suite.rows suite.spec",
    "suite.profiles": "suite.decode suite.errors suite.spec",
    "suite.files": "suite.errors suite.record pandas",
    # Inside its function, in the worker's process: the bridge to the measuring half.
    "suite.process": "suite.errors suite.measure.worker",
    "suite.runner": "suite.decode suite.errors suite.process suite.record suite.spec",
    "suite.doctor": "suite.checks suite.decode suite.errors suite.home suite.runner suite.variables",
    "suite.store": "suite.files suite.columns suite.decode suite.errors suite.record suite.rows suite.spec pandas",
    "suite.companions": "suite.decode suite.errors suite.files suite.spec suite.store pandas",
    "suite.judge": "suite.columns suite.companions suite.decode suite.errors suite.files suite.record suite.spec "
    "suite.store suite.judge numpy pandas ruptures scipy statsmodels",
    "suite.purchase": "suite.decode suite.errors suite.judge suite.purchase suite.record suite.spec "
    "suite.store numpy pandas",
    "suite.interchange": "suite.decode suite.judge.findings suite.record suite.store numpy pandas",
    "suite.report": "suite.columns suite.decode suite.errors suite.files suite.home suite.judge suite.profiles "
    "suite.purchase suite.record suite.report suite.rows suite.loss_scale suite.spec suite.store jinja2 "
    "markupsafe pandas vl_convert",
    # The only place where the suite meets the workloads' modules, through the names in the catalog.
    "suite.measure.worker": "suite.catalog suite.checks suite.decode suite.errors suite.measure suite.record "
    "suite.spec torch workloads.base",
    "suite.measure": "suite.checks suite.decode suite.errors suite.evidence suite.measure suite.peaks suite.readings "
    "suite.record suite.loss_scale.scan suite.spec suite.variables suite.window torch torchao pynvml workloads.base",
    "workloads": "workloads numpy safetensors tokenizers torch torchvision transformers",
}
#: The outermost layer: it joins the others, and may import all of `suite` but the measuring half.
OUTER = {
    "suite",
    "suite.__main__",
    "suite.anchor",
    "suite.api",
    "suite.cli",
    "suite.execution",
    "suite.hardware",
    "suite.overview",
    "suite.terminal",
}


def _modules() -> dict[str, Path]:
    files = [*ROOT.glob("suite/**/*.py"), *ROOT.glob("workloads/**/*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the direction"
            # `from suite import store` imports suite.store.
            packages = (
                "suite",
                "suite.measure",
                "suite.judge",
                "suite.cli",
                "suite.interchange",
                "suite.loss_scale",
                "suite.terminal",
            )
            found |= {f"{node.module}.{a.name}" if node.module in packages else str(node.module) for a in node.names}
    return {name for name in found if name.partition(".")[0] not in STANDARD}


def _allowed(module: str) -> list[str]:
    if module in OUTER or module.startswith(("suite.cli.", "suite.terminal.")):
        return [
            "rich",
            "typer",
            "pandas",
            *(name for name in _modules() if not name.startswith(("suite.measure", "workloads"))),
        ]
    owner = max((name for name in ALLOWED if module == name or module.startswith(name + ".")), key=len)
    return ALLOWED[owner].split()


@pytest.mark.parametrize("module", sorted(_modules()))
def test_imports_point_one_way(module: str) -> None:
    permitted = _allowed(module)
    forbidden = [
        name
        for name in _imports(_modules()[module])
        if not any(name == prefix or name.startswith(prefix + ".") for prefix in permitted)
    ]
    assert forbidden == []


def test_the_map_names_every_room_and_module() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("suite/*/__init__.py")}
    modules = {path.name for path in ROOT.glob("suite/*.py") if not path.name.startswith("__")}
    assert rooms | {"workloads"} == set(re.findall(r"^\| `([a-z_/]+)/` \|", page, re.M))
    assert modules <= set(re.findall(r"`([a-z_]+\.py)`", page))


@pytest.mark.parametrize("module", ["suite.cli", "suite.judge.comparison", "suite.judge.baseline", "suite.report"])
def test_the_judging_half_never_loads_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_public_names_are_these() -> None:
    import suite

    assert suite.__all__ == [
        "Home",
        "Planned",
        "Run",
        "SuiteError",
        "compare",
        "find_run",
        "gate",
        "list_runs",
        "load_run",
        "plan",
        "report",
        "resume",
        "run",
    ]
    assert all(hasattr(suite, name) for name in suite.__all__)
