"""NumPy's functions that have no derivative here, with what to use instead where there is something."""

from minigrad.protocol import UNSUPPORTED

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
    "np.sum(c * x ** k)": "poly polyadd polyder polydiv polyint polymul polysub polyval",
    "the deviations from np.mean, multiplied by np.matmul": "corrcoef cov",
    "slices, as in (x[2:] - x[:-2]) / 2": "gradient",
    "np.searchsorted and indexing": "interp",
    "a loop or np.stack": "apply_along_axis apply_over_axes",
    "np.logical_and and the like": "intersect1d setdiff1d setxor1d union1d",
    "np.sort and np.diff": "unique unique_all unique_counts unique_inverse unique_values",
    "np.ldexp and np.log2": "frexp",
    "x itself": "nextafter unwrap trim_zeros sort_complex",
    "the function of np itself": "lib.scimath _core.umath",
    "": (
        "bincount busday_count busday_offset is_busday diag_indices_from einsum_path histogram histogram2d "
        "histogram_bin_edges histogramdd i0 isnat ix_ lib.recfunctions lexsort ravel_multi_index tril_indices_from "
        "triu_indices_from unravel_index"
    ),
}
UNSUPPORTED.update({name: instead for instead, names in _BY_ALTERNATIVE.items() for name in names.split()})
