"""Linear algebra on arrays of Jets, for single and for stacked matrices.

What is not unique is chosen as NumPy does: the signs of eigenvectors, of singular vectors and of
QR are those of ``np.linalg`` on the matrix of the middles, in double precision.  Where a function
does not exist, or has no derivative, the results are not finite (singular matrices) or
`UndecidedError` is raised (repeated eigenvalues or singular values, of which no one can tell at
any precision whether they are equal).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import numpy as np
from flint import arb, arb_mat, ctx

from minigrad.protocol import map_operand
from oracles.exact.jets import Jet, UndecidedError, anything, constant, jet, jets
from oracles.exact.reductions import largest, smallest

MIDDLES = np.frompyfunc(lambda x: float(jet(x).value.mid()), 1, 1)


def middles(a: Any) -> Any:
    """The floats nearest to the middles of an array of Jets."""
    return np.asarray(MIDDLES(a), np.float64)


def stacked(f: Callable[..., Any], signature: str) -> Callable[..., Any]:
    """A function of single matrices as one of stacks of them, by the shapes that it takes and gives.

    Where values tie in one matrix of a stack, it alone results in NaN.
    """
    results = 1 + signature.partition("->")[2].count("),")

    def each(*matrices: Any, **parameters: Any) -> Any:
        alone = all(np.ndim(a) <= 2 for a in matrices)

        def of_one(*single: Any) -> Any:
            try:
                return f(*map(jets, single), **parameters)
            except UndecidedError:
                if alone:
                    raise
                Jet.ties += 1
                nothing = anything(*(x for a in single for x in jets(a).flat))
                like = f(*map(untied, single), **parameters)
                return map_operand(lambda part: np.full(np.shape(part), nothing), like)

        return np.vectorize(of_one, otypes=[object] * results, signature=signature)(*matrices)

    return each


def untied(a: Any) -> Any:
    """A matrix of this shape in which nothing ties."""
    m, n = np.shape(a)
    return jets(np.eye(m, n, dtype=int) * np.arange(1, n + 1))


def mt(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


def row(x: Any) -> Any:
    return x[..., None, :]


# Elimination.


def eliminated(a: Any, b: Any) -> Any:
    """``inv(a) @ b`` by Gauss and Jordan, the pivots by the size of their middles; shapes (n, n), (n, k)."""
    n = len(a)
    rows = np.concatenate([a, b], axis=1)
    for j in range(n):
        pivot = max(range(j, n), key=lambda i: abs(rows[i, j].value.mid()))
        rows[[j, pivot]] = rows[[pivot, j]]
        rows[j, j:] = rows[j, j:] / rows[j, j]
        for i in range(n):
            if i != j:
                rows[i, j:] = rows[i, j:] - rows[j, j:] * rows[i, j]
    return rows[:, n:]


def adjugate(a: Any) -> tuple[Any, Any]:
    """``det(a) * inv(a)`` and ``det(a)``, by Faddeev and LeVerrier, who divide by integers only: `a` may be singular.

    With M_1 = 1: c_k = -trace(a M_k) / k, and M_{k+1} = a M_k + c_k; then det(a) = (-1)^n c_n, and
    the adjugate is (-1)^(n-1) M_n.
    """
    n = len(a)
    ans, c = jets(np.eye(n, dtype=int)), jet(1)
    for k in range(1, n + 1):
        product = a @ ans
        c = -jet(np.trace(product)) / k
        if k < n:
            ans = product + np.eye(n, dtype=int) * c
    return (ans, -c) if n % 2 else (-ans, c)


det_of_one = stacked(lambda a: adjugate(a)[1], "(n,n)->()")
cofactor = stacked(lambda a: adjugate(a)[0].T, "(n,n)->(n,n)")
solved = stacked(eliminated, "(n,n),(n,k)->(n,k)")


def det(a: Any) -> Any:
    return jets(det_of_one(a))


def sign_of_det(a: Any) -> Any:
    return np.sign(det(a))


def logabsdet(a: Any) -> Any:
    return np.log(np.abs(det(a)))


def inv(a: Any) -> Any:
    return solved(a, np.eye(np.shape(a)[-1], dtype=int))


def solve(a: Any, b: Any) -> Any:
    """As NumPy has it, only a `b` with a single axis is a vector."""
    return solved(a, b[:, None])[..., 0] if np.ndim(b) == 1 else solved(a, b)


def matrix_power(a: Any, n: int) -> Any:
    if n < 0:
        return matrix_power(inv(a), -n)
    start = np.broadcast_to(np.eye(np.shape(a)[-1], dtype=int), np.shape(a))
    return reduce(np.matmul, [a] * n) if n else start


def tensorsolve(a: Any, b: Any) -> Any:
    flat = solve(np.reshape(a, (np.size(b), -1)), np.ravel(b))
    return np.reshape(flat, np.shape(a)[np.ndim(b) :])


def tensorinv(a: Any, ind: int = 2) -> Any:
    left, right = np.shape(a)[:ind], np.shape(a)[ind:]
    return np.reshape(inv(np.reshape(a, (math.prod(left), -1))), right + left)


def pinv_of_one(a: Any, rcond: float) -> Any:
    """Of a matrix of full rank; `UndecidedError` where NumPy might take a singular value for 0."""
    if np.size(a) and np.linalg.cond(middles(a)) * max(1e-14, rcond) > 0.1:
        raise UndecidedError("the pseudo-inverse is a jump away")
    return mt(a) @ inv(a @ mt(a)) if len(a) < a.shape[1] else solved(mt(a) @ a, mt(a))


def pinv(a: Any, rcond: float | None = None) -> Any:
    return stacked(partial(pinv_of_one, rcond=rcond or 0.0), "(m,n)->(n,m)")(a)


# Decompositions.


def cholesky_of_one(a: Any) -> Any:
    """By columns; the lower triangle alone is read."""
    n = len(a)
    ans = jets(np.zeros((n, n), int))
    for j in range(n):
        rest = a[j:, j] - ans[j:, :j] @ ans[j, :j]
        ans[j, j] = rest[0].sqrt()
        ans[j + 1 :, j] = rest[1:] / ans[j, j]
    return ans


cholesky = stacked(cholesky_of_one, "(n,n)->(n,n)")


def qr_of_one(a: Any) -> tuple[Any, Any]:
    """By Gram and Schmidt, with LAPACK's signs; a column of zeros has either."""
    m, k = len(a), min(a.shape)
    signs = np.where(np.diagonal(np.linalg.qr(middles(a))[1]) < 0, -1, 1)
    q = jets(np.zeros((m, k), int))
    for j in range(k):
        rest = a[:, j] - q[:, :j] @ (q[:, :j].T @ a[:, j])
        q[:, j] = rest * int(signs[j]) / jet(rest @ rest).sqrt()
    return q, np.triu(q.T @ a)


