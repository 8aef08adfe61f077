"""Neighbourhood attention (arXiv 2204.07143, section 3.1) in standard operators: windows of keys and values, gathered."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NeighbourhoodAttention(nn.Module):
    """Every token attends to the window around it, which at the border of the map is moved inwards.

    For head ``n`` and the tokens ``j`` of the window of token ``i``::

        weights[j] = softmax_j(q[i] / sqrt(d) . k[j] + rpb[n, y_j - y_i + window - 1, x_j - x_i + window - 1])
        output = proj(sum_j weights[j] * v[j])

    Maps ``[B, H, W, C]`` to the same shape; both sides have at least ``window`` tokens.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = channels // heads
        self.window = window
        self.qkv = nn.Linear(channels, 3 * channels)
        self.rpb = nn.Parameter(torch.zeros(heads, 2 * window - 1, 2 * window - 1))
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        rows, down = self._side(height, x.device)
        columns, right = self._side(width, x.device)
        token = (self.heads, self.head_width)
        queries, keys, values = self.qkv(x).split(channels, dim=3)
        queries = queries.reshape(batch, height, 1, width, 1, *token) * self.head_width**-0.5
        logits = (queries * self._windows(keys, rows, columns)).sum(6) + self._biases(down, right)
        weights = logits.permute(0, 1, 3, 5, 2, 4).flatten(4).softmax(4)
        weights = weights.view(batch, height, width, self.heads, self.window, self.window).permute(0, 1, 4, 2, 5, 3)
        attended = (weights.unsqueeze(6) * self._windows(values, rows, columns)).sum((2, 4))
        return self.proj(attended.reshape(batch, height, width, channels))

    def _side(self, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Of one side, the places of each token's window and its offsets to them, from 0: ``[length * window]`` each."""
        places = torch.arange(length, device=device)
        first = (places - self.window // 2).clamp(0, length - self.window)
        window = first[:, None] + torch.arange(self.window, device=device)
        return window.flatten(), (window - places[:, None] + self.window - 1).flatten()

    def _windows(self, tokens: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """From ``[B, H, W, C]`` to ``[B, H, window, W, window, heads, d]``."""
        gathered = tokens.index_select(1, rows).index_select(2, columns)
        shape = (rows.numel() // self.window, self.window, columns.numel() // self.window, self.window)
        return gathered.view(tokens.shape[0], *shape, self.heads, self.head_width)

    def _biases(self, down: Tensor, right: Tensor) -> Tensor:
        """``[H, window, W, window, heads]``."""
        biases = self.rpb.index_select(1, down).index_select(2, right)
        return biases.view(self.heads, -1, self.window, right.numel() // self.window, self.window).permute(1, 2, 3, 4, 0)
