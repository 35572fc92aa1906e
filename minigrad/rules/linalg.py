"""Linear algebra: the rules of ``np.linalg``, for single and for stacked matrices.

Sources: Giles, *Collected Matrix Derivative Results for Forward and Reverse Mode AD* (2008);
Murray, *Differentiation of the Cholesky decomposition* (2016); Walter and Lehmann on QR (2010);
Golub and Pereyra on the pseudo-inverse (1973); Ogita and Aishima, *Iterative refinement for singular
value decomposition based on matrix multiplication* (2020).  Decompositions are differentiated where
they are unique: for distinct eigenvalues or singular values, and full rank.

A function with several results is computed as one array that holds them all, row by row, so that
everything else in minigrad needs to know of single arrays alone.
"""

from __future__ import annotations

import math
import numbers
import operator
from functools import reduce
from typing import Any

import numpy as np

from minigrad.errors import UnsupportedError
from minigrad.gates import regained
from minigrad.protocol import define, defvjp, extend, innermost, primitive
from minigrad.rules.common import (
    broadcasting,
    in_range,
    merged,
    nonzero,
    of_dtype,
    power_of_two,
    rest,
    unit,
    vecdot_along,
)
from minigrad.rules.places import scatter
from minigrad.rules.reductions import kept_shape, others

EighResult: Any = type(np.linalg.eigh(np.eye(1)))
SVDResult: Any = type(np.linalg.svd(np.eye(1)))
QRResult: Any = type(np.linalg.qr(np.eye(1)))
SlogdetResult: Any = type(np.linalg.slogdet(np.eye(1)))


