"""JAX: programs spelt in ``jax.numpy``, differentiated by ``jax.vjp``, one operation at a time."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# One thread a worker: the campaign's workers are the parallelism.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import jax.numpy as jnp
import numpy as np

from minigrad.programs import Program, Spelling, literal
from oracles.adapters import spelled, subnormals, with_arrays
from oracles.catalogue import ABSENT, CATALOGUE
from oracles.errors import Unsupported

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")

# JAX compiles each operation anew for each shape and dtype, which takes far longer than running
# it; with every compilation kept on disk, the next campaign starts at full speed.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigrad-oracles" / "jax"
    jax.config.update("jax_compilation_cache_dir", str(cache))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


class JaxSpelling(Spelling):
    """``jax.numpy`` has NumPy's names and arguments."""

    module = "jnp"

    def call(self, function: str, operands: Sequence[str], parameters: Mapping[str, Any]) -> str:
        row = CATALOGUE.get(function)
        if (row is None and not hasattr(jnp, function)) or (row is not None and row.jax == ABSENT):
            raise Unsupported(f"JAX has no spelling of {function} here")
        if row is None or row.jax is None:
            return super().call(function, operands, parameters)
        return spelled(row.jax, operands, {key: self.parameter(value) for key, value in parameters.items()})

    def parameter(self, value: Any) -> str:
        return self.array(value) if isinstance(value, np.ndarray) else super().parameter(value)

    def array(self, value: np.ndarray[Any, Any]) -> str:
        if not value.size:
            return f"jnp.zeros({value.shape}, dtype=jnp.{value.dtype.name})"
        return f"jnp.array({literal(value.tolist())}, dtype=jnp.{value.dtype.name})"


@functools.lru_cache(maxsize=64)
def compiled(program: Program) -> Callable[..., Any]:
    """The program as a Python function of JAX arrays."""
    namespace: dict[str, Any] = {"jax": jax, "jnp": jnp}
    exec(with_arrays(program).source(spelling=JaxSpelling()), namespace)
    return namespace["program"]  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=64)
def whole(program: Program, derivative: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """The program, or a derivative of it, compiled whole: once, however often it is asked for and timed."""
    function = compiled(program)
    return jax.jit(functools.partial(derivative, function) if derivative else function)  # type: ignore[no-any-return]


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """What JAX says that it has not implemented, or cannot compile by its own rules, is unsupported, not an error."""
    try:
        yield
    except (NotImplementedError, jax.errors.ConcretizationTypeError, jax.errors.NonConcreteBooleanIndexError) as error:
        raise Unsupported(str(error).partition("\n")[0]) from None


def describe() -> dict[str, str]:
    """What JAX's answers depend on besides its version."""
    with jax.disable_jit():
        alone = subnormals(lambda x: jnp.asarray(x) / 2)
    whole = subnormals(jax.jit(lambda x: x / 2))
    return {
        "devices": ", ".join(map(str, jax.devices())),
        "x64": "enabled" if jax.config.jax_enable_x64 else "off",
        "subnormals": f"{alone}, compiled or not" if whole == alone else f"{alone}; under jit {whole}",
        "cache": str(jax.config.jax_compilation_cache_dir),
    }


class JaxAdapter:
    """JAX on the CPU, with 64-bit floats enabled, one primitive at a time.

    ``jax.numpy`` compiles most of its functions whole, for every shape and again for every
    derivative; with that switched off they share the compiled primitives, and a campaign takes half
    the time.  But this is not how people call JAX: `timed` is.
    """

    name = "jax"
    version = jax.__version__

    def __init__(self, whole_functions: bool = False):
        self.mode = contextlib.nullcontext if whole_functions else jax.disable_jit

    @property
    def timed(self) -> JaxAdapter:
        """The adapter whose speed is JAX's."""
        return JaxAdapter(whole_functions=True)

    def forward(self, program: Program, inputs: Sequence[Any]) -> Any:
        with self.mode():
            return np.asarray(compiled(program)(*map(jnp.asarray, inputs)))

    def vjp(self, program: Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        with refusals(), self.mode():
            value, gradients = first_order(compiled(program), *map(jnp.asarray, (cotangent, *inputs)))
            return np.asarray(value), [np.asarray(g) for g in gradients]

    def hvp(self, program: Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        arguments = map(jnp.asarray, (cotangent, *vectors, *inputs))
        with refusals(), self.mode():
            return [np.asarray(p) for p in second_order(compiled(program), *arguments)]

    def jvp(self, program: Program, inputs: Sequence[Any], vectors: Sequence[Any]) -> Any:
        primals, tangents = (tuple(map(jnp.asarray, arrays)) for arrays in (inputs, vectors))
        with refusals(), self.mode():
            return np.asarray(jax.jvp(compiled(program), primals, tangents)[1])


class JittedAdapter:
    """JAX with the program and its derivatives compiled whole, so that XLA may fuse and rearrange them."""

    name = "jax.jit"
    version = jax.__version__

    def forward(self, program: Program, inputs: Sequence[Any]) -> Any:
        return np.asarray(whole(program)(*map(jnp.asarray, inputs)))

    def vjp(self, program: Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        with refusals():
            value, gradients = whole(program, first_order)(*map(jnp.asarray, (cotangent, *inputs)))
            return np.asarray(value), [np.asarray(g) for g in gradients]

    def hvp(self, program: Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        with refusals():
            arguments = map(jnp.asarray, (cotangent, *vectors, *inputs))
            return [np.asarray(p) for p in whole(program, second_order)(*arguments)]


def first_order(function: Callable[..., Any], cotangent: Any, *primals: Any) -> tuple[Any, Sequence[Any]]:
    """The value, and the gradient per primal."""
    value, pullback = jax.vjp(function, *primals)
    return value, pullback(cotangent)


def second_order(function: Callable[..., Any], cotangent: Any, *arguments: Any) -> Sequence[Any]:
    """The Hessian products; the arguments are the vectors, then the primals."""
    vectors, primals = arguments[: len(arguments) // 2], arguments[len(arguments) // 2 :]
    products: Sequence[Any] = jax.vjp(lambda *xs: first_order(function, cotangent, *xs)[1], *primals)[1](vectors)
    return products
