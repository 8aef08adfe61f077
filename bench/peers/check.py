"""Checks that the peers compute what the official code computes: outputs and all gradients, in float64.

python3 check.py           layers and small models, some seconds
python3 check.py --full    the full-size models too
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np
import parameters
import torch
from neighbourhood import NeighbourhoodAttention
from qna import FusedKQnA
from qna_vit import QnAViT, qna_vit_tiny
from sasa import StandAloneSelfAttention
from slide import SlideAttention
from swin import Swin, slide_swin_tiny, swin_tiny
from safetensors import read
from torch import Tensor, nn

DATA = Path(__file__).resolve().parents[2] / "tests" / "data"

# Sums of up to some ten thousand float64 terms, taken in another order than the official code takes them: 1e4 roundings of
# 1.1e-16, relative to the largest value.
TOLERANCE = 1e-11

Names = Callable[[nn.Module], Iterator[parameters.Named]]


class Checks:
    """Counts comparisons, and says which of them fail."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def close(self, what: str, ours: np.ndarray, expected: np.ndarray) -> None:
        """The largest difference, relative to the largest expected magnitude."""
        difference = np.abs(ours - expected).max() / max(1e-300, np.abs(expected).max())
        if ours.shape == expected.shape and difference <= TOLERANCE:
            self.passed += 1
        else:
            self.failed += 1
            print(f"{what}: differs by {difference:.1e} of the largest value", file=sys.stderr)


def load_case(model: nn.Module, names: Names, arrays: dict[str, np.ndarray], prefix: str) -> None:
    """Fills a model with a file's parameters, each of which must be there."""
    for named in names(model):
        parameters.load(named, arrays[prefix + named.name])


def compare(
    checks: Checks, case: str, model: nn.Module, names: Names, x: Tensor, of_input: Callable[[Tensor], np.ndarray],
    arrays: dict[str, np.ndarray], prefix: str, input_name: str,
) -> None:
    """Output, and gradients of the input and of every trained parameter."""
    output = model(x)
    (output * torch.from_numpy(arrays[prefix + "cotangent"])).sum().backward()
    checks.close(f"{case}: output", output.detach().numpy(), arrays[prefix + "output"])
    assert x.grad is not None
    checks.close(f"{case}: gradient of the input", of_input(x.grad), arrays[f"{prefix}gradient/{input_name}"])
    for named in names(model):
        if named.parameter.requires_grad:
            assert named.parameter.grad is not None
            gradient = parameters.official_layout(named, named.parameter.grad)
            checks.close(f"{case}: gradient of {named.name}", gradient, arrays[f"{prefix}gradient/{named.name}"])


def leaf(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float64)).requires_grad_()


def check_slide_layers(checks: Checks) -> None:
    arrays = read(DATA / "slide-layers.safetensors")
    for name, case in json.loads((DATA / "slide-layers.json").read_text()).items():
        layer = SlideAttention(
            case["input"][-1],
            case["heads"],
            case["ka"],
            case.get("padding", "zeros"),
            case.get("qkv_bias", True),
            case.get("scale"),
        ).double()
        load_case(layer, parameters.pytorch_names, arrays, f"{name}/parameter/")
        x = leaf(arrays[f"{name}/x"])
        compare(
            checks, f"slide {name}", layer, parameters.pytorch_names, x, Tensor.numpy, arrays, f"{name}/", "x"
        )


def check_qna_layers(checks: Checks) -> None:
    """Those cases whose modes the benchmark measures: a normalised query, normal scale, relative bias, no other biases."""
    arrays = read(DATA / "qna-layers.safetensors")
    plain = {"features", "heads", "kernel_size", "stride", "padding", "input", "output"}
    for name, case in json.loads((DATA / "qna-layers.json").read_text()).items():
        if not case.keys() <= plain:
            continue
        layer = FusedKQnA(
            case["input"][-1], case["features"], case["heads"], case["kernel_size"], case["stride"], padding=case["padding"]
        ).double()
        load_case(layer, parameters.flax_names, arrays, f"{name}/parameter/")
        x = leaf(arrays[f"{name}/x"])
        compare(checks, f"qna {name}", layer, parameters.flax_names, x, Tensor.numpy, arrays, f"{name}/", "x")


def check_micro_model(checks: Checks, name: str, build: Callable[[dict[str, Any]], nn.Module], names: Names) -> None:
    arrays = read(DATA / f"{name}.safetensors")
    model = build(json.loads((DATA / f"{name}.json").read_text())).double()
    load_case(model, names, read(DATA / f"{name}.parameters.safetensors"), "")
    x = leaf(arrays["input"].transpose(0, 3, 1, 2))
    compare(checks, name, model, names, x, lambda g: g.permute(0, 2, 3, 1).numpy(), arrays, "", "input")


