"""A device that computes on the CPU: operations that mix it with the CPU fail, as they do on a GPU."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.utils import backend_registration
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = "fake_gpu"
_LIBRARY = torch.library.Library("_", "IMPL")
_COPIES = {"aten::copy_", "aten::_to_copy"}  # from one device to another
_INDEXES = {"aten::index", "aten::index_put_", "aten::_index_put_impl_", "aten::_unsafe_index"}  # by indices on the CPU


class GPUTensor(torch.Tensor):
    """A tensor on the device; `held` has its values."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> GPUTensor:
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        made = torch.Tensor._make_wrapper_subclass(cls, held.shape, device=f"{DEVICE}:0", **layout)  # type: ignore[attr-defined]
        made.held = held
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"GPUTensor({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


@functools.cache  # once a process
def add_fake_gpu() -> str:
    """Add the device to torch; its name."""
    backend = backend_registration._DummyBackendModule()
    backend.get_amp_supported_dtype = lambda: [torch.bfloat16]  # type: ignore[attr-defined]
    backend_registration._setup_privateuseone_for_python_backend(DEVICE, backend_module=backend)
    _LIBRARY.fallback(lambda func, *args, **kwargs: _run(func, args, kwargs), "PrivateUse1")
    _LIBRARY.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    return DEVICE


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = func._schema.name
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    on_gpu = any(isinstance(tensor, GPUTensor) for tensor in tensors)
    if kwargs.get("device") is not None:
        on_gpu = torch.device(kwargs["device"]).type == DEVICE
        kwargs = {**kwargs, "device": torch.device("cpu")}
    elif name == "aten::copy_":
        on_gpu = isinstance(args[0], GPUTensor)
    elif on_gpu and name not in _COPIES:
        _check(name, args, tensors)
    if on_gpu and kwargs.get("generator") is not None:
        raise RuntimeError(f"{name}: expected a generator of the device, but it is of the CPU")
    inputs, options = tree_map(lambda leaf: leaf.held if isinstance(leaf, GPUTensor) else leaf, (args, kwargs))
    owners = {id(tensor.held): tensor for tensor in tensors if isinstance(tensor, GPUTensor)}

    def wrapped(leaf: Any) -> Any:
        if not on_gpu or not isinstance(leaf, torch.Tensor):
            return leaf
        return owners[id(leaf)] if id(leaf) in owners else GPUTensor(leaf)  # the same one, where it is changed in place

    return tree_map(wrapped, func(*inputs, **options))


def _check(name: str, args: Any, tensors: list[torch.Tensor]) -> None:
    if name in _INDEXES:
        tensors = [part for part in (args[0], *args[2:]) if isinstance(part, torch.Tensor)]
    if any(not isinstance(tensor, GPUTensor) and tensor.ndim for tensor in tensors):
        devices = ", ".join(f"{tuple(tensor.shape)} on {tensor.device}" for tensor in tensors)
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found {devices}")
