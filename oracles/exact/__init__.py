"""The referee: what is certainly the value and the derivatives of a program at a point.

| room | what happens there |
|---|---|
| `jets` | numbers with proved error bounds, and their derivatives along all directions at once |
| `functions` | NumPy's functions on arrays of them, where NumPy needs help; the table of all of these |
| `reductions` | those that reduce, order or scan |
| `linalg` | those of matrices |
| `derivatives` | values, gradients and Hessian products of a program, at a point or next to it |
| `reach` | what depends on the edge of a domain, or on a number that is not finite |
| `truth` | what a party may answer: one number, or at a kink the choices there are |
"""

from oracles.exact.jets import Jet, UndecidedError, jet
from oracles.exact.truth import EFFORTS, Referee, Status, Truth

__all__ = ["EFFORTS", "Jet", "Referee", "Status", "Truth", "UndecidedError", "jet"]
