"""The calculus: one line per function, saying how a cotangent passes through it.

Vocabulary, closed:

``g``
    the cotangent: the gradient of the final scalar with respect to ``ans``, of its shape;
``ans``
    the function's result;
everything else
    the function's own arguments, under NumPy's names (``x`` and ``y`` for ``x1`` and ``x2``).

A rule returns the gradient with respect to its operand.  Rules hold calculus only and are written
in plain NumPy, so that they can be differentiated again.  For `broadcasting` functions a rule may
return an array of the result's shape: the walker (`minigrad.backward`) sums it down to the
operand's, and casts it to the operand's dtype.  For all others the shape must be the operand's.

Every function of NumPy has a rule (`defvjp`, `broadcasting`), is worked out by others (`define`),
only moves numbers (`moving`), has derivative `zero`, or is in `absent`'s list of refusals.

At a kink the rules return the subgradient of minimum norm:

- tied ``maximum minimum fmax fmin max min maximum.accumulate``: an even split; ``sort`` and what
  is built on it (``median quantile partition``) gives each of the tied its own place;
- ``abs`` and ``copysign`` at 0, ``hypot arctan2 norm std`` where all vanishes: 0;
- ``clip`` at a bound: 0, all of the cotangent goes to the bound; ``relu`` at 0: 0;
- ``sqrt cbrt log`` at 0: the limit, infinite, of ``sqrt`` and ``log`` with the sign of the zero;
- ``power`` at 0, where the limit is 0: 0;
- ``sign floor ceil trunc round`` and all that is piecewise constant: 0 everywhere.
"""

from minigrad.rules import absent, elementwise, linalg, places, products, reductions, special

__all__ = ["absent", "elementwise", "linalg", "places", "products", "reductions", "special"]
