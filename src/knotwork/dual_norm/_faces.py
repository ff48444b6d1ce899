"""The faces of a central arrangement of hyperplanes {y_j . u = 0}, each of them once.

A flat is the intersection of some hyperplanes; `zero` holds every normal that vanishes on it, so that
degenerate data (three points of a line, a grid) need no general position. Flats are found from the whole
space down, one normal at a time. Faces are found the other way: the rays of the arrangement are
read off the flats of dimension one, and a face is a side of each of its facets. In a flat S that covers S',
what S' adds vanishes along one direction only, so that a face in S' borders two in S:
every normal of S' not in S is positive on one and negative on the other, or the reverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from ._clock import heed

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.uint64]
MOST_NORMALS = 63
_WORK = 1 << 21
_FACES = 1 << 12
_STEPS = (0.3, 0.2, 0.1, 0.0)


class NotEnumerable(ValueError):
    """The faces are too many, or the data so nearly degenerate that float64 cannot tell them apart."""


@dataclass(frozen=True, eq=False)
class Flats:
    """Flats of one rank, n of them.

    zero : (n,) masks of the normals that vanish on each.
    basis : (n, m, k) orthonormal coordinates.
    first : (n + 1,) where the covers of each begin: flats `parent` (c,) of one dimension more, on which
        the normals `plus` (c,) increase along `across` (c, m) and `minus` (c,) decrease.
    """

    zero: Mask
    basis: Array
    first: Index
    parent: Index
    plus: Mask
    minus: Mask
    across: Array


@dataclass(frozen=True, eq=False)
class Level:
    """Faces of one dimension, F of them, in the order of their flats.

    flat : (F,) the flat of each.  active : (F,) masks of the normals that are positive.
    first : (F + 1,) where the facets of each begin in `facet` (c,), faces of one dimension less.
    turned : (c,) -1 where the facet is the opposite of the face held, else 1.
    """

    flat: Index
    active: Mask
    first: Index
    facet: NDArray[np.int32]
    turned: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.flat)


def pack(bits: NDArray[np.bool_]) -> Mask:
    """(...,) masks of (..., M) booleans, M <= 64."""
    padded = np.zeros((*bits.shape[:-1], 64), dtype=bool)
    padded[..., : bits.shape[-1]] = bits
    return np.packbits(padded, axis=-1, bitorder="little").view("<u8")[..., 0].astype(np.uint64)


def unpack(masks: Mask, n: int) -> NDArray[np.bool_]:
    """(..., n) booleans of (...,) masks."""
    octets = np.ascontiguousarray(masks.astype("<u8"))[..., None].view(np.uint8)
    return np.unpackbits(octets, axis=-1, bitorder="little")[..., :n].astype(bool)


def merge_parallel(Y: Array, tol: float) -> tuple[Array, Index, Array]:
    """(normals (M, m), which (n,), sign (n,)) of unit rows Y: Y_i = sign_i normals_which_i."""
    which = np.full(len(Y), -1)
    sign = np.ones(len(Y))
    lead: list[int] = []
    left = np.arange(len(Y))
    while len(left):
        if len(lead) == MOST_NORMALS:
            raise NotEnumerable(
                f"more than {MOST_NORMALS} distinct points: their faces are not enumerated; use a search"
            )
        normal = Y[left[0]]
        side = np.where(Y[left] @ normal < 0, -1.0, 1.0)
        near = np.linalg.norm(Y[left] * side[:, None] - normal, axis=1) <= tol
        near[0] = True
        which[left[near]] = len(lead)
        sign[left[near]] = side[near]
        lead.append(int(left[0]))
        left = left[~near]
    return Y[lead], which, sign


def enumerate_faces(
    Y: Array, least_rank: int, max_faces: int, symmetric: bool
) -> tuple[list[Flats], list[Level]]:
    """Flats of each rank 0 .. m - 1, and faces of each rank from `least_rank` on, of unit normals
    Y (M, m) that span R^m, no two parallel.

    symmetric : one of each pair of opposite faces.

    Raises
    ------
    NotEnumerable : beyond `max_faces`, or where at no tolerance the faces fit together.
    """
    for tol in (1e-10, 1e-8, 1e-12):
        flats = _all_flats(Y, tol, least_rank, max_faces * (2 if symmetric else 1))
        levels = _all_faces(Y, flats, least_rank, max_faces, symmetric) if flats else None
        if flats and levels:
            return flats, levels
    raise NotEnumerable(
        "the inputs are too nearly degenerate for float64 to tell their faces apart; round them, or search"
    )


def _too_many(max_faces: int) -> NotEnumerable:
    return NotEnumerable(f"more than max_faces = {max_faces:,} faces; raise max_faces, or search")


def _all_flats(Y: Array, tol: float, least_rank: int, max_faces: int) -> list[Flats] | None:
    m = Y.shape[1]
    none = np.zeros(0, dtype=np.intp)
    signs = np.zeros(0, dtype=np.uint64)
    zero = np.zeros(1, dtype=np.uint64)
    flats = [Flats(zero, np.eye(m)[None], np.zeros(2, dtype=np.intp), none, signs, signs, np.zeros((0, m)))]
    least = 0
    for rank in range(m):
        # a flat of dimension k is cut into 2^k cells or more
        least += len(flats[-1].zero) * 2 ** (m - rank) if rank >= least_rank else 0
        if least > max_faces:
            raise _too_many(max_faces)
        if rank < m - 1:
            flats.append(_covered(Y, flats[-1], tol, max_faces))
            if len(flats[-1].zero) == 0:
                return None
    return flats


def _covered(Y: Array, above: Flats, tol: float, max_faces: int) -> Flats:
    """The flats that one more normal makes of those above."""
    M, _ = Y.shape
    n, _, k = above.basis.shape
    step = max(1, _WORK // (M * M * k))
    parts, count = [], 0
    for low in range(0, n, step):
        heed()
        zero = unpack(above.zero[low : low + step], M)
        parts.append(_cut(Y, above.basis[low : low + step], zero, tol, low))
        count += len(parts[-1][0])
        if count > max_faces:
            raise _too_many(max_faces)
    parent, zero, plus, minus, direction, length = (np.concatenate(p) for p in zip(*parts, strict=True))
    zeros, which = np.unique(zero, return_inverse=True)
    # the longest remainder gives the most accurate basis
    order = np.lexsort((-length, which))
    which, parent, direction = which[order], parent[order], direction[order]
    first = np.searchsorted(which, np.arange(len(zeros) + 1))
    basis = _without(above.basis[parent[first[:-1]]], direction[first[:-1]])
    across = np.einsum("cmk,ck->cm", above.basis[parent], direction)
    return Flats(zeros, basis, first, parent, plus[order], minus[order], across)


def _cut(
    Y: Array, basis: Array, zero: NDArray[np.bool_], tol: float, start: int
) -> tuple[Index, Mask, Mask, Mask, Array, Array]:
    """Each flat cut by each normal, once for each flat that results: which flat, what vanishes now,
    what increased and what decreased along the unit direction that was lost (c, k), and the length of the
    normal within the flat."""
    inside = Y @ basis
    flat, added = np.nonzero(~zero)
    length = np.linalg.norm(inside, axis=2)[flat, added]
    direction = inside[flat, added] / length[:, None]
    along = np.einsum("pmk,pk->pm", inside[flat], direction)
    rest = inside[flat] - along[:, :, None] * direction[:, None, :]
    fresh = np.einsum("pmk,pmk->pm", rest, rest) <= tol * tol
    fresh[np.arange(len(flat)), added] = True
    fresh &= ~zero[flat]
    new = pack(fresh)
    # the longest of the normals that make the same flat comes first
    order = np.lexsort((-length, new, flat))
    same = (new[order][1:] == new[order][:-1]) & (flat[order][1:] == flat[order][:-1])
    one = order[np.concatenate([[True], ~same])]
    vanish = new[one] | pack(zero)[flat[one]]
    plus, minus = pack(fresh[one] & (along[one] > 0)), pack(fresh[one] & (along[one] < 0))
    return flat[one] + start, vanish, plus, minus, direction[one], length[one]


def _without(basis: Array, direction: Array) -> Array:
    """(n, m, k - 1) bases of what is orthogonal to unit `direction` (n, k) within `basis` (n, m, k)."""
    mirror = direction.copy()
    mirror[:, 0] += np.where(direction[:, 0] < 0, -1.0, 1.0)
    scale = 2.0 / np.einsum("nk,nk->n", mirror, mirror)
    image = np.einsum("nmk,nk->nm", basis, mirror) * scale[:, None]
    return basis[:, :, 1:] - image[:, :, None] * mirror[:, None, 1:]


def _in_general_position(M: int, m: int, least_rank: int) -> int:
    """How many faces M >= m hyperplanes of R^m have, no m of them dependent."""
    return sum(
        comb(M, rank) * 2 * sum(comb(M - rank - 1, k) for k in range(m - rank))
        for rank in range(least_rank, m)
    )


def _all_faces(
    Y: Array, flats: list[Flats], least_rank: int, max_faces: int, symmetric: bool
) -> list[Level] | None:
    """Levels of rank `least_rank` .. m - 1, or None where they do not fit together."""
    M, m = Y.shape
    if all(len(f.zero) == comb(M, rank) for rank, f in enumerate(flats)):
        count = _in_general_position(M, m, least_rank)
        if count > max_faces * (2 if symmetric else 1):
            raise _too_many(max_faces)
    everything = pack(np.ones(M, dtype=bool))
    height = (Y @ flats[-1].basis)[:, :, 0]
    off = ~unpack(flats[-1].zero, M)
    ahead, behind = pack((height > 0) & off), pack((height < 0) & off)
    n = np.arange(len(height))
    if symmetric:
        flat, active = n, np.minimum(ahead, behind)
    else:
        flat, active = np.repeat(n, 2), np.column_stack([ahead, behind]).ravel()
    none = np.zeros(0, dtype=np.int32)
    facets = np.zeros(len(flat) + 1, dtype=np.intp), none, np.zeros(0, dtype=np.int8)
    levels: list[Level] = []
    total, signed = 0, 0
    for rank in range(m - 1, -1, -1):
        heed()
        signed += (-1) ** (m - 1 - rank) * len(flat)
        if rank >= least_rank:
            levels.append(Level(flat, active, *facets))
            total += len(flat)
        if total > max_faces:
            raise _too_many(max_faces)
        if rank == 0:
            break
        here = flats[rank]
        count = here.first[flat + 1] - here.first[flat]
        child = np.repeat(np.arange(len(flat)), count)
        cover = np.arange(len(child)) - np.repeat(np.cumsum(count) - count - here.first[flat], count)
        above = np.repeat(here.parent[cover], 2)
        sides = np.column_stack([active[child] | here.plus[cover], active[child] | here.minus[cover]]).ravel()
        turned = np.ones(len(sides), dtype=np.int8)
        if symmetric:
            opposite = everything & ~flats[rank - 1].zero[above] & ~sides
            turned[opposite < sides] = -1
            sides = np.minimum(sides, opposite)
        masks, number = np.unique(sides, return_inverse=True)
        keys, parent = np.unique(above * len(masks) + number, return_inverse=True)
        if rank == m - 1 and not np.all(np.bincount(parent) == 2):
            return None
        flat, active = keys // len(masks), masks[keys % len(masks)]
        order = np.argsort(parent, kind="stable")
        first = np.searchsorted(parent[order], np.arange(len(keys) + 1))
        facets = first, child[order // 2].astype(np.int32), turned[order]
    # Euler: the faces of the sphere, or of the projective space, counted with signs
    expected = 1 + (-1) ** (m - 1)
    return levels[::-1] if signed == (expected // 2 if symmetric else expected) else None


def caps(levels: list[Level], rays: Array, metric: Array) -> list[tuple[Array, Array]]:
    """For each level but the rays: a unit centre of each face (F, m), and the least cosine (F,) of
    the angles from there to the points of the face, which is that to one of its rays (R, m)."""
    first, code = np.arange(len(rays) + 1), 2 * np.arange(len(rays))
    rays = np.stack([rays, -rays], axis=1).reshape(-1, rays.shape[1])
    out = []
    for level in levels[-2::-1]:
        counts, codes, centres, cosines = [], [], [], []
        for low in range(0, len(level), _FACES):
            heed()
            begin = level.first[low : low + _FACES + 1]
            part = slice(begin[0], begin[-1])
            facet = level.facet[part]
            count = first[facet + 1] - first[facet]
            pair = np.repeat(np.arange(len(facet)), count)
            at = np.arange(len(pair)) + np.repeat(first[facet] - (np.cumsum(count) - count), count)
            owner = np.repeat(np.arange(len(begin) - 1), np.diff(begin))
            # the lowest bit of a ray's code is its sign
            key = owner[pair] * len(rays) + (code[at] ^ (level.turned[part] < 0)[pair])
            key = np.unique(key)
            owner, own = key // len(rays), key % len(rays)
            start = np.searchsorted(owner, np.arange(len(begin) - 1))
            u = rays[own]
            centre, cosine = _cap(u, metric, owner, start)
            counts.append(np.diff(np.append(start, len(own))))
            for column, value in ((codes, own), (centres, centre), (cosines, cosine)):
                column.append(value)
        first = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
        code = np.concatenate(codes)
        out.append((np.concatenate(centres), np.concatenate(cosines)))
    return out[::-1]


def _cap(u: Array, metric: Array, owner: Index, start: Index) -> tuple[Array, Array]:
    """A small cap round the rays `u` (p, m) of each owner: its centre, and its cosine."""
    length = u * metric
    centre = np.add.reduceat(u, start, axis=0)
    best, least = centre, np.full(len(start), -1.0)
    for step in _STEPS:
        centre = centre / np.sqrt(np.einsum("nm,nm->n", centre * metric, centre))[:, None]
        cosine = np.einsum("pm,pm->p", length, centre[owner])
        far = np.minimum.reduceat(cosine, start)
        best = np.where((far > least)[:, None], centre, best)
        least = np.maximum(far, least)
        hit = np.flatnonzero(cosine <= far[owner])
        farthest = np.zeros(len(start), dtype=np.intp)
        farthest[owner[hit]] = hit
        centre = centre + step * u[farthest]
    return best, least
