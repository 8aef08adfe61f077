"""Runs peers on a device for eng/gpu/bench.sh: requests come as lines of JSON on standard input, each is answered by one line.

``describe``  the libraries' versions and the device
``peaks``     bytes a second of a copy, operations a second of a matrix product
``start``     builds a work under a name, runs it once, and answers its digest; or ``absent``: why it cannot be had here
``time``      runs the work so many times to warm up and so many that count, and answers the milliseconds of those
``release``   forgets all works

The formulations are those of bench/peers, on the device and in the element type that are asked for, and what libraries have
of their own: FlexAttention, NATTEN, timm's Swin. On a CUDA device times are between its events.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any, Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "peers"))

import parameters  # noqa: E402
from neighbourhood import NeighbourhoodAttention  # noqa: E402
from qna import FusedKQnA  # noqa: E402
from qna_vit import qna_vit_tiny  # noqa: E402
from sasa import StandAloneSelfAttention  # noqa: E402
from slide import SlideAttention  # noqa: E402
from swin import slide_swin_tiny, swin_tiny  # noqa: E402

_ELEMENTS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Absent(Exception):
    """What is asked for is not installed here, or this library is too old for it."""


class MergedSlide(SlideAttention):
    """The same with both depthwise convolutions merged into one, channels last: the form that cuDNN is fastest in."""

    def merge(self) -> "MergedSlide":
        with torch.no_grad():
            for field in ("weight", "bias"):
                getattr(self.dep_conv, field).add_(getattr(self.dep_conv1, field))
        self.dep_conv = self.dep_conv.to(memory_format=torch.channels_last)
        return self

    def _sampled(self, planes: Tensor, batch: int) -> Tensor:
        sampled = self.dep_conv(planes.contiguous(memory_format=torch.channels_last))
        return sampled.reshape(batch, self.heads, self.head_width, self.samples, *planes.shape[2:])


class FlexNeighbourhood(NeighbourhoodAttention):
    """The same by FlexAttention: a mask of blocks for the windows, and the biases as a change of the scores."""

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__(channels, heads, window)
        try:
            from torch.nn.attention.flex_attention import create_block_mask, flex_attention
        except ImportError as error:
            raise Absent(f"FlexAttention is not in PyTorch {torch.__version__}") from error
        self._create_mask = create_block_mask
        self._attend = torch.compile(flex_attention)
        self._changes: dict[tuple[int, int], tuple[Any, Any]] = {}

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        parts = self.qkv(x).view(batch, height * width, 3, self.heads, self.head_width).permute(2, 0, 3, 1, 4)
        if (height, width) not in self._changes:
            self._changes[height, width] = self._made_for(height, width, x.device)
        biased, mask = self._changes[height, width]
        attended = self._attend(parts[0], parts[1], parts[2], score_mod=biased, block_mask=mask)
        return self.proj(attended.transpose(1, 2).reshape(batch, height, width, channels))

    def _made_for(self, height: int, width: int, device: torch.device) -> tuple[Any, Any]:
        """The change of the scores and the mask, made once: both are compiled."""
        window, rpb, tokens = self.window, self.rpb, height * width

        def biased(score: Tensor, image: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            # Scores outside the window are computed too, and masked afterwards.
            down = (key // width - query // width + window - 1).clamp(0, 2 * window - 2)
            right = (key % width - query % width + window - 1).clamp(0, 2 * window - 2)
            return score + rpb[head, down, right]

        def near(image: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            top = (query // width - window // 2).clamp(0, height - window)
            left = (query % width - window // 2).clamp(0, width - window)
            down, right = key // width - top, key % width - left
            return (down >= 0) & (down < window) & (right >= 0) & (right < window)

        return biased, self._create_mask(near, None, None, tokens, tokens, device=device)


class NattenNeighbourhood(NeighbourhoodAttention):
    """By NATTEN's fused kernels, which have no position bias: without it."""

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__(channels, heads, window)
        try:
            from natten.functional import na2d
        except ImportError as error:
            raise Absent("NATTEN with fused kernels is not installed") from error
        self._attend = na2d

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        queries, keys, values = (
            part.contiguous() for part in self.qkv(x).view(batch, height, width, 3, self.heads, self.head_width).unbind(3)
        )
        attended = self._attend(queries, keys, values, kernel_size=self.window)
        return self.proj(attended.reshape(batch, height, width, channels))


def timm_swin() -> nn.Module:
    """timm's Swin-T, which attends by scaled-dot-product attention."""
    try:
        import timm
    except ImportError as error:
        raise Absent("timm is not installed") from error
    return timm.create_model("swin_tiny_patch4_window7_224", pretrained=False)


_LAYERS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "slide": SlideAttention,
    "slide-merged": MergedSlide,
    "qna": lambda channels, heads, window: FusedKQnA(channels, channels, heads, window),
    "unfold": StandAloneSelfAttention,
    "neighbourhood": NeighbourhoodAttention,
    "neighbourhood-flex": FlexNeighbourhood,
    "neighbourhood-natten": NattenNeighbourhood,
}
_MODELS: dict[str, Callable[[], nn.Module]] = {
    "slide-swin-tiny": slide_swin_tiny,
    "swin-tiny": swin_tiny,
    "qna-vit-tiny": qna_vit_tiny,
    "swin-tiny-timm": timm_swin,
}
_NAMED_BY_FLAX = ("qna", "qna-vit-tiny")


