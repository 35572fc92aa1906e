"""`stage`: forward and backward pass of a function as one program, in the notes' own notation.

The function is run once on Tensors of Recorders, so that every number of both passes leaves a
step.  What is left after simplifying is written out as source that a reader of the course notes
recognises: forward lines numbered (1) to (n), backward lines in reverse order under the same
numbers, ``dx += ...`` where a value forks, forward values reused.  That source is what runs, compiled as
`minigrad.programs.compiling` has it.
"""

from __future__ import annotations

import ast
import functools
import inspect
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.errors import DtypeError, ShapeError
from minigrad.programs.compiling import as_run
from minigrad.programs.listing import Listing
from minigrad.programs.passes import both_passes
from minigrad.programs.program import Input, Program
from minigrad.programs.simplifying import Simplified
from minigrad.protocol import Array, Function
from minigrad.tensor import as_plain


class Staged:
    """The staged passes of a function: ``staged(*args)`` returns its value and a gradient per argument.

    For a result that is not a scalar, the cotangent is the last argument.  `source` is the Python
    that runs, `program` the same steps as data, `constants` what is too long for the source.  Gradients
    are the engine's, bit for bit, of arguments that lie in memory as the examples did, without gaps; or to
    rounding if they are `reordered`: if a value that the function computes several times is computed once, so
    that what comes back to it adds up in another order, or a constant that repeats its numbers lies in another.
    Raises `ShapeError` and `DtypeError` for arguments unlike those it was staged for.
    """

    def __init__(self, program: Program, source: str, constants: dict[str, Any], reordered: bool = False):
        self.program = program
        self.source = source
        self.constants = constants
        self.reordered = reordered
        dtypes = {declared.dtype: np.dtype(declared.dtype) for declared in program.inputs}
        namespace: dict[str, Any] = {
            "constants": constants,
            "_apart": lambda *args: self._apart(*args),
            "_differs": lambda *args: any(isinstance(x, Array) for x in args),
            "_checked": functools.partial(checked, program.inputs),
            "_dtypes": dtypes,
        }
        exec(compile(as_run(source, program.inputs), "<staged>", "exec"), namespace)
        self._run: Function = namespace["staged"]
        self.__signature__ = inspect.signature(self._run)

    __call__ = property(operator.attrgetter("_run"))
    """The function that runs, itself: a call of it by another would cost as much as three operations on numbers."""

    @functools.cached_property
    def _apart(self) -> Function:
        """The same for arguments that are differentiated or traced, which are not written to: sums are new arrays."""
        namespace: dict[str, Any] = {"constants": self.constants}
        module = ast.fix_missing_locations(SumsApart().visit(ast.parse(self.source)))
        exec(compile(module, "<staged>", "exec"), namespace)
        return namespace["staged"]  # type: ignore[no-any-return]

    def __reduce__(self) -> Any:
        return Staged, (self.program, self.source, self.constants, self.reordered)

    def __repr__(self) -> str:
        return f"<Staged of {len(self.program.inputs)} inputs and {len(self.program.steps)} steps>"


class SumsApart(ast.NodeTransformer):
    """Writes ``x = x + y`` for ``x += y``."""

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.Assign:
        assert isinstance(node.target, ast.Name)
        return ast.Assign([node.target], ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value))


def checked(inputs: Sequence[Input], *args: Any) -> list[Any]:
    """The arguments as arrays, if they are what the function was staged for; numbers as such, which `+=` renews."""
    given = []
    for arg, declared in zip(args, inputs, strict=True):
        x = arg if isinstance(arg, Array) else as_plain(arg, declared.name)
        if x.shape != declared.shape:
            raise ShapeError(
                f"{declared.name} has shape {x.shape}, but the function was staged for {declared.shape}; "
                "stage it again with an example of the new shape"
            )
        if x.dtype.newbyteorder("=") != declared.dtype:
            raise DtypeError(
                f"{declared.name} has dtype {x.dtype}, but the function was staged for {declared.dtype}; "
                "stage it again with an example of the new dtype"
            )
        given.append(x if isinstance(x, Array) else x.astype(declared.dtype, copy=False)[()])
    return given


def stage(f: Function, *example_args: Any, cotangent: Any = None) -> Staged:
    """Write out forward and backward pass of `f` for arguments of these shapes and dtypes.

    Float arguments get a gradient, others None.  Without an example `cotangent`, that of a scalar
    result is 1.  Raises `TracedControlFlowError` where Python control flow depends on a value.

    >>> import numpy as np
    >>> from minigrad import stage
    >>> staged = stage(lambda x, y: np.exp(x * y) + x, 2.0, 3.0)
    >>> print(staged.source)
    import numpy as np
    <BLANKLINE>
    def staged(x, y):
        # forward pass
        v1 = x * y        #(1)
        v2 = np.exp(v1)   #(2)
        v3 = v2 + x       #(3)
        # backward pass
        dv2 = 1.0         #(3)
        dx = 1.0          #(3)
        dv1 = v2          #(2)
        dx += dv1 * y     #(1)
        dy = dv1 * x      #(1)
        return v3, (dx, dy)
    >>> value, (dx, dy) = staged(2.0, 3.0)
    """
    passes = both_passes(f, example_args, cotangent)
    left = Simplified(passes)
    listing = Listing(left)
    source = listing.source()
    return Staged(left.program(), source, listing.constants, passes.tape.reordered or listing.repacked)
