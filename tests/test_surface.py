"""NumPy's whole surface: each of its functions is differentiated, passed by, answered or refused, and knows which."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import numpy as np
import numpy.testing as npt
import pytest
from numpy.testing.overrides import get_overridable_numpy_array_functions, get_overridable_numpy_ufuncs

from minigrad import ConversionError, Tensor, UnsupportedError, grad, logsumexp, rules  # noqa: F401 (rules fills the tables)
from minigrad.protocol import (
    DEFINITIONS,
    FUNCTIONS,
    OWN,
    POSITIONAL,
    QUERIES,
    RULES,
    UNSUPPORTED,
    Array,
    Function,
    innermost,
    leaves,
    map_operand,
    name_of,
)
from tests.support import OWN_DEFINITIONS, OWN_RULES, bits
from tests.test_rules import EXAMPLES, Row, title

SURFACE = sorted(get_overridable_numpy_ufuncs() | get_overridable_numpy_array_functions(), key=name_of)

PREFIXES = {"lib.scimath", "lib.recfunctions", "_core.umath", "fft", "strings", "char", "polynomial.polynomial"}
"""Names in UNSUPPORTED that stand for all that a module holds."""


def refused_by(function: Function) -> str | None:
    """The name in UNSUPPORTED under which a function is refused: its own, or its module's."""
    name = name_of(function)
    return next((each for each in (name, name.rpartition(".")[0]) if each in UNSUPPORTED), None)


def kinds(function: Function) -> list[str]:
    """All that a function is treated as; one of them is right."""
    answers = {
        "rule": function in RULES,
        "definition": function in DEFINITIONS,
        "zero": function in FUNCTIONS and function not in RULES and function not in DEFINITIONS,
        "query": function in QUERIES,
        "refused": refused_by(function) is not None,
    }
    return [kind for kind, holds in answers.items() if holds]


REFUSED = [function for function in SURFACE if refused_by(function)]


# Every function is one kind of thing.


def test_no_function_is_two_kinds_of_thing() -> None:
    assert {name_of(function): kinds(function) for function in SURFACE if len(kinds(function)) > 1} == {}


def test_every_function_is_some_kind_of_thing() -> None:
    assert [name_of(function) for function in SURFACE if not kinds(function)] == []


def test_kinds_can_tell_none_from_one_and_two(monkeypatch: pytest.MonkeyPatch) -> None:
    def made_up(x: Any) -> Any:
        return x

    assert kinds(made_up) == []
    monkeypatch.setitem(UNSUPPORTED, name_of(made_up), "something else")
    assert kinds(made_up) == ["refused"]
    monkeypatch.setitem(DEFINITIONS, made_up, made_up)
    assert kinds(made_up) == ["definition", "refused"]


def test_refused_module_refuses_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    def made_up(x: Any) -> Any:
        return x

    monkeypatch.setattr(made_up, "__module__", "numpy.lib.scimath")
    assert (name_of(made_up), kinds(made_up)) == ("lib.scimath.made_up", ["refused"])


def test_no_name_is_refused_that_numpy_has_not() -> None:
    names = {name_of(function) for function in SURFACE}
    modules = {name.rpartition(".")[0] for name in names}
    assert {name for name in UNSUPPORTED if name not in (modules if name in PREFIXES else names)} == set()


def misplaced(function: Function) -> list[str]:
    """The parameters that stand, by place, where NumPy has others."""
    numpys = [p.name for p in inspect.signature(function).parameters.values() if p.kind in POSITIONAL]
    pairs = zip(FUNCTIONS[function].places, numpys, strict=True)
    return [f"{ours} for {theirs}" for ours, theirs in pairs if ours != theirs]


def test_parameters_by_place_are_in_numpys_places() -> None:
    # Otherwise np.isin(x, y, True) means something else here than there, without a word.
    found = {}
    for function in SURFACE:
        if function in FUNCTIONS and not isinstance(function, np.ufunc) and not FUNCTIONS[function].variadic:
            try:
                found[name_of(function)] = misplaced(function)
            except ValueError:  # those written in C do not tell their signature
                continue
    assert {name: pair for name, pair in found.items() if pair} == {}


# So is every argument: it is taken, or refused for a reason.

