"""Image encoders that are trained already and stay as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from gym_hil.errors import ConfigurationError
from gym_hil.imports import import_function, is_function_name, running_user_code

NAMED = {"imagenet": "hil_trainer.agents.imagenet:encoder"}  # encoders that come as an extra
_WITH_CELLS = {"imagenet": "hil_trainer.agents.imagenet:cells"}
_AT_ONCE = 8  # images: what is made of more does not fit a processor's cache, and takes twice as long
_AT_ONCE_ON_GPU = 256
MAX_FEATURES = 8192  # of a view; the layer behind takes those of all views


class FrozenEncoder:
    """Encodes images, always in the same way: without gradients, in float32, on the CPU unless it is moved.

    The features of each image are brought to mean 0 and standard deviation 1 by layer normalisation without parameters
    (Ba et al. 2016, arXiv:1607.06450), which needs no data.

    Args:
        source: where it comes from: `package.module:function`, or a name of `NAMED`.
        network: (batch, 3, size, size) float32 in [0, 1] -> (batch, ...).
        size: pixels a side of its images.

    Attributes:
        source: see above.
        size: see above.
        sha256: of its weights.
        shape: of an image's features, such as (channels, height, width).
        numbers: features of an image.

    Raises:
        ConfigurationError: it does not turn images into features as it should.
    """

    def __init__(self, source: str, network: nn.Module, size: int):
        self.source, self.size = source, size
        self._network, self._device = network, torch.device("cpu")
        self.sha256 = _sha256(network.state_dict())
        self.numbers = self._try()
        if _sha256(network.state_dict()) != self.sha256:
            raise self._unfit("changes when it is used. Switch that off in eval()")

    def to(self, device: torch.device | str) -> None:
        """Compute on another device."""
        self._network.to(device)
        self._device = torch.device(device)

    @torch.no_grad()
    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode images, (views, size, size, 3) uint8 -> (views, numbers) float32.

        Raises:
            ConfigurationError: the features are not finite.
        """
        at_once = _AT_ONCE if self._device.type == "cpu" else _AT_ONCE_ON_GPU
        features = torch.cat([self._features(some) for some in np.split(images, range(at_once, len(images), at_once))])
        if not bool(torch.isfinite(features).all()):
            raise self._unfit("returns numbers that are not finite. Its images are float32 in [0, 1]")
        return functional.layer_norm(features, features.shape[1:]).numpy()

    def _features(self, images: NDArray[np.uint8]) -> Tensor:
        batch = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).float().div_(255).contiguous()
        features = self._network(batch)
        if not isinstance(features, Tensor):
            raise self._unfit(f"returns {type(features).__name__}; expected one tensor (batch, ...)")
        if features.ndim < 2 or len(features) != len(batch):
            raise self._unfit(
                f"returns the shape {tuple(features.shape)} for {len(batch)} images; expected (batch, ...)"
            )
        self.shape = tuple(features.shape[1:])
        return features.detach().float().flatten(1).cpu()

    @torch.no_grad()
    def _try(self) -> int:
        """Encode noise, and return how many features an image has."""
        noise = np.random.default_rng(0).integers(0, 256, (2, self.size, self.size, 3), np.uint8)
        side = f"{self.size} x {self.size} pixels"
        advice = f"It gets (batch, 3, {self.size}, {self.size}) float32 in [0, 1]; --encoder-size chooses another size."
        with running_user_code(f"The encoder {self.source} fails on images of {side}", advice):
            count = self._features(noise).shape[1]
        if not 1 < count <= MAX_FEATURES:  # a single one, brought to mean 0, is always 0
            raise self._unfit(
                f"turns an image of {side} into {count} numbers; expected 2 to "
                f"{MAX_FEATURES}. End it with a pooling layer, or choose a smaller --encoder-size"
            )
        if not np.array_equal(self.encode(noise), self.encode(noise)):
            raise self._unfit("turns the same image into other numbers each time. Switch that off in eval()")
        return count

    def _unfit(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"The encoder {self.source} {why}.")


def load_encoder(source: str, size: int) -> FrozenEncoder:
    """Load an encoder.

    Args:
        source: `package.module:function`, a function without arguments that returns a `torch.nn.Module` which turns
            (batch, 3, size, size) float32 in [0, 1] into (batch, ...); or a name of `NAMED`. Loading imports the
            module: use only modules that you trust.
        size: pixels a side of the images.

    Raises:
        ConfigurationError: there is no such encoder, or it does not turn images into features as it should.
        MissingExtraError: it comes as an extra that is not installed.
    """
    function = NAMED.get(source, source)
    if not is_function_name(function):
        raise ConfigurationError(f"encoder is {source!r}; expected {', '.join(NAMED)} or package.module:function.")
    # Networks begin with random weights. An encoder leaves the random numbers of the training as they are.
    with torch.random.fork_rng(devices=[]):
        return FrozenEncoder(source, _make(function), size)


def load_cell_encoder(source: str, size: int) -> FrozenEncoder:
    """Load an encoder whose features are looked for points in; arguments and errors as of `load_encoder`.

    Raises:
        ConfigurationError: also where its features have no height and width.
    """
    encoder = load_encoder(source, size)
    if len(encoder.shape) != 3 or min(encoder.shape) < 2:
        raise ConfigurationError(
            f"The encoder {source} turns an image into features of shape {encoder.shape}; expected (channels, height, "
            "width), to look for points in them. End the encoder before its pooling layer."
        )
    return encoder


def cell_encoder(source: str | None) -> str | None:
    """The encoder for networks that look for points in its cells: of a name of `NAMED` the one with small cells."""
    return None if source is None else _WITH_CELLS.get(source, source)


def _make(source: str) -> nn.Module:
    function = import_function(source, role="encoder")
    with running_user_code(f"The encoder {source} cannot be created", "The function is called without arguments."):
        network: Any = function()
    if not isinstance(network, nn.Module):
        raise ConfigurationError(
            f"The encoder {source} returns {type(network).__name__}; expected a torch.nn.Module that turns (batch, 3, "
            "height, width) into (batch, ...)."
        )
    return network.cpu().float().eval().requires_grad_(False)


def _sha256(weights: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name, value in sorted(weights.items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        # As bytes, because NumPy lacks some of the types.
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
