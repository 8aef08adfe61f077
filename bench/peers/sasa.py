"""Stand-alone self-attention (arXiv 1906.05909) as it is usually written: windows of keys and values, unfolded."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class StandAloneSelfAttention(nn.Module):
    """Every token's own query attends to the keys and values of its window.

    For head ``n`` and offset ``j`` in the window, with zeros outside the map::

        weights[j] = softmax_j(q / sqrt(d) . (k[j] + position[j]))
        output = proj(sum_j weights[j] * v[j])

    ``position`` is the paper's: the first half of a head's channels depends on the row offset, the rest on the column.
    Maps ``[B, H, W, C]`` to the same shape.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = channels // heads
        self.window = window
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.proj = nn.Linear(channels, channels, bias=False)
        half = self.head_width // 2
        self.rows = nn.Parameter(torch.randn(heads, half, window, 1))
        self.columns = nn.Parameter(torch.randn(heads, self.head_width - half, 1, window))

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        queries, keys, values = self.qkv(x).permute(0, 3, 1, 2).split(channels, dim=1)
        queries = queries.reshape(batch, self.heads, self.head_width, 1, height * width) * self.head_width**-0.5
        logits = (queries * (self._windows(keys) + self._position())).sum(2, keepdim=True)
        attended = (logits.softmax(3) * self._windows(values)).sum(3)
        return self.proj(attended.reshape(batch, channels, height, width).permute(0, 2, 3, 1))

    def _windows(self, planes: Tensor) -> Tensor:
        """From ``[B, C, H, W]`` to ``[B, heads, d, window ** 2, H * W]``."""
        unfolded = F.unfold(planes, self.window, padding=self.window // 2)
        return unfolded.view(planes.shape[0], self.heads, self.head_width, self.window**2, -1)

    def _position(self) -> Tensor:
        """``[heads, d, window ** 2, 1]``."""
        rows = self.rows.expand(-1, -1, -1, self.window)
        columns = self.columns.expand(-1, -1, self.window, -1)
        return torch.cat((rows, columns), dim=1).flatten(2).unsqueeze(-1)