NOT_TAKEN: dict[str, set[str] | None] = {
    # Would overwrite an array, or says how the result lies in memory, which nothing here depends on.
    **dict.fromkeys(("out", "overwrite_input", "copy", "order", "subok", "device")),
    # Those of the entries, by which a quantile jumps.
    "weights": {"quantile", "percentile"},
    # A second result.
    "returned": {"average"},
    # Another function: one that reads half of the matrix.
    "hermitian": {"linalg.pinv"},
    # For complex numbers.
    "tol": {"real_if_close"},
    # Of functions that pad in place; of the ufunc behind.
    "kwargs": {"pad", "clip", "einsum"},
}
"""Arguments, and the functions of which they are refused; None where they are of every function."""


def not_taken(function: Function) -> set[str]:
    """The arguments that NumPy's function has and ours has not."""
    own = FUNCTIONS[function]
    try:
        arguments = inspect.signature(function).parameters.values()
    except ValueError:  # those written in C do not tell their signature
        return set()
    named = {p.name for p in arguments if p.kind not in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL)}
    return named - {*own.operands, *own.parameters, *own.rarer}


def test_every_argument_of_what_is_differentiated_is_taken_or_refused_for_a_reason() -> None:
    missing: dict[str, set[str]] = {}
    for function in SURFACE:
        if (function in RULES or function in DEFINITIONS) and not isinstance(function, np.ufunc):
            for name in not_taken(function):
                missing.setdefault(name, set()).add(FUNCTIONS[function].name)
    assert {name: functions for name, functions in missing.items() if NOT_TAKEN.get(name, functions)} == {
        name: functions for name, functions in NOT_TAKEN.items() if functions
    }


# What is refused says so when it is called, and what to use instead.

x = Tensor(np.array([3.0, 1.0, 2.0]))
matrix = Tensor(np.array([[2.0, 1.0], [1.0, 3.0]]))
three = Tensor(3.0)

# How to call those for which one argument does not do.
CALLS: dict[str, tuple[Any, ...]] = {
    "apply_along_axis": (np.sum, 0, x),
    "apply_over_axes": (np.sum, x, [0]),
    "busday_count": (x, x),
    "busday_offset": (x, 1),
    "choose": (np.array([0, 0]), [x, x]),
    "copyto": (x, 1.0),
    "einsum_path": ("i,i", x, x),
    "fill_diagonal": (matrix, 0.0),
    "geomspace": (1.0, three),
    "histogram2d": (x, x),
    "interp": (x, x, x),
    "intersect1d": (x, x),
    "lib.recfunctions.append_fields": (x, "name", x),
    "lib.recfunctions.apply_along_fields": (np.sum, x),
    "lib.recfunctions.assign_fields_by_name": (x, x),
    "lib.recfunctions.drop_fields": (x, ["name"]),
    "lib.recfunctions.join_by": ("name", x, x),
    "lib.recfunctions.rec_append_fields": (x, "name", x),
    "lib.recfunctions.rec_drop_fields": (x, ["name"]),
    "lib.recfunctions.rec_join": ("name", x, x),
    "lib.recfunctions.recursive_fill_fields": (x, x),
    "lib.recfunctions.rename_fields": (x, {}),
    "lib.recfunctions.require_fields": (x, float),
    "lib.scimath.logn": (2.0, x),
    "lib.scimath.power": (x, 2.0),
    "linalg.lstsq": (matrix, x),
    "linspace": (0.0, three),
    "logspace": (0.0, three),
    "nanpercentile": (x, 30),
    "nanquantile": (x, 0.3),
    "piecewise": (x, [np.array([True, False, True])], [1.0, 2.0]),
    "place": (x, np.array([True, False, True]), [1.0]),
    "polyadd": (x, x),
    "polydiv": (x, x),
    "polyfit": (x, x, 1),
    "polymul": (x, x),
    "polysub": (x, x),
    "polyval": (x, 2.0),
    "put": (x, [0], [1.0]),
    "put_along_axis": (x, np.array([0]), 1.0, 0),
    "putmask": (x, np.array([True, False, True]), 1.0),
    "ravel_multi_index": ((x, x), (3, 3)),
    "save": ("file", x),
    "savetxt": ("file", x),
    "savez": ("file", x),
    "savez_compressed": ("file", x),
    "setdiff1d": (x, x),
    "setxor1d": (x, x),
    "union1d": (x, x),
    "unravel_index": (x, (3, 3)),
}

