"""Window attention in its official formulation (arXiv 2103.14030): shifted windows, relative bias, mask."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WindowAttention(nn.Module):
    """Self-attention within windows of ``window x window`` tokens, shifted by half a window if asked for.

    ``softmax(q k' / sqrt(d) + bias + mask) v`` in each window and head; the mask keeps apart what the shift brings
    together. Maps ``[B, H, W, C]`` to the same shape; the window divides both sides.

    ``head_major``: the order of the ``3 C`` columns of ``qkv``: by head, and in it q, k, v, as the official QnA code has
    it; otherwise q, k, v, and in each by head, as Swin has it.
    """

    def __init__(
        self, channels: int, heads: int, window: int, shift: int = 0, head_major: bool = False, bias: bool = True
    ) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.shift = shift
        self.head_major = head_major
        self.scale = (channels // heads) ** -0.5
        self.qkv = nn.Linear(channels, 3 * channels, bias=bias)
        self.proj = nn.Linear(channels, channels, bias=bias)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("index", _relative_position_index(window), persistent=False)
        self._masks: dict[tuple[int, int], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        if self.shift > 0:
            x = x.roll((-self.shift, -self.shift), (1, 2))
        x = self._merge(self._attend(self._split(x), self._mask(height, width)), height, width)
        if self.shift > 0:
            x = x.roll((self.shift, self.shift), (1, 2))
        return x

    def _attend(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """Attention among the tokens of each window: ``[windows, N, C]`` to the same shape."""
        count, tokens, channels = windows.shape
        qkv = self.qkv(windows)
        if self.head_major:
            queries, keys, values = qkv.view(count, tokens, self.heads, 3, -1).permute(3, 0, 2, 1, 4)
        else:
            queries, keys, values = qkv.view(count, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        logits = (queries * self.scale) @ keys.transpose(-2, -1)
        bias = self.relative_position_bias_table[self.index].view(tokens, tokens, self.heads)
        logits = logits + bias.permute(2, 0, 1)
        if mask is not None:
            images = count // mask.shape[0]
            logits = logits.view(images, mask.shape[0], self.heads, tokens, tokens) + mask.unsqueeze(1)
            logits = logits.view(count, self.heads, tokens, tokens)
        attended = (logits.softmax(-1) @ values).transpose(1, 2).reshape(count, tokens, channels)
        return self.proj(attended)

    def _split(self, x: Tensor) -> Tensor:
        """From ``[B, H, W, C]`` to ``[B * windows, window ** 2, C]``."""
        batch, height, width, channels = x.shape
        side = self.window
        x = x.view(batch, height // side, side, width // side, side, channels)
        return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, side * side, channels)

    def _merge(self, windows: Tensor, height: int, width: int) -> Tensor:
        side = self.window
        x = windows.view(-1, height // side, width // side, side, side, windows.shape[-1])
        return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, windows.shape[-1])

    def _mask(self, height: int, width: int) -> Tensor | None:
        """``[windows, N, N]``: 0 between tokens that were neighbours before the shift, -100 between others."""
        if self.shift == 0:
            return None
        if (height, width) not in self._masks:
            regions = torch.zeros(1, height, width, 1)
            bounds = (slice(0, -self.window), slice(-self.window, -self.shift), slice(-self.shift, None))
            for region, (rows, columns) in enumerate((a, b) for a in bounds for b in bounds):
                regions[:, rows, columns, :] = region
            of_window = self._split(regions).squeeze(-1)
            apart = of_window.unsqueeze(1) != of_window.unsqueeze(2)
            mask = torch.zeros(apart.shape).masked_fill(apart, -100.0)
            self._masks[height, width] = mask.to(self.relative_position_bias_table)
        return self._masks[height, width]


def _relative_position_index(window: int) -> Tensor:
    """The bias table's row for each pair of a window's tokens, flat: ``[N * N]``."""
    row, column = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    places = torch.stack((row.flatten(), column.flatten()))
    rows, columns = places.unsqueeze(2) - places.unsqueeze(1) + window - 1
    return (rows * (2 * window - 1) + columns).flatten()
