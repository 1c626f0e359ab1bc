"""Images that are shifted and lit a little otherwise, so that a classifier does not learn single pixels."""

from __future__ import annotations

import torch
from torch import Tensor


def augmented(images: Tensor, *, shift: int, brightness: float, generator: torch.Generator) -> Tensor:
    """Shift and light each image by chance.

    Shifting repeats the border, as in DrQ (Yarats, Kostrikov, Fergus, 2020).

    Args:
        images: (n, cameras, 3, height, width) uint8.
        shift: pixels at most, each way.
        brightness: by which share all values are scaled at most; they are moved by up to half of it as well.
        generator: of chance, on the CPU.

    Returns:
        The same shape, float32 in [0, 1].
    """
    n, cameras, _, height, width = images.shape
    flat = images.flatten(0, 1)
    count = n * cameras
    down, right = (torch.randint(-shift, shift + 1, (2, count, 1), generator=generator)).to(flat.device)
    rows = (torch.arange(height, device=flat.device) + down).clamp(0, height - 1)
    columns = (torch.arange(width, device=flat.device) + right).clamp(0, width - 1)
    number = torch.arange(count, device=flat.device)[:, None, None]
    moved = flat.permute(0, 2, 3, 1)[number, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    scale, offset = (torch.rand((2, count, 1, 1, 1), generator=generator) * 2 - 1).to(flat.device)
    lit = moved.float() / 255 * (1 + brightness * scale) + brightness / 2 * offset
    return lit.clamp(0, 1).view_as(images)
