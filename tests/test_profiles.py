"""Profiles: the built-in files and a user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite import catalog, profiles
from suite.errors import UsageError
from suite.spec import ScalerSpec, expand

OWN = """
name = "own"
summary = "one workload"
precisions = ["fp32", "bf16"]

[workloads.gpt]
steps = 10
warmup_steps = 2
batch_size = 4
optimizer = { name = "sgd", learning_rate = 1 }
settings = { layers = 2, dropout = 0.0, causal = true, kind = "small" }
"""


def _write(folder: Path, text: str) -> str:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def _refusal(name_or_path: str) -> str:
    with pytest.raises(UsageError) as caught:
        profiles.load(name_or_path)
    return str(caught.value)


def test_the_built_in_profiles() -> None:
    assert profiles.available() == ("quick", "smoke", "standard")


@pytest.mark.parametrize("name", profiles.available())
def test_every_built_in_profile_makes_a_plan_of_known_names(name: str) -> None:
    profile = profiles.load(name)
    plan = expand(profile, device="cpu", threads=1)
    assert profile.name == name
    assert {trial.workload for trial in plan.trials} == {"gpt", "bert", "resnet", "lstm"}
    assert {trial.precision for trial in plan.trials} <= catalog.precisions().keys()
    assert len({trial.trial_id for trial in plan.trials}) == len(plan.trials)


@pytest.mark.parametrize("name", profiles.available())
def test_the_dynamic_scale_can_grow_within_every_built_in_profile(name: str) -> None:
    for trial in expand(profiles.load(name), device="cpu", threads=1).trials:
        assert trial.scaler.growth_interval < trial.setup.steps


def test_a_users_file_is_read_with_the_defaults_for_what_it_leaves_out(tmp_path: Path) -> None:
    profile = profiles.load(_write(tmp_path, OWN))
    setup = profile.workloads["gpt"]
    assert (profile.name, profile.precisions, profile.seeds, profile.repeats) == ("own", ("fp32", "bf16"), (0,), 1)
    assert (setup.steps, setup.optimizer.learning_rate, setup.accumulation) == (10, 1.0, 1)
    assert profile.scaler == ScalerSpec()
    assert {key: (value, type(value)) for key, value in setup.settings.items()} == {
        "layers": (2, int),
        "dropout": (0.0, float),
        "causal": (True, bool),
        "kind": ("small", str),
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("steps = 10", "step = 10"), "profile {path}.workloads.gpt: unknown key 'step'; did you mean 'steps'?"),
        (("summary =", "sumary ="), "profile {path}: unknown key 'sumary'; did you mean 'summary'?"),
        (("batch_size = 4\n", ""), "profile {path}.workloads.gpt: the key 'batch_size' is missing; add it."),
        (
            ("batch_size = 4", 'batch_size = "4"'),
            "profile {path}.workloads.gpt.batch_size: '4' is not allowed; give a value of type int.",
        ),
        (
            ("learning_rate = 1", "learning_rate = 0"),
            "profile {path}.workloads.gpt.optimizer: learning_rate is 0.0; give a number above 0.",
        ),
        (
            ('name = "sgd"', 'name = "sdg"'),
            "profile {path}.workloads.gpt.optimizer: name: 'sdg' is not known; did you mean 'sgd'?",
        ),
        (('["fp32", "bf16"]', "[]"), "profile {path}: precisions is empty; name at least one."),
    ],
)
def test_a_mistake_in_a_users_file_is_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = _write(tmp_path, OWN.replace(*change))
    assert _refusal(path) == message.format(path=path)


def test_a_file_that_is_not_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    path = _write(tmp_path, "name = \n")
    assert _refusal(path).startswith(f"profile {path} is not valid TOML: ")
    assert "line 1" in _refusal(path)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    assert _refusal(str(tmp_path / "none.toml")).startswith(f"profile {tmp_path}/none.toml cannot be read (")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    assert _refusal(str(tmp_path / "binary.toml")).startswith(f"profile {tmp_path}/binary.toml cannot be read (")


def test_an_unknown_name_is_refused_with_the_nearest_and_the_way_to_ones_own() -> None:
    expected = "profile 'qick' is not known; did you mean 'quick'? A file of your own must end in .toml."
    assert _refusal("qick") == expected


def test_how_many_times_its_batch_a_plan_has_is_read_off_the_profile(tmp_path: Path) -> None:
    written = _write(tmp_path, OWN)
    plans = [expand(profiles.load(written), device="cpu", threads=2, batch_scale=scale) for scale in (1, 8)]
    assert [profiles.batch_scale_of(plan, Path(written)) for plan in plans] == [1, 8]
    assert profiles.batch_scale_of(plans[1], tmp_path / "gone.toml") == 1
