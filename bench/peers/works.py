"""What the peers are asked to do: a layer or a model, on given shapes, forward or through a step of training."""

from __future__ import annotations

from typing import Any, Callable, Protocol

import parameters
import torch
from neighbourhood import NeighbourhoodAttention
from qna import FusedKQnA
from qna_vit import qna_vit_tiny
from sasa import StandAloneSelfAttention
from slide import SlideAttention
from swin import slide_swin_tiny, swin_tiny
from torch import Tensor, nn
from torch.nn import functional as F

_MODELS: dict[str, Callable[[], nn.Module]] = {
    "slide-swin-tiny": slide_swin_tiny,
    "swin-tiny": swin_tiny,
    "qna-vit-tiny": qna_vit_tiny,
}
_LAYERS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "slide": SlideAttention,
    "qna": lambda channels, heads, window: FusedKQnA(channels, channels, heads, window),
    "unfold": StandAloneSelfAttention,
    "neighbourhood": NeighbourhoodAttention,
}
_NAMED_BY_FLAX = ("qna", "qna-vit-tiny")


class Work(Protocol):
    """Something that can be run again and again."""

    def run(self) -> object:
        """Once: what is measured."""

    def digest(self) -> list[list[float]]:
        """Numbers, each with the size its rounding errors are relative to, in which another implementation agrees."""


def build(request: dict[str, Any], shape: list[int]) -> Work:
    """The work of a request: ``kind``, ``training``, and for a layer ``heads`` and ``window``."""
    kind, training = request["kind"], request["training"]
    if kind in _MODELS:
        model = _MODELS[kind]()
    else:
        model = _LAYERS[kind](shape[-1], request["heads"], request["window"])
    (parameters.fill_as_flax if kind in _NAMED_BY_FLAX else parameters.fill_as_pytorch)(model)
    x = from_counter("input", shape)
    if not training:
        return Inference(model.eval(), x)
    return ModelStep(model.train(), x) if kind in _MODELS else LayerStep(model.train(), x)


def from_counter(name: str, shape: list[int]) -> Tensor:
    return torch.from_numpy(parameters.counter(name, tuple(shape))).float()


def projected(values: Tensor, name: str) -> list[float]:
    """A tensor's product with fixed numbers, and its norm."""
    directions = from_counter(name, list(values.shape)).double()
    return [float((values.detach().double() * directions).sum()), float(values.detach().double().norm())]


class Inference:
    """A forward pass without gradients."""

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        self._model, self._x = model, x

    def run(self) -> Tensor:
        with torch.no_grad():
            return self._model(self._x)

    def digest(self) -> list[list[float]]:
        return [projected(self.run(), "output")]


class LayerStep:
    """A layer's forward and backward pass, to its input and to every parameter."""

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        self._model, self._x = model, x.requires_grad_()
        self._cotangent = from_counter("cotangent", list(x.shape))

    def run(self) -> Tensor:
        self._model.zero_grad(set_to_none=True)
        self._x.grad = None
        output: Tensor = self._model(self._x)
        output.backward(self._cotangent)
        return output

    def digest(self) -> list[list[float]]:
        output = self.run()
        assert self._x.grad is not None
        norm = gradient_norm(self._model)
        return [projected(output, "output"), projected(self._x.grad, "gradient"), [norm, norm]]


class ModelStep:
    """A training step: forward, cross entropy, backward, AdamW."""

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        self._model, self._images = model, images
        self._labels = torch.arange(images.shape[0])
        self._optimizer = torch.optim.AdamW(
            [p for p in model.parameters() if p.requires_grad], lr=1e-4, weight_decay=0.05
        )

    def run(self) -> Tensor:
        self._optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self._model(self._images), self._labels)
        loss.backward()
        self._optimizer.step()
        return loss

    def digest(self) -> list[list[float]]:
        loss = float(self.run())
        norm = gradient_norm(self._model)
        return [[loss, loss], [norm, norm]]


def gradient_norm(model: nn.Module) -> float:
    """Of all parameters' gradients together."""
    return sum(float(p.grad.double().square().sum()) for p in model.parameters() if p.grad is not None) ** 0.5
