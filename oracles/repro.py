"""Stand-alone scripts that show one disagreement, with NumPy, the engine and one framework."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import jinja2
import numpy as np

from minigrad.program import Spelling, literal
from oracles.cases import Case


class Asking(NamedTuple):
    """How a script asks one party: what it imports, sets, and does."""

    imports: tuple[str, ...]
    settings: str
    body: tuple[str, str]
    """For order 1, returning value and gradients, and for order 2, returning Hessian products."""


def code(text: str) -> str:
    return textwrap.dedent(text).strip()


ASKING = {
    "minigrad": Asking(
        ("import minigrad as mg",),
        "",
        (
            code("""
                value, pullback = mg.vjp(lambda *xs: program(*xs), *inputs)
                return [value, *pullback(cotangent)]
            """),
            code("""
                def slope(*primals):
                    gradients = mg.vjp(lambda *xs: program(*xs), *primals)[1](cotangent)
                    return sum(np.sum(g * v) for g, v in zip(gradients, vectors))

                return mg.grad(slope, argnums=range(len(inputs)))(*inputs)
            """),
        ),
    ),
    "minigrad.stage": Asking(
        ("import minigrad as mg",),
        "",
        (
            code("""
                staged = mg.stage(lambda *xs: program(*xs), *inputs, cotangent=cotangent)
                value, gradients = staged(*inputs, cotangent)
                return [value, *gradients]
            """),
            code("""
                def slope(*primals):
                    gradients = mg.vjp(lambda *xs: program(*xs), *primals)[1](cotangent)
                    return sum(np.sum(g * v) for g, v in zip(gradients, vectors))

                return mg.stage(slope, *inputs)(*inputs)[1]
            """),
        ),
    ),
    "torch": Asking(
        ("import torch",),
        "",
        (
            code("""
                primals = [torch.tensor(x, requires_grad=True) for x in inputs]
                value = torch_program(*primals)
                gradients = torch.autograd.grad(value, primals, torch.tensor(cotangent), allow_unused=True)
                return [None if t is None else t.detach().clone().numpy() for t in (value, *gradients)]
            """),
            code("""
                primals = [torch.tensor(x, requires_grad=True) for x in inputs]
                value = torch_program(*primals)
                gradients = torch.autograd.grad(
                    value, primals, torch.tensor(cotangent), create_graph=True, allow_unused=True
                )
                pairs = [(g, torch.tensor(v)) for g, v in zip(gradients, vectors) if g is not None]
                pairs = [(g, v) for g, v in pairs if g.requires_grad]
                if not pairs:
                    return [None] * len(primals)
                outputs, weights = zip(*pairs)
                products = torch.autograd.grad(outputs, primals, weights, allow_unused=True)
                return [None if p is None else p.detach().clone().numpy() for p in products]
            """),
        ),
    ),
    "jax": Asking(
        ("import jax", "import jax.numpy as jnp"),
        'jax.config.update("jax_enable_x64", True)',
        (
            code("""
                value, pullback = jax.vjp(jax_program, *map(jnp.asarray, inputs))
                return [np.asarray(a) for a in (value, *pullback(jnp.asarray(cotangent)))]
            """),
            code("""
                def gradients(*primals):
                    return jax.vjp(jax_program, *primals)[1](jnp.asarray(cotangent))

                _, pullback = jax.vjp(gradients, *map(jnp.asarray, inputs))
                return [np.asarray(p) for p in pullback(tuple(map(jnp.asarray, vectors)))]
            """),
        ),
    ),
}


def asking(party: str) -> Asking:
    """How to ask a party by name, or anyone's ``package.module:factory``."""
    if party in ASKING:
        return ASKING[party]
    module, _, factory = party.partition(":")
    return Asking(
        ("import minigrad as mg", f"from {module} import {factory}"),
        "",
        (
            code(f"""
                value, gradients = {factory}().vjp(mg.trace(program, *inputs), inputs, cotangent)
                return [value, *gradients]
            """),
            f"return {factory}().hvp(mg.trace(program, *inputs), inputs, cotangent, vectors)",
        ),
    )


def spelling_of(party: str) -> tuple[str, Spelling | None]:
    """The name that a party's own spelling of the program has in the script, and the spelling."""
    if party == "torch":
        from oracles.adapters.torch import TorchSpelling

        return "torch_program", TorchSpelling()
    if party == "jax":
        from oracles.adapters.jax import JaxSpelling

        return "jax_program", JaxSpelling()
    return "program", None


def needed_by(program: str) -> set[str]:
    """What else a printed program takes: the modules that its functions live in."""
    modules = ("minigrad", "scipy.special", "jax.scipy.special")
    return {f"import {m}" for m in modules if re.search(rf"(?<![\w.]){re.escape(m)}\.", program)}


def exact(x: Any) -> str:
    """An array as Python; the decimals are long enough to give back every bit."""
    x = np.asarray(x)
    return f'np.array({literal(x.tolist())}, "{x.dtype.name}")' if x.size else f'np.zeros({x.shape}, "{x.dtype.name}")'


def script(case: Case, subject: str, oracle: str, order: int, allowed: Sequence[Any], why: str) -> str:
    """The script for one case.

    `allowed` holds how far apart rounding alone may take each array that is compared: at order 1
    the value and the gradients, at order 2 the Hessian products.
    """
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("oracles", "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    env.filters["exact"] = exact
    asked = [asking(party) for party in (subject, oracle)]
    names = [f"{'d' if order == 1 else 'H'}/d{i.name}" for i in case.program.inputs]
    own = ":" in subject
    programs = [case.program.source(name, spelling) for name, spelling in map(spelling_of, (subject, oracle))]
    lines = {line for a in asked for line in a.imports}.union(*map(needed_by, programs))
    return env.get_template("repro.py.j2").render(
        id=case.id,
        what="value or gradients" if order == 1 else "Hessian-vector products",
        subject=subject,
        oracle=oracle,
        needs=["NumPy", "minigrad", *(party for party in (subject, oracle) if party in ("torch", "jax"))],
        folder=f", and to be run where {subject.partition(':')[0]} can be imported" if own else "",
        why=why.replace("\\", "/").replace('"""', "'''"),
        imports=sorted(lines, key=lambda line: line.split()[1]),
        settings=[a.settings for a in asked if a.settings],
        order=order,
        inputs=case.inputs,
        cotangent=case.cotangent,
        vectors=case.vectors,
        programs=programs,
        subject_body=asked[0].body[order - 1],
        oracle_body=asked[1].body[order - 1],
        names=["value", *names] if order == 1 else names,
        allowed=[np.asarray(a, np.float64) for a in allowed],
        width=max(len(subject), len(oracle)),
    )
