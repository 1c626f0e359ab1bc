"""From pictures to a few numbers: where things are in each view."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 32  # points that are looked for in each view


class SpatialSoftmaxEncoder(nn.Module):
    """Finds points in pictures and returns where they are.

    Each view has a small convolutional network of its own. Each of its last channels is a map of where one thing may
    be; the expected position under the map's softmax is the output (Finn et al. 2016, arXiv:1509.06113).

    Args:
        views: how many pictures an observation has.
        size: pixels a side; a multiple of 4.
    """

    x: Tensor
    y: Tensor

    def __init__(self, views: int, size: int):
        super().__init__()
        self.networks = nn.ModuleList([_network() for _ in range(views)])
        along = torch.linspace(-1, 1, size // 4)
        self.register_buffer("x", along.repeat(size // 4))
        self.register_buffer("y", along.repeat_interleave(size // 4))
        self.size = 2 * CHANNELS * views

    def forward(self, images: Tensor) -> Tensor:
        """(batch, views, 3, height, width), about [-0.5, 0.5] -> (batch, size), in [-1, 1]."""
        points = []
        for view, network in enumerate(self.networks):
            maps = torch.softmax(network(images[:, view]).flatten(2), -1)
            points += [(maps * self.x).sum(-1), (maps * self.y).sum(-1)]
        return torch.cat(points, -1)


def prepare(images: Tensor) -> Tensor:
    """(batch, views, height, width, 3) uint8 -> (batch, views, 3, height, width) float32 in [-0.5, 0.5]."""
    return images.permute(0, 1, 4, 2, 3).float().div_(255).sub_(0.5)


def random_shift(images: Tensor, pixels: int) -> Tensor:
    """Move each observation's pictures by up to some pixels; what comes in at an edge repeats that edge.

    It keeps critics and policies from learning pictures by heart (DrQ, Kostrikov et al. 2020, arXiv:2004.13649).

    Args:
        images: (batch, views, 3, height, width).
        pixels: the most they move, each way.

    Returns:
        Of the same shape; all views of an observation are moved alike.
    """
    batch, views, channels, height, width = images.shape
    padded = functional.pad(images.flatten(0, 1), (pixels,) * 4, mode="replicate")
    padded = padded.view(batch, views, channels, height + 2 * pixels, width + 2 * pixels)
    down, right = torch.randint(0, 2 * pixels + 1, (2, batch, 1), device=images.device)
    rows = down + torch.arange(height, device=images.device)
    columns = right + torch.arange(width, device=images.device)
    which = torch.arange(batch, device=images.device)[:, None, None]
    moved = padded.permute(0, 3, 4, 1, 2)[which, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 4, 1, 2)


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
