"""A few places of a problem in one input: exact for functions that are straight lines between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..certificate.knot_penalty import Places
from ..points import Index, Mask

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Mesh:
    """sum w (y - f)^2 / 2 = sum_t f_t' M_t f_t / 2 - r_t' f_t + `squares` of the values f (m, T) at x (m,),
    increasing.

    at : (m,) where they stand among all places.
    diagonal, beside : (m, T), (m - 1, T) the bands of M.
    pull : (m, T) r.   squares : sum w y^2 / 2.
    charged, forced : (m,) where a bend costs the penalty, and where it is free; none is elsewhere.
    """

    at: Index
    x: Array
    diagonal: Array
    beside: Array
    pull: Array
    squares: float
    charged: Mask
    forced: Mask

    @classmethod
    def of(cls, places: Places, at: Index) -> Mesh:
        """`at` (m,) holds the first and the last place and all forced ones."""
        x, n_tasks = places.x[at], places.points.n_tasks
        cell = np.minimum(np.searchsorted(at, np.arange(len(places.x)), side="right") - 1, len(at) - 2)
        share = ((places.x - x[cell]) / np.diff(x)[cell])[:, None]
        w = np.broadcast_to(places.root**2, places.y.shape)

        def sums(rows: Array) -> Array:
            return np.add.reduceat(rows, at[:-1], axis=0)

        near, far = w * (1.0 - share), w * share
        diagonal, pull = np.zeros((len(x), n_tasks)), np.zeros((len(x), n_tasks))
        diagonal[:-1] += sums(near * (1.0 - share))
        diagonal[1:] += sums(far * share)
        pull[:-1] += sums(near * places.y)
        pull[1:] += sums(far * places.y)
        forced = np.isin(at, places.forced)
        squares = 0.5 * float(np.sum(w * places.y * places.y))
        return cls(at, x, diagonal, sums(near * share), pull, squares, places.open[at], forced)

    def gradient(self, f: Array) -> Array:
        """M f - r."""
        out = self.diagonal * f - self.pull
        out[:-1] += self.beside * f[1:]
        out[1:] += self.beside * f[:-1]
        return out

    def loss(self, f: Array) -> float:
        """sum w (y - f)^2 / 2."""
        return self.squares + 0.5 * float(np.sum((self.gradient(f) - self.pull) * f))

    def lines(self) -> Array:
        """(m, T) the least-squares lines."""
        centred = (self.x - self.x.mean()) / (self.x[-1] - self.x[0])
        basis = np.stack([np.ones_like(centred), centred])
        images = [self.gradient(np.broadcast_to(one[:, None], self.pull.shape)) + self.pull for one in basis]
        gram = np.stack([(basis @ image).T for image in images], axis=2)
        right = (basis @ self.pull).T
        return basis.T @ (np.linalg.pinv(gram, rcond=1e-12) @ right[:, :, None])[:, :, 0].T