# These look for Tensors in like= alone: an array can be made like a Tensor, but not of one.
LIKE: dict[str, tuple[Any, ...]] = {
    "arange": (3,),
    "array": ([1.0],),
    "asanyarray": ([1.0],),
    "asarray": ([1.0],),
    "ascontiguousarray": ([1.0],),
    "asfortranarray": ([1.0],),
    "empty": (3,),
    "eye": (3,),
    "frombuffer": (b"12345678",),
    "fromfile": ("file",),
    "fromfunction": (np.add, (2, 2)),
    "fromiter": ([1.0], float),
    "fromstring": ("1 2",),
    "full": (3, 1.0),
    "genfromtxt": (["1 2"],),
    "identity": (3,),
    "loadtxt": (["1 2"],),
    "ones": (3,),
    "require": ([1.0],),
    "tri": (3,),
    "zeros": (3,),
}


def public(function: Any) -> Function:
    """The function as users call it: with ``like=``, NumPy keeps what takes over apart from it."""
    found: Function = getattr(np, name_of(function), function)
    return found


def needed(function: Function) -> list[Any]:
    """As many Tensors as the function takes arguments that have no default, at least one."""
    try:
        arguments = inspect.signature(function).parameters.values()
    except ValueError:  # those written in C do not tell their signature
        return [x]
    return [x] * max(sum(p.default is p.empty and p.kind in POSITIONAL for p in arguments), 1)


@pytest.mark.parametrize("function", REFUSED, ids=name_of)
def test_refused_function_says_its_name_and_what_to_use_instead(function: Function) -> None:
    name = name_of(function)
    instead = UNSUPPORTED[refused_by(function) or ""] or OWN
    if name in LIKE:
        call = partial(public(function), *LIKE[name], like=x)
    else:
        arguments = [x] * function.nin if isinstance(function, np.ufunc) else CALLS.get(name, needed(function))
        call = partial(function, *arguments)
    with pytest.raises(UnsupportedError) as error:
        call()
    assert f"{name} has no derivative rule" in str(error.value)
    assert str(error.value).endswith(instead)


def test_calls_of_refused_functions_are_of_refused_functions() -> None:
    names = {name_of(function) for function in REFUSED}
    assert {name for name in CALLS.keys() | LIKE.keys() if name not in names} == set()


@pytest.mark.parametrize(
    "make",
    [
        np.array,
        np.asarray,
        np.asanyarray,
        np.ascontiguousarray,
        np.asfortranarray,
        np.arange,
        partial(np.full, 3),
        np.require,
        lambda x: np.array([x, x]),
    ],
)
def test_making_a_plain_array_of_a_tensor_is_refused_too(make: Function) -> None:
    # Without like= nothing asks the Tensor, but for the plain number or array that it will not become.
    with pytest.raises(ConversionError, match="plain"):
        make(three)


# What has derivative zero takes Tensors for the plain values they hold.

a, b = np.array([1.5, -0.5, 2.0]), np.array([1.5, 0.25, -2.0])
PAIR = (a, b)
ZEROS: dict[Function, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    **{f: [((a,), {})] for f in (np.sign, np.floor, np.ceil, np.trunc, np.rint, np.fix, np.spacing, np.signbit)},
    **{f: [((a,), {})] for f in (np.logical_not, np.isfinite, np.isnan, np.isinf, np.isneginf, np.isposinf)},
    **{f: [((a,), {})] for f in (np.isreal, np.iscomplex, np.imag, np.angle, np.nonzero, np.flatnonzero, np.argwhere)},
    **{f: [(PAIR, {}), ((a, 1.5), {})] for f in (np.equal, np.not_equal, np.less, np.less_equal, np.greater)},
    **{f: [(PAIR, {})] for f in (np.greater_equal, np.floor_divide, np.heaviside, np.array_equal, np.array_equiv)},
    **{f: [(PAIR, {})] for f in (np.logical_and, np.logical_or, np.logical_xor)},
    **{f: [((a,), {}), ((a,), {"dtype": int})] for f in (np.zeros_like, np.ones_like)},
    **{f: [((a,), {}), ((np.stack(PAIR),), {"axis": 1})] for f in (np.argmax, np.argmin, np.nanargmax, np.nanargmin)},
    **{f: [((a,), {}), ((np.stack(PAIR),), {"axis": 1, "keepdims": True})] for f in (np.any, np.all, np.count_nonzero)},
    **{f: [((a,), {}), ((a, 1), {}), ((a,), {"decimals": 0})] for f in (np.round, np.around)},
    np.argsort: [((a,), {}), ((np.stack(PAIR),), {"axis": 0, "kind": "stable"})],
    np.argpartition: [((a, 1), {})],
    np.isclose: [(PAIR, {}), (PAIR, {"rtol": 1e-3, "atol": 2.0})],
    np.allclose: [(PAIR, {}), (PAIR, {"atol": 5.0})],
    np.searchsorted: [((np.sort(a), b), {}), ((np.sort(a), b), {"side": "right"})],
    np.digitize: [((a, np.sort(b)), {}), ((a, np.sort(b)), {"right": True})],
    np.isin: [(PAIR, {}), (PAIR, {"invert": True})],
    np.linalg.matrix_rank: [((np.ones((2, 3)),), {}), ((np.ones((2, 3)),), {"tol": 10.0})],
}
# As of floats too, NumPy refuses these; the operands of bits and integers are never Tensors.
INTEGERS_ONLY = [np.invert, np.bitwise_count, np.bitwise_and, np.bitwise_or, np.bitwise_xor]
INTEGERS_ONLY += [np.left_shift, np.right_shift, np.gcd, np.lcm]
# Its numbers are nobody's: only their shape and dtype can be told.
UNTOLD = [np.empty_like]


