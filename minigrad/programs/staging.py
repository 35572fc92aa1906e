"""`stage`: forward and backward pass of a function as one program, in the notes' own notation.

The function is run once on Tensors of Recorders, so that every number of both passes leaves a
step.  What is left after simplifying is written out as source that a reader of the course notes
recognises: forward lines numbered (1) to (n), backward lines in reverse order under the same
numbers, ``dx += ...`` where a value forks, forward values reused.  That source is what runs, each variable
of its own let go after its last use.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.errors import DtypeError, ShapeError
from minigrad.programs.listing import Listing
from minigrad.programs.passes import both_passes
from minigrad.programs.program import Program
from minigrad.programs.simplifying import Simplified
from minigrad.protocol import Array, Function

SPEC = operator.attrgetter("shape", "dtype")


class Staged:
    """The staged passes of a function: ``staged(*args)`` returns its value and a gradient per argument.

    For a result that is not a scalar, the cotangent is the last argument.  `source` is the Python
    that runs, `program` the same steps as data, `constants` what is too long for the source.  Gradients
    are the engine's, bit for bit; or to rounding if they are `reordered`: if a value that the function
    computes several times is computed once, so that what comes back to it adds up before it goes on.
    Raises `ShapeError` and `DtypeError` for arguments unlike those it was staged for.
    """

    def __init__(self, program: Program, source: str, constants: dict[str, Any], reordered: bool = False):
        self.program = program
        self.source = source
        self.constants = constants
        self.reordered = reordered
        namespace: dict[str, Any] = {"constants": constants}
        self._expected = [(declared.shape, np.dtype(declared.dtype)) for declared in program.inputs]
        self._scalars = [i for i, declared in enumerate(program.inputs) if not declared.shape]
        only_scalars = len(self._scalars) == len(self._expected)
        self._types = [dtype.type for _, dtype in self._expected] if only_scalars else None
        exec(compile(source if only_scalars else letting_go(source), "<staged>", "exec"), namespace)
        self._run: Function = namespace["staged"]

    def __call__(self, *args: Any) -> Any:
        if [*map(type, args)] == self._types:  # the quickest question, and enough for numbers
            return self._run(*args)
        try:
            as_expected = list(map(SPEC, args)) == self._expected
        except AttributeError:  # a Python number
            as_expected = False
        given = list(args) if as_expected else self._checked(args)
        for i in self._scalars:
            given[i] = given[i][()]  # lest `+=` write into an array without axes
        return self._run(*given)

    def _checked(self, args: Sequence[Any]) -> list[Any]:
        """The arguments as arrays, if they are what the function was staged for."""
        if len(args) != len(self._expected):
            names = ", ".join(declared.name for declared in self.program.inputs)
            raise TypeError(f"the staged function takes {len(self._expected)} arguments ({names}), got {len(args)}")
        arrays = [arg if isinstance(arg, Array) else np.asarray(arg) for arg in args]
        for array, declared in zip(arrays, self.program.inputs, strict=True):
            if array.shape != declared.shape:
                raise ShapeError(
                    f"{declared.name} has shape {array.shape}, but the function was staged for {declared.shape}; "
                    "stage it again with an example of the new shape"
                )
            if array.dtype != declared.dtype:
                raise DtypeError(
                    f"{declared.name} has dtype {array.dtype}, but the function was staged for {declared.dtype}; "
                    "stage it again with an example of the new dtype"
                )
        return arrays

    def __reduce__(self) -> Any:
        return Staged, (self.program, self.source, self.constants, self.reordered)

    def __repr__(self) -> str:
        return f"<Staged of {len(self.program.inputs)} inputs and {len(self.program.steps)} steps>"


def letting_go(source: str) -> ast.Module:
    """The source with each variable deleted after its last use: arrays that follow find its memory still in a cache."""
    module = ast.parse(source)
    function = module.body[-1]
    assert isinstance(function, ast.FunctionDef)
    *lines, ending = function.body
    names = [{node.id: node.ctx for node in ast.walk(line) if isinstance(node, ast.Name)} for line in function.body]
    own = {name for line in names for name, use in line.items() if isinstance(use, ast.Store)}
    needed = own - names.pop().keys()
    function.body = [ending]
    for line, used in zip(reversed(lines), reversed(names), strict=True):
        if last := sorted(needed & used.keys()):
            needed -= used.keys()
            function.body.append(ast.Delete([ast.Name(name, ast.Del()) for name in last]))
        function.body.append(line)
    function.body.reverse()
    return ast.fix_missing_locations(module)


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
    return Staged(left.program(), listing.source(), listing.constants, passes.tape.reordered)
