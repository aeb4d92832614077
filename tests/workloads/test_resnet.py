"""The image classifier: its pictures, its networks, its baseline and its cost."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet50

from workloads.resnet import ResNet, basic_cifar, forward_flops, images_and_labels

SETTINGS = ResNet.Settings(width=4, blocks=2, evaluation_images=200)


@pytest.fixture(scope="module")
def workload() -> ResNet:
    return ResNet(SETTINGS, batch_size=2, seed=0, device="cpu")


def test_images_and_labels_from_literal_records() -> None:
    record = bytes([7]) + bytes([1]) + bytes(782) + bytes([255])
    pixels, labels = images_and_labels(record * 2)
    assert labels.tolist() == [7, 7]
    assert pixels.shape == (2, 1, 28, 28)
    assert (int(pixels[1, 0, 0, 0]), int(pixels[1, 0, 27, 27])) == (1, 255)


def test_the_classes_are_balanced(workload: ResNet) -> None:
    everything = ResNet(replace(SETTINGS, evaluation_images=5000), batch_size=2, seed=0, device="cpu")
    assert workload.train[1].bincount().tolist() == [1200] * 10
    assert everything.held_out[1].bincount().tolist() == [200] * 10


def test_images_are_normalised_by_the_data_sets_own_statistics(workload: ResNet) -> None:
    images = workload._prepared(workload.train[0])
    assert float(images.mean()) == pytest.approx(0, abs=0.01)
    assert float(images.std()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("channels_last", "strides"), [(False, (3 * 32 * 32, 1024, 32, 1)), (True, (3072, 1, 96, 3))])
def test_batches_have_the_size_and_layout_asked_for(channels_last: bool, strides: tuple[int, ...]) -> None:
    settings = replace(SETTINGS, image_size=32, channels_last=channels_last)
    workload = ResNet(settings, batch_size=2, seed=0, device="cpu")
    images, labels = next(workload.batches())
    assert images.shape == (2, 3, 32, 32)
    assert images.stride() == strides
    assert labels.shape == (2,)
    assert torch.equal(images[:, 0], images[:, 2])
    stem = next(p for p in workload.model().parameters() if p.dim() == 4)
    assert stem.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def test_always_answering_one_class_scores_its_share(workload: ResNet) -> None:
    model = workload.model().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        evaluation = workload.evaluate(model)
    shares = workload.held_out[1].bincount() / 200
    assert evaluation.metrics["accuracy"] == pytest.approx(float(shares[0]))
    assert evaluation.metrics["loss"] == pytest.approx(2.3026, abs=1e-4)  # ln 10
    assert evaluation.baseline == pytest.approx(float(shares.max()))


def test_resnet20_has_its_published_number_of_parameters() -> None:
    # He et al. 2016, table 6: 0.27 M for 20 layers (width 16, three blocks a stage).
    assert sum(p.numel() for p in basic_cifar(16, 3).parameters()) == pytest.approx(0.27e6, rel=0.02)


def test_resnet50_has_its_published_number_of_flops() -> None:
    # torchvision prints 4.09 G multiply-adds for its ResNet-50 at 224 pixels and 1000 classes.
    assert forward_flops(resnet50, 224) / 2 == pytest.approx(4.09e9, rel=1e-3)


@pytest.mark.parametrize("architecture", ["basic-cifar", "resnet18"])
def test_the_formula_counts_what_the_flop_counter_counts(architecture: str) -> None:
    workload = ResNet(replace(SETTINGS, architecture=architecture), batch_size=2, seed=0, device="cpu")
    model, batch = workload.model(), next(workload.batches())
    with FlopCounterMode(display=False) as counter:
        loss = workload.loss(model, batch)
    assert workload.cost().flops == 3 * counter.get_total_flops()
    with counter:
        loss.backward()
    # The stem's input needs no gradient, so the backward pass costs a little less than twice the forward.
    stem = next(p for p in model.parameters() if p.dim() == 4)
    spared = 2 * 2 * stem.numel() * (28 // (2 if architecture == "resnet18" else 1)) ** 2
    assert workload.cost().flops == 3 * (counter.get_total_flops() + spared) // 2
    assert workload.cost().tokens is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "vgg"}, "architecture = 'vgg': choose basic-cifar, resnet18 or resnet50"),
        ({"width": 0}, "width = 0: set it to 1 or more"),
        ({"image_size": 27}, "image_size = 27: set at least 28 pixels"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResNet.Settings(**change)  # type: ignore[arg-type]
