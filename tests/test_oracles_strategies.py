"""What Hypothesis draws: valid programs that reach everything, and shrink to almost nothing."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from random import Random
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.programs import Program, Ref, Step
from minigrad.protocol import DEFINITIONS, FUNCTIONS, NAMES, RULES, leaves
from oracles import strategies
from oracles.asking import ask
from oracles.campaign import SPECIAL_EVERY, Options, draw_block, drawn_cases
from oracles.cases import Case
from oracles.catalogue import CATALOGUE, CONDITIONED, ROWS, Interval, tie
from oracles.points import (
    SPECIAL_KINDS,
    at_ordinal,
    described,
    neighbours,
    ordinal,
    share_of,
    special,
    tabulated,
)
from oracles.strategies import DRAWN, KINDS, Palette, elements, programs, special_cases
from tests.support import OWN_RULES

DRAWS = 300

SEED = 3

DTYPES = ["float64", "float32"]


def draws(dtype: str, number: int = DRAWS) -> list[Case]:
    """The cases that a campaign draws with this seed."""
    return [*itertools.islice(drawn_cases(dtype, Options(seed=SEED)), number)]


@pytest.fixture(scope="module", params=DTYPES)
def drawn(request: pytest.FixtureRequest) -> list[Case]:
    return draws(request.param)


def values_of(case: Case) -> list[Any]:
    """The inputs, and what each step results in."""
    values: list[Any] = list(case.inputs)
    with np.errstate(all="ignore"):
        case.program.run(case.inputs, NAMES.__getitem__, lambda number, step, operands, ans: values.append(ans) or ans)
    return values


def is_special(case: Case) -> bool:
    return case.origin.get("sort") == "special"


def is_finite(case: Case) -> bool:
    return "nonfinite" not in case.origin["kinds"]


def holds_nan(step: Step) -> bool:
    """Whether a step brings a NaN in, for the functions that leave it out."""
    return any(isinstance(operand, float) and np.isnan(operand) for operand in step.operands)


def functions(program: Program) -> list[str]:
    return [step.function for step in program.steps]


def functions_of(case: Case) -> list[str]:
    return functions(case.program)


def uses(case: Case) -> Counter[int]:
    """How often each value is an operand."""
    operands = [list(step.operands) for step in case.program.steps]
    return Counter(leaf.index for leaf in leaves(operands) if isinstance(leaf, Ref))


# Every draw is valid.


def test_every_draw_passes_the_check_of_a_case(drawn: list[Case]) -> None:
    for case in drawn:
        case.check()


def test_every_value_is_finite_with_room_to_spare(drawn: list[Case]) -> None:
    for case in filter(is_finite, drawn):
        missing = {len(case.inputs) + i for i, step in enumerate(case.program.steps) if holds_nan(step)}
        most = float(np.finfo(case.dtype).max) / 1000
        for i, value in enumerate(values_of(case)):
            assert i in missing or all(np.all(np.abs(array) < most) for array in leaves(value)), case.program


def test_no_zero_hides_a_product_beyond_the_range(drawn: list[Case]) -> None:
    for case in filter(is_finite, drawn):

        def watch(number: int, step: Step, operands: Any, ans: Any) -> Any:
            if step.function == "prod":
                x = np.asarray(operands[0])
                whole = np.prod(np.where(x == 0, 1, x), axis=step.parameters.get("axis"))
                assert np.all(np.isfinite(whole)), step
            return ans

        with np.errstate(all="ignore"):
            case.program.run(case.inputs, NAMES.__getitem__, watch)


def test_every_float_on_the_way_has_the_dtype_that_was_asked_for(drawn: list[Case]) -> None:
    for case in drawn:
        floats = {array.dtype.name for value in values_of(case) for array in leaves(value)} - {"bool"}
        wide = {"float64"} if {"float_power", "astype"} & {*functions_of(case)} else set()
        assert floats - wide == {case.dtype} - wide, case.program


def test_every_operand_lies_in_the_domain_of_its_function(drawn: list[Case]) -> None:
    for case in filter(is_finite, drawn):

        def watch(number: int, step: Any, operands: Any, ans: Any) -> Any:
            domain = CATALOGUE[step.function].domain
            for place, operand in enumerate(operands):
                if not holds_nan(step) and isinstance(operand, (np.ndarray, np.generic, int, float)):
                    assert domain[min(place, len(domain) - 1)].contains(operand)
            return ans

        with np.errstate(all="ignore"):
            case.program.run(case.inputs, NAMES.__getitem__, watch)


def test_every_cotangent_has_the_shape_and_dtype_of_the_result(drawn: list[Case]) -> None:
    for case in drawn:
        with np.errstate(all="ignore"):
            value = case.program(*case.inputs)
        assert (case.cotangent.shape, case.cotangent.dtype) == (np.shape(value), value.dtype)


def test_there_is_a_vector_per_input_of_its_shape_and_dtype(drawn: list[Case]) -> None:
    for case in drawn:
        assert [(v.shape, v.dtype) for v in case.vectors] == [(x.shape, x.dtype) for x in case.inputs]


def test_weights_are_never_zero(drawn: list[Case]) -> None:
    for case in drawn:
        assert all(np.all(w != 0) for w in (case.cotangent, *case.vectors))


def test_every_step_and_input_is_needed(drawn: list[Case]) -> None:
    for case in drawn:
        assert case.program.without_dead_steps()[0] == case.program


def test_every_case_survives_the_trip_through_json(drawn: list[Case]) -> None:
    for case in drawn:
        data = json.loads(json.dumps(case.as_data(), allow_nan=False))
        back = Case.from_data(data)
        assert back.program == case.program
        assert [x.tobytes() for x in back.inputs] == [x.tobytes() for x in case.inputs]
        assert back.as_data() == case.as_data()


def test_the_same_seed_draws_the_same_cases() -> None:
    one, two = draws("float64", 50), draws("float64", 50)
    assert [case.as_data() for case in one] == [case.as_data() for case in two]


def test_no_program_is_drawn_twice_at_ordinary_points(drawn: list[Case]) -> None:
    ordinary = [case.program for case in drawn if not is_special(case)]
    assert len({*ordinary}) == len(ordinary)


# Draws reach everything.


def test_every_function_of_the_catalogue_is_drawn(drawn: list[Case]) -> None:
    assert {name for case in drawn for name in functions_of(case)} == set(CATALOGUE)


def test_every_case_contains_the_function_that_it_must(drawn: list[Case]) -> None:
    for case in drawn:
        assert case.origin["must"] in functions_of(case), case.program


def test_functions_take_turns(drawn: list[Case]) -> None:
    musts = [case.origin["must"] for case in drawn]
    turn = len([row for row in ROWS if row.kind != "compare"])
    assert len(set(musts[:turn])) == turn
    assert musts[turn:] == musts[: len(musts) - turn]


def test_seeds_and_dtypes_differ_in_which_functions_come_first() -> None:
    orders = {
        tuple(case.origin["must"] for case in itertools.islice(drawn_cases(dtype, Options(seed=seed)), 3))
        for dtype in DTYPES
        for seed in (0, 1)
    }
    assert len(orders) == 4


def test_only_basic_functions_are_drawn_without_being_asked_for() -> None:
    assert set(DRAWN) < set(CATALOGUE)


def free_programs() -> list[Program]:
    found: list[Program] = []

    @hypothesis.seed(SEED)
    @settings(max_examples=1000, database=None, deadline=None, backend="minigrad-seeded")
    @given(programs())
    def collect(program: Program) -> None:
        found.append(program)

    collect()
    return found


def test_free_programs_reach_every_basic_function_and_zero_size_inputs() -> None:
    found = free_programs()
    assert {step.function for program in found for step in program.steps} >= set(DRAWN)
    assert any(0 in declared.shape for program in found for declared in program.inputs)


def test_comparisons_are_drawn_as_conditions(drawn: list[Case]) -> None:
    assert {name for case in drawn for name in functions_of(case)} >= {"greater", "less_equal"}


def test_inputs_of_every_kind_are_drawn(drawn: list[Case]) -> None:
    kinds = {kind for case in drawn if not is_special(case) for kind in case.origin["kinds"]}
    assert kinds == {*KINDS, "domain"}


def test_values_fork(drawn: list[Case]) -> None:
    assert sum(max(uses(case).values()) > 1 for case in drawn) > DRAWS / 10


def test_operands_broadcast(drawn: list[Case]) -> None:
    stretched = 0
    for case in drawn:
        values = values_of(case)
        for step, ans in zip(case.program.steps, values[len(case.inputs) :], strict=True):
            if CATALOGUE[step.function].kind == "binary":
                shapes = [np.shape(values[leaf.index]) for leaf in step.operands if isinstance(leaf, Ref)]
                stretched += any(shape != ans.shape for shape in shapes)
    assert stretched > DRAWS / 10


def test_0d_inputs_are_drawn(drawn: list[Case]) -> None:
    assert () in {x.shape for case in drawn for x in case.inputs}


def test_matrix_products_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_chain(case: Case) -> bool:
        n = len(case.inputs)
        made = {n + i for i, step in enumerate(case.program.steps) if step.function == "matmul"}
        return any(made & {o.index for o in case.program.steps[i - n].operands} for i in made)

    monkeypatch.setattr(strategies, "DRAWN", ["matmul", "add"])
    assert sum(is_chain(case) for case in draws("float64", 200)) > 10


def test_programs_are_short_and_long(drawn: list[Case]) -> None:
    lengths = {len(case.program.steps) for case in drawn}
    assert min(lengths) == 1
    assert max(lengths) >= 7


def test_few_gradients_are_of_no_size_at_all(drawn: list[Case]) -> None:
    assert sum(case.cotangent.size == 0 for case in drawn) < DRAWS / 4


# Shrinking and parts.


def test_a_failure_of_tanh_shrinks_to_one_step() -> None:
    """Within three searches: one alone may end at a program that no single deletion makes shorter."""
    once = settings(max_examples=4000, database=None, deadline=None, backend="minigrad-seeded")
    found = [
        hypothesis.find(programs(), lambda program: "tanh" in functions(program), settings=once, random=Random(seed))
        for seed in range(3)
    ]
    assert ["tanh"] in [functions(program) for program in found]


@given(st.integers(0, 2**64))
def test_a_palette_is_a_function_of_its_seed(seed: int) -> None:
    assert Palette.of(seed) == Palette.of(seed)


def test_other_seeds_give_other_palettes() -> None:
    assert len({Palette.of(seed) for seed in range(20)}) > 1


@given(st.integers(0, 2**64))
def test_every_palette_has_scalars_vectors_matrices_a_stack_and_nothing(seed: int) -> None:
    shapes = Palette.of(seed).shapes
    assert {len(shape) for shape in shapes} == {0, 1, 2, 3}
    assert any(0 in shape for shape in shapes)
    assert any(1 in shape for shape in shapes)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_finite_in_their_dtype(kind: str, dtype: str) -> None:
    @given(elements(kind, dtype))
    def finite(x: float) -> None:
        assert np.isfinite(np.dtype(dtype).type(x))

    finite()


# Special numbers.

OPERANDS = [(row, place) for row in ROWS for place in (0, 1)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_numbers_lie_in_the_domain_and_are_of_the_dtype(dtype: str) -> None:
    for row, place in OPERANDS:
        for kind, numbers in special(row, place, dtype).items():
            assert kind in SPECIAL_KINDS
            for x in numbers:
                assert np.isnan(x) or (row.domain_of(place).contains(x) and np.dtype(dtype).type(x) == x), row.name
                assert np.isfinite(x) == (kind != "nonfinite"), row.name


@pytest.mark.parametrize("dtype", DTYPES)
def test_representable_numbers_are_counted_from_zero(dtype: str) -> None:
    info = np.finfo(dtype)
    counts = [ordinal(float(x), dtype) for x in (0.0, -0.0, info.smallest_subnormal, -info.smallest_subnormal)]
    assert counts == [0, 0, 1, -1]
    assert at_ordinal(ordinal(float(info.max), dtype), dtype) == info.max
    assert at_ordinal(ordinal(-0.75, dtype), dtype) == -0.75


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("x", [0.0, 1.0, -1.0, 0.1, 1e-40, -3e30])
def test_neighbours_are_exactly_one_ulp_away(x: float, dtype: str) -> None:
    itself, above, below = neighbours({"x": x}, dtype).values()
    assert itself == np.dtype(dtype).type(x)
    assert ordinal(above, dtype) - ordinal(itself, dtype) == 1
    assert ordinal(itself, dtype) - ordinal(below, dtype) == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_kinks_come_with_their_neighbours(dtype: str) -> None:
    points = described(CATALOGUE["arcsin"], 0, dtype)["kinks"]
    edge = ordinal(1.0, dtype)
    assert [points[name] for name in ("1", "-1", "0")] == [1.0, -1.0, 0.0]
    assert ordinal(points["1 - 1 ULP"], dtype) == edge - 1
    assert "1 + 1 ULP" not in points
    assert {ordinal(points[name], dtype) for name in ("0 + 1 ULP", "0 - 1 ULP")} == {1, -1}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", [CATALOGUE[name] for name in ("sin", "log", "arctanh", "arccosh", "reciprocal")])
def test_representations_are_of_the_domain(row: Any, dtype: str) -> None:
    @given(st.integers(0, 2**64 - 1))
    def inside(bits: int) -> None:
        x = share_of(row.domain_of(0), dtype, bits)
        assert np.isfinite(x)
        assert x == np.dtype(dtype).type(x)
        assert row.domain_of(0).contains(x) or x == row.domain_of(0).hole

    inside()


def test_tabulated_operands_have_ties_and_zeros() -> None:
    pairs = dict(tabulated(CATALOGUE["maximum"], "float64", 2))
    assert [*map(float, pairs["1 and 1"])] == [1.0, 1.0]
    assert [*map(float, pairs["1 and 1 + 1 ULP"])] == [1.0, np.nextafter(1.0, 2.0)]
    vectors = {words: x.tolist() for words, (x,) in tabulated(CATALOGUE["prod"], "float32")}
    assert [vectors[words].count(0.0) for words in ("one zero", "two zeros", "zeros")] == [1, 2, 3]
    assert len({*vectors["constant"]}) == 1


# Special cases.


@pytest.fixture(scope="module", params=DTYPES)
def specials(request: pytest.FixtureRequest) -> list[Case]:
    """A block of special cases for each function."""
    functions = [row.name for row in ROWS if row.kind != "compare"]
    palette = Palette.of(SEED)
    return [case for must in functions for case in draw_block(request.param, SEED, must, 0, palette, special=True)]


def numbers_of(cases: list[Case], *kinds: str) -> list[float]:
    """The entries of the inputs of some kinds."""
    inputs = [x for case in cases for x, kind in zip(case.inputs, case.origin["kinds"], strict=True) if kind in kinds]
    return [number for x in inputs for number in x.ravel().tolist()]


def test_every_function_has_special_cases(specials: list[Case]) -> None:
    counts = Counter(case.origin["must"] for case in specials)
    assert {*counts} == {row.name for row in ROWS if row.kind != "compare"}
    assert min(counts.values()) > 4
    for case in specials:
        assert is_special(case)
        assert case.origin["must"] in functions_of(case)


def test_special_cases_are_sound(specials: list[Case]) -> None:
    test_every_draw_passes_the_check_of_a_case(specials)
    test_every_value_is_finite_with_room_to_spare(specials)
    test_no_zero_hides_a_product_beyond_the_range(specials)
    test_every_operand_lies_in_the_domain_of_its_function(specials)
    test_every_float_on_the_way_has_the_dtype_that_was_asked_for(specials)
    test_weights_are_never_zero(specials)
    test_every_step_and_input_is_needed(specials)
    test_every_case_survives_the_trip_through_json(specials)


def test_every_special_case_has_an_input_of_a_special_kind(specials: list[Case]) -> None:
    assert all({*case.origin["kinds"]} & {*SPECIAL_KINDS} for case in specials)


def test_every_kind_of_special_number_is_drawn(specials: list[Case]) -> None:
    counts = Counter(kind for case in specials for kind in {*case.origin["kinds"]} & {*SPECIAL_KINDS})
    assert {*counts} == {*SPECIAL_KINDS}
    assert all(counts[kind] > len(specials) / 20 for kind in SPECIAL_KINDS)


def test_one_special_case_in_eight_is_not_finite(specials: list[Case]) -> None:
    share = sum(not is_finite(case) for case in specials) / len(specials)
    assert 1 / 12 < share < 1 / 6


def test_nonfinite_cases_hold_infinities_and_nan(specials: list[Case]) -> None:
    numbers = np.array(numbers_of(specials, "nonfinite"))
    assert all(np.any(found) for found in (np.isnan(numbers), np.isposinf(numbers), np.isneginf(numbers)))


def test_representations_have_many_exponents(specials: list[Case]) -> None:
    exponents = {np.frexp(x)[1] for x in numbers_of(specials, "representations")}
    assert len(exponents) > {"float64": 400, "float32": 100}[specials[0].dtype]


def test_signed_zeros_and_subnormals_are_drawn(specials: list[Case]) -> None:
    zeros = [x for x in numbers_of(specials, "signed zeros") if x == 0]
    assert {np.signbit(x) for x in zeros} == {True, False}
    assert any(0 < abs(x) < np.finfo(specials[0].dtype).tiny for x in numbers_of(specials, "subnormals"))


def test_special_numbers_stand_alone_and_among_ordinary_ones(specials: list[Case]) -> None:
    shares = [
        np.mean(x == 0)
        for case in specials
        for x, kind in zip(case.inputs, case.origin["kinds"], strict=True)
        if kind == "signed zeros" and x.size > 1
    ]
    assert sum(share == 1 for share in shares) > len(shares) / 5
    assert sum(0 < share < 1 for share in shares) > len(shares) / 5


def test_operands_tie_and_nearly_tie() -> None:
    seen = Counter[str]()
    for block in range(16):
        for case in draw_block("float64", SEED, "maximum", block, Palette.of(SEED), special=True):

            def watch(number: int, step: Any, operands: Any, ans: Any) -> Any:
                if step.function == "maximum":
                    x, y = operands
                    seen["tie"] += bool(np.any(x == y))
                    seen["near"] += bool(np.any(tie(ans, x, y) & (x != y)))
                return ans

            with np.errstate(all="ignore"):
                case.program.run(case.inputs, NAMES.__getitem__, watch)
    assert seen["tie"] > 5
    assert seen["near"] > 2


def test_matrices_are_scaled_and_in_good_condition(specials: list[Case]) -> None:
    scales = set()
    for case in specials:
        if CATALOGUE[case.origin["must"]].kind in CONDITIONED:
            (matrix, *_), (kind, *_) = case.inputs, case.origin["kinds"]
            largest = np.max(np.abs(matrix))
            if min(matrix.shape[-2:]) > 1 and largest > np.finfo(case.dtype).tiny / np.finfo(case.dtype).eps:
                assert np.all(np.linalg.cond(matrix / largest) < 100)
            assert kind == "extreme"
            scales.add(int(np.frexp(largest)[1]))
    assert len(scales) > 10


def test_in_a_chain_no_number_is_subnormal(specials: list[Case]) -> None:
    for case in specials:
        if {*functions_of(case)} - {case.origin["must"], "getitem"}:
            sizes = np.concatenate([np.abs(x).ravel() for x in case.inputs])
            assert not np.any((sizes > 0) & (sizes < np.finfo(case.dtype).tiny)), case.program


def test_special_cases_are_short_and_of_few_shapes(specials: list[Case]) -> None:
    palette = Palette.of(SEED)
    for case in specials:
        assert {x.shape for x in case.inputs} <= {*palette.certain}
    common = [x.shape in palette.common for case in specials for x in case.inputs]
    assert sum(common) > 0.7 * len(common)
    assert np.median([len(case.program.steps) for case in specials]) <= 3


def test_some_of_any_stretch_of_cases_are_special(drawn: list[Case]) -> None:
    for start in range(0, DRAWS, 30):
        found = sum(map(is_special, drawn[start : start + 30]))
        assert abs(found - 30 / SPECIAL_EVERY) <= 1


def test_every_function_has_its_special_turn(drawn: list[Case]) -> None:
    turn = len([row for row in ROWS if row.kind != "compare"])
    both = [*zip(drawn, drawn[turn:], strict=False)]
    assert not any(is_special(one) and is_special(other) for one, other in both)


def test_the_same_seed_draws_the_same_special_cases() -> None:
    one, two = (draw_block("float32", SEED, "hypot", 1, Palette.of(SEED), special=True) for _ in range(2))
    assert [case.as_data() for case in one] == [case.as_data() for case in two]


@pytest.mark.parametrize("kind", ["kinks", "extreme", "representations"])
def test_a_special_failure_shrinks_to_one_step(kind: str) -> None:
    found = hypothesis.find(
        special_cases(must="tanh"),
        lambda case: kind in case.origin["kinds"],
        settings=settings(max_examples=4000, derandomize=True, database=None, deadline=None, backend="minigrad-seeded"),
    )
    assert functions_of(found) == ["tanh"]


# The catalogue.


def test_every_name_of_the_catalogue_is_found() -> None:
    assert set(CATALOGUE) <= set(NAMES)


def test_no_function_has_two_rows() -> None:
    assert len(CATALOGUE) == len(ROWS)


INTERNAL = {
    "minigrad.recomputed": "what checkpoint makes of any function",
    "minigrad.contract": "einsum, with its indices spelled out",
    "minigrad.scatter": "the transpose of getitem",
    **dict.fromkeys(("minigrad.sech2", "minigrad.one_minus_square"), "the derivatives of tanh, arcsin and the like"),
    **dict.fromkeys(("minigrad.cosine", "minigrad.bessel_of_pi"), "the derivatives of hypot and sinc"),
    **dict.fromkeys(("minigrad.cofactor", "minigrad.logabsdet"), "of det, and of slogdet"),
    **dict.fromkeys(("minigrad.euclidean", "minigrad.singular_values", "minigrad.eigenvalues"), "norms, svd, eigvalsh"),
    **dict.fromkeys(("minigrad.nuclear", "minigrad.polar"), "the nuclear norm and its derivative"),
    **dict.fromkeys(("minigrad.packed_eigh", "minigrad.packed_svd", "minigrad.packed_qr"), "several results as one"),
    **dict.fromkeys(("minigrad.polygamma", "minigrad.gaussian"), "the derivatives of digamma and erf"),
    **dict.fromkeys(("minigrad.sigmoid_slope", "minigrad.sigmoid2"), "the derivatives of sigmoid and logaddexp2"),
    **dict.fromkeys(("minigrad.unit", "minigrad.norm_of_order", "minigrad.norm_slope"), "norms and their derivatives"),
    "minigrad.standard_deviation": "std, where squares may leave the range",
    "minigrad.completing": "vectors beyond the rank, of svd and qr",
    "minigrad.whole_times": "the derivative of fmod and remainder",
    "minigrad.convolution": "convolve and correlate, and the derivatives of both",
}
"""Functions with a rule that users do not call, with what they are for: they have no row."""


def test_every_row_has_a_rule_or_a_definition_or_is_a_comparison() -> None:
    without = {row.name for row in ROWS if NAMES[row.name] not in RULES and NAMES[row.name] not in DEFINITIONS}
    assert without == {row.name for row in ROWS if row.kind == "compare"}


def test_every_function_with_a_rule_or_a_definition_has_a_row_or_is_internal() -> None:
    own = {FUNCTIONS[function].name for function in (*OWN_RULES, *DEFINITIONS)}
    own |= {name for name in NAMES if name.startswith("scipy.special.") and NAMES[name] in RULES}
    assert own - set(CATALOGUE) == set(INTERNAL)


def test_minigrad_lacks_nothing_that_is_drawn(drawn: list[Case]) -> None:
    """It would be said to be unsupported, which fails no run: another engine may well lack some functions."""
    assert {name for case in drawn for name in functions_of(case)} >= {*DRAWN}
    with np.errstate(all="ignore"):
        assert {ask("minigrad", case, order).label for case in drawn for order in (1, 2)} == {None}


def test_every_row_can_be_drawn() -> None:
    assert all(hasattr(strategies.Builder, f"draw_{row.kind}") for row in ROWS if row.kind != "compare")


def test_every_choice_and_pair_is_of_a_function_of_the_catalogue() -> None:
    assert {*strategies.CHOICES, *strategies.PAIRS, *strategies.SEVERAL} <= set(CATALOGUE)


FILLED = sorted(shape for shape in {*Palette.of(0).certain, *Palette.of(1).certain} if 0 not in shape)
"""Shapes with entries: of the others, functions with choices are not drawn."""


@pytest.mark.parametrize("shape", FILLED)
@pytest.mark.parametrize("name", sorted(strategies.CHOICES))
def test_every_choice_is_valid(name: str, shape: tuple[int, ...]) -> None:
    rows = CATALOGUE[name]
    if rows.kind in ("regular", "symmetric") and (len(shape) < 2 or shape[-1] != shape[-2]):
        return
    if rows.kind == "distinct" and len(shape) < 2:
        return
    a = np.random.default_rng(0).uniform(1, 2, shape)
    for operands, parameters in strategies.CHOICES[name](shape):
        result = NAMES[name](a, *operands, **parameters)
        assert all(isinstance(part, (np.ndarray, np.generic)) for part in leaves([result]))


def test_what_happens_and_where_come_together() -> None:
    for row in ROWS:
        assert bool(row.event) == (row.where is not None), row.name
        assert not row.event or row.event.startswith(("kink: ", "edge: ")), row.name


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        (Interval(low=0.0), [0.0, 1.0], [-1e-9]),
        (Interval(low=0.0, open_low=True), [1e-300], [0.0, -1.0]),
        (Interval(hole=0.0), [-1.0, 1.0], [0.0]),
        (Interval(high=2.0), [2.0, -5.0], [2.5]),
        (Interval(high=2.0, open_high=True), [1.5], [2.0]),
        (Interval(high=2.0, nan=True), [np.nan, 1.0], [2.5]),
    ],
)
def test_an_interval_contains_its_numbers(interval: Interval, inside: list[float], outside: list[float]) -> None:
    assert interval.contains(inside)
    assert not any(interval.contains([*inside, x]) for x in outside)
