"""Query-and-attend in its official formulation (arXiv 2112.11435): exponentials, products, depthwise convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FusedKQnA(nn.Module):
    """Attention by learned queries that all windows share.

    With ``q`` the normalised queries over ``sqrt(d)``, ``S = x (Wk q)`` and ``V = to_v(x)``, the softmax over each window
    is a ratio of two convolutions, whose kernels hold the position bias ``P`` and the scale ``A``::

        y = sum over queries of  conv(exp(S) * V, exp(P) * A) / conv(exp(S), exp(P))
        output = to_out(y)

    As in the official code, scores are exponentiated as they are. Maps ``[B, H, W, C_in]`` to ``[B, H', W', C_out]``.
    Parameters have the official names; the linear layers hold their kernels transposed, as PyTorch does.
    """

    def __init__(
        self,
        in_channels: int,
        features: int,
        heads: int,
        window: int = 3,
        stride: int = 1,
        queries: int = 2,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = features // heads
        self.window = window
        self.stride = stride
        self.padding = window // 2 if padding is None else padding
        self.query = nn.Parameter(torch.randn(queries, features) * self.head_width**-0.5)
        self.Wk = nn.Parameter(torch.randn(in_channels, features) * in_channels**-0.5)
        self.to_v = nn.Linear(in_channels, features, bias=False)
        self.to_out = nn.Linear(features, features, bias=False)
        self.attn_scale_weights = nn.Parameter(torch.randn(1, 1, window * window, queries * heads) * 0.02)
        self.rpe_bias = nn.Parameter(torch.zeros(window * window, queries * heads))

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, in_channels = x.shape
        queries = self.query.view(-1, self.heads, self.head_width)
        queries = queries / (queries.norm(dim=-1, keepdim=True) + 1e-6) / self.head_width**0.5
        keys_of_queries = torch.einsum("qhd,chd->qhc", queries, self.Wk.view(in_channels, self.heads, self.head_width))
        costs = F.linear(x, keys_of_queries.flatten(0, 1)).exp()
        values = self.to_v(x).view(batch, height, width, 1, self.heads, self.head_width)
        weighted = costs.view(batch, height, width, -1, self.heads, 1) * values

        position = self.rpe_bias.exp()
        scaled = position * self.attn_scale_weights.view(position.shape)
        numerators = self._window_sums(weighted.flatten(3), scaled.repeat_interleave(self.head_width, dim=1))
        denominators = self._window_sums(costs, position)
        sums = numerators.view(*numerators.shape[:3], -1, self.heads, self.head_width)
        ratios = sums / denominators.view(*sums.shape[:-1], 1)
        return self.to_out(ratios.sum(3).flatten(3))

    def _window_sums(self, tokens: Tensor, table: Tensor) -> Tensor:
        """Sums over windows of tokens ``[B, H, W, F]``, weighted by a table ``[window ** 2, F]``."""
        features = tokens.shape[-1]
        kernel = table.t().reshape(features, 1, self.window, self.window)
        planes = tokens.permute(0, 3, 1, 2)
        sums = F.conv2d(planes, kernel, stride=self.stride, padding=self.padding, groups=features)
        return sums.permute(0, 2, 3, 1)
