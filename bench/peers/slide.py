"""Slide Attention in its official formulation (arXiv 2304.04237): two depthwise convolutions, everything stored."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SlideAttention(nn.Module):
    """Local attention whose keys and values are shifted, and deformed, by depthwise convolutions.

    With ``C = heads * d`` channels, and ``j`` one of the ``window ** 2`` samples of a token's neighbourhood::

        keys[c, j] = dep_conv(K)[c, j] + dep_conv1(K)[c, j]         values alike
        weights[j] = softmax_j(sum_c scale * q[c] * (keys[c, j] + bias[head, j]))
        output = proj(sum_j weights[j] * values[c, j])

    Maps ``[B, H, W, C]`` to the same shape. Parameters have the official names and shapes.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window: int = 3,
        padding_mode: str = "zeros",
        qkv_bias: bool = True,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = channels // heads
        self.samples = window * window
        self.scale = self.head_width**-0.5 if scale is None else scale
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.proj = nn.Linear(channels, channels)
        self.dep_conv = self._depthwise(window, padding_mode)
        self.dep_conv1 = self._depthwise(window, padding_mode)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(1, heads, 1, self.samples, 1, 1))
        shifts = torch.eye(self.samples).view(self.samples, 1, window, window)
        self.dep_conv.weight.data = shifts.repeat(self.head_width, 1, 1, 1)
        self.dep_conv.weight.requires_grad = False

    def _depthwise(self, window: int, padding_mode: str) -> nn.Conv2d:
        return nn.Conv2d(
            self.head_width,
            self.head_width * self.samples,
            window,
            padding=window // 2,
            groups=self.head_width,
            padding_mode=padding_mode,
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        planes = self.qkv(x).permute(0, 3, 1, 2).reshape(batch * self.heads, 3 * self.head_width, height, width)
        queries, keys, values = planes.split(self.head_width, dim=1)
        queries = (queries * self.scale).reshape(batch, self.heads, self.head_width, 1, height, width)
        keys = self._sampled(keys, batch) + self.relative_position_bias_table
        values = self._sampled(values, batch)
        weights = (queries * keys).sum(2, keepdim=True).softmax(3)
        attended = (weights * values).sum(3).reshape(batch, channels, height, width)
        return self.proj(attended.permute(0, 2, 3, 1))

    def _sampled(self, planes: Tensor, batch: int) -> Tensor:
        """From ``[B * heads, d, H, W]`` to ``[B, heads, d, samples, H, W]``."""
        sampled = self.dep_conv(planes) + self.dep_conv1(planes)
        return sampled.reshape(batch, self.heads, self.head_width, self.samples, *planes.shape[2:])
