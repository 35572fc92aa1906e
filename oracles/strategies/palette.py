"""The few shapes that a campaign's programs are drawn with.

They are few because JAX compiles every operation anew for every new shape.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Palette:
    """The shapes of a campaign: 0-d, zero-size, rows, columns, vectors, matrices and a stack."""

    shapes: tuple[Shape, ...]

    @classmethod
    def of(cls, seed: int) -> Palette:
        """Two lengths chosen by the seed, in every arrangement worth trying."""
        n, m = random.Random(seed).sample((2, 3, 4), 2)
        return cls(((n, m), (m,), (), (m, m), (m, n), (n,), (1, m), (n, 1), (1,), (2, n, m), (0,), (0, m)))

    @property
    def results(self) -> tuple[Shape, ...]:
        """What steps may result in: the same, what joining vectors or cutting a stack gives, what few ask for."""
        (n, m) = self.shapes[0]
        return (*self.shapes, (2 * m,), (2, m), (2, n, 1), (2, m, 1), *self.rare)

    @property
    def certain(self) -> tuple[Shape, ...]:
        """What inputs are drawn from for a function that a case must contain: all that any function fits."""
        return (*self.common, *self.rare, *(shape for shape in self.shapes if 0 in shape))

    @property
    def common(self) -> tuple[Shape, ...]:
        """The few of these that most of its inputs have."""
        (n, m) = self.shapes[0]
        return ((n, m), (m,), (), (m, m))

    @property
    def narrow(self) -> Palette:
        """These few alone: where numbers matter and shapes do not."""
        return Palette(self.common)

    @property
    def rare(self) -> tuple[Shape, ...]:
        (n, m) = self.shapes[0]
        return ((2, m, m), (1, m), (2, n, m), (3,), (n, 3))

    @property
    def inputs(self) -> tuple[Shape, ...]:
        """What inputs are drawn from: zero-size arrays are worth a try, but prove little."""
        return tuple(s for s in self.shapes for _ in range(1 if 0 in s else 8 if s in self.common else 3))


def broadcastable(*shapes: Shape) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def stretches_to(shape: Shape, wide: Shape) -> bool:
    return broadcastable(shape, wide) and np.broadcast_shapes(shape, wide) == wide