def built(request: dict[str, Any]) -> nn.Module:
    """The module of a request, with the parameters that ours has."""
    kind = request["kind"]
    if kind in _MODELS:
        module = _MODELS[kind]()
    else:
        module = _LAYERS[kind](request["shape"][-1], request["heads"], request["window"])
    (parameters.fill_as_flax if kind in _NAMED_BY_FLAX else parameters.fill_as_pytorch)(module)
    return module.merge() if isinstance(module, MergedSlide) else module


class PeerWork:
    """A module on an input: forward without gradients, or forward and backward to the input and every parameter."""

    def __init__(self, request: dict[str, Any], device: torch.device) -> None:
        element, self._training = _ELEMENTS[request["element"]], request["training"]
        module = built(request).to(device, element).train(self._training)
        if request["compiled"]:
            if not hasattr(torch, "compile"):
                raise Absent(f"torch.compile is not in PyTorch {torch.__version__}")
            module = torch.compile(module)
        self._module = module
        self._x = from_counter("input", request["shape"]).to(device, element)
        if self._training:
            self._x.requires_grad_()
            self._cotangent = from_counter("cotangent", request["shape"]).to(device, element)

    def run(self) -> Tensor:
        if not self._training:
            with torch.no_grad():
                return self._module(self._x)
        self._module.zero_grad(set_to_none=True)
        self._x.grad = None
        output: Tensor = self._module(self._x)
        output.backward(self._cotangent)
        return output

    def digest(self) -> list[list[float]]:
        """As ours: products with fixed numbers, and the sizes that their errors are relative to."""
        output = self.run()
        if not self._training:
            return [projected(output, "output")]
        assert self._x.grad is not None
        squares = (p.grad.double().square().sum() for p in self._module.parameters() if p.grad is not None)
        norm = float(sum(squares)) ** 0.5
        return [projected(output, "output"), projected(self._x.grad, "gradient"), [norm, norm]]


def from_counter(name: str, shape: list[int]) -> Tensor:
    return torch.from_numpy(parameters.counter(name, tuple(shape))).float()


def projected(values: Tensor, name: str) -> list[float]:
    """A tensor's product with fixed numbers, and its norm."""
    exact = values.detach().double()
    directions = from_counter(name, list(values.shape)).to(exact)
    return [float((exact * directions).sum()), float(exact.norm())]


def milliseconds(run: Callable[[], object], warm_ups: int, repetitions: int, device: torch.device) -> list[float]:
    """How long each run takes: between events on a CUDA device, by the clock elsewhere."""
    for _ in range(warm_ups):
        run()
    if device.type != "cuda":
        times = []
        for _ in range(repetitions):
            begin = time.perf_counter()
            run()
            times.append(1000 * (time.perf_counter() - begin))
        return times
    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repetitions)]
    torch.cuda.synchronize()
    for begin_event, end_event in events:
        begin_event.record()
        run()
        end_event.record()
    torch.cuda.synchronize()
    return [begin_event.elapsed_time(end_event) for begin_event, end_event in events]


def peaks(device: torch.device) -> dict[str, float]:
    """A copy that no cache holds, and a large product in bfloat16; small ones in float32 on a processor. The best of some."""
    on_device = device.type == "cuda"
    numbers, side = (1 << 30, 8192) if on_device else (1 << 24, 1024)
    element = torch.bfloat16 if on_device else torch.float32
    source = torch.ones(numbers, device=device, dtype=element)
    target = torch.empty_like(source)
    left, right = (torch.randn(side, side, device=device, dtype=element) for _ in range(2))
    copied = min(milliseconds(lambda: target.copy_(source), 3, 20, device))
    product = min(milliseconds(lambda: torch.mm(left, right), 3, 20, device))
    return {
        "bytes_per_second": 2 * numbers * source.element_size() / copied * 1000,
        "operations_per_second": 2 * side**3 / product * 1000,
    }


class Server:
    """Holds works by their names."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._works: dict[str, PeerWork] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "describe":
                return describe(self._device)
            case "peaks":
                return peaks(self._device)
            case "start":
                work = PeerWork(request, self._device)
                digest = work.digest()
                self._works[request["name"]] = work
                return {"digest": digest}
            case "time":
                work = self._works[request["name"]]
                return {"milliseconds": milliseconds(work.run, request["warm_ups"], request["repetitions"], self._device)}
            case "release":
                self.release()
                return {}
            case other:
                raise ValueError(f"there is no request '{other}'")

    def release(self) -> None:
        self._works.clear()
        if hasattr(torch, "compiler"):
            torch.compiler.reset()
        self.tidy()

    def tidy(self) -> None:
        """Gives back the memory of what is no more."""
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def describe(device: torch.device) -> dict[str, Any]:
    """What the results are headed with."""
    installed = {}
    for name in ("timm", "natten", "triton"):
        try:
            installed[name] = str(__import__(name).__version__)
        except (ImportError, AttributeError):
            continue
    on_device = device.type == "cuda"
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "",
        "device": torch.cuda.get_device_name(device) if on_device else "the processor",
        "libraries": installed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Peers of eng/gpu/bench.sh.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    server = Server(torch.device(parser.parse_args().device))
    # What libraries print belongs beside the answers, not among them.
    answers, sys.stdout = sys.stdout, sys.stderr
    # Convolutions in float32 are float32's, as ours are.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    for line in sys.stdin:
        try:
            answer = server.answer(json.loads(line))
        except Absent as absent:
            answer = {"absent": str(absent)}
        except Exception as error:  # the other side says it, with the request that led to it
            answer = {"error": f"{type(error).__name__}: {error}"}
            server.tidy()
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
