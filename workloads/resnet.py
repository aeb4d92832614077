"""ResNet: a residual network learns to name ten kinds of clothing in Fashion-MNIST photographs.

``architecture`` chooses torchvision's ``resnet50`` or ``resnet18`` as published, or ``basic-cifar``: torchvision's
BasicBlock in the small-image layout of He et al. 2016 (section 4.2), i.e. a 3 x 3 stem without pooling and three
stages of ``blocks`` blocks, ``width``, 2 · ``width`` and 4 · ``width`` channels wide.

Images are 28 x 28 grey; they are repeated to three channels and, for a larger ``image_size``, enlarged bilinearly on
the device as each batch is drawn. No augmentation. Training and held-out images come from the data set's own train and
test parts. Card: `workloads/data/fashion_mnist.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock

from workloads.base import Cost, Evaluation, derive_seed, generator
from workloads.data import load

CLASSES = 10
PIXELS = 28
CHANNELS = 3
PIXEL_MEAN, PIXEL_STD = 0.2860, 0.3530  # of the 60,000 training images, scaled to 0..1
BATCHES_PER_DRAW = 1024

Batch = tuple[Tensor, Tensor]
"""Images float32 ``[batch, 3, size, size]``, normalised, and labels int64 ``[batch]``."""


class ResNet:
    """Image classification with a residual network."""

    @dataclass(frozen=True)
    class Settings:
        """Architecture, image size and memory format; ``width`` and ``blocks`` shape ``basic-cifar`` only."""

        architecture: str = "basic-cifar"
        width: int = 16
        blocks: int = 1
        image_size: int = 28
        channels_last: bool = False
        evaluation_images: int = 2000

        def __post_init__(self) -> None:
            if self.architecture not in ("basic-cifar", "resnet18", "resnet50"):
                raise ValueError(f"architecture = {self.architecture!r}: choose basic-cifar, resnet18 or resnet50")
            for name in ("width", "blocks", "evaluation_images"):
                if getattr(self, name) < 1:
                    raise ValueError(f"{name} = {getattr(self, name)}: set it to 1 or more")
            if self.image_size < PIXELS:
                raise ValueError(f"image_size = {self.image_size}: set at least {PIXELS} pixels, the original size")

    def __init__(self, settings: Settings, batch_size: int, seed: int, device: torch.device | str) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size = {batch_size}: set it to 1 or more")
        self.settings, self.batch_size, self.seed, self.device = settings, batch_size, seed, torch.device(device)
        self.train = self._on_device(images_and_labels(load("fashion_mnist_train.bin")))
        pixels, labels = images_and_labels(load("fashion_mnist_test.bin"))
        spaced = torch.linspace(0, len(labels) - 1, min(settings.evaluation_images, len(labels))).long()
        self.held_out = self._on_device((pixels[spaced], labels[spaced]))

    def model(self) -> nn.Module:
        """The network with random weights drawn from the trial's seed alone."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive_seed(self.seed, "init"))
            model = self._architecture()
        return model.to(self.device).to(memory_format=self._memory_format()).train()

    def batches(self) -> Iterator[Batch]:
        """Images drawn with replacement."""
        random = generator(self.seed, "order")
        pixels, labels = self.train
        while True:
            draws = torch.randint(len(labels), (BATCHES_PER_DRAW, self.batch_size), generator=random)
            for rows in draws.to(self.device):
                yield self._prepared(pixels[rows]), labels[rows]

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean cross-entropy of the label, in nats; the softmax is taken in float32."""
        images, labels = batch
        return functional.cross_entropy(model(images).float(), labels)

    def evaluate(self, model: nn.Module) -> Evaluation:
        """Top-1 accuracy on held-out images, against always answering the most frequent label."""
        pixels, labels = self.held_out
        logits = torch.cat([model(self._prepared(part)).float() for part in pixels.split(self.batch_size)])
        return Evaluation(
            metrics={
                "accuracy": float((logits.argmax(1) == labels).double().mean()),
                "loss": float(functional.cross_entropy(logits, labels)),
            },
            primary="accuracy",
            higher_is_better=True,
            baseline=float(labels.cpu().bincount().max() / len(labels)),
            baseline_name="majority class",
        )

    def cost(self) -> Cost:
        """FLOPs = 3 · B · Σ 2 · weights · output positions over convolutions and the classifier.

        The backward pass is taken to cost twice the forward (the gradient of the images, which nobody asks for,
        included: 1 % of a ResNet-50 step); normalisation, activations and pooling are not counted.
        The same convention gives the published 4.1 G multiply-adds of ResNet-50 at 224 pixels (He et al. 2016 print
        3.8 G for the variant with the stride in the 1 x 1 convolution).
        """
        flops = 3 * self.batch_size * forward_flops(self._architecture, self.settings.image_size)
        return Cost(samples=self.batch_size, tokens=None, flops=flops)

    def _architecture(self) -> nn.Module:
        sizes = self.settings
        if sizes.architecture == "basic-cifar":
            return basic_cifar(sizes.width, sizes.blocks)
        builders = {"resnet18": torchvision.models.resnet18, "resnet50": torchvision.models.resnet50}
        model: nn.Module = builders[sizes.architecture](num_classes=CLASSES)
        return model

    def _memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.settings.channels_last else torch.contiguous_format

    def _on_device(self, part: Batch) -> Batch:
        return part[0].to(self.device), part[1].to(self.device)

    def _prepared(self, pixels: Tensor) -> Tensor:
        """Normalised float32 images ``[batch, 3, size, size]`` from raw bytes ``[batch, 1, 28, 28]``."""
        images = (pixels.float() / 255 - PIXEL_MEAN) / PIXEL_STD
        size = self.settings.image_size
        if size != PIXELS:
            images = functional.interpolate(images, (size, size), mode="bilinear", antialias=False)
        return images.expand(-1, CHANNELS, -1, -1).contiguous(memory_format=self._memory_format())


def images_and_labels(content: bytes) -> Batch:
    """Raw pixels uint8 ``[n, 1, 28, 28]`` and labels int64 ``[n]`` from records of a label byte and 784 pixel bytes."""
    records = torch.frombuffer(bytearray(content), dtype=torch.uint8).view(-1, 1 + PIXELS**2)
    return records[:, 1:].reshape(-1, 1, PIXELS, PIXELS), records[:, 0].long()


def basic_cifar(width: int, blocks: int) -> nn.Module:
    """Stem, three stages of BasicBlocks at full, half and quarter resolution, global average, classifier."""
    stages = [
        _block(*channels)
        for stage in range(3)
        for channels in [(width * 2 ** max(stage - 1, 0), width * 2**stage), *[(width * 2**stage,) * 2] * (blocks - 1)]
    ]
    stem = [nn.Conv2d(CHANNELS, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, CLASSES)]
    model = nn.Sequential(*stem, *stages, *head)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


def _block(inputs: int, outputs: int) -> BasicBlock:
    """A BasicBlock; where the width changes, it halves the resolution and projects the shortcut."""
    if inputs == outputs:
        return BasicBlock(inputs, outputs)
    shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), nn.BatchNorm2d(outputs))
    return BasicBlock(inputs, outputs, stride=2, downsample=shortcut)


def forward_flops(build: Callable[[], nn.Module], image_size: int) -> int:
    """Floating-point operations of one image's forward pass; shapes come from a pass without data (meta device)."""
    counted: list[int] = []

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        positions = output[0, 0].numel() if output.dim() == 4 else 1
        counted.append(2 * module.get_parameter("weight").numel() * positions)

    with torch.device("meta"):
        model = build().eval()
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.register_forward_hook(count)
        model(torch.empty(1, CHANNELS, image_size, image_size))
    return sum(counted)
