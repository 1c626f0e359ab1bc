"""Encoders of images that somebody else has trained, and that stay as they are."""

from __future__ import annotations

import hashlib
import importlib
import io
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from gym_hil.errors import ConfigurationError, MissingExtraError

NAMED = {"imagenet": "hil_trainer.agents.imagenet:encoder"}  # encoders that come as an extra
PROGRAM = ".pt2"  # how the name of a program ends that `torch.export.save` has written
MOST_NUMBERS = 4096  # of a view; the layer behind takes those of all views
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
# One of them is in each file that `torch.export.save` writes; the second up to torch 2.7.
_MARKS = ("archive_format", "serialized_exported_program.json")
_VIEWS = 2  # images that are encoded when it is tried


class FrozenEncoder:
    """Turns images into numbers, always in the same way: without gradients, in float32, on the CPU.

    The numbers of each image are brought to mean 0 and standard deviation 1, by themselves: layer normalisation
    without parameters (Ba et al. 2016, arXiv:1607.06450), which needs no data.

    Args:
        source: where it comes from: a file `*.pt2`, `package.module:function`, or a name.
        network: (batch, 3, size, size) float32 in [0, 1] -> (batch, ...).
        size: pixels a side of the images that it wants.
        program: what the file holds, if it comes from one.

    Attributes:
        source: see above.
        size: see above.
        program: see above.
        sha256: of its weights.
        numbers: how many there are of an image.

    Raises:
        ConfigurationError: it does not do what it should.
    """

    def __init__(self, source: str, network: Callable[[Tensor], Any], size: int, program: bytes | None = None):
        self.source, self.size, self.program = source, size, program
        self._network, self._one_by_one = network, False
        weights = network.state_dict() if isinstance(network, nn.Module) else {}
        self.sha256 = _sha256(weights)
        self.numbers = self._try()
        if _sha256(weights) != self.sha256:
            raise self._unfit("changes when it is used. Call eval() before torch.export.export")

    @torch.no_grad()
    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode images.

        Args:
            images: (views, size, size, 3).

        Returns:
            (views, numbers) float32.

        Raises:
            ConfigurationError: what comes out is not finite.
        """
        encoded = self._run(torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255).contiguous())
        if not bool(torch.isfinite(encoded).all()):
            raise self._unfit("returns what is not finite. Look whether it wants numbers in [0, 1]")
        return functional.layer_norm(encoded, encoded.shape[1:]).numpy()

    def _run(self, images: Tensor) -> Tensor:
        parts = [self._network(one[None]) for one in images] if self._one_by_one else [self._network(images)]
        each = 1 if self._one_by_one else len(images)
        for part in parts:
            if not isinstance(part, Tensor):
                raise self._unfit(f"returns {type(part).__name__}; expected one tensor (batch, ...)")
            if part.ndim < 2 or len(part) != each:
                raise self._unfit(f"returns the shape {tuple(part.shape)} for {each} images; expected (batch, ...)")
        return torch.cat(parts).detach().float().flatten(1)

    @torch.no_grad()
    def _try(self) -> int:
        """See whether it works, and how. Returns how many numbers an image has."""
        noise = np.random.default_rng(0).integers(0, 256, (_VIEWS, self.size, self.size, 3), np.uint8)
        images = torch.from_numpy(noise).permute(0, 3, 1, 2).float().div_(255).contiguous()
        try:
            try:
                encoded = self._run(images)
            except ConfigurationError:
                raise
            except Exception:
                # A program may have been exported for one image.
                self._one_by_one = True
                encoded = self._run(images)
        except ConfigurationError:
            raise
        except Exception as error:  # whatever a program of somebody else raises
            raise self._unfit(
                f"fails on images of {self.size} x {self.size} pixels ({_first_line(error)}). It is given (batch, "
                f"3, {self.size}, {self.size}) float32 in [0, 1], {_VIEWS} or 1 at once; --encoder-size chooses "
                "another size"
            ) from error
        if not 1 < encoded.shape[1] <= MOST_NUMBERS:  # one number, brought to mean 0, says nothing
            raise self._unfit(
                f"turns an image of {self.size} x {self.size} pixels into {encoded.shape[1]} numbers; expected 2 to "
                f"{MOST_NUMBERS}. End it with a pooling layer, or choose a smaller --encoder-size"
            )
        again = self.encode(noise)
        if not np.array_equal(again, self.encode(noise)):
            raise self._unfit("turns the same image into other numbers each time. Call eval() before exporting it")
        return encoded.shape[1]

    def _unfit(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"The encoder {self.source} {why}.")


def load_encoder(source: str, size: int, *, program: bytes | None = None) -> FrozenEncoder:
    """Load an encoder.

    Args:
        source: a file `*.pt2` that `torch.export.save` has written, or `package.module:function`: a function without
            arguments that returns a `torch.nn.Module`. Either turns (batch, 3, size, size) float32 in [0, 1] into
            (batch, ...). Loading runs code: use files and modules that you trust. Or a name of `NAMED`.
        size: pixels a side of the images.
        program: what the file held, where it is not at hand.

    Raises:
        ConfigurationError: there is no such encoder, or it does not do what it should.
        MissingExtraError: it comes as an extra, which is not installed.
    """
    # Networks begin with random weights. What others draw does not depend on whether there is an encoder.
    with torch.random.fork_rng(devices=[]):
        if program is None and source.endswith(PROGRAM):
            program = _read(Path(source))
        if program is not None:
            return FrozenEncoder(source, _exported(source, program), size, program)
        function = NAMED.get(source, source)
        if _FUNCTION.fullmatch(function):
            return FrozenEncoder(source, _made(function), size)
    raise ConfigurationError(
        f"encoder is {source!r}; expected {', '.join(NAMED)}, a file *{PROGRAM} of torch.export.save, or "
        "package.module:function."
    )


def _read(file: Path) -> bytes:
    try:
        program = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The encoder {file} cannot be read ({error.strerror}). Export one with torch.export.save, see "
            "docs/training.md."
        ) from error
    names = zipfile.ZipFile(io.BytesIO(program)).namelist() if zipfile.is_zipfile(io.BytesIO(program)) else []
    if not any(Path(name).name in _MARKS for name in names):
        raise ConfigurationError(
            f"The encoder {file} holds no program. Write it with torch.export.save(torch.export.export(...), file); "
            "torch.save and torch.jit.save write other files."
        )
    return program


def _exported(source: str, program: bytes) -> nn.Module:
    try:
        network = torch.export.load(io.BytesIO(program)).module()
    except Exception as error:  # of many kinds, for files of other versions and damaged ones
        raise ConfigurationError(
            f"The encoder {source} cannot be loaded by torch {torch.__version__} ({_first_line(error)}). Export it "
            "again with this version."
        ) from error
    return network.requires_grad_(False)


def _made(source: str) -> nn.Module:
    module, _, name = source.partition(":")
    try:
        function = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # whatever somebody else's module raises
        raise ConfigurationError(
            f"The encoder {source} cannot be imported ({_first_line(error)}). Install what is missing, or name the "
            "folder of the module in PYTHONPATH."
        ) from error
    if not callable(function):
        raise ConfigurationError(f"The encoder {source} is not there: {module} has no function {name}.")
    try:
        network = function()
    except MissingExtraError:
        raise
    except Exception as error:  # whatever somebody else's function raises
        raise ConfigurationError(
            f"The encoder {source} cannot be made ({type(error).__name__}: {_first_line(error)}). The function is "
            "called without arguments."
        ) from error
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


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