def qr(a: Any, mode: str = "reduced") -> Any:
    if mode not in ("reduced", "complete", "r"):
        raise NotImplementedError(f"qr: mode {mode!r}")
    m, n = np.shape(a)[-2:]
    q, r = stacked(qr_of_one, f"({m},{n})->({m},{min(m, n)}),({min(m, n)},{n})")(a)
    if mode == "complete" and m > n:
        q = with_any(q, m - n, a)
        r = np.concatenate([r, np.zeros((*np.shape(a)[:-2], m - n, n), int)], axis=-2)
    return r if mode == "r" else (q, r)


def with_any(vectors: Any, count: int, a: Any) -> Any:
    """Columns and `count` others that complete them, which are not unique; `a` is the matrix."""
    return np.concatenate([vectors, np.full((*np.shape(vectors)[:-1], count), anything(*a.flat))], axis=-1)


def eigen(a: Any) -> tuple[Any, Any]:
    """Eigenvalues in order, and eigenvectors of length 1 in columns, of a symmetric matrix.

    Arb isolates the eigenvalues, which proves them simple, and encloses the vectors, up to a
    factor each.
    """
    n = len(a)
    middle = arb_mat([[x.value for x in each] for each in a])
    try:
        values, vectors = middle.eig(right=True) if n else ([], None)
    except ValueError as error:
        raise UndecidedError("eigenvalues too close to each other") from error
    w, v = np.empty(n, object), np.empty((n, n), object)
    for k, j in enumerate(sorted(range(n), key=lambda j: values[j].real.mid())):
        column = [vectors[i, j] for i in range(n)]
        largest = max(column, key=lambda z: abs(z.real.mid()) + abs(z.imag.mid()))
        real = [(z / largest).real for z in column]
        size = sum((x * x for x in real), arb(0)).sqrt()
        w[k], v[:, k] = followed(a, middle, values[j].real, [x / size for x in real])
    return w, v


def spectrum(a: Any) -> Any:
    """Eigenvalues in order, of a symmetric matrix; of several that may be one, their derivatives are not known."""
    try:
        return eigen(a)[0]
    except UndecidedError as error:
        try:
            values = arb_mat([[x.value for x in each] for each in a]).eig(multiple=True)
        except ValueError:
            raise error from None
        Jet.ties += 1
        nothing = anything(*a.flat)
        return np.array([nothing.starting(x) for x in sorted((x.real for x in values), key=arb.mid)], object)


