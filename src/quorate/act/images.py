"""Images as numbers, and a small residual network that learns from them [he2016] (PyTorch, trained from scratch)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from quorate.act.losses import ACTLoss
from quorate.errors import DataError, MissingExtraError

Array = np.ndarray
Progress = Callable[[float, str], None]
SIDE = 32  # pixels of an image that is no array
WIDTHS = (32, 64)  # channels of the stages
EPOCHS, BATCH, RATE, DECAY = 30, 64, 3e-3, 1e-2
SHIFT = 1  # pixels by which images are moved while training
MOST_GRADIENT = 1.0  # its norm: weights of rare reviews can be large


def pixels(
    images: Sequence[Path | Array], side: int | None = None, channels: int | None = None
) -> Float32[Array, "items channels rows columns"]:
    """Values from 0 to 1; grey images have one channel where all of them are arrays without colors."""
    found = [_opened(each, side or SIDE) if isinstance(each, Path) else _framed(each) for each in images]
    shapes = {each.shape for each in found}
    if len(shapes) > 1 or any(shape[1] != shape[2] for shape in shapes):
        raise DataError(
            f"images of different sizes: {sorted(shapes)[:3]}", mend="give files, or square arrays of one size"
        )
    if (side, channels) != (None, None) and shapes and next(iter(shapes))[:2] != (channels, side):
        raise DataError(
            f"images of {next(iter(shapes))} for a student of {channels} x {side} x {side}",
            mend="give images as trained",
        )
    return (
        np.stack(found).astype(np.float32) if found else np.zeros((0, channels or 1, side or 1, side or 1), np.float32)
    )


def _framed(image: Array) -> Array:
    return image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)


def _opened(path: Path, side: int) -> Array:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("pillow", "local") from None
    try:
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
            return np.moveaxis(np.asarray(small, np.float32) / 255.0, -1, 0)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"no image that can be read ({error})", mend="leave it out, or save it anew",
                        source=str(path)) from None  # fmt: skip


def residual_network(channels: int, n_classes: int) -> Any:
    """A stem, two residual stages of two convolutions each, and a linear layer on the mean of what is left."""
    nn = torch_module().nn

    class Stage(nn.Module):
        def __init__(self, before: int, after: int) -> None:
            super().__init__()
            self.path = nn.Sequential(
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(),
                nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after),
            )  # fmt: skip
            self.short = nn.Conv2d(before, after, 1, stride=2, bias=False)

        def forward(self, x: Any) -> Any:
            return nn.functional.relu(self.path(x) + self.short(x))

    first, second = WIDTHS
    return nn.Sequential(
        nn.Conv2d(channels, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.ReLU(),
        Stage(first, first), Stage(first, second), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(second, n_classes),
    )  # fmt: skip


def learn_images(
    network: Any, parts: list[Any], loss: ACTLoss, rng: np.random.Generator, epochs: int, progress: Progress | None
) -> None:
    """AdamW with one cycle of the rate; batches in random order, images moved by a pixel."""
    torch = torch_module()
    n = len(parts[0])
    batches = max(n // BATCH, 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * batches)
    network.train()
    for epoch in range(epochs):
        for index in np.array_split(rng.permutation(n), batches):
            x, machine, human, weight = (part[torch.as_tensor(index, device=part.device)] for part in parts)
            moved = torch.roll(x, tuple(rng.integers(-SHIFT, SHIFT + 1, 2).tolist()), dims=(2, 3))
            optimizer.zero_grad()
            loss(network(moved), machine, human, weight).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), MOST_GRADIENT)
            optimizer.step()
            schedule.step()
        if progress is not None:
            progress((epoch + 1) / epochs, f"epoch {epoch + 1} of {epochs}")


def torch_module() -> Any:
    """PyTorch. Raises MissingExtraError without it."""
    try:
        import torch
    except ImportError:
        raise MissingExtraError("torch", "local") from None
    return torch


def device() -> str:
    """Where the network works: on an accelerator if there is one."""
    return "cuda" if torch_module().cuda.is_available() else "cpu"