def tensors(operand: Any) -> Any:
    return map_operand(lambda x: Tensor(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x, operand)


def test_all_functions_of_derivative_zero_are_tried() -> None:
    tried: list[Function] = [*ZEROS, *INTEGERS_ONLY, *UNTOLD]
    assert {name_of(f) for f in tried} == {name_of(f) for f in SURFACE if kinds(f) == ["zero"]}


@pytest.mark.parametrize("function", ZEROS, ids=name_of)
def test_function_of_derivative_zero_gives_plain_values_and_no_gradient(function: Function) -> None:
    for operands, parameters in ZEROS[function]:
        want, got = function(*operands, **parameters), function(*tensors(operands), **parameters)
        assert not any(isinstance(leaf, Array) for leaf in leaves(got))
        assert [bits(leaf) for leaf in leaves([got])] == [bits(leaf) for leaf in leaves([want])]

        def sums(*xs: Any, parameters: Any = parameters) -> Any:
            results = leaves([function(*xs, **parameters)])
            return sum(np.sum(x) for x in xs) + sum(np.sum(result) for result in results)

        floats = [i for i, x in enumerate(operands) if isinstance(x, np.ndarray)]
        gradients = grad(sums, argnums=floats)(*operands)
        assert [g.tolist() for g in gradients] == [np.ones_like(operands[i]).tolist() for i in floats]


@pytest.mark.parametrize("function", INTEGERS_ONLY, ids=name_of)
def test_function_of_integers_fails_on_tensors_as_on_floats(function: np.ufunc) -> None:
    with pytest.raises(TypeError) as plain:
        function(*[a] * function.nin)
    with pytest.raises(TypeError) as with_tensors:
        function(*[Tensor(a)] * function.nin)
    assert str(with_tensors.value) == str(plain.value)


def test_empty_like_gives_a_plain_array_of_the_same_kind() -> None:
    got = np.empty_like(Tensor(a.astype(np.float32)))
    assert (type(got), got.shape, got.dtype.name) == (np.ndarray, (3,), "float32")


QUESTIONS: list[Function] = sorted(map(public, QUERIES), key=name_of)


@pytest.mark.parametrize("query", QUESTIONS, ids=name_of)
def test_query_is_answered_as_of_the_plain_array(query: Function) -> None:
    rest: dict[Function, tuple[Any, ...]] = {np.can_cast: (np.float32,), np.shares_memory: (a,)}
    rest[np.may_share_memory] = rest[np.shares_memory]
    want = query(a, *rest.get(query, ()))
    for tensor in (Tensor(a), Tensor(Tensor(a))):
        assert query(tensor, *rest.get(query, ())) == want


# Values are NumPy's.

VALUES = [
    pytest.param(function, row, dtype, id=f"{title(function)}-{i}-{dtype}")
    for function, rows in EXAMPLES.items()
    for i, row in enumerate(rows)
    for dtype in ("float64", "float32")
]


@pytest.mark.parametrize(("function", "row", "dtype"), VALUES)
def test_value_on_tensors_is_numpys(function: Function, row: Row, dtype: str) -> None:
    plain = [x.astype(dtype) for x in row.floats]
    want, got = row.call(function, np, *plain), innermost(row.call(function, np, *map(Tensor, plain)))
    assert (got.shape, got.dtype) == (np.shape(want), want.dtype)
    # A rule is beside NumPy's own function; a definition, or what works rarer arguments out, is in its place.
    if function in RULES and FUNCTIONS[function].rarer.keys().isdisjoint(row.parameters):
        assert bits(got) == bits(want)
    else:
        near = 16 * np.finfo(want.dtype).eps
        npt.assert_allclose(got, want, rtol=near, atol=near * np.max(np.abs(want), initial=1))


def test_values_are_compared_for_all_that_is_differentiated() -> None:
    reached = {title(function) for function in EXAMPLES}
    public = {n for n in map(title, [*OWN_RULES, *OWN_DEFINITIONS]) if not n.startswith("minigrad.")}
    assert public - reached == set()


linalg: Any = np.linalg  # NumPy's types leave out some of what it accepts

DATA: dict[str, Any] = {
    "vector": np.array([0.5, -2.0, 3.0, 1.5]),
    "matrix": np.array([[0.5, -2.0, 3.0], [1.0, 4.0, -1.5]]),
    "stack": np.arange(1.0, 25.0).reshape(2, 3, 4) ** 1.5,
    "with nan": np.array([[1.0, 2.0, np.nan], [5.0, 4.0, 3.0]]),
    "float32": np.array([0.5, -2.0, 3.0], np.float32),
}
FORMS: list[tuple[str, str, Function]] = [
    ("median of nan", "with nan", np.median),
    ("median of nan in a row", "with nan", lambda x: np.median(x, axis=1)),
    ("quantile of nan in a row", "with nan", lambda x: np.quantile(x, 0.3, axis=1)),
    ("percentiles of nan in a column", "with nan", lambda x: np.percentile(x, [30, 60], axis=0)),
    ("quantiles of another dtype", "float32", lambda x: np.quantile(x, np.array([0.3, 0.6]))),
    ("quantiles in a list", "float32", lambda x: np.quantile(x, [0.3, 0.6])),
    ("quantile at a scalar of another dtype", "float32", lambda x: np.quantile(x, np.float64(0.3))),
    ("quantile at a number that has no place in its dtype", "float32", lambda x: np.quantile(x, 0.3)),
    ("percentiles of another dtype", "float32", lambda x: np.percentile(x, np.array([30.0]))),
    ("vector_norm of a matrix with keepdims", "matrix", lambda x: linalg.vector_norm(x, keepdims=True)),
    ("vector_norm 1 of a matrix with keepdims", "matrix", lambda x: linalg.vector_norm(x, keepdims=True, ord=1)),
    ("vector_norm 3 of a matrix with keepdims", "matrix", lambda x: linalg.vector_norm(x, keepdims=True, ord=3)),
    ("vector_norm over two axes", "stack", lambda x: linalg.vector_norm(x, axis=(0, 1))),
    ("vector_norm 1 over two axes", "stack", lambda x: linalg.vector_norm(x, axis=(0, 1), ord=1)),
    ("vector_norm 3 over all axes", "stack", lambda x: linalg.vector_norm(x, axis=(0, 1, 2), ord=3)),
    ("norm over a tuple of one axis", "matrix", lambda x: linalg.norm(x, 1, axis=(1,))),
    ("norm of a float64 order", "float32", lambda x: np.linalg.norm(x, ord=np.float64(3))),
    ("average over two axes", "stack", lambda x: np.average(x, axis=(0, 1), weights=np.ones((2, 3)))),
    ("correlate the shorter with", "vector", lambda x: np.correlate(np.array([1.0, 2.0]), x, "same")),
    ("convolve with a number", "vector", lambda x: np.convolve(x, np.array(2.0))),
    ("nan_to_num by place", "with nan", lambda x: np.nan_to_num(x, True, 5.0)),
    ("power of a float64 exponent", "float32", lambda x: x ** np.float64(2)),
    ("append integers", "float32", lambda x: np.append(x, 1)),
    ("broadcast_arrays of integers too", "vector", lambda x: np.broadcast_arrays(x, 1)),
    ("meshgrid of integers too", "vector", lambda x: np.meshgrid(x, [1, 2])),
    ("logsumexp by place", "matrix", lambda x: logsumexp(x, -1, True)),
]


@pytest.mark.parametrize(("data", "f"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
def test_value_of_a_rarer_form_is_numpys(data: str, f: Function) -> None:
    want, got = leaves(f(DATA[data])), leaves(map_operand(innermost, f(Tensor(DATA[data]))))
    for w, g in zip(want, got, strict=True):
        assert (np.shape(g), g.dtype) == (np.shape(w), w.dtype)
        npt.assert_allclose(g, w, rtol=1e-6 if w.dtype == np.float32 else 4e-15)


@pytest.mark.parametrize("percent", [-1, 130])
def test_percentile_out_of_range_fails_as_numpys(percent: float) -> None:
    for x in (DATA["vector"], Tensor(DATA["vector"])):
        with pytest.raises(ValueError, match="range"):
            np.percentile(x, percent)