def followed(a: Any, middle: arb_mat, w: arb, v: list[arb]) -> tuple[Jet, Any]:
    """An eigenvalue and its vector with their derivatives, from their values.

    Newton's steps for ``a v - w v = 0`` and ``v.v = 1``, with the slopes at the values: each makes
    the derivatives of one more order exact, and what it does to true values it does to the balls
    that enclose them.
    """
    n = len(a)
    slope = [[middle[i, j] - w * (i == j) for j in range(n)] + [-v[i]] for i in range(n)]
    try:
        inverse = arb_mat([*slope, [2 * x for x in v] + [arb(0)]]).inv()
    except ZeroDivisionError as error:
        raise UndecidedError("eigenvalues too close to each other") from error
    steps = np.array([[constant(x) for x in each] for each in inverse.tolist()], object)
    ans = np.array([constant(x) for x in [*v, w]], object)
    for _ in range(ctx.cap - 1):
        x, value = ans[:n], ans[n]
        ans = ans - steps @ np.append(a @ x - x * value, x @ x - 1)
    return ans[n], ans[:n]


def turned(v: Any, floats: Any) -> Any:
    """Per column, the sign that makes it point as NumPy's does."""
    along = np.sum(middles(v) * floats, axis=0)
    if not np.all(np.abs(along) > 0.9):
        raise UndecidedError("NumPy's vectors are too far off to tell their signs")
    return np.sign(along).astype(int)


def mirrored(a: Any, UPLO: str) -> Any:
    """The symmetric matrix with this triangle."""
    return np.tril(a) + np.tril(a, -1).T if UPLO.upper() == "L" else np.triu(a) + np.triu(a, 1).T


def eigvalsh_of_one(a: Any, UPLO: str) -> Any:
    return spectrum(mirrored(a, UPLO))


def eigh_of_one(a: Any, UPLO: str) -> tuple[Any, Any]:
    whole = mirrored(a, UPLO)
    w, v = eigen(whole)
    floats = np.linalg.eigh(middles(whole), "U" if UPLO.upper() == "U" else "L")[1]
    return w, v * turned(v, floats)


def eigh(a: Any, UPLO: str = "L") -> Any:
    return stacked(partial(eigh_of_one, UPLO=UPLO), "(n,n)->(n),(n,n)")(a)


def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return stacked(partial(eigvalsh_of_one, UPLO=UPLO), "(n,n)->(n)")(a)


def svd_of_one(a: Any) -> tuple[Any, Any, Any]:
    """By the eigenvectors of the smaller of ``a.T @ a`` and ``a @ a.T``."""
    tall = a if len(a) >= a.shape[1] else a.T
    w, v = (each[..., ::-1] for each in eigen(tall.T @ tall))
    s = np.sqrt(w)
    u = tall @ v / s
    u, v = (u, v) if tall is a else (v, u)
    signs = turned(u, np.linalg.svd(middles(a), full_matrices=False)[0])
    return u * signs, s, (v * signs).T


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    m, n = np.shape(a)[-2:]
    if hermitian:
        return svd_of_symmetric(a) if compute_uv else np.sort(np.abs(eigvalsh(a)), axis=-1)[..., ::-1]
    if not compute_uv:
        return svdvals(a)
    k = min(m, n)
    u, s, vh = stacked(svd_of_one, f"({m},{n})->({m},{k}),({k}),({k},{n})")(a)
    return (with_any(u, m - k, a), s, mt(with_any(mt(vh), n - k, a))) if full_matrices else (u, s, vh)


def svd_of_symmetric(a: Any) -> tuple[Any, Any, Any]:
    w, v = eigh(a)
    order = np.argsort(np.abs(w), axis=-1)[..., ::-1]
    w, v = np.take_along_axis(w, order, axis=-1), np.take_along_axis(v, row(order), axis=-1)
    return v, np.abs(w), mt(np.where(row(np.sign(w) < 0), -v, v))


def svdvals_of_one(a: Any) -> Any:
    tall = a if len(a) >= a.shape[1] else a.T
    return np.sqrt(spectrum(tall.T @ tall)[::-1])


def svdvals(x: Any) -> Any:
    m, n = np.shape(x)[-2:]
    return stacked(svdvals_of_one, f"({m},{n})->({min(m, n)})")(x)


def cond(x: Any) -> Any:
    s = svdvals(x)
    return s[..., 0] / s[..., -1]


# Norms.