def mt(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def column(x: Any) -> Any:
    return x[..., :, None]


def row(x: Any) -> Any:
    return x[..., None, :]


@primitive
def logabsdet(a: Any) -> Any:
    return np.linalg.slogdet(a)[1]


def if_regular(a: Any, ans: Any) -> Any:
    """The matrices, and NaN for those whose determinant is 0, which have no inverse."""
    return np.where(ans[..., None, None] == -np.inf, np.nan, a)


@primitive
def sign_of_det(a: Any) -> Any:
    return np.linalg.slogdet(a)[0]


@primitive
def cofactor(a: Any) -> Any:
    """The derivative of ``det``: ``det(a) * inv(a).T``, but without dividing, so that singular matrices have it too."""
    finite = np.all(np.isfinite(a), axis=(-2, -1), keepdims=True)
    a = np.where(finite, a, 0)
    n = np.shape(a)[-1]
    if n <= 4 and np.all(np.abs(np.frexp(a)[1]) * (n - 1) < np.finfo(a.dtype).maxexp):
        return np.where(finite, expanded(a), np.nan)
    u, s, vh = refined_svd(a)
    ans = (np.linalg.det(u) * np.linalg.det(vh))[..., None, None] * (u * row(others(s))) @ vh
    return np.where(finite, ans, np.nan)


def expanded(a: Any) -> Any:
    """Cofactors by Laplace's expansion, which rounds least: of small matrices, whose products stay in the range."""
    if np.shape(a)[-1] < 2:
        return np.ones_like(a)
    index, signs = places_of_minors(a)
    return signs * np.sum(a[index][..., 0, :] * expanded(a[index])[..., 0, :], axis=-1)


def places_of_minors(a: Any) -> tuple[Any, Any]:
    """Where in a matrix all is but the row and the column of each entry; and the signs that its determinants get."""
    n = np.shape(a)[-1]
    left = np.array([[j for j in range(n) if j != i] for i in range(n)], int).reshape(n, max(n - 1, 0))
    signs = (-1.0) ** np.add.outer(np.arange(n), np.arange(n))
    return (..., left[:, None, :, None], left[None, :, None, :]), np.astype(signs, a.dtype)


def cofactor_da(g: Any, a: Any) -> Any:
    """A cofactor is a determinant itself, up to its sign: of the matrix without the row and column of its entry."""
    index, signs = places_of_minors(a)
    return scatter((g * signs)[..., None, None] * cofactor(a[index]), index, shape=np.shape(a))


@primitive
def packed_eigh(a: Any, UPLO: Any = "L") -> Any:
    """Rows of eigenvalues and eigenvectors."""
    w, v = np.linalg.eigh(a, UPLO)
    return np.concatenate([row(w), v], axis=-2)


def over_gaps(turned: Any, w: Any) -> Any:
    """``turned / (w[j] - w[i])``, and 0 on the diagonal; also for values that coincide, if neither's vector is used."""
    same = np.eye(np.shape(w)[-1], dtype=w.dtype)
    used = np.any(turned != 0, axis=-2)
    unused = (row(w) == column(w)) & ~(row(used) | column(used))
    return (1 - same) / (row(w) - column(w) + np.where(unused, 1, same)) * turned


def packed_eigh_da(g: Any, ans: Any, UPLO: str) -> Any:
    w, v = ans[..., 0, :], ans[..., 1:, :]
    gw, gv = g[..., 0, :], g[..., 1:, :]
    inner = over_gaps(mt(v) @ gv, w) + column(gw) * np.eye(np.shape(w)[-1], dtype=w.dtype)
    return one_triangle(v @ ((inner + mt(inner)) / 2) @ mt(v), UPLO)


def refined_svd(a: Any) -> tuple[Any, Any, Any]:
    """The thin ``u, s, vh`` of plain matrices, the vectors turned once more by what is left off the diagonal.

    LAPACK's xBDSQR leaves up to 90 rounding units there (in float32 10), which the values do not feel, but the vectors.
    """
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    scale = power_of_two(s, axis=-1)
    size, core = s / scale, mt(u) @ (a / column(scale)) @ mt(vh)
    left, right = (core * b + mt(core) * c for b, c in ((row(size), column(size)), (column(size), row(size))))
    gaps = (row(size) - column(size)) * (row(size) + column(size))
    # Where values come close to each other, the vectors between them are not told apart by a small turn.
    small = (np.abs(left) + np.abs(right)) * 1024 < np.abs(gaps)
    left, right = (np.where(small, each, 0) / np.where(small, gaps, 1) for each in (left, right))
    return u + u @ left, s, vh - right @ vh


@primitive
def packed_svd(a: Any) -> Any:
    """Rows of U, of the singular values, and of V, all with as many columns as there are singular values."""
    u, s, vh = refined_svd(a)
    return np.concatenate([u, row(s), mt(vh)], axis=-2)


def packed_svd_da(g: Any, ans: Any, a: Any) -> Any:
    m = np.shape(a)[-2]
    u, s, v = ans[..., :m, :], ans[..., m, :], ans[..., m + 1 :, :]
    gu, gs, gv = g[..., :m, :], g[..., m, :], g[..., m + 1 :, :]
    same = np.eye(np.shape(s)[-1], dtype=s.dtype)
    sums = nonzero(row(s) + column(s))  # where that is 0, over the gaps there is no number but of what is unused
    uu, vv = over_gaps(mt(u) @ gu, s), over_gaps(mt(v) @ gv, s)
    # Not over both gaps and sums first: of small numbers, or large, that would leave the range.
    core = (uu + mt(uu)) * (row(s) / sums) + (column(s) / sums) * (vv + mt(vv)) + column(gs) * same
    ans = u @ core @ mt(v)
    if m > np.shape(a)[-1]:
        return ans + over_values(gu - u @ (mt(u) @ gu), s) @ mt(v)
    return ans + u @ mt(over_values(gv - v @ (mt(v) @ gv), s)) if m < np.shape(a)[-1] else ans


def over_values(sent: Any, s: Any) -> Any:
    """``sent / s``; where no vector is used, also for values that are 0."""
    unused = np.all(sent == 0, axis=(-2, -1), keepdims=True) & (row(s) == 0)
    return sent / np.where(unused, 1, row(s))


@primitive
def completing(a: Any, *, by: Any) -> Any:
    """The columns that complete the vectors of a decomposition, `svd` or `qr`, to a basis: of many, LAPACK's."""
    if by == "qr":
        return np.linalg.qr(a, "complete")[0][..., np.shape(a)[-1] :]
    m, n = np.shape(a)[-2:]
    u, _, vh = np.linalg.svd(a)
    return u[..., n:] if m > n else mt(vh)[..., m:]


def completing_da(g: Any, ans: Any, a: Any) -> Any:
    """How they stay orthogonal to the others; NaN where it matters how they turn among themselves, as they may."""
    wide = np.shape(a)[-2] < np.shape(a)[-1]
    q, r = unpacked_qr(mt(a) if wide else a)
    used = np.any(g != 0, axis=(-2, -1), keepdims=True)
    inverse = np.linalg.solve(np.where(used, if_full_rank(r), np.eye(np.shape(r)[-1], dtype=r.dtype)), mt(q))
    turn, size = mt(ans) @ g, np.max(np.abs(g), axis=(-2, -1), keepdims=True, initial=0)
    turns = np.any(np.abs(turn - mt(turn)) > 1024 * np.finfo(g.dtype).eps * size, axis=(-2, -1), keepdims=True)
    sent = np.where(turns, np.nan, -ans @ (mt(g) @ mt(inverse)))
    return mt(sent) if wide else sent


def if_full_rank(r: Any) -> Any:
    """Triangular matrices, NaN where their diagonals are 0: there is no derivative then, where a solver would raise."""
    return np.where((r == 0) & np.eye(np.shape(r)[-1], dtype=bool), np.nan, r)


@primitive
def packed_qr(a: Any) -> Any:
    """Rows of Q and of R transposed."""
    q, r = np.linalg.qr(a)
    return np.concatenate([q, mt(r)], axis=-2)


def packed_qr_da(g: Any, ans: Any, a: Any) -> Any:
    m, n = np.shape(a)[-2:]
    q, r = ans[..., :m, :], mt(ans[..., m:, :])
    gq, gr = g[..., :m, :], mt(g[..., m:, :])
    if m < n:
        # The columns beyond the square are R = Q.T @ a: their share goes to Q and to them.
        first = slice(None), slice(m)
        gq, beyond = gq + a[..., m:] @ mt(gr[..., m:]), q @ gr[..., m:]
        return np.concatenate([qr_square_da(gq, gr[(..., *first)], q, r[(..., *first)]), beyond], axis=-1)
    return qr_square_da(gq, gr, q, r)


def qr_square_da(gq: Any, gr: Any, q: Any, r: Any) -> Any:
    skew = r @ mt(gr) - mt(gq) @ q
    both = np.tril(skew, -1)
    inner = gq + q @ (both + mt(both) + diagonal_of(skew))
    return mt(np.linalg.solve(if_full_rank(r), mt(inner)))


def cholesky_da(g: Any, ans: Any) -> Any:
    product = mt(ans) @ g
    half = np.tril(product) - diagonal_of(product) / 2
    outer = mt(np.linalg.solve(mt(ans), mt(np.linalg.solve(mt(ans), half))))
    return one_triangle((outer + mt(outer)) / 2, "L")


def diagonal_of(a: Any) -> Any:
    """The matrix with all but its diagonal set to 0."""
    return a * np.eye(np.shape(a)[-1], dtype=a.dtype)


def one_triangle(full: Any, UPLO: str) -> Any:
    """The gradient of a function that reads one triangle of a symmetric matrix."""
    return np.tril(full) + np.tril(mt(full), -1) if UPLO == "L" else np.triu(full) + np.triu(mt(full), 1)


def pinv_da(g: Any, ans: Any, a: Any, rcond: Any) -> Any:
    if rcond is not None:
        s = np.linalg.svdvals(innermost(a))
        largest = np.max(s, axis=-1, keepdims=True, initial=0)
        rounding = max(np.shape(a)) * np.finfo(a.dtype).eps
        if np.any((s <= np.expand_dims(rcond, -1) * largest) & (s > rounding * largest)):
            raise UnsupportedError("linalg.pinv: singular values that are not zero are cut off; do so by np.linalg.svd")
    left = np.eye(np.shape(a)[-2], dtype=a.dtype) - a @ ans
    right = np.eye(np.shape(a)[-1], dtype=a.dtype) - ans @ a
    gt, pt = mt(g), mt(ans)
    return left @ gt @ ans @ pt + pt @ ans @ gt @ right - pt @ g @ pt


def adjoint_solve(g: Any, a: Any, b: Any) -> Any:
    return np.linalg.solve(mt(a), column(g))[..., 0] if np.ndim(b) == 1 else np.linalg.solve(mt(a), g)


def solve_da(g: Any, ans: Any, a: Any, b: Any) -> Any:
    y = adjoint_solve(g, a, b)
    return -column(y) * row(ans) if np.ndim(b) == 1 else -y @ mt(ans)


@primitive
def euclidean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The square root of the sum of squares, also where these leave the range."""
    return in_range(np.linalg.norm, x, axis, keepdims)


@primitive
def singular_values(a: Any) -> Any:
    return np.linalg.svd(a, compute_uv=False)


@primitive
def eigenvalues(a: Any, UPLO: Any = "L") -> Any:
    return np.linalg.eigvalsh(a, UPLO)


def singular_values_da(g: Any, a: Any) -> Any:
    u, _, vh = unpacked_svd(a, full_matrices=False)
    return u * row(g) @ vh


@primitive
def nuclear(a: Any) -> Any:
    """The sum of the singular values."""
    return np.sum(np.linalg.svd(a, compute_uv=False), axis=-1)


@primitive
def polar(a: Any) -> Any:
    """The gradient of `nuclear`: ``u @ vh``, which is smooth where singular values tie."""
    u, _, vh = refined_svd(a)
    return u @ vh


def polar_da(g: Any, a: Any) -> Any:
    """What a Hessian makes of a matrix, it makes of a cotangent: so this is how ``u @ vh`` itself moves along `g`."""
    m, n = np.shape(a)[-2:]
    u, s, vh = unpacked_svd(a, full_matrices=False)
    inner = mt(u) @ g @ mt(vh)
    ans = u @ ((inner - mt(inner)) / (row(s) + column(s))) @ vh
    if m > n:
        return ans + (g - u @ (mt(u) @ g)) @ (mt(vh) / row(s)) @ vh
    return ans + u / row(s) @ (mt(u) @ (g - g @ mt(vh) @ vh)) if m < n else ans


def eigenvalues_da(g: Any, a: Any, UPLO: Any) -> Any:
    v = np.linalg.eigh(a, UPLO)[1]
    return one_triangle(v * row(g) @ mt(v), UPLO)


@primitive
def norm_of_order(x: Any, *, power: float, axis: int) -> Any:
    """``sum(abs(x)**power)**(1 / power)``, the axis kept.

    Of numbers near 1: powers of others leave the range, or their roots multiply what rounding did to ``1 / power``.
    """
    scale = power_of_two(x, axis=axis)
    total = np.sum((np.abs(x) / scale) ** power, axis=axis, keepdims=True)
    return np.where(total == 0, 0, nonzero(total) ** (1 / power)) * scale


@primitive
def norm_slope(x: Any, *, power: float, axis: int) -> Any:
    """The gradient of `norm_of_order`, ``sign(x) * (abs(x) / norm)**(power - 1)``, and 0 for entries that are 0."""
    shares, scale, size = norm_shares(x, power, axis)
    # A share below the range is zero, and to a negative power no infinity yet.
    lost = (shares == 0) & (x != 0)
    apart = np.where(lost, np.abs(x), 1) ** (power - 1) * np.where(lost, scale * size, 1) ** (1 - power)
    return np.where(x == 0, 0, np.sign(x) * np.where(lost, apart, nonzero(shares) ** (power - 1)))


def norm_shares(x: Any, power: float, axis: int) -> Any:
    """``abs(x) / norm``, and the norm as a power of two times a number near 1."""
    scale = power_of_two(x, axis=axis)
    size = nonzero(norm_of_order(x / scale, power=power, axis=axis))
    return np.abs(x / scale) / size, scale, size


def norm_slope_dx(g: Any, ans: Any, x: Any, power: float, axis: int) -> Any:
    """As for `unit`, each entry leaves out its own part: one minus its share to that power is all others'."""
    shares, scale, size = norm_shares(x, power, axis)
    (u, restore), (v, _), (r, _) = (merged(a, axis) for a in (ans, g, shares))
    return (power - 1) * restore(v * r ** (power - 2) * rest(r**power) - u * rest(u * v)) / size / scale


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: A002 (NumPy's name)
    if axis is None and ord is not None and np.ndim(x) not in (1, 2):
        raise ValueError(f"linalg.norm: ord={ord!r} of an array with {np.ndim(x)} axes; say by axis= which are meant")
    pair = axis is None and ord is not None and np.ndim(x) == 2
    axes = (0, 1) if pair else axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
    if ord in ("fro", "nuc") and not isinstance(axes, tuple):
        raise ValueError(f"linalg.norm: ord={ord!r} is of matrices; give axis= as a pair, or ord=2 for vectors")
    if ord in (None, "fro") or (ord == 2 and not isinstance(axes, tuple)):
        return euclidean(x, axis=axes, keepdims=keepdims)
    if isinstance(axes, tuple):
        return norm_of_matrices(x, ord, axes, keepdims)
    size = np.abs(x)
    if ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(size, axis=axes, keepdims=keepdims)
    if ord == 1:
        return np.sum(size, axis=axes, keepdims=keepdims)
    if ord == 0 or not isinstance(ord, numbers.Real):
        raise UnsupportedError(f"linalg.norm: ord={ord!r} has no derivative; use 1, 2, another power, inf or 'nuc'")
    ans = norm_of_order(x, power=float(ord), axis=-1 if axes is None else axes)
    return ans if keepdims else np.squeeze(ans, -1 if axes is None else axes)


def norm_of_matrices(x: Any, ord: Any, axes: Any, keepdims: bool) -> Any:  # noqa: A002
    x = np.moveaxis(x, axes, (-2, -1))
    if ord == "nuc":
        ans = nuclear(x)
    elif ord in (2, -2):
        ans = singular_values(x)[..., 0 if ord > 0 else -1]
    elif ord in (1, -1, np.inf, -np.inf):
        ans = (np.max if ord > 0 else np.min)(np.sum(np.abs(x), axis=-2 if abs(ord) == 1 else -1), axis=-1)
    else:
        raise UnsupportedError(f"linalg.norm: ord={ord!r} of matrices has no derivative; use 'fro', 'nuc', 1, 2 or inf")
    ans = np.where(np.any(x != 0, axis=(-2, -1)), ans, 0)
    return np.expand_dims(ans, axes) if keepdims else ans


def vector_norm(x: Any, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:  # noqa: A002
    ans = norm(merged(x, axis)[0], ord, -1)
    return np.reshape(ans, kept_shape(x, axis)) if keepdims else ans


def matrix_norm(x: Any, keepdims: bool = False, ord: Any = "fro") -> Any:  # noqa: A002
    return norm(x, ord, (-2, -1), keepdims)


def condition_number(x: Any, p: Any = 2) -> Any:
    if p in (2, -2):
        s = singular_values(x)
        return s[..., 0] / s[..., -1] if p == 2 else s[..., -1] / s[..., 0]
    size = logabsdet(x)
    ans = norm(x, p, (-2, -1)) * norm(np.linalg.inv(if_regular(x, size)), p, (-2, -1))
    return np.where(size == -np.inf, np.inf, ans)


def outer_of_vectors(x1: Any, x2: Any) -> Any:
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError(f"linalg.outer: operands have {np.ndim(x1)} and {np.ndim(x2)} axes; give vectors, or np.outer")
    return np.outer(x1, x2)


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a = np.moveaxis(a, axes or (), [*range(-len(axes or ()), 0)])
    flat = np.linalg.solve(np.reshape(a, (np.size(b), -1)), np.reshape(b, -1))
    return np.reshape(flat, np.shape(a)[np.ndim(b) :])


def tensorinv(a: Any, ind: int = 2) -> Any:
    left, right = np.shape(a)[:ind], np.shape(a)[ind:]
    return np.reshape(np.linalg.inv(np.reshape(a, (math.prod(left), -1))), right + left)


def matrix_power(a: Any, n: int) -> Any:
    n = operator.index(n)
    if n < 0:
        return matrix_power(np.linalg.inv(a), -n)
    if n == 0:
        return np.zeros_like(a) + np.eye(np.shape(a)[-1], dtype=a.dtype)
    half = matrix_power(a, n // 2) if n > 1 else a
    return half if n == 1 else half @ half @ a if n % 2 else half @ half


def unpacked_eigh(a: Any, UPLO: Any = "L") -> Any:
    packed = packed_eigh(a, UPLO.upper())
    return EighResult(packed[..., 0, :], packed[..., 1:, :])


def unpacked_svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    m, n = np.shape(a)[-2:]
    if hermitian:
        return svd_of_symmetric(a, compute_uv)
    if not compute_uv:
        return singular_values(a)
    packed = packed_svd(a)
    u, s, v = packed[..., :m, :], packed[..., m, :], packed[..., m + 1 :, :]
    if full_matrices and m != n:
        beyond = completing(a, by="svd")
        u, v = (np.concatenate([u, beyond], axis=-1), v) if m > n else (u, np.concatenate([v, beyond], axis=-1))
    return SVDResult(u, s, mt(v))


def svd_of_symmetric(a: Any, compute_uv: bool) -> Any:
    """By the eigenvalues, of which singular values are the magnitudes; of the lower triangle."""
    if not compute_uv:
        return np.flip(np.sort(np.abs(eigenvalues(a)), axis=-1), -1)
    w, v = unpacked_eigh(a)
    order = np.flip(np.argsort(np.abs(w), axis=-1), -1)
    w, v = np.take_along_axis(w, order, axis=-1), np.take_along_axis(v, row(order), axis=-1)
    return SVDResult(v, np.abs(w), mt(np.where(row(np.signbit(w)), -v, v)))


def unpacked_qr(a: Any, mode: str = "reduced") -> Any:
    m, n = np.shape(a)[-2:]
    if mode not in ("reduced", "complete", "r"):
        raise UnsupportedError(f"linalg.qr: mode {mode!r} has no derivative; use 'reduced', 'complete' or 'r'")
    packed = packed_qr(a)
    q, r = packed[..., :m, :], mt(packed[..., m:, :])
    if mode == "complete" and m > n:
        q = np.concatenate([q, completing(a, by="qr")], axis=-1)
        r = np.concatenate([r, np.zeros((*np.shape(r)[:-2], m - n, n), r.dtype)], axis=-2)
    return r if mode == "r" else QRResult(q, r)


# fmt: off
defvjp(np.linalg.inv,       lambda g, ans, a: -mt(ans) @ g @ mt(ans))
defvjp(np.linalg.det,       lambda g, ans, a: g[..., None, None] * cofactor(a))
defvjp(cofactor,            lambda g, ans, a: cofactor_da(g, a))
defvjp(logabsdet,           lambda g, ans, a: g[..., None, None] * mt(np.linalg.inv(if_regular(a, ans))))
defvjp(sign_of_det,         None)
defvjp(np.linalg.cholesky,  lambda g, ans, a: cholesky_da(g, ans))
defvjp(np.linalg.pinv,      lambda g, ans, a, rcond=None: pinv_da(g, ans, a, rcond))
defvjp(norm_of_order,       lambda g, ans, x, power, axis: g * norm_slope(x, power=power, axis=axis))
defvjp(norm_slope,          norm_slope_dx)
defvjp(euclidean,           lambda g, ans, x, axis=None, keepdims=False:
                                regained(g, axis, keepdims) * unit(x, axis=axis))
defvjp(nuclear,             lambda g, ans, a: g[..., None, None] * polar(a))
defvjp(polar,               lambda g, ans, a: polar_da(g, a))
defvjp(singular_values,     lambda g, ans, a: singular_values_da(g, a))
defvjp(eigenvalues,         lambda g, ans, a, UPLO="L": eigenvalues_da(g, a, UPLO))
defvjp(packed_eigh,         lambda g, ans, a, UPLO="L": packed_eigh_da(g, ans, UPLO))
defvjp(packed_svd,          lambda g, ans, a: packed_svd_da(g, ans, a))
defvjp(completing,          lambda g, ans, a, by: completing_da(g, ans, a))
defvjp(packed_qr,           lambda g, ans, a: packed_qr_da(g, ans, a))
broadcasting(np.linalg.solve, lambda g, ans, a, b: solve_da(g, ans, a, b), lambda g, ans, a, b: adjoint_solve(g, a, b))
define(np.linalg.slogdet,   lambda a: SlogdetResult(sign_of_det(a), logabsdet(a)))
define(np.linalg.eigh,      unpacked_eigh)
define(np.linalg.eigvalsh,  lambda a, UPLO="L": eigenvalues(a, UPLO.upper()))
define(np.linalg.svd,       unpacked_svd)
define(np.linalg.svdvals,   lambda x: singular_values(x))
define(np.linalg.qr,        unpacked_qr)
define(np.linalg.cond,      lambda x: condition_number(x))
define(np.linalg.norm,      norm)
define(np.linalg.vector_norm, vector_norm)
define(np.linalg.matrix_norm, matrix_norm)
define(np.linalg.matrix_power, matrix_power)
define(np.linalg.multi_dot, lambda arrays: reduce(np.dot, arrays))
define(np.linalg.tensorsolve, lambda a, b: tensorsolve(a, b))
define(np.linalg.tensorinv, tensorinv)
define(np.linalg.matmul,    lambda x1, x2: np.matmul(x1, x2))
define(np.linalg.outer,     outer_of_vectors)
define(np.linalg.cross,     lambda x1, x2, axis=-1: np.cross(x1, x2, axis=axis))
define(np.linalg.vecdot,    lambda x1, x2: np.vecdot(x1, x2))
define(np.linalg.tensordot, lambda a, b, axes=2: np.tensordot(a, b, axes))
define(np.linalg.diagonal,  lambda x, offset=0: np.diagonal(x, offset, -2, -1))
define(np.linalg.trace,     lambda x, offset=0: np.trace(x, offset, -2, -1))
define(np.linalg.matrix_transpose, lambda x: np.swapaxes(x, -1, -2))
extend(np.linalg.cholesky,  "upper", lambda a, upper: mt(np.linalg.cholesky(mt(a))) if upper else np.linalg.cholesky(a))
extend(np.linalg.pinv,      "rtol", lambda a, rtol: np.linalg.pinv(a, rcond=rtol))
extend(np.linalg.cond,      "p", condition_number)
extend(np.linalg.tensorsolve, "axes", tensorsolve)
extend(np.linalg.vecdot,    "axis", lambda x1, x2, axis: vecdot_along(x1, x2, axis))
of_dtype(np.linalg.trace)
# fmt: on
