"""Computations as data: recorded, written out with their backward pass, and drawn.

===============  ====================================================================
``program``      a straight-line record of NumPy calls
``tracing``      from a NumPy function to a program
``passes``       forward and backward pass of a function on one tape
``simplifying``  the steps of both that are needed
``listing``      these as source, in the notation of the notes
``staging``      the callable that runs it
``circuit``      a computation as the notes draw it, values above the wires, gradients below
===============  ====================================================================
"""

from minigrad.programs.circuit import Circuit, circuit
from minigrad.programs.program import (
    OPERATORS,
    Input,
    Program,
    Ref,
    Spelling,
    Step,
    decode_array,
    encode_array,
    literal,
    slice_text,
)
from minigrad.programs.staging import Staged, stage
from minigrad.programs.tracing import follow, trace

__all__ = [
    "OPERATORS",
    "Circuit",
    "Input",
    "Program",
    "Ref",
    "Spelling",
    "Staged",
    "Step",
    "circuit",
    "decode_array",
    "encode_array",
    "follow",
    "literal",
    "slice_text",
    "stage",
    "trace",
]
