"""The official names and layouts of the peers' parameters, and the numbers that fill them."""

from __future__ import annotations

import math
from typing import Iterator, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

_FLAX_FIELDS = {
    ("LayerNorm", "weight"): "scale",
    ("Linear", "weight"): "kernel",
    ("Conv2d", "weight"): "kernel",
    ("WindowAttention", "relative_position_bias_table"): "RelativePositionalEmbedding_0/rpe_bias",
}
_FLAX_MODULES = {"qkv": "to_qkv", "proj": "to_out"}


class Named(NamedTuple):
    """A parameter under its official name; ``axes``: the module's axes in the order of the official file."""

    name: str
    parameter: nn.Parameter
    axes: tuple[int, ...]


def pytorch_names(model: nn.Module) -> Iterator[Named]:
    """The names that PyTorch gives, which are those of the official Slide and Swin code."""
    for name, parameter in model.named_parameters():
        yield Named(name, parameter, tuple(range(parameter.dim())))


def flax_names(model: nn.Module) -> Iterator[Named]:
    """The names of the official QnA code: paths, with kernels that have their input channels before the output's."""
    for path, module in model.named_modules():
        parts = [_FLAX_MODULES.get(part, part) for part in path.split(".") if part]
        for field, parameter in module.named_parameters(recurse=False):
            kind = type(module).__name__
            name = "/".join([*parts, _FLAX_FIELDS.get((kind, field), field)])
            yield Named(name, parameter, _flax_axes(kind, field, parameter))


def _flax_axes(kind: str, field: str, parameter: nn.Parameter) -> tuple[int, ...]:
    if (kind, field) == ("Linear", "weight"):
        return (1, 0)
    if (kind, field) == ("Conv2d", "weight"):
        return (2, 3, 1, 0)
    return tuple(range(parameter.dim()))


def load(named: Named, values: np.ndarray) -> None:
    """Sets a parameter to an array that has the official file's layout."""
    axes = np.argsort(named.axes) if named.axes else ()
    with torch.no_grad():
        named.parameter.copy_(torch.from_numpy(np.ascontiguousarray(values.transpose(axes))))


def official_layout(named: Named, values: Tensor) -> np.ndarray:
    """A tensor of the parameter's shape, such as its gradient, in the official file's layout."""
    return values.detach().permute(named.axes).numpy()


def counter(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in [-1, 1) that depend on a name and nothing else: SplitMix64 from the name's FNV-1a hash."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % (1 << 64)
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, math.prod(shape) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        z = z ^ z >> np.uint64(31)
    return (2.0 * (z >> np.uint64(11)).astype(np.float64) * 2.0**-53 - 1.0).reshape(shape)


def fill_as_pytorch(model: nn.Module) -> None:
    """Fills a model by the reference data's rule for PyTorch models; shifts stay."""
    for named in pytorch_names(model):
        if named.name.endswith("dep_conv.weight"):
            continue
        shape = tuple(named.parameter.shape)
        u, field = counter(named.name, shape), named.name.rsplit(".", 1)[-1]
        if field == "weight" and len(shape) > 1:
            u *= math.sqrt(3 / math.prod(shape[1:]))
        elif field == "weight":
            u = 1 + 0.1 * u
        else:
            u *= 0.5 if field in ("relative_position_bias_table", "rpb") else 0.1
        load(named, u)


def fill_as_flax(model: nn.Module) -> None:
    """Fills a model by the reference data's rule for Flax models."""
    for named in flax_names(model):
        shape = tuple(named.parameter.shape[axis] for axis in named.axes)
        u, field = counter(named.name, shape), named.name.rsplit("/", 1)[-1]
        if field in ("kernel", "Wk"):
            u *= math.sqrt(3 / math.prod(shape[:-1]))
        elif field == "scale":
            u = 1 + 0.1 * u
        elif field != "query":
            u *= 0.1 if field == "bias" else 0.5
        load(named, u)
