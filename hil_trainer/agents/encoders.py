"""Learned image encoders: from images to keypoints, or from a frozen encoder's features to fewer features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHANNELS = 32  # keypoints in each view
_CELL_CHANNELS, _CELL_OUTPUTS = 16, 64  # of what a `CellEncoder` sees beside keypoints


class SpatialSoftmaxEncoder(nn.Module):
    """Finds keypoints in images.

    Each view has a small convolutional network of its own. Each of its last channels is a map of one keypoint; the
    expected position under the map's softmax is the output (deep spatial autoencoders, Finn et al. 2016,
    arXiv:1509.06113).

    Args:
        views: number of images of an observation.
        size: height and width of the images, in pixels; a multiple of 4.
    """

    x: Tensor
    y: Tensor

    def __init__(self, views: int, size: int):
        super().__init__()
        # The order in which images come; convolutions are a third faster in it than with the channels first.
        self.networks = nn.ModuleList([_network() for _ in range(views)]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        along = torch.linspace(-1, 1, size // 4)
        self.register_buffer("x", along.repeat(size // 4))
        self.register_buffer("y", along.repeat_interleave(size // 4))
        self.size = 2 * CHANNELS * views

    def forward(self, images: Tensor) -> Tensor:
        """(batch, views, 3, height, width), about [-0.5, 0.5] -> (batch, size), in [-1, 1]."""
        points = []
        for view, network in enumerate(self.networks):
            image = images[:, view].contiguous(memory_format=torch.channels_last)
            maps = torch.softmax(network(image).flatten(2), -1)
            points += [(maps * self.x).sum(-1), (maps * self.y).sum(-1)]
        return torch.cat(points, -1)


class Bottleneck(nn.Module):
    """Reduces the features of a frozen encoder, as SERL does (Luo et al. 2024, arXiv:2401.16013).

    Args:
        inputs: features of all views together.
        views: number of views.
    """

    def __init__(self, inputs: int, views: int):
        super().__init__()
        self.size = 2 * CHANNELS * views
        self.layers = nn.Sequential(nn.Linear(inputs, self.size), nn.LayerNorm(self.size), nn.Tanh())

    def forward(self, encoded: Tensor) -> Tensor:
        """(batch, inputs) -> (batch, size), in [-1, 1]."""
        return self.layers(encoded)


class CellEncoder(nn.Module):
    """Finds keypoints in the cells of a frozen encoder, and sees some of each cell.

    Each view has a small network of its own: keypoints as in `SpatialSoftmaxEncoder`, and a linear layer over few
    channels of all cells.

    Args:
        views: number of images of an observation.
        shape: (channels, height, width) of an image's features, all more than 1.
    """

    x: Tensor
    y: Tensor

    def __init__(self, views: int, shape: tuple[int, ...]):
        super().__init__()
        channels, height, width = shape
        self.norm = nn.GroupNorm(1, channels)
        self.keypoints = nn.ModuleList([nn.Conv2d(channels, CHANNELS, 1) for _ in range(views)])
        self.cells = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Conv2d(channels, _CELL_CHANNELS, 1),
                    nn.ReLU(),
                    nn.Flatten(),
                    nn.Linear(_CELL_CHANNELS * height * width, _CELL_OUTPUTS),
                    nn.ReLU(),
                )
                for _ in range(views)
            ]
        )
        self.register_buffer("x", torch.linspace(-1, 1, width).repeat(height))
        self.register_buffer("y", torch.linspace(-1, 1, height).repeat_interleave(width))
        self.size = (2 * CHANNELS + _CELL_OUTPUTS) * views

    def forward(self, features: Tensor) -> Tensor:
        """(batch, views, channels, height, width) -> (batch, size)."""
        outputs = []
        for view, (keypoints, cells) in enumerate(zip(self.keypoints, self.cells, strict=True)):
            normalised = self.norm(features[:, view])
            maps = torch.softmax(keypoints(normalised).flatten(2), -1)
            outputs += [(maps * self.x).sum(-1), (maps * self.y).sum(-1), cells(normalised)]
        return torch.cat(outputs, -1)


Encoder = SpatialSoftmaxEncoder | Bottleneck | CellEncoder


def prepare(images: Tensor) -> Tensor:
    """(batch, views, height, width, 3) uint8 -> (batch, views, 3, height, width) float32 in [-0.5, 0.5]."""
    return images.permute(0, 1, 4, 2, 3).float().div_(255).sub_(0.5)


def random_shift(images: Tensor, pixels: int) -> Tensor:
    """Shift each observation's images at random, repeating their edges.

    It keeps critics and policies from overfitting (DrQ, Kostrikov et al. 2020, arXiv:2004.13649).

    Args:
        images: (batch, views, height, width, 3) uint8.
        pixels: maximum shift, each way.

    Returns:
        Of the same shape; all views of an observation are shifted alike.
    """
    height, width = images.shape[2:4]
    moves = torch.randint(0, 2 * pixels + 1, (len(images), 2))
    if images.device.type != "cpu":
        return shifted(images, *(moves - pixels).to(images.device).T)
    padded = _padded(_padded(images, 2, pixels), 3, pixels)
    # On a CPU, slices of whole rows are copied many times faster than pixels that are looked up one by one.
    return torch.stack(
        [
            one[:, down : down + height, right : right + width]
            for one, (down, right) in zip(padded, moves.tolist(), strict=True)
        ]
    )


def shifted(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Shift images, repeating their edges; see `random_shift`.

    Args:
        images: (n, views, height, width, 3).
        down: (n,) pixels.
        right: (n,) pixels.
    """
    height, width = images.shape[2:4]
    rows = (down[:, None] + torch.arange(height, device=images.device)).clamp(0, height - 1)
    columns = (right[:, None] + torch.arange(width, device=images.device)).clamp(0, width - 1)
    which = torch.arange(len(images), device=images.device)[:, None, None]
    return images[which, :, rows[:, :, None], columns[:, None]].movedim(3, 1)


def _padded(images: Tensor, axis: int, pixels: int) -> Tensor:
    """Repeat the edges along an axis."""
    first, last = images.narrow(axis, 0, 1), images.narrow(axis, images.shape[axis] - 1, 1)
    return torch.cat([*[first] * pixels, images, *[last] * pixels], axis)


def _network() -> nn.Sequential:
    def convolution(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
        return nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1)

    return nn.Sequential(
        convolution(3, 24, 2),
        nn.ReLU(),
        convolution(24, 32, 2),
        nn.ReLU(),
        convolution(32, 32, 1),
        nn.ReLU(),
        convolution(32, CHANNELS, 1),
    )
