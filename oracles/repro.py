"""Stand-alone scripts that show one party beside the certified truth; they need NumPy and that party alone."""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import jinja2
import numpy as np

from minigrad.programs import Spelling, literal
from oracles.adapters import with_arrays
from oracles.asking import party as adapter
from oracles.exact import Status
from oracles.examine import Examination
from oracles.facts import Point
from oracles.laws import TRANSPOSED, pairing
from oracles.verdict import UNITS, Contradiction, contradicted, formed, structure_fault


class Asking(NamedTuple):
    """How a script asks one party: what it imports, sets, and does."""

    imports: tuple[str, ...]
    settings: str
    body: tuple[str, str]
    """For order 1, returning value and gradients, and for order 2, returning Hessian products."""
    forward: str = ""
    """The same for forward mode, returning the sum of its derivative along the vectors, weighted with the cotangent."""


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
        code("""
            along = mg.jvp(lambda *xs: program(*xs), tuple(inputs), tuple(vectors))[1]
            return [np.asarray(np.sum(cotangent * along))]
        """),
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
                value = program(*primals)
                gradients = torch.autograd.grad(value, primals, torch.tensor(cotangent), allow_unused=True)
                return [None if t is None else t.detach().clone().numpy() for t in (value, *gradients)]
            """),
            code("""
                primals = [torch.tensor(x, requires_grad=True) for x in inputs]
                value = program(*primals)
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
        code("""
            primals, tangents = (tuple(map(torch.tensor, arrays)) for arrays in (inputs, vectors))
            along = torch.func.jvp(program, primals, tangents)[1]
            return [np.asarray(np.sum(cotangent * along.numpy()))]
        """),
    ),
    "jax": Asking(
        ("import jax", "import jax.numpy as jnp"),
        'jax.config.update("jax_enable_x64", True)',
        (
            code("""
                value, pullback = jax.vjp(program, *map(jnp.asarray, inputs))
                return [np.asarray(a) for a in (value, *pullback(jnp.asarray(cotangent)))]
            """),
            code("""
                def gradients(*primals):
                    return jax.vjp(program, *primals)[1](jnp.asarray(cotangent))

                _, pullback = jax.vjp(gradients, *map(jnp.asarray, inputs))
                return [np.asarray(p) for p in pullback(tuple(map(jnp.asarray, vectors)))]
            """),
        ),
        code("""
            primals, tangents = (tuple(map(jnp.asarray, arrays)) for arrays in (inputs, vectors))
            along = jax.jvp(program, primals, tangents)[1]
            return [np.asarray(np.sum(cotangent * np.asarray(along)))]
        """),
    ),
    "jax.jit": Asking(
        ("import jax", "import jax.numpy as jnp"),
        'jax.config.update("jax_enable_x64", True)',
        (
            code("""
                def gradients(cotangent, *primals):
                    value, pullback = jax.vjp(program, *primals)
                    return value, *pullback(cotangent)

                return [np.asarray(a) for a in jax.jit(gradients)(cotangent, *inputs)]
            """),
            code("""
                def products(cotangent, vectors, *primals):
                    gradients = lambda *xs: jax.vjp(program, *xs)[1](cotangent)
                    return jax.vjp(gradients, *primals)[1](vectors)

                return [np.asarray(p) for p in jax.jit(products)(cotangent, tuple(vectors), *inputs)]
            """),
        ),
    ),
    "autograd": Asking(
        ("import autograd", "import autograd.numpy as anp"),
        "",
        (
            code("""
                pairs = [autograd.make_vjp(program, k)(*inputs) for k in range(len(inputs))]
                return [np.asarray(pairs[0][1]), *(np.asarray(pullback(cotangent)) for pullback, _ in pairs)]
            """),
            code("""
                def slope(*primals):
                    pullbacks = [autograd.make_vjp(program, k)(*primals)[0] for k in range(len(primals))]
                    return sum(anp.sum(pullback(cotangent) * v) for pullback, v in zip(pullbacks, vectors))

                return [np.asarray(autograd.grad(slope, k)(*inputs)) for k in range(len(inputs))]
            """),
        ),
    ),
    "mygrad": Asking(
        ("import mygrad",),
        "",
        (
            code("""
                primals = [mygrad.tensor(x) for x in inputs]
                value = program(*primals)
                if isinstance(value, mygrad.Tensor):
                    value.backward(cotangent)
                return [np.asarray(value), *(x.grad for x in primals)]
            """),
            'raise NotImplementedError("MyGrad has first derivatives only")',
        ),
    ),
}


