"""Stand-alone scripts that show one disagreement, with NumPy, the engine and one framework."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np

from minigrad.program import Spelling, literal
from oracles.adapters import SUBJECTS
from oracles.cases import Case

HEAD = '''\
"""Case {id}: {title}

Run it with {needs} installed{folder}. It prints each gradient
element by element, in decimal and in hexadecimal, and ends with exit code 1 if they disagree.

Recorded by the campaign: {why}
"""

import sys

import numpy as np
{imports}


'''

TAIL = '''

def ulps(a, b):
    """How many floats lie between a and b."""
    ranks = []
    for x in (a, b):
        bits = int(np.asarray(x).view(f"i{x.dtype.itemsize}"))
        ranks.append(bits if bits >= 0 else -(bits & np.iinfo(f"i{x.dtype.itemsize}").max))
    return abs(ranks[0] - ranks[1])


mine, theirs = SUBJECT(), ORACLE()
tolerance = [
    TOLERANCE
]
disagree = False
for name, a, b, allowed in zip(NAMES, mine, theirs, tolerance):
    if a is None or b is None:
        a, b = (np.zeros_like(b) if a is None else a), (np.zeros_like(a) if b is None else b)
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        print(f"{name}: SUBJECT_NAME gives {a.dtype}{list(a.shape)}, ORACLE_NAME gives {b.dtype}{list(b.shape)}")
        disagree = True
        continue
    for index in np.ndindex(a.shape):
        x, y = a[index], b[index]
        same = x == y or (np.isnan(x) and np.isnan(y)) or abs(float(x) - float(y)) <= allowed[index]
        disagree = disagree or not same
        verdict = "agree" if same else f"DISAGREE: rounding explains only {allowed[index]:.3g}"
        print(f"{name}{list(index) if index else ''}: {verdict}")
        print(f"    SUBJECT_NAME  {float(x)!r}  {float(x).hex()}")
        print(f"    ORACLE_NAME  {float(y)!r}  {float(y).hex()}   {ulps(x, y)} ULP apart")
sys.exit(1 if disagree else 0)
'''


def exact(x: Any) -> str:
    """An array as Python; the decimals are long enough to give back every bit."""
    x = np.asarray(x)
    return f'np.array({literal(x.tolist())}, "{x.dtype.name}")' if x.size else f'np.zeros({x.shape}, "{x.dtype.name}")'


def asking(party: str, order: int) -> tuple[str, str]:
    """The imports, and the body of a function that returns the gradients (or Hessian products)."""
    if party == "minigrad":
        if order == 1:
            return "import minigrad as mg", "return mg.vjp(lambda *xs: program(*xs), *inputs)[1](cotangent)"
        return "import minigrad as mg", textwrap.dedent("""\
            def slope(*primals):
                gradients = mg.vjp(lambda *xs: program(*xs), *primals)[1](cotangent)
                return sum(np.sum(g * v) for g, v in zip(gradients, vectors))
            return mg.grad(slope, argnums=range(len(inputs)))(*inputs)""")
    if party == "torch":
        lines = ["primals = [torch.tensor(x, requires_grad=True) for x in inputs]", "value = torch_program(*primals)"]
        create = ", create_graph=True" if order == 2 else ""
        lines.append(
            f"gradients = torch.autograd.grad(value, primals, torch.tensor(cotangent), allow_unused=True{create})"
        )
        if order == 2:
            lines += [
                "pairs = [(g, torch.tensor(v)) for g, v in zip(gradients, vectors)]",
                "pairs = [(g, v) for g, v in pairs if g is not None and g.requires_grad]",
                "outputs, weights = [g for g, _ in pairs], [v for _, v in pairs]",
                "gradients = torch.autograd.grad(outputs, primals, weights, allow_unused=True) if pairs else gradients",
            ]
        lines.append("return [None if g is None else g.detach().clone().numpy() for g in gradients]")
        return "import torch", "\n".join(lines)
    if party == "jax":
        imports = 'import jax\nimport jax.numpy as jnp\n\njax.config.update("jax_enable_x64", True)'
        if order == 1:
            body = textwrap.dedent("""\
                _, pullback = jax.vjp(jax_program, *map(jnp.asarray, inputs))
                return [np.asarray(g) for g in pullback(jnp.asarray(cotangent))]""")
        else:
            body = textwrap.dedent("""\
                def gradients(*primals):
                    return jax.vjp(jax_program, *primals)[1](jnp.asarray(cotangent))
                _, pullback = jax.vjp(gradients, *map(jnp.asarray, inputs))
                return [np.asarray(p) for p in pullback(tuple(map(jnp.asarray, vectors)))]""")
        return imports, body
    module, _, factory = SUBJECTS.get(party, party).partition(":")
    call = "vjp(traced, inputs, cotangent)[1]" if order == 1 else "hvp(traced, inputs, cotangent, vectors)"
    return (
        f"import minigrad as mg\nfrom {module} import {factory}",
        f"traced = mg.trace(program, *inputs)\nreturn {factory}().{call}",
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


def script(case: Case, subject: str, oracle: str, order: int, allowed: list[Any], why: str) -> str:
    """The script for one case.

    `allowed` holds, per input, how far apart rounding alone may take the gradients.
    """
    titles = {1: "gradients", 2: "Hessian-vector products"}
    imports: list[str] = []
    bodies = []
    for party, name in ((subject, "SUBJECT"), (oracle, "ORACLE")):
        lines, body = asking(party, order)
        imports += [line for line in lines.splitlines() if line and line not in imports]
        bodies.append(f"def {name.lower()}_answer():\n{textwrap.indent(body, '    ')}\n")
    programs = {}
    for party in (subject, oracle):
        name, spelling = spelling_of(party)
        programs[name] = case.program.source(name, spelling)
    plain = [line for line in imports if line.startswith(("import", "from"))]
    settings = [line for line in imports if not line.startswith(("import", "from"))]
    needs = " and ".join(dict.fromkeys(["NumPy", "minigrad" if ":" in subject else subject, oracle]))
    folder = f", from the folder where {subject.partition(':')[0]} can be imported" if ":" in subject else ""
    head = HEAD.format(
        id=case.id,
        title=f"{titles[order]} of {subject} and {oracle} disagree",
        needs=needs,
        folder=folder,
        why=why.replace("\\", "/").replace('"""', "'''"),
        imports="\n".join(plain + (["", *settings] if settings else [])),
    )
    data = [
        "inputs = [\n" + "".join(f"    {exact(x)},\n" for x in case.inputs) + "]",
        f"cotangent = {exact(case.cotangent)}",
    ]
    if order == 2:
        data.append("vectors = [\n" + "".join(f"    {exact(v)},\n" for v in case.vectors) + "]")
    names = [f"{'d' if order == 1 else 'H'}/d{i.name}" for i in case.program.inputs]
    tolerance = ",\n    ".join(exact(np.asarray(a, np.float64)) for a in allowed)
    tail = (
        TAIL.replace("SUBJECT()", "subject_answer()")
        .replace("ORACLE()", "oracle_answer()")
        .replace("TOLERANCE", tolerance + ",")
        .replace("SUBJECT_NAME", subject)
        .replace("ORACLE_NAME", oracle)
        .replace("NAMES", repr(names))
    )
    return head + "\n".join(data) + "\n\n\n" + "\n\n\n".join([*programs.values(), *bodies]).rstrip() + "\n" + tail
