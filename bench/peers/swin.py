"""Swin (arXiv 2103.14030) and Slide-Swin (arXiv 2304.04237) in PyTorch, with the official parameter names."""

from __future__ import annotations

from typing import Sequence

from slide import SlideAttention
from torch import Tensor, nn
from torch.nn import functional as F
from window import WindowAttention


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """A pre-norm block: attention, then an MLP, each added to what enters it."""

    def __init__(self, channels: int, attention: nn.Module) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = attention
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels, 4 * channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    """The four tokens of each 2x2 square side by side, normalised, and projected to twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        squares = x.view(batch, height // 2, 2, width // 2, 2, channels).permute(0, 1, 3, 4, 2, 5)
        return self.reduction(self.norm(squares.reshape(batch, height // 2, width // 2, 4 * channels)))


class Stage(nn.Module):
    """Blocks, and a patch merging unless the stage is the last."""

    def __init__(self, blocks: Sequence[Block], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class PatchEmbedding(nn.Module):
    """Patches of 4x4 pixels as tokens: images ``[B, 3, H, W]`` to ``[B, H / 4, W / 4, C]``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, 4, stride=4)
        self.norm = nn.LayerNorm(channels)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.proj(images).flatten(2).transpose(1, 2)).view(
            images.shape[0], images.shape[2] // 4, images.shape[3] // 4, -1
        )


class Swin(nn.Module):
    """Swin; its first ``slide_stages`` stages attend by Slide Attention in place of windows.

    Where a map is no larger than the window, the window is the map and nothing is shifted, as in the official code.
    """

    def __init__(
        self,
        channels: int,
        depths: Sequence[int],
        heads: Sequence[int],
        window: int,
        resolution: int = 224,
        classes: int = 1000,
        slide_stages: int = 0,
        slide_window: int = 3,
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(channels)
        stages = []
        for stage, (depth, stage_heads) in enumerate(zip(depths, heads)):
            width, side = channels << stage, resolution // 4 >> stage
            blocks = []
            for block in range(depth):
                attention: nn.Module
                if stage < slide_stages:
                    attention = SlideAttention(width, stage_heads, slide_window)
                elif side <= window:
                    attention = WindowAttention(width, stage_heads, side)
                else:
                    attention = WindowAttention(width, stage_heads, window, shift=block % 2 * (window // 2))
                blocks.append(Block(width, attention))
            is_last = stage == len(depths) - 1
            stages.append(Stage(blocks, None if is_last else PatchMerging(width)))
        self.layers = nn.ModuleList(stages)
        last = channels << len(depths) - 1
        self.norm = nn.LayerNorm(last)
        self.head = nn.Linear(last, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patch_embed(images)
        for stage in self.layers:
            x = stage(x)
        return self.head(self.norm(x).mean((1, 2)))


def swin_tiny() -> Swin:
    """Swin-T: 28,288,354 parameters."""
    return Swin(96, (2, 2, 6, 2), (3, 6, 12, 24), window=7)


def slide_swin_tiny() -> Swin:
    """Slide-Swin-T, whose later stages attend to their whole maps: 28,348,834 parameters."""
    return Swin(96, (2, 2, 6, 2), (3, 6, 12, 24), window=56, slide_stages=2)