def asking(party: str) -> Asking:
    """How to ask a party by name, or anyone's ``package.module:factory``."""
    if party in ASKING:
        return ASKING[party]
    module, _, factory = party.partition(":")
    # The name of a planted fault is no identifier.
    plain = factory.isidentifier()
    engine = factory if plain else f"getattr({module}, {factory!r})"
    return Asking(
        ("import minigrad as mg", f"from {module} import {factory}" if plain else f"import {module}"),
        "",
        (
            code(f"""
                value, gradients = {engine}().vjp(mg.trace(program, *inputs), inputs, cotangent)
                return [value, *gradients]
            """),
            f"return {engine}().hvp(mg.trace(program, *inputs), inputs, cotangent, vectors)",
        ),
        code(f"""
            along = {engine}().jvp(mg.trace(program, *inputs), inputs, vectors)
            return [np.asarray(np.sum(cotangent * along))]
        """),
    )


def spelling_of(party: str) -> Spelling | None:
    """The party's own spelling of programs; none is NumPy's."""
    if party == "torch":
        from oracles.adapters.torch import TorchSpelling

        return TorchSpelling()
    if party in ("jax", "jax.jit"):
        from oracles.adapters.jax import JaxSpelling

        return JaxSpelling()
    if party == "autograd":
        from oracles.adapters.autograd import AutogradSpelling

        return AutogradSpelling()
    if party == "mygrad":
        from oracles.adapters.mygrad import MyGradSpelling

        return MyGradSpelling()
    return None


def needed_by(program: str) -> set[str]:
    """What else a printed program takes: the modules that its functions live in."""
    engines = ("jax.scipy.special", "autograd.scipy.special", "mygrad.nnet.activations")
    modules = ("minigrad", "scipy.special", *engines)
    return {f"import {m}" for m in modules if re.search(rf"(?<![\w.]){re.escape(m)}\.", program)}


def exact(x: Any) -> str:
    """An array as Python; the decimals are long enough to give back every bit."""
    x = np.asarray(x)
    return f'np.array({literal(x.tolist())}, "{x.dtype.name}")' if x.size else f'np.zeros({x.shape}, "{x.dtype.name}")'


class Question(NamedTuple):
    """What a script asks, and what is true of it, array by array."""

    what: str
    body: str
    names: Sequence[str]
    low: list[Any]
    high: list[Any]
    allowed: list[Any]
    """How far rounding alone may take each element."""
    together: Contradiction | None = None
    """What the elements at a kink add up to, where the party's do not."""


def question(found: Examination, order: int) -> Question:
    """That of the case; or of the party's forward mode, where this is what its gradients do not go with."""
    facts, verdict, asked = found.facts[order], found.verdicts[0], asking(found.verdicts[0].party)
    if verdict.broken and verdict.law == TRANSPOSED and asked.forward:
        truth = pairing(found.case.vectors, [t.value for t in facts.truths[1:]])
        noise = pairing([abs(v) for v in found.case.vectors], facts.noise[1:])
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            noise += Point(found.case, order).noise_of_forward_mode()
        bounds = [np.asarray(truth)]
        return Question("forward mode", asked.forward, ["<Jv, w>"], bounds, bounds, [np.asarray(UNITS * noise)])
    known = [t.status <= Status.KINK for t in facts.truths]
    low, high = (
        [np.where(k, getattr(t, bound), np.nan) for k, t in zip(known, facts.truths, strict=True)]
        for bound in ("low", "high")
    )
    allowed = [UNITS * np.asarray(n, np.float64) for n in facts.noise]
    what = "value and gradients" if order == 1 else "Hessian-vector products"
    [answer] = [answer for answer in found.answers[order] if answer.party == verdict.party]
    sound = answer.label is None and not structure_fault(answer, facts)
    together = contradicted(formed(answer, facts), facts) if sound else None
    return Question(what, asked.body[order - 1], facts.names, low, high, allowed, together)


def script(found: Examination, order: int) -> str:
    """The script for one case and party: the first of the examination's."""
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("oracles", "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    env.filters["exact"] = exact
    case, facts = found.case, found.facts[order]
    party = found.verdicts[0].party
    verdict = found.verdict(party, order)
    asked, asks = asking(party), question(found, order)
    spelling = spelling_of(party)
    program = (with_arrays(case.program) if spelling else case.program).source("program", spelling)
    imports = sorted({*asked.imports, *needed_by(program)}, key=lambda line: line.split()[1])
    packages = sorted({line.split()[1].partition(".")[0] for line in imports})
    return env.get_template("repro.py.j2").render(
        **asks._asdict(),
        id=case.id,
        party=party,
        version=f"{party} {adapter(party).version}",
        folder=f", and to be run from the folder of {party.partition(':')[0]}" if ":" in party else "",
        label=verdict.label,
        law=verdict.law if verdict.broken and asks.body in asked.body else "",
        why=verdict.why.replace("\\", "/").replace('"""', "'''"),
        imports=imports,
        needs=" and ".join(["NumPy", *packages]),
        setting=asked.settings,
        inputs=case.inputs,
        cotangent=case.cotangent,
        vectors=case.vectors if order == 2 or asks.body == asked.forward else (),
        program=program,
        radius=max((float(np.max(t.radius, initial=0.0)) for t in facts.truths), default=0.0),
    )
