"""What has no derivative: functions where it is zero wherever it exists, and functions that are refused.

The third absence, operands that are not differentiated, is a None in place of a rule.
"""

from __future__ import annotations

import numpy as np

from minigrad.protocol import UNSUPPORTED, Function, register


def zero(operands: str, functions: tuple[Function, ...], parameters: str = "") -> None:
    """Functions whose derivative is zero wherever it exists: Tensors pass through them as plain values."""
    for function in functions:
        register(function, tuple(operands.split()), tuple(parameters.split()))


zero("x", (np.sign, np.floor, np.ceil, np.trunc, np.rint, np.fix, np.spacing, np.signbit, np.logical_not, np.invert))
zero("x", (np.isfinite, np.isnan, np.isinf, np.isneginf, np.isposinf, np.isreal, np.iscomplex, np.bitwise_count))
zero("x y", (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal, np.floor_divide))
zero("x y", (np.logical_and, np.logical_or, np.logical_xor, np.bitwise_and, np.bitwise_or, np.bitwise_xor))
zero("x y", (np.left_shift, np.right_shift, np.gcd, np.lcm, np.heaviside))
zero("a", (np.zeros_like, np.ones_like), "dtype shape")
zero("prototype", (np.empty_like,), "dtype shape")
zero("a", (np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.any, np.all, np.count_nonzero), "axis keepdims")
zero("a", (np.argsort,), "axis kind stable")
zero("a kth", (np.argpartition,), "axis kind")
zero("a", (np.round, np.around), "decimals")
zero("val", (np.imag,))
zero("z", (np.angle,))
zero("a", (np.nonzero, np.flatnonzero, np.argwhere))
zero("a b", (np.isclose, np.allclose), "rtol atol equal_nan")
zero("a1 a2", (np.array_equal, np.array_equiv))
zero("a v", (np.searchsorted,), "side sorter")
zero("x bins", (np.digitize,), "right")
zero("element test_elements", (np.isin,), "assume_unique invert kind")
zero("A", (np.linalg.matrix_rank,), "tol")

# Refused when called, with what to use instead.
_BY_ALTERNATIVE = {
    "np.where(np.isnan(x), ..., x), then the function without nan": (
        "nanmedian nanpercentile nanquantile nanstd nanvar"
    ),
    "np.where or np.select": "choose piecewise place putmask",
    "x.at[index].set(values), which returns a new array": "copyto fill_diagonal put put_along_axis",
    "x.value, the plain array": (
        "array2string array_repr array_str save savetxt savez savez_compressed datetime_as_string packbits unpackbits"
    ),
    "np.zeros_like, np.stack or np.concatenate; arrays are made of plain numbers": (
        "arange array asanyarray asarray ascontiguousarray asfortranarray empty eye frombuffer fromfile fromfunction "
        "fromiter fromstring full genfromtxt geomspace identity linspace loadtxt logspace ones require tri vander zeros"
    ),
    "np.linalg.eigh for symmetric matrices: eigenvalues of others may be complex": "linalg.eig linalg.eigvals roots",
    "np.linalg.pinv(a) @ b": "linalg.lstsq polyfit",
    "np.sum(c * x ** k)": "polynomial.polynomial poly polyadd polyder polydiv polyint polymul polysub polyval",
    "the deviations from np.mean, multiplied by np.matmul": "corrcoef cov",
    "slices, as in (x[2:] - x[:-2]) / 2": "gradient",
    "np.searchsorted and indexing": "interp",
    "a loop or np.stack": "apply_along_axis apply_over_axes",
    "np.logical_and and the like": "intersect1d setdiff1d setxor1d union1d",
    "np.sort and np.diff": "unique unique_all unique_counts unique_inverse unique_values",
    "np.ldexp and np.log2": "frexp",
    "np.matmul with the matrix of the transform": "fft",
    "x itself": "nextafter unwrap trim_zeros sort_complex",
    "the function of np itself, on numbers in its domain": "lib.scimath _core.umath strings char",
    "": (
        "bincount busday_count busday_offset is_busday diag_indices_from einsum_path histogram histogram2d "
        "histogram_bin_edges histogramdd i0 isnat ix_ lib.recfunctions lexsort ravel_multi_index tril_indices_from "
        "triu_indices_from unravel_index"
    ),
}
UNSUPPORTED.update({name: instead for instead, names in _BY_ALTERNATIVE.items() for name in names.split()})
