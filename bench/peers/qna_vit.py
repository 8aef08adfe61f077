"""QnA-ViT (arXiv 2112.11435) in PyTorch, its modules named as the official Flax code names them."""

from __future__ import annotations

from typing import Sequence

from qna import FusedKQnA
from torch import Tensor, nn
from torch.nn import functional as F
from window import WindowAttention

EPSILON = 1e-6
"""Of Flax's layer norms."""


class MlpBlock(nn.Module):
    """Two linear layers with a GELU, in its tanh approximation, between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.Dense_0 = nn.Linear(channels, 4 * channels)
        self.Dense_1 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.Dense_1(F.gelu(self.Dense_0(x), approximate="tanh"))


class LocalBlock(nn.Module):
    """A pre-norm block with window attention."""

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.LayerNorm_0 = nn.LayerNorm(channels, EPSILON)
        self.MultiHeadSelfAttention_0 = WindowAttention(channels, heads, window, head_major=True, bias=False)
        self.LayerNorm_1 = nn.LayerNorm(channels, EPSILON)
        self.MlpBlock_0 = MlpBlock(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.MultiHeadSelfAttention_0(self.LayerNorm_0(x))
        return x + self.MlpBlock_0(self.LayerNorm_1(x))


class QnABlock(nn.Module):
    """A pre-norm block with QnA; one of stride 2 doubles the channels, and a 1x1 convolution skips it."""

    def __init__(self, channels: int, heads: int, window: int, stride: int = 1) -> None:
        super().__init__()
        features = channels * stride
        self.LayerNorm_0 = nn.LayerNorm(channels, EPSILON)
        self.FusedKQnA_0 = FusedKQnA(channels, features, heads, window, stride)
        self.Conv_0 = nn.Conv2d(channels, features, 1, stride, bias=False) if stride > 1 else None
        self.LayerNorm_1 = nn.LayerNorm(features, EPSILON)
        self.MlpBlock_0 = MlpBlock(features)

    def forward(self, x: Tensor) -> Tensor:
        around = x if self.Conv_0 is None else self.Conv_0(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = around + self.FusedKQnA_0(self.LayerNorm_0(x))
        return x + self.MlpBlock_0(self.LayerNorm_1(x))


class Stem(nn.Module):
    """Patches of 4x4 pixels as tokens."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_1x1 = nn.Conv2d(3, channels, 4, stride=4, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv_1x1(images).permute(0, 2, 3, 1).contiguous()


class Head(nn.Module):
    """Norm, mean over the map, classes."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.LayerNorm_0 = nn.LayerNorm(channels, EPSILON)
        self.head_logits = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head_logits(self.LayerNorm_0(x).mean((1, 2)))


class QnAViT(nn.Module):
    """In each stage window attention, then QnA; between stages QnA of stride 2. Names of lists as in the official code."""

    def __init__(
        self,
        base_dim: int,
        qna_heads: Sequence[int],
        qna_layers: Sequence[int],
        qna_receptive_field: Sequence[int],
        lsa_layers: Sequence[int],
        lsa_window: Sequence[int],
        lsa_heads: Sequence[int],
        classes: int = 1000,
    ) -> None:
        super().__init__()
        self.StemBlock_0 = Stem(base_dim)
        self._stages: list[list[nn.Module]] = []
        stages = len(qna_heads)
        for stage in range(stages):
            channels, window, heads = base_dim << stage, qna_receptive_field[stage], qna_heads[stage]
            local = {
                f"MSA_Block_{block + 1}": LocalBlock(channels, lsa_heads[stage], lsa_window[stage])
                for block in range(lsa_layers[stage])
            }
            qna = {f"QnA_Block_{block + 1}": QnABlock(channels, heads, window) for block in range(qna_layers[stage])}
            if stage < stages - 1:
                qna[f"QnA_Block_{len(qna) + 1}_stride_2"] = QnABlock(channels, 2 * heads, window, stride=2)
            self._stages.append([*local.values(), *qna.values()])
            for name, blocks in ((f"LSAStage_{stage}", local), (f"QnAStage_{stage}", qna)):
                if blocks:
                    self.add_module(name, nn.ModuleDict(blocks))
        self.ClassificationHead_0 = Head(base_dim << stages - 1, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.StemBlock_0(images)
        for stage in self._stages:
            for block in stage:
                x = block(x)
        return self.ClassificationHead_0(x)


def qna_vit_tiny() -> QnAViT:
    """QnA-ViT-T: 15,715,560 parameters."""
    return QnAViT(64, (8, 16, 32, 64), (2, 3, 2, 0), (3, 3, 3, 3), (0, 0, 4, 2), (7, 7, 14, 7), (2, 4, 8, 16))