def norm_of_vectors(x: Any, ord: Any) -> Any:  # noqa: A002 (NumPy's name)
    """Along the last axis."""
    x = jets(x)
    size = np.abs(x)
    if ord in (None, 2):
        return np.sqrt(jets(np.sum(x * x, axis=-1)))
    if ord in (np.inf, -np.inf):
        return (largest if ord > 0 else smallest)(size, axis=-1)
    if ord == 0:
        return np.asarray(np.count_nonzero(x, axis=-1))
    return jets(np.sum(size**ord, axis=-1)) ** (1 / jet(ord))


def norm_of_matrices(x: Any, ord: Any) -> Any:  # noqa: A002
    """Of the last two axes."""
    x = jets(x)
    if ord in (None, "fro"):
        return np.sqrt(jets(np.sum(x * x, axis=(-2, -1))))
    if ord == "nuc":
        return np.sum(svdvals(x), axis=-1)
    if abs(ord) == 2:
        return svdvals(x)[..., 0 if ord > 0 else -1]
    return (largest if ord > 0 else smallest)(np.sum(np.abs(x), axis=-2 if abs(ord) == 1 else -1), axis=-1)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: A002
    if axis is None and ord is None:
        return vector_norm(x, keepdims=keepdims)
    axes = tuple(range(np.ndim(x))) if axis is None else tuple(np.atleast_1d(axis).tolist())
    if len(axes) == 1:
        return vector_norm(x, axes, keepdims, 2 if ord is None else ord)
    ans = norm_of_matrices(np.moveaxis(x, axes, (-2, -1)), ord)
    return np.expand_dims(ans, axes) if keepdims else ans


def vector_norm(x: Any, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:  # noqa: A002
    axes = tuple(range(np.ndim(x))) if axis is None else tuple(np.atleast_1d(axis).tolist())
    last = np.moveaxis(x, axes, range(-len(axes), 0)) if axes else x[..., None]
    kept = np.ndim(last) - max(len(axes), 1)
    flat = np.reshape(last, (*np.shape(last)[:kept], math.prod(np.shape(last)[kept:])))
    ans = norm_of_vectors(flat, ord)
    return np.expand_dims(ans, axes) if keepdims else ans


def matrix_norm(x: Any, keepdims: bool = False, ord: Any = "fro") -> Any:  # noqa: A002
    return norm(x, ord, (-2, -1), keepdims)


# Decompositions as single arrays.


def polar(a: Any) -> Any:
    u, _, vh = svd(a, full_matrices=False)
    return u @ vh


def packed_eigh(a: Any, UPLO: str = "L") -> Any:
    w, v = eigh(a, UPLO)
    return np.concatenate([row(w), v], axis=-2)


def packed_svd(a: Any) -> Any:
    u, s, vt = svd(a, full_matrices=False)
    return np.concatenate([u, row(s), mt(vt)], axis=-2)


def packed_qr(a: Any) -> Any:
    q, r = qr(a)
    return np.concatenate([q, mt(r)], axis=-2)


FORMS: dict[str, Callable[..., Any]] = {
    "linalg.cholesky": cholesky,
    "linalg.cond": cond,
    "linalg.det": det,
    "linalg.eigh": eigh,
    "linalg.eigvalsh": eigvalsh,
    "linalg.inv": inv,
    "linalg.matrix_norm": matrix_norm,
    "linalg.matrix_power": matrix_power,
    "linalg.multi_dot": lambda arrays: reduce(np.dot, arrays),
    "linalg.norm": norm,
    "linalg.pinv": pinv,
    "linalg.qr": qr,
    "linalg.slogdet": lambda a: (sign_of_det(a), logabsdet(a)),
    "linalg.solve": solve,
    "linalg.svd": svd,
    "linalg.svdvals": svdvals,
    "linalg.tensorinv": tensorinv,
    "linalg.tensorsolve": tensorsolve,
    "linalg.vector_norm": vector_norm,
    "minigrad.cofactor": cofactor,
    "minigrad.completing": lambda a, by: with_any(a[..., :0], abs(np.diff(np.shape(a)[-2:])[0]), a),
    "minigrad.eigenvalues": eigvalsh,
    "minigrad.euclidean": norm,
    "minigrad.logabsdet": logabsdet,
    "minigrad.nuclear": lambda a: np.sum(svdvals(a), axis=-1),
    "minigrad.packed_eigh": packed_eigh,
    "minigrad.packed_qr": packed_qr,
    "minigrad.packed_svd": packed_svd,
    "minigrad.polar": polar,
    "minigrad.sign_of_det": sign_of_det,
    "minigrad.singular_values": svdvals,
}
