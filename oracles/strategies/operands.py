"""What a call of each kind of function is given: operands and parameters that fit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad.programs import Ref
from oracles.catalogue import CATALOGUE, POSITIVE, REALS, axes_of, drawn_within, names
from oracles.strategies.choices import (
    CHOICES,
    PAIRS,
    SELFLESS,
    SEVERAL,
    SUMS,
    call,
    multiplied,
    places,
    sides,
    summable,
)
from oracles.strategies.draft import Allowed, Draft
from oracles.strategies.entries import arrays, elements, weights
from oracles.strategies.palette import broadcastable, stretches_to


class Operands(Draft):
    """A draft with a method ``draw_<kind>`` per kind of function.

    Given the first operand, it returns all operands and the parameters; or, where it takes several
    steps, it adds those steps and returns what they result in; or None, where nothing fits.
    """

    def choose(self, name: str, x: Ref) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What goes after the first operand: one of the choices, if there are any."""
        choices = CHOICES[name](self.shape_of(x)) if name in CHOICES else [call()]
        extra, parameters = choices[self.draw(st.integers(0, len(choices) - 1))]
        return extra, {key: self.constant(value) for key, value in parameters.items()}

    def constant(self, value: Any) -> Any:
        """Constant arrays in the dtype of the case."""
        return value.astype(self.dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value

    def draw_unary(self, name: str, x: Ref) -> Any:
        return (x,), {}

    draw_special = draw_unary

    def draw_binary(self, name: str, x: Ref) -> Any:
        domain = drawn_within(name, 1)
        if name == "ldexp":
            return (x, np.array(self.draw(st.sampled_from((2, -1, 3))))), {}
        if name in ("power", "float_power") and not POSITIVE.contains(self.values[x.index]):
            shape = self.shape_of(x)
            base = None
            if self.draw(st.booleans()):  # the exponent may be anything
                fits: Allowed = lambda v: POSITIVE.contains(v) and broadcastable(shape, np.shape(v))  # noqa: E731
                base = self.other_operand(fits, within=POSITIVE)
            return self.narrowed(name, *((x, self.draw(st.sampled_from((2, 3)))) if base is None else (base, x)))
        constants = (0.5, -1.0, 0) if name in ("maximum", "minimum", "fmax", "fmin") else (2, 0.5, 3, -1.0)
        constant = self.draw(st.sampled_from((None,) * 8 + constants))
        if constant is not None and domain.contains(constant):
            constant = float(constant) if name.startswith("scipy") else constant
            swap = self.draw(st.booleans()) and "power" not in name and domain is REALS and name != "copysign"
            return self.narrowed(name, *((constant, x) if swap else (x, constant)))
        shape = self.shape_of(x)
        y = self.other_operand(
            lambda value: domain.contains(value) and broadcastable(shape, np.shape(value)), within=domain
        )
        if y is None or (y == x and name in SELFLESS):
            return None  # nothing would be left of the gradient, or of the function
        return self.narrowed(name, x, y)

    def narrowed(self, name: str, x: Any, y: Any) -> Any:
        """``float_power`` computes in float64 whatever it is given."""
        if name != "float_power" or self.dtype == "float64":
            return (x, y), {}
        wide = self.append(name, (x, y), {})
        return None if wide is None else self.append("astype", (wide, np.dtype(self.dtype)), {})

    def draw_cast(self, name: str, x: Ref) -> Any:
        wide = self.append(name, (x, np.dtype("float64")), {})
        if wide is None or self.dtype == "float64":
            return wide
        return self.append(name, (wide, np.dtype(self.dtype)), {})

    def draw_choice(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        if name == "select":
            other = self.other_operand(lambda value: np.shape(value) == shape)
            masks = [self.draw(hnp.arrays(np.bool_, shape, fill=st.nothing())) for _ in range(2)]
            return None if other is None else ((masks, [x, other]), {"default": 0.5})
        y = self.other_operand(lambda value: broadcastable(shape, np.shape(value)))
        if y is None:
            return None
        # Conditions compare inputs, which are exact: a comparison of rounded values could come
        # out differently in each library without any of them being wrong.
        first = Ref(self.draw(st.integers(0, len(self.kinds) - 1)))
        if self.draw(st.booleans()) and broadcastable(self.shape_of(first), shape, self.shape_of(y)):
            condition: Any = self.append(self.draw(st.sampled_from(names(["compare"]))), (first, 0.5), {})
            if condition is None:
                return None
        else:
            condition = self.draw(hnp.arrays(np.bool_, shape, fill=st.nothing()))
        return (condition, x, y), {}

    def draw_chosen(self, name: str, x: Ref) -> Any:
        extra, parameters = self.choose(name, x)
        return (x, *extra), parameters

    def draw_reduce(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        if name not in ("sum", "prod") and 0 in shape:
            return None
        axes: list[Any] = [None, *sides(shape)]
        if len(shape) > 1 and name != "prod":
            axes.append((0, len(shape) - 1))
        axis = self.draw(st.sampled_from(axes))
        parameters: dict[str, Any] = {} if axis is None else {"axis": axis}
        if self.draw(st.booleans()):
            parameters["keepdims"] = True
        if name == "prod" and axis is None and parameters:
            return None  # torch.prod takes keepdim only along with a dim
        if name in ("var", "std"):
            reduced = math.prod(shape[i] for i in axes_of(self.values[x.index], axis))
            parameters["ddof"] = self.draw(st.integers(0, int(reduced > 1)))
        if name == "average":
            parameters["weights"] = self.draw(arrays(self.dtype, shape, elements("positive", self.dtype)))
        if name in ("quantile", "percentile"):
            whole = 1 if name == "quantile" else 100
            share = self.draw(st.sampled_from((0.5, 0.25, 0.3, np.array([0.75, 0.1]))))
            return (x, self.constant(np.asarray(share * whole))), parameters
        return (x,), parameters

    def draw_nan(self, name: str, x: Ref) -> Any:
        """Among the entries there is a NaN, where it leaves any."""
        shape = self.shape_of(x)
        axes: Sequence[int | None] = sides(shape) if "cum" in name or (shape and self.draw(st.booleans())) else [None]
        if not axes:
            return None
        axis = self.draw(st.sampled_from(axes))
        mask = np.arange(math.prod(shape)).reshape(shape) == 0
        if (math.prod(shape) if axis is None else shape[axis]) > 1:
            x = self.append("where", (mask, np.nan, x), {}, force=True)  # type: ignore[assignment]
        if name == "nan_to_num":
            return (x,), {"nan": 0.5}
        return (x,), {} if axis is None else {"axis": axis}

    def draw_scan(self, name: str, x: Ref) -> Any:
        if name in CHOICES:
            return self.draw_chosen(name, x)
        axes = sides(self.shape_of(x))
        # JAX's own scans count axes from the front.
        axis = self.draw(st.sampled_from(axes[len(axes) // 2 :] if "running" in name else axes))
        if name != "minigrad.softmax":
            return (x,), {"axis": axis}
        shares = self.append(name, (x,), {"axis": axis})
        if shares is None:
            return None
        # They sum to 1, so of an unweighted sum no gradient would be left.
        self.hidden.add(shares.index)
        return self.append("multiply", (shares, self.draw(weights(self.dtype, self.shape_of(x)))), {})

    def draw_product(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        y = self.other_operand(lambda value: bool(PAIRS[name](shape, np.shape(value))))
        if y is None or (y == x and "cross" in name):
            return None
        return (x, y), self.draw(st.sampled_from(PAIRS[name](shape, self.shape_of(y))))

    def draw_sums(self, name: str, x: Ref) -> Any:
        """A product of several: chosen for what it fits."""
        others = [self.other_operand(lambda value: 0 < np.ndim(value) < 3) for _ in range(self.draw(st.integers(0, 2)))]
        operands = [x, *(y for y in others if y is not None)]
        shapes = [self.shape_of(y) for y in operands]
        if name == "linalg.multi_dot":
            fits = len(operands) > 1 and max(map(len, shapes)) < 3 and all(len(s) == 2 for s in shapes[1:-1])
            return (
                ((operands,), {}) if fits and all(itertools.starmap(multiplied, itertools.pairwise(shapes))) else None
            )
        fitting = [text for text in SUMS[len(operands) - 1] if summable(text, shapes)]
        return ((self.draw(st.sampled_from(fitting)), *operands), {}) if fitting else None

    def draw_shape(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        if name == "reshape":
            fit: list[Any] = [s for s in self.palette.results if math.prod(s) == math.prod(shape)]
            parameters = {"shape": self.draw(st.sampled_from(fit if 0 in shape else [*fit, (-1,)]))}
            return (x,), parameters | ({"order": "F"} if self.certain and self.draw(st.integers(0, 3)) == 3 else {})
        if name == "broadcast_to":
            fit = [s for s in self.palette.results if stretches_to(shape, s)]
            return ((x,), {"shape": self.draw(st.sampled_from(fit))}) if fit else None
        if not CHOICES[name](shape):
            return None
        return self.draw_chosen(name, x)

    def draw_masked(self, name: str, x: Ref) -> Any:
        """The condition comes first, and lets something through."""
        shape = self.shape_of(x)
        if not shape:
            return None
        axis = self.draw(st.sampled_from(sides(shape)))
        mask = self.draw(hnp.arrays(np.bool_, shape if name == "extract" else shape[axis], fill=st.nothing()))
        mask[(0,) * mask.ndim] = True
        return (mask, x), {} if name == "extract" else {"axis": axis}

    def draw_join(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        if not shape and name in ("concatenate", "append"):
            return None
        y = self.other_operand(lambda value: np.shape(value) == shape)
        if y is None:
            return None
        if name == "block":
            return (self.draw(st.sampled_from(([x, y], [[x], [y]]))),), {}
        if name not in ("concatenate", "append", "stack"):
            return ([x, y],), {}
        axis = self.draw(st.integers(-1, len(shape) - (name != "stack")))
        if name == "append":
            return (x, y), {"axis": axis}
        return ([x, y],), {} if axis == 0 else {"axis": axis}

    def pick(self, name: str, operands: Sequence[Any], parameters: dict[str, Any], index: Any = 0) -> Ref | None:
        """A function of several results, and one of these."""
        results = self.append(name, operands, parameters)
        if results is None:
            return None
        self.hidden.add(results.index)
        return self.append("getitem", (results, index), {})

    def draw_parts(self, name: str, x: Ref) -> Any:
        """Of a quotient, the remainder; of what is partly in order, what is in its place."""
        if name == "partition":
            if not self.shape_of(x):
                return None
            axis = len(self.shape_of(x)) - 1
            kth = self.draw(st.integers(0, self.shape_of(x)[-1] - 1))
            return self.pick(name, (x, kth), {"axis": axis}, (..., kth))
        if name == "modf":
            return self.pick(name, (x,), {})
        shape, domain = self.shape_of(x), drawn_within(name, 1)
        fits: Allowed = lambda value: domain.contains(value) and broadcastable(shape, np.shape(value))  # noqa: E731
        y = self.other_operand(fits, within=domain)
        return None if y is None or y == x else self.pick(name, (x, y), {}, 1)

    def draw_split(self, name: str, x: Ref) -> Any:
        extra, parameters = self.choose(name, x)
        return self.pick(name, (x, *extra), parameters, self.draw(st.integers(0, 1)) if name != "unstack" else 0)

    def draw_spread(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        if name == "meshgrid" and len(shape) != 1:
            return None
        if name.startswith("atleast") and self.draw(st.booleans()):
            return (x,), {}
        ndims = (1,) if name == "meshgrid" else (0, 1, 2, 3)
        y = self.other_operand(lambda value: np.ndim(value) in ndims and broadcastable(shape, np.shape(value)))
        if y is None:
            return None
        parameters = {"indexing": self.draw(st.sampled_from(("ij", "xy")))} if name == "meshgrid" else {}
        return self.pick(name, (x, y), parameters)

    def draw_fill(self, name: str, x: Ref) -> Any:
        """The number to fill with is differentiated, the array to be like is not."""
        shape = self.shape_of(x)
        y = self.other_operand(lambda value: stretches_to(shape, np.shape(value)))
        return None if y is None else ((y, x), {})

    def draw_index(self, name: str, x: Ref) -> Any:
        return (x, self.draw(st.sampled_from([None, ..., *places(self.shape_of(x))]))), {}

    def draw_update(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        if name == "insert":
            y = self.other_operand(lambda value: np.shape(value) in ((), shape[1:]))
            return None if y is None else ((x, self.draw(st.sampled_from((0, 1))), y), {"axis": 0})
        n = shape[0]
        repeated = [np.array([n - 1, 0, 0])] if name == "minigrad.index_add" else []
        once: list[Any] = [0, -1, slice(1, None), slice(None, None, 2), np.array([n - 1, 0])[:n]]
        index = self.draw(st.sampled_from([*once, *repeated]))
        room = np.shape(np.empty(shape)[index])
        y = self.other_operand(lambda value: stretches_to(np.shape(value), room))
        return None if y is None else ((x, index, y), {})

    def matrix(self, x: Ref, form: str) -> Ref | None:
        """A matrix of a certain form made of `x`, whose entries are `BOUNDED`: itself where it is in good condition.

        Otherwise what `dominant` would make of it.
        """
        if form in ("symmetric", "definite"):
            flipped = self.append("swapaxes", (x,), {"axis1": -2, "axis2": -1})
            found = None if flipped is None else self.append("add", (x, flipped), {})
        else:
            found = x
        if found is None or in_condition(self.values[found.index], form):
            return found
        scaled = self.append("multiply", (found, TWENTIETH), {})
        return None if scaled is None else self.append("add", (scaled, diagonal(self.values[found.index])), {})

    def draw_regular(self, name: str, x: Ref) -> Any:
        a = self.matrix(x, CATALOGUE[name].kind)
        if a is None:
            return None
        n = self.shape_of(a)[-1]
        if name in ("linalg.tensorsolve", "linalg.tensorinv"):
            if len(self.shape_of(a)) > 2:
                return None
            if self.draw(st.booleans()):
                a = self.append("reshape", (a,), {"shape": (1, n, n)})
            elif name == "linalg.tensorinv":
                return (a,), {"ind": 1}
        if a is None:
            return None
        if name in ("linalg.solve", "linalg.tensorsolve"):
            wanted = self.shape_of(a)[:-1] if name == "linalg.tensorsolve" else None
            b = self.other_operand(lambda value: np.shape(value) in ([wanted] if wanted else [(n,), (n, n)]))
            return None if b is None else ((a, b), {})
        extra, parameters = self.choose(name, a)
        if name in SEVERAL:
            index, signed = self.draw(st.sampled_from(SEVERAL[name]))
            part = self.pick(name, (a, *extra), parameters, index)
            # The sign of a vector is anyone's choice, and of a square there is none.
            if part is None or not signed or self.draw(st.booleans()):
                return part
            self.hidden.add(part.index)
            return self.append("multiply", (part, part), {})
        return (a, *extra), parameters

    draw_definite = draw_symmetric = draw_distinct = draw_regular


TWENTIETH = 0.05


def dominant(a: Any) -> Any:
    """A twentieth of a matrix whose entries are `BOUNDED`, plus 4, 8 ... on the diagonal.

    That is large enough to keep, by the theorem of Gershgorin, eigenvalues and singular values apart
    from each other and from 0.
    """
    return TWENTIETH * a + diagonal(a)


def diagonal(a: Any) -> Any:
    rows, columns = np.shape(a)[-2:]
    return (4.0 * np.arange(1, rows + 1)[:, None] * np.eye(rows, columns)).astype(a.dtype)


def in_condition(a: Any, form: str) -> bool:
    """Whether what is asked of matrices of a form depends little on rounding."""
    if form == "regular":
        return bool(np.all(np.linalg.cond(a) < 100))
    found = np.linalg.svdvals(a)[..., ::-1] if form == "distinct" else np.linalg.eigvalsh(a)
    least = 0.05 * np.max(np.abs(found), axis=-1, keepdims=True, initial=1e-3)
    apart = form == "definite" or bool(np.all(np.diff(found, axis=-1) > least))
    return apart and (form == "symmetric" or bool(np.all(found > least)))