def check_full_model(checks: Checks, name: str, model: nn.Module, fill: Callable[[nn.Module], None]) -> None:
    """One image's logits, with parameters from the counter."""
    model = model.double()
    fill(model)
    image = torch.from_numpy(parameters.counter("input", (1, 224, 224, 3))).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = model(image)
    checks.close(f"{name}: logits", logits.numpy(), np.array(json.loads((DATA / f"{name}.json").read_text())["logits"]))


def check_unfolded(checks: Checks) -> None:
    """SASA has no official numbers: its definition written as loops over tokens, heads and offsets."""
    torch.manual_seed(1)
    layer = StandAloneSelfAttention(8, heads=2, window=3).double()
    x = torch.randn(2, 4, 5, 8, dtype=torch.float64)
    with torch.no_grad():
        queries, keys, values = layer.qkv(x).view(2, 4, 5, 3, 2, 4).unbind(3)
        expected = torch.zeros(2, 4, 5, 2, 4, dtype=torch.float64)
        for image, row, column, head in np.ndindex(2, 4, 5, 2):
            logits, samples = [], []
            for i, j in np.ndindex(3, 3):
                y, z = row + i - 1, column + j - 1
                inside = 0 <= y < 4 and 0 <= z < 5
                key = keys[image, y, z, head] if inside else torch.zeros(4, dtype=torch.float64)
                samples.append(values[image, y, z, head] if inside else torch.zeros(4, dtype=torch.float64))
                position = torch.cat((layer.rows[head, :, i, 0], layer.columns[head, :, 0, j]))
                logits.append(queries[image, row, column, head] @ (key + position) / 2)
            weights = torch.stack(logits).softmax(0)
            expected[image, row, column, head] = weights @ torch.stack(samples)
        expected = layer.proj(expected.flatten(3))
        checks.close("sasa: output", layer(x).numpy(), expected.numpy())


def check_neighbourhoods(checks: Checks) -> None:
    """The definition written as loops over tokens and heads; at the border the window is the nearest that fits."""
    torch.manual_seed(1)
    layer = NeighbourhoodAttention(8, heads=2, window=3).double()
    nn.init.normal_(layer.rpb)
    x = torch.randn(2, 4, 5, 8, dtype=torch.float64)
    with torch.no_grad():
        queries, keys, values = layer.qkv(x).view(2, 4, 5, 3, 2, 4).unbind(3)
        expected = torch.zeros(2, 4, 5, 2, 4, dtype=torch.float64)
        for image, row, column, head in np.ndindex(2, 4, 5, 2):
            top, left = min(max(row - 1, 0), 1), min(max(column - 1, 0), 2)
            logits, samples = [], []
            for y, z in np.ndindex(3, 3):
                y, z = top + y, left + z
                bias = layer.rpb[head, y - row + 2, z - column + 2]
                logits.append(queries[image, row, column, head] @ keys[image, y, z, head] / 2 + bias)
                samples.append(values[image, y, z, head])
            weights = torch.stack(logits).softmax(0)
            expected[image, row, column, head] = weights @ torch.stack(samples)
        expected = layer.proj(expected.flatten(3))
        checks.close("neighbourhood: output", layer(x).numpy(), expected.numpy())


def build_swin(case: dict[str, Any]) -> nn.Module:
    return Swin(
        case["embed_dim"],
        case["depths"],
        case["num_heads"],
        case["window_size"],
        resolution=case["input"][1],
        classes=case["classes"],
        slide_stages=case["num_slide_stages"],
        slide_window=case["ka"],
    )


def build_qna_vit(case: dict[str, Any]) -> nn.Module:
    return QnAViT(
        case["base_dim"],
        case["qna_heads"],
        case["qna_layers"],
        case["qna_receptive_field"],
        case["lsa_layers"],
        case["lsa_window"],
        case["lsa_heads"],
        case["classes"],
    )


def main() -> int:
    checks = Checks()
    check_slide_layers(checks)
    check_qna_layers(checks)
    check_unfolded(checks)
    check_neighbourhoods(checks)
    check_micro_model(checks, "slide-swin-micro", build_swin, parameters.pytorch_names)
    check_micro_model(checks, "swin-micro", build_swin, parameters.pytorch_names)
    check_micro_model(checks, "qna-vit-micro", build_qna_vit, parameters.flax_names)
    if "--full" in sys.argv[1:]:
        check_full_model(checks, "slide-swin-tiny", slide_swin_tiny(), parameters.fill_as_pytorch)
        check_full_model(checks, "swin-tiny", swin_tiny(), parameters.fill_as_pytorch)
        check_full_model(checks, "qna-vit-tiny", qna_vit_tiny(), parameters.fill_as_flax)
    print(f"peers against the reference data: {checks.passed} passed, {checks.failed} failed", file=sys.stderr)
    return 0 if checks.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
