"""The judge's own tests: every label is reached by a case made for it, and every guard stops a fault.

A guard is shown to matter by a fault that slips through once the guard is off.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.special as sp
from flint import arb_series

import minigrad as mg
from minigrad.protocol import RULES
from minigrad.rules.linalg import refined_svd
from oracles import asking, second_looks
from oracles import examine as examining
from oracles import facts as knowing
from oracles import noise as sounding
from oracles.adapters.minigrad import MinigradAdapter
from oracles.asking import ask
from oracles.cases import Case
from oracles.exact import Jet, Referee, Status, derivatives
from oracles.examine import Setup, examine
from oracles.facts import SURE_REPLAYS, Point
from oracles.meaning import as_meant, meanings
from oracles.noise import Noisy, Passes, Summing
from oracles.second_looks import settled
from oracles.shrink import one_by_one
from oracles.verdict import EXCUSED, Label, judge
from tests import trial
from tests.trial import case_of, ruled, spec


class NegativeZero(MinigradAdapter):
    """Zeros among the values have the other sign."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, gradients = super().vjp(program, inputs, cotangent)
        return np.where(value == 0, -value, value), gradients


class FarApart(MinigradAdapter):
    """A gradient that lies between no choices at the kink of absolute."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        with ruled(np.absolute, lambda g, ans, x: np.where(x == 0, 3 * g, g * np.sign(x))):
            return super().vjp(program, inputs, cotangent)


class Unsteady(MinigradAdapter):
    """Off by a rounding unit every other time."""

    calls = 0

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        type(self).calls += 1
        value, gradients = super().vjp(program, inputs, cotangent)
        return value, [g * (1 + np.finfo(g.dtype).eps * (self.calls % 2)) for g in map(np.asarray, gradients)]


class HoldsItsInput(MinigradAdapter):
    """Right for half the square of a number: the gradient is the number, in its own memory."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        return super().vjp(program, inputs, cotangent)[0], [*inputs]


class GradientOfNan(MinigradAdapter):
    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, gradients = super().vjp(program, inputs, cotangent)
        return value, [g * np.nan for g in gradients]


def larger(g: Any, ans: Any, x: Any, y: Any) -> Any:
    """What the first of two is sent if both count as the larger at a tie."""
    return np.where(x >= y, g, 0)


class BothTakeAll(MinigradAdapter):
    """At a tie of maximum each of the two gets the whole gradient, which is so counted twice."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        with ruled(np.maximum, larger, lambda g, ans, x, y: larger(g, ans, y, x)):
            return super().vjp(program, inputs, cotangent)


class NeitherTakesAny(MinigradAdapter):
    """At a tie of maximum the gradient is lost."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        with ruled(np.maximum, *(lambda g, ans, x, y, s=s: np.where(s * x > s * y, g, 0) for s in (1, -1))):
            return super().vjp(program, inputs, cotangent)


class GivesZeros(trial.Altered):
    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.zeros_like(gradient)


def chain(x: Any) -> Any:
    return mg.relu(x) - mg.relu(-x)


LABELS: dict[Label, tuple[Any, Case]] = {
    Label.UNSUPPORTED: (trial.Unable, case_of(np.exp, 0.5)),
    Label.ERRORED: (trial.Raises, case_of(np.exp, 0.5)),
    Label.STRUCTURE: (trial.WrongShape, case_of(np.exp, 0.5)),
    Label.PROMOTION: ("torch", case_of(lambda x: np.float_power(x, 2.0), 1.5, dtype="float32")),
    Label.SEMANTICS: ("torch", case_of(np.linalg.cholesky, [[2.0, 0.5], [0.5, 1.0]], cotangent=[[1, 2], [3, 4]])),
    Label.AGREES: ("minigrad", case_of(np.exp, 0.5)),
    Label.ILL_CONDITIONED: ("minigrad", case_of(lambda x: np.sin(np.square(x)), 3e12)),
    Label.SIGNED_ZERO: (NegativeZero, case_of(lambda x: x * 0.0, 0.5)),
    Label.FLUSH: ("jax", case_of(lambda x: x * 1e300, 1e-310)),
    Label.NONFINITE: ("minigrad", case_of(np.exp, np.nan)),
    Label.CONVENTION: ("minigrad", case_of(np.absolute, 0.0)),
    Label.KINK_CHAIN: ("torch", case_of(chain, 0.0)),
    Label.EDGE: ("minigrad", case_of(np.sqrt, 0.0)),
    Label.UNSTABLE: ("jax", case_of(np.tanh, 20.0)),
    Label.WRONG: (FarApart, case_of(np.absolute, 0.0)),
    Label.UNDECIDED: ("minigrad", case_of(np.negative, np.ones(1025))),
}


def test_there_is_a_case_for_every_label() -> None:
    assert LABELS.keys() == set(Label)


@pytest.mark.parametrize("label", LABELS)
def test_every_label_is_reached(label: Label) -> None:
    party, case = LABELS[label]
    assert label_of(party, case) is label


def spec_of(party: Any) -> str:
    return party if isinstance(party, str) else f"{party.__module__}:{party.__name__}"


def label_of(party: Any, case: Case, *others: str) -> Label:
    name = spec_of(party)
    return examine(case, Setup(name, others, (1,))).verdict(name, 1).label


# Guards.


def test_cotangents_are_random_for_those_of_ones_hide_a_fault() -> None:
    x = np.array([0.5, -1.0, 2.0])
    with ruled(np.exp, lambda g, ans, x: np.flip(g) * ans):
        assert label_of("minigrad", case_of(np.exp, x, cotangent=np.ones(3))) is Label.AGREES
        assert label_of("minigrad", case_of(np.exp, x, cotangent=[0.3, -1.1, 0.8])) is Label.WRONG


def test_a_vacuous_case_passes_whoever_is_asked_and_is_counted_apart() -> None:
    found = examine(case_of(lambda x: np.tanh(x) * 0.0, 0.5), Setup(spec(trial.TanhOff), (), (1,)))
    assert (found.verdicts[0].label, found.vacuous) == (Label.AGREES, True)


def test_nan_does_not_pass_by_comparing_false() -> None:
    case = case_of(np.exp, 0.5)
    [_, mine], facts = ask(f"{__name__}:GradientOfNan", case, 1).arrays, Point(case, 1).facts(1)
    truth, noise = facts.truths[1], facts.noise[1]
    assert not np.any(np.abs(np.asarray(mine) - truth.value) > 4 * noise)  # the guard off: nothing is too far away
    assert label_of(GradientOfNan, case) is Label.WRONG


def test_who_is_excused_is_asked_again_off_the_event(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(lambda x: np.abs(x) * 3.0, 0.0)
    assert label_of(trial.WrongButAtZero, case) is Label.WRONG
    monkeypatch.setattr(examining, "check_excuses", lambda point, verdicts: None)
    assert label_of(trial.WrongButAtZero, case) is Label.CONVENTION


class ArcsinOff(MinigradAdapter):
    """The rule of arcsin is off by a factor, at the edge of its domain by nothing: infinity is."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        with ruled(np.arcsin, lambda g, ans, x: 7 * g / np.sqrt((1 - x) * (1 + x))):
            return super().vjp(program, inputs, cotangent)


class RaisesOffZero(MinigradAdapter):
    """It has an answer at 0 alone."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        if np.any(inputs[0] != 0):
            raise RuntimeError("not at 0")
        return super().vjp(program, inputs, cotangent)


@pytest.mark.parametrize(
    ("subject", "case", "label"),
    [
        (ArcsinOff, case_of(np.arcsin, 1.0), Label.WRONG),  # whose domain ends above,
        (ArcsinOff, case_of(np.arcsin, [1.0, -1.0]), Label.WRONG),  # and below
        # There is a NaN wherever one goes, and a kink.
        (
            trial.WrongButAtZero,
            case_of(lambda x: np.nansum(np.abs(np.where([True, False], np.nan, x))), [1.0, 0.0]),
            Label.WRONG,
        ),
        (trial.WrongButAtZero, case_of(lambda x: np.abs(np.diagflat(x)), [2.0, 0.0]), Label.WRONG),
        (RaisesOffZero, case_of(np.abs, 0.0), Label.ERRORED),
    ],
)
def test_there_is_a_point_off_the_event(subject: type, case: Case, label: Label) -> None:
    assert label_of(subject, case) is label


def test_where_every_point_has_the_kink_there_is_none_off_it() -> None:
    assert Point(case_of(lambda x: np.maximum(x, np.transpose(x)), [[1.0, 2.0], [3.0, 4.0]]), 1).off_the_event() is None


class Says42(trial.Altered):
    """Whatever the question."""

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.full_like(gradient, 42)


class SaysOtherwise(trial.Altered):
    """The gradient with the other sign."""

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return -gradient


class ForgetsBeyond700(trial.Altered):
    """Zero where the exponential has overflowed."""

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.where(inputs[0] > 700, 0, gradient)


class NanBeyond700(trial.Altered):
    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.where(inputs[0] > 700, np.nan, gradient)


@pytest.mark.parametrize(
    ("subject", "label"),
    [
        (trial.Honest, Label.EDGE),
        (NanBeyond700, Label.EDGE),
        (Says42, Label.WRONG),
        (SaysOtherwise, Label.WRONG),
        (ForgetsBeyond700, Label.UNSTABLE),
    ],
)
def test_a_truth_beyond_the_range_is_no_excuse_for_any_number(subject: type, label: Label) -> None:
    with np.errstate(over="ignore"):
        alone, beside = case_of(np.exp, 1000.0), case_of(np.exp, [1000.0, 1.0], cotangent=[-1.0, 0.5])
    assert label_of(subject, alone) is label
    assert label_of(subject, beside) is label


class SaysThree(trial.Altered):
    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.where(np.isfinite(gradient), gradient, 3.0)


class SaysTwo(trial.Altered):
    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.where(np.isfinite(gradient), gradient, 2.0)


@pytest.mark.parametrize(
    ("subject", "label"), [(trial.Honest, Label.EDGE), (SaysTwo, Label.AGREES), (SaysThree, Label.WRONG)]
)
def test_an_edge_that_was_not_taken_is_an_excuse_for_nan_but_for_no_other_number(subject: type, label: Label) -> None:
    with np.errstate(invalid="ignore"):
        case = case_of(lambda x: np.where(x > 0, np.sqrt(x), x * 2.0), [-1.0, 4.0, -0.5])
    assert label_of(subject, case) is label


def test_zeros_for_subnormal_numbers_excuse_nothing_but_what_follows_from_them() -> None:
    """Were the input zero, there would be an edge, at which anything goes."""
    case = case_of(lambda x: x * np.sqrt(x), 1e-310)
    assert label_of(Says42, case) is Label.WRONG
    assert label_of("jax", case) in (Label.AGREES, Label.FLUSH)
    with np.errstate(over="ignore"):
        overflowing = case_of(lambda x: np.sqrt(x) * 1e200, 1e-310)
    assert label_of(Says42, overflowing) is Label.WRONG
    assert label_of("jax", overflowing) in (Label.EDGE, Label.FLUSH)


def test_what_a_framework_means_otherwise_excuses_nobody_who_is_called_alike() -> None:
    case = case_of(np.linalg.cholesky, [[2.0, 0.5], [0.5, 1.0]])
    assert meanings(case, "torch")
    assert meanings(case, "jax.jit")
    assert not meanings(case, "torchlike:Engine")


def with_sine_off(factor: Any) -> Any:
    """minigrad with the rule of sine off by a factor that depends on the point."""
    return ruled(np.sin, lambda g, ans, x: g * np.cos(x) * factor(x))


class SineOffBeyond2(trial.Broken):
    def broken(self) -> Any:
        return with_sine_off(lambda x: np.where(np.abs(x) > 2, 1.5, 1.0))


class SineNegatedBeyond2(trial.Broken):
    def broken(self) -> Any:
        return with_sine_off(lambda x: np.where(np.abs(x) > 2, -1.0, 1.0))


class SineBarelyOffBeyond2(trial.Broken):
    def broken(self) -> Any:
        return with_sine_off(lambda x: np.where(np.abs(x) > 2, 1 + 1e-5, 1.0))


class SineOffInFloat32(trial.Broken):
    def broken(self) -> Any:
        return with_sine_off(lambda x: 2 if x.dtype == np.float32 else 1)


class TanhCancels(trial.Broken):
    """Its rule loses digits wherever tanh is nearly 1."""

    def broken(self) -> Any:
        return ruled(np.tanh, lambda g, ans, x: g * (1 - ans * ans))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("subject", [SineOffBeyond2, SineNegatedBeyond2, SineBarelyOffBeyond2])
def test_one_error_in_both_dtypes_is_no_loss_of_digits(subject: type, dtype: str) -> None:
    assert label_of(subject, case_of(np.sin, 5.0, dtype=dtype)) is Label.WRONG
    assert label_of(subject, case_of(np.sin, [0.5, 5.0], dtype=dtype)) is Label.WRONG


class SineOffBeyond1000(trial.Broken):
    def broken(self) -> Any:
        return with_sine_off(lambda x: np.where(np.abs(x) > 1000, 1.5, 1.0))


class OffBeyondWhatCancels(trial.Broken):
    """It has all its digits again where the other sign is given."""

    def broken(self) -> Any:
        return ruled(np.square, lambda g, ans, x: g * np.where(np.abs(x) > 1e9, -2 * x, (x + 1) ** 2 - x**2 - 1))


class SineGrowsOff(trial.Broken):
    """As a series that is broken off."""

    def broken(self) -> Any:
        return with_sine_off(lambda x: 1 + np.minimum(x / 1000, 1) ** 4)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_digits_that_are_all_gone_come_back_on_the_way_to_ordinary_numbers(dtype: str) -> None:
    """JAX's second derivatives of singular vectors lose some rounding units times the values' fourth power."""
    for scale in (1e3, 1e5, 1e8):
        a = scale * np.array([[1.0, 2.0], [3.0, 5.0]])
        vectors = case_of(lambda x: np.linalg.svd(x)[2], a, dtype=dtype)
        found = examine(vectors, Setup("minigrad", ("jax",), (2,)))
        assert [found.verdict(party, 2).label for party in ("minigrad", "jax")] == [Label.AGREES, Label.UNSTABLE]
    for subject in (SineOffBeyond1000, SineGrowsOff):
        assert label_of(subject, case_of(np.sin, 5e4, dtype=dtype)) is Label.WRONG
    assert label_of(OffBeyondWhatCancels, case_of(np.square, 1e12, dtype=dtype)) is Label.WRONG


def test_one_error_at_all_points_is_no_loss_of_digits() -> None:
    assert label_of(SineOffInFloat32, case_of(np.sin, 1.1, dtype="float32")) is Label.WRONG


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("x", [5.0, 9.0, 12.0, 20.0, 40.0])
def test_a_loss_of_digits_is_no_error_of_the_formula(x: float, dtype: str) -> None:
    assert label_of(TanhCancels, case_of(np.tanh, x, dtype=dtype)) is Label.UNSTABLE


def test_an_event_excuses_only_what_depends_on_it() -> None:
    """Beside a tie a gradient that was broadcast is averaged; if the tie excused all, so would it that."""
    x, y = [[1.0, 2.0], [1.0, 0.5], [3.0, 1.0]], [2.0, -1.0]
    case = case_of(lambda x, y: np.sum(np.maximum(x, 1.0) * y), x, y)
    answer, facts = ask(spec(trial.NoUnbroadcast), case, 1), Point(case, 1).facts(1, 1)
    assert judge(answer, 1, facts).label is Label.WRONG
    lax = [replace(t, status=np.full(t.value.shape, Status.NONFINITE, np.int8)) for t in facts.truths]
    assert judge(answer, 1, replace(facts, truths=lax)).label is Label.NONFINITE


@pytest.mark.parametrize(
    ("call", "x"), [(np.sqrt, [0.0, 4.0]), (np.arccos, [1.0, 0.5]), (lambda x: np.sum(np.sqrt(x)), [0.0, 2.0])]
)
def test_an_edge_at_one_entry_excuses_no_other(call: Any, x: list[float]) -> None:
    truth = Point(case_of(call, x), 1).facts(1).truths[-1]
    assert [Status(s) for s in truth.status] == [Status.EDGE, Status.CERTAIN]
    together = Point(case_of(lambda x: np.sqrt(np.sum(x)), [1.0, -1.0]), 1).facts(1).truths[-1]
    assert [Status(s) for s in together.status] == [Status.EDGE, Status.EDGE]


@pytest.mark.parametrize("subject", [BothTakeAll, NeitherTakesAny])
@pytest.mark.parametrize(
    "case",
    [
        case_of(np.maximum, [1.0, 2.0, 3.0], [1.0, 2.0, 0.0], cotangent=[0.3, -1.1, 0.8]),
        case_of(np.maximum, 1.0, 1.0, dtype="float32"),
        case_of(lambda x: np.maximum(x[0], x[1]) * x[2], [1.0, 1.0, 3.0]),
    ],
)
def test_choices_that_are_allowed_one_by_one_are_not_so_in_any_combination(
    subject: type, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert label_of(trial.TieToFirst, case) is Label.CONVENTION
    assert label_of(subject, case) is Label.WRONG
    monkeypatch.setattr(Referee, "together", lambda *arguments: None)
    assert label_of(subject, case) is Label.CONVENTION


def test_what_is_chosen_at_many_ties_at_once_is_a_convention() -> None:
    """So many ways to order them are there, that one of them may be a chain at first, and is not when looked longer."""
    x = np.repeat([0.0, 1.0, 2.0], 6)
    case = case_of(lambda x: np.sort(x), x, cotangent=np.random.default_rng(0).normal(size=x.size))
    for subject in ("minigrad", "jax"):
        assert label_of(subject, case) is Label.CONVENTION


def test_a_gradient_in_the_memory_of_an_input_is_at_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(lambda x: np.square(x) / 2, 1.5 * np.ones(2))
    assert label_of(HoldsItsInput, case) is Label.STRUCTURE
    monkeypatch.setattr(asking, "ownership_fault", lambda case, inputs, arrays: "")
    assert label_of(HoldsItsInput, case) is Label.AGREES


class WritesToCotangent(MinigradAdapter):
    """It scales the cotangent in place rather than a gradient of its own."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, gradients = super().vjp(program, inputs, cotangent)
        cotangent *= 2
        return value, gradients

    def hvp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        products = super().hvp(program, inputs, cotangent, vectors)
        vectors[0][...] = 0
        return products


def test_what_the_derivative_is_contracted_with_is_not_to_be_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(np.exp, [0.5, 1.5])
    found = examine(case, Setup(spec_of(WritesToCotangent), (), (1, 2)))
    assert [v.why for v in found.verdicts] == ["the cotangent was written to", "a vector was written to"]
    monkeypatch.setattr(asking, "contraction_fault", lambda case, cotangent, vectors: "")
    assert label_of(WritesToCotangent, case) is Label.AGREES


def test_a_subject_is_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(np.exp, 0.5)
    assert label_of(Unsteady, case) is Label.STRUCTURE
    monkeypatch.setattr(examining, "steadfast", lambda answer, case, order: answer)
    assert label_of(Unsteady, case) is Label.AGREES


def test_two_frameworks_that_agree_are_not_the_truth() -> None:
    """Both give 0 for the slope of sinc at 1e-9; by their majority minigrad would be off."""
    case = case_of(np.sinc, 1e-9)
    theirs = [np.asarray(ask(party, case, 1).arrays[1]) for party in ("torch", "jax")]
    assert theirs == [0.0, 0.0]
    found = examine(case, Setup("minigrad", ("torch", "jax"), (1,)))
    assert [v.label for v in found.verdicts] == [Label.AGREES, Label.UNSTABLE, Label.UNSTABLE]


@pytest.mark.parametrize(
    ("call", "x"),
    [
        (np.tanh, 18.0),
        (lambda x: np.prod(np.tanh(x)), [17.0, 18.0]),
        (lambda x: np.cumsum(np.tanh(x)), [17.0, 18.0]),
        (lambda x: np.tanh(x) @ np.array([0.5, 1.5]), [17.0, 18.0]),
    ],
)
def test_rules_that_are_noisy_themselves_excuse_nobody(call: Any, x: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replays use minigrad's own rules: where these cancel, the noise is held against what ideal ones would lose."""
    case = case_of(call, x)
    with ruled(np.tanh, lambda g, ans, x: g * (1 - ans * ans)):
        assert label_of("minigrad", case) is Label.UNSTABLE
        monkeypatch.setattr(knowing, "EXCESSIVE", np.inf)
        assert label_of("minigrad", case) in (Label.AGREES, Label.ILL_CONDITIONED)


@pytest.mark.parametrize(("dtype", "x", "scale"), [("float64", 1e-310, 1e300), ("float32", 1e-40, 1e30)])
def test_below_the_normal_range_numbers_are_rounded_to_the_nearest(dtype: str, x: float, scale: float) -> None:
    """NumPy's own value is a hundred roundings off there, and nobody's rules can help that."""
    case = case_of(lambda x: (x * 0.3) * scale, x, dtype=dtype)
    for party in ("minigrad", "torch"):
        [verdict] = examine(case, Setup(party, (), (1,))).verdicts
        assert (verdict.label, verdict.ulp > 100) == (Label.AGREES, True)


def test_a_zero_is_not_rounded_unless_it_is_among_others() -> None:
    passes = Passes(case_of(lambda x: x * 2.0, [0.0, 1.0]), lambda case: [case.program(*case.inputs)])
    assert all(passes.replay(Noisy, seed)[0][0] == 0 for seed in range(10))


@pytest.mark.parametrize("x", [5.0, 12.0, 18.0, 20.0])
def test_nor_do_rules_that_are_noisy_by_what_they_add(x: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sums at forks are noise whatever the rules; those inside of a rule are its own."""
    case = case_of(np.tanh, x)
    with ruled(np.tanh, lambda g, ans, x: g * (1 + (-(ans * ans)))):
        assert label_of("minigrad", case) is Label.UNSTABLE
        monkeypatch.setattr(Summing, "rounds", lambda self, name: name == "add")
        assert label_of("minigrad", case) in (Label.AGREES, Label.ILL_CONDITIONED)


def test_what_rounding_makes_equal_may_tie(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 tanh is -1 here, and a quarter of its slope a choice; nudged, exact numbers do not tie."""
    case = case_of(lambda x: np.minimum(np.maximum(np.tanh(x), -1.0), -1.0), -12.0, dtype="float32")
    assert label_of("minigrad", case) in (Label.AGREES, Label.ILL_CONDITIONED)
    monkeypatch.setattr(derivatives, "as_float", lambda dtype: lambda value: value)
    assert label_of("minigrad", case) is Label.UNSTABLE


def test_of_many_that_rounding_makes_equal_each_may_be_chosen() -> None:
    """In float32 all tie but the last one, and exact numbers choose the one before."""
    x = [*(-15.0 - 0.01 * k for k in range(23)), 0.5]
    case = case_of(lambda x: np.max(np.hypot(np.tanh(np.tanh(x)), np.tanh(x))), x, dtype="float32")
    for verdict in examine(case, Setup("minigrad", ("minigrad.stage",))).verdicts:
        assert verdict.label in (Label.AGREES, Label.ILL_CONDITIONED), verdict
    point = Point(case, 1)
    [_, ideal] = point.referee.rounding(1, point.facts(1).truths, SURE_REPLAYS)
    assert np.all(ideal[:-1] > 0)


def test_what_takes_off_a_mean_rounds_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy's own std is off by a twentieth here, whatever is done with its derivative."""
    x = [0.99999994, 0.99999994, 1.0000001, 1.0000001]
    case = case_of(lambda x: np.square(np.std(x)), x, vectors=[[1.0, 0.0, 0.0, 0.5]], dtype="float32")
    assert examine(case, Setup("minigrad", ())).verdict("minigrad", 2).label is Label.ILL_CONDITIONED
    monkeypatch.setattr(sounding, "ROUNDS_BETWEEN", ())
    assert examine(case, Setup("minigrad", ())).verdict("minigrad", 2).label is Label.UNSTABLE


def test_so_does_what_takes_off_a_mean_of_what_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum's shares are a third each but for some 1e-7, and what `y` gets is 0 but for the roundings of these."""
    f = lambda x, y: np.sum(mg.log_softmax(x - y)) * 0.7  # noqa: E731
    case = case_of(f, [9e-7, -2.5e-10, 9.7e-9], 0.667)
    for verdict in examine(case, Setup("minigrad", ("torch", "jax"), (1,))).verdicts:
        assert verdict.label in (Label.AGREES, Label.ILL_CONDITIONED), verdict
    monkeypatch.setattr(sounding, "ROUNDS_BETWEEN", ())
    assert label_of("minigrad", case) is Label.UNSTABLE


class SmallMatrixOff(trial.Altered):
    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return gradient * np.array([1.0, 1 + 1e-9])[:, None, None]


@pytest.mark.parametrize("large", [1e6, np.nan])
@pytest.mark.parametrize("call", [np.linalg.det, np.linalg.inv, lambda x: np.linalg.matrix_power(x, 2)])
def test_a_matrix_of_a_stack_lends_no_noise_to_another(call: Any, large: float) -> None:
    matrix = np.array([[2.0, 1.0], [-1.0, 3.0]])
    with np.errstate(invalid="ignore"):
        case = case_of(call, np.stack([large * matrix, matrix]))
    assert label_of(trial.Honest, case) is (Label.NONFINITE if np.isnan(large) else Label.AGREES)
    assert label_of(SmallMatrixOff, case) is Label.WRONG


def test_an_answer_of_zero_is_as_ill_conditioned_as_any() -> None:
    case = case_of(lambda x: np.sin(np.square(x)), 3e12)
    assert label_of("minigrad", case) is Label.ILL_CONDITIONED
    assert label_of(GivesZeros, case) is Label.ILL_CONDITIONED


def test_where_rounding_may_do_anything_a_zero_proves_nothing() -> None:
    """One rounding unit from the edge, where an operand that is computed may be past it."""
    case = case_of(lambda x: sp.erfinv(x) - sp.erfinv(x), np.nextafter(1.0, 0.0))
    assert label_of("minigrad", case) is Label.ILL_CONDITIONED


def test_what_is_added_at_a_fork_rounds_whatever_the_rules() -> None:
    assert label_of("minigrad", case_of(lambda x: 1e8 * np.sin(x) - 1e8 * np.tanh(x), 1e-3)) is Label.AGREES


def test_elements_beyond_all_squares_are_judged_one_by_one() -> None:
    """A tie whose gradients are so large beside their noise that nothing can be said of them together."""
    case = case_of(lambda x: np.maximum(x, -x) * 1e300, [0.0, 1e-300])
    facts = Point(case, 1).facts(1)
    tiny = replace(facts, noise=[np.full_like(n, 5e-324) for n in facts.noise])
    assert judge(ask("minigrad", case, 1), 1, tiny).label is Label.CONVENTION


def test_each_entry_of_a_stretched_operand_chooses_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 0 modulo numbers of both signs the quotient may be chosen one by one, though no side of the 0 has it so."""
    y = [[1.0, -1.0], [0.5, 2.0], [-0.3, -0.7], [-1.0, 1.0], [0.2, -0.2]]
    cotangent = np.linspace(-1, 1.3, 10).reshape(5, 2)
    case = case_of(lambda x, y, z: np.remainder(x, y) * z, [0.0, 0.0], y, [0.0], cotangent=cotangent)
    [verdict] = examine(case, Setup("minigrad", (), (2,))).verdicts
    assert verdict.label in EXCUSED
    assert "by itself no step is off" not in verdict.why
    monkeypatch.setattr(derivatives, "stretched", lambda operands: operands)
    [verdict] = examine(case, Setup("minigrad", (), (2,))).verdicts
    assert "by itself no step is off" in verdict.why  # no such chain was seen


@pytest.mark.parametrize(
    ("call", "inputs"),
    [
        (lambda x, y: np.sqrt(np.remainder(x, y)), ([0.0], [0.5])),  # of which y has no part where x is 0
        (lambda x: np.sqrt(0 * x), ([1.0, 2.0],)),  # a zero whatever x is
    ],
)
def test_an_infinite_gradient_that_is_multiplied_by_zero_is_an_edge(call: Any, inputs: Any) -> None:
    assert label_of("minigrad", case_of(call, *inputs)) is Label.EDGE


# The referee is on trial as well.


def test_who_is_wrong_is_so_by_a_difference_quotient_as_well() -> None:
    verdict = examine(case_of(lambda x: x**1.0, 0.0), Setup("jax", (), (2,))).verdict("jax", 2)
    assert "a difference quotient of exact values is" in verdict.why


@pytest.mark.parametrize("order", [1, 2])
def test_a_truth_that_no_difference_quotient_bears_out_accuses_nobody(
    order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the series of sine is off, honest engines seem to be; values have no part in it."""

    def off(self: Jet) -> Jet:
        taylor = arb_series([self.value, 1]).sin()
        return self.composed([taylor[0], *(2 * taylor[k] for k in range(1, 3))])

    monkeypatch.setattr(Jet, "sin", off)
    verdict = examine(case_of(np.sin, 0.7), Setup("minigrad", (), (order,))).verdict("minigrad", order)
    assert verdict.label is Label.UNDECIDED
    assert "does not bear out the truth" in verdict.why


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("f", "inputs"),
    [
        (lambda x, y: np.sum(np.sin(x) * np.exp(y)) ** 2 + np.prod(x), ([0.3, 1.1, -2.0], [0.5, -0.25, 1e-3])),
        (lambda x: np.sum(x * np.abs(x)), ([0.0, -1.5, 1e-200],)),
        (lambda x: np.linalg.det(x), ([[1.0, 2.0], [2.0, 4.0]],)),
    ],
)
def test_difference_quotients_are_the_derivatives(f: Any, inputs: Any, order: int) -> None:
    point = Point(case_of(f, *inputs), order)
    for k, truth in enumerate(point.facts(order).truths):
        for place in np.ndindex(truth.value.shape) if order == 2 or k else ():
            if truth.status[place] == Status.CERTAIN:
                assert point.referee.quotient(order, k, place) == pytest.approx(truth.value[place], rel=1e-12)


def test_another_meaning_excuses_only_what_follows_from_it() -> None:
    """PyTorch spreads the gradient over both triangles; were it NaN, or another number, that would be no reason."""
    case = case_of(np.linalg.cholesky, [[2.0, 0.7], [0.3, 1.0]], cotangent=[[1.0, 2.0], [3.0, 4.0]])
    point = Point(case, 1)
    facts = point.facts(1, 1)

    def label(change: Any) -> Label:
        sound = ask("torch", case, 1)
        value, gradient = sound.arrays
        answer = replace(sound, arrays=[value, change(gradient)])
        with np.errstate(invalid="ignore"):
            return settled(point, judge(answer, 1, facts), answer, facts).label

    assert label(lambda g: g) is Label.SEMANTICS
    assert label(lambda g: g * np.nan) is Label.WRONG
    assert label(lambda g: g.T * [1.0, 1.5]) is Label.WRONG
    assert label_of("jax", case) is Label.SEMANTICS


@pytest.mark.parametrize("upper", [False, True])
def test_the_meaning_of_a_triangle_has_its_value_and_spreads_its_derivative(upper: bool) -> None:
    case = case_of(lambda x: np.linalg.cholesky(x, upper=upper), [[2.0, 0.7], [0.3, 1.0]])
    meant = as_meant(case, meanings(case, "torch"))
    plain, other = (Point(each, 1).facts(1).truths for each in (case, meant))
    assert other[0].value == pytest.approx(plain[0].value, rel=1e-15)
    assert other[1].value == pytest.approx((plain[1].value + plain[1].value.T) / 2, rel=1e-15)


def test_an_infinite_number_elsewhere_is_no_reason_to_lose_digits() -> None:
    """The second derivative of sinc is NaN in PyTorch at 0, whatever overflows beside it."""
    with np.errstate(over="ignore"):
        beside = case_of(lambda x: np.array([1.0, 0.0]) * np.sinc(x) + np.minimum(x * 1e306, 5.0), [0.0, 800.0])
    for case in (case_of(np.sinc, 0.0), beside):
        assert examine(case, Setup("torch", (), (2,))).verdict("torch", 2).label is Label.WRONG


class ZeroWithin(trial.Altered):
    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.where(np.abs(inputs[0]) < 0.25, 0, gradient)


class NanWithin(trial.Altered):
    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.where(np.abs(inputs[0]) < 0.25, np.nan, gradient)


@pytest.mark.parametrize("subject", [ZeroWithin, NanWithin])
@pytest.mark.parametrize("f", [lambda x: np.clip(x, -0.2, 0.2), lambda x: np.minimum(np.tanh(x) * 2, 0.2)])
def test_agreeing_on_zeros_at_ordinary_points_is_no_excuse(subject: type, f: Any) -> None:
    assert label_of(subject, case_of(f, [0.1, 0.05])) is Label.WRONG


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_nan_at_the_very_point_is_wrong_whatever_digits_are_lost_beside_it(dtype: str) -> None:
    """JAX's std has no gradient of a constant row."""

    def normalized(x: Any) -> Any:
        return (x - np.mean(x, axis=1, keepdims=True)) / (np.std(x, axis=1, keepdims=True) + 1e-5)

    weights = [[0.3, -1.1, 0.8], [1.2, 0.7, -0.4]]
    case = case_of(normalized, [[1.0, 1.0, 1.0], [1.0, 2.0, 3.0]], dtype=dtype, cotangent=weights)
    assert label_of("jax", case) is Label.WRONG


def test_digits_that_are_lost_beside_points_where_none_is_are_lost_digits() -> None:
    """PyTorch's deviation of two numbers is exact wherever their mean happens to be."""
    case = case_of(np.std, [2.0022145799241164, 2.0028571225124105])
    assert label_of("torch", case) in (Label.UNSTABLE, Label.AGREES)
    assert label_of(HalvesAll, case_of(lambda x: np.std(x * 1.0), case.inputs[0])) is Label.WRONG


def test_digits_that_a_step_loses_beside_larger_elements_are_lost_digits() -> None:
    """Of 0 a tanh has the slope 1, beside which by itself a slope of 1e-48 owes nothing to anybody."""
    case = case_of(lambda x: np.tanh(-np.degrees(x * x)), [0.0, 1.0])
    assert label_of("torch", case) is Label.UNSTABLE
    assert label_of("minigrad", case) is Label.AGREES


def test_digits_may_be_lost_between_steps_that_are_right_by_themselves() -> None:
    """What is lost of the small ones shows once the large ones are cut off."""
    x = [0.9, -1.4, 2.5]
    case = case_of(lambda x: np.tanh(np.minimum(x * 3.0, 0.5)) ** 2 * 1e3, x, dtype="float32")
    chained = case_of(lambda x: np.sum(np.tanh(x * 3.0) * np.array([0.0, 1.0, 1e3], x.dtype)), x, dtype="float32")
    for each in (case, chained):
        assert label_of(TanhCancels, each) in (Label.UNSTABLE, Label.AGREES, Label.CONVENTION)
    assert label_of(HalvesAll, chained) is Label.WRONG


class FiveAtInfinity(trial.Altered):
    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.where(np.isinf(inputs[0]), 5.0, gradient)


@pytest.mark.parametrize(
    "f",
    [np.exp, np.tanh, mg.sigmoid, lambda x: np.sum(x * 2), lambda x: np.logaddexp(np.flip(x), x), np.linalg.norm],
)
def test_infinity_excuses_no_number_where_there_is_one(f: Any) -> None:
    case = case_of(f, [-np.inf, 0.5])
    assert label_of(FiveAtInfinity, case) is (Label.NONFINITE if f is np.linalg.norm else Label.WRONG)
    assert label_of("minigrad", case) in (Label.AGREES, Label.NONFINITE)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (np.logaddexp.accumulate, [-np.inf, 1.0]),
        (mg.logsumexp, [-np.inf, -np.inf]),
        (np.max, [-np.inf, -np.inf]),
        (lambda x: np.logaddexp(x, np.inf), [np.inf, 1.0]),
        (lambda x: np.linalg.norm(x, ord=np.inf), [np.inf, -np.inf]),
        (lambda x: np.log(np.exp(x)), [-np.inf, 1.0]),
        (np.max, [np.nan, 1.0]),
    ],
)
def test_beside_infinities_that_tie_or_cancel_any_number_will_do(f: Any, x: Any) -> None:
    with np.errstate(divide="ignore"):
        assert label_of(FiveAtInfinity, case_of(f, x)) is Label.NONFINITE


class KinkRounded(trial.Altered):
    """The slope 1 at a kink, one rounding off."""

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.where(inputs[0] == 0, np.nextafter(1.7, 2), gradient)


def test_another_choice_at_a_kink_may_round_too() -> None:
    assert label_of(KinkRounded, case_of(np.abs, [0.0], cotangent=[1.7])) is Label.CONVENTION


def test_as_many_choices_of_zero_as_there_are_kinks_are_a_chain() -> None:
    """Of 32 slopes that were chosen as 0, no few gradients nearby and chosen tell what they may be together."""
    weights = np.linspace(-1.1, 1.3, 32).reshape(2, 4, 4)
    case = case_of(lambda x, y: np.copysign(x, y) ** 2, np.zeros((2, 4, 4)), [0.0, -1.0, 1.0, 1.0], cotangent=weights)
    assert examine(case, Setup("minigrad", (), (2,))).verdict("minigrad", 2).label is Label.KINK_CHAIN


class HalvesAll(TanhCancels):
    """But where a step is alone."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, gradients = super().vjp(program, inputs, cotangent)
        return value, [np.asarray(g / 2 if len(program.steps) > 1 else g) for g in gradients]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_step_that_loses_digits_excuses_no_factor(dtype: str) -> None:
    assert label_of(HalvesAll, case_of(lambda x: np.tanh(x + 20.0) + x * x, [0.7], dtype=dtype)) is Label.WRONG


def test_a_value_of_zero_is_judged_as_any() -> None:
    case = case_of(np.linalg.det, np.ones((2, 2)))
    assert label_of(trial.Honest, case) is Label.AGREES
    assert label_of(ValueOff, case) is Label.WRONG


class ValueOff(MinigradAdapter):
    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, gradients = super().vjp(program, inputs, cotangent)
        return value + 1e-9, gradients


class TanhCancelsAndSineIsOff(TanhCancels):
    def broken(self) -> Any:
        stack = ExitStack()
        stack.enter_context(super().broken())
        stack.enter_context(with_sine_off(lambda x: 1.5))
        return stack


def test_a_step_loses_digits_by_itself_where_its_program_never_is_at_an_ordinary_point(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = np.linspace(0.5, 1.5, 8)
    case, wavy = case_of(lambda x: np.tanh(np.sum(x)), x), case_of(lambda x: np.tanh(np.sum(np.sin(x) + x)), x)
    assert label_of(TanhCancels, case) is label_of(TanhCancels, wavy) is Label.UNSTABLE
    assert label_of(TanhCancelsAndSineIsOff, wavy) is Label.WRONG
    monkeypatch.setattr(second_looks, "step_that_loses", lambda *arguments: "")
    assert label_of(TanhCancels, case) is Label.WRONG


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "f", [lambda x: np.tanh(x + 16.0), lambda x: np.tanh(x * 0.05 + np.array([4.0, 8.0, 12.0, 16.0], x.dtype))]
)
def test_digits_are_lost_by_a_constant_as_by_an_input(f: Any, order: int) -> None:
    """PyTorch and JAX take 1 - tanh**2, which is a matter of digits even if no input ever makes it an ordinary one."""
    case = case_of(f, [0.5, -0.3, 0.2, 0.7], cotangent=[1.0, -0.5, 2.0, 0.25])
    for party in ("torch", "jax"):
        assert examine(case, Setup(party, (), (order,))).verdict(party, order).label is Label.UNSTABLE


@pytest.mark.parametrize("x", [[2.0, 0.0], [2.0, 0.0, -1.0]])
@pytest.mark.parametrize("party", ["torch", "jax"])
def test_a_large_slope_nearby_is_no_error_that_is_gone(party: str, x: list[float]) -> None:
    """Beside the edge of a root everything is small beside its slope, the digits too that a tanh loses elsewhere."""
    case = case_of(lambda x: np.tanh(np.sqrt(mg.relu(x)) * -4.97), x)
    assert examine(case, Setup(party, (), (2,))).verdict(party, 2).label is Label.UNSTABLE


def test_an_error_that_is_less_nearby_but_no_rounding_is_one_of_digits() -> None:
    """Beside a value of 0 an error that is as large everywhere is small beside the larger values."""
    case = case_of(sp.gammaln, 1.0000000000000002)
    assert examine(case, Setup("jax", (), (1,))).verdict("jax", 1).label is Label.UNSTABLE


def test_a_cast_to_the_case_s_own_dtype_is_one_to_the_other() -> None:
    def f(x: Any) -> Any:
        return np.tanh(np.astype(np.astype(np.square(x), np.dtype("float64")), np.dtype("float32")))

    case = case_of(f, [-2.335, -2.936, -0.413], cotangent=[1.618, 0.157, -0.174], dtype="float32")
    assert examine(case, Setup("torch", (), (1,))).verdict("torch", 1).label is Label.UNSTABLE


def test_what_a_sum_lacks_in_both_dtypes_may_be_all_the_digits_of_a_step() -> None:
    """The slope of tanh at 31 is 1e-26, and 0 by 1 - tanh**2; times the square of a large number it counts."""
    case = case_of(lambda x: np.sum(np.outer(np.tanh(x), x) @ x), [31.0, 810.0, -950000000000.0])
    assert examine(case, Setup("torch", (), (2,))).verdict("torch", 2).label is Label.UNSTABLE


class MaximumNegated(MinigradAdapter):
    """Wrong wherever it is, whichever of two numbers is the larger."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        first, second = RULES[np.maximum].vjps
        with ruled(np.maximum, lambda *args: -first(*args), second):  # type: ignore[misc]
            return super().vjp(program, inputs, cotangent)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("x", "y"), [(2.0, 2.0), ([1.0, 2.0], [1.0, 2.0]), ([[1.0, 2.0], [3.0, 4.0]], [1.0, 4.0])])
def test_zeros_of_others_at_ordinary_points_do_not_answer_for_a_sign(x: Any, y: Any, dtype: str) -> None:
    for f in (np.maximum, lambda x, y: np.sum(np.maximum(x, y) * np.exp(y))):
        assert label_of(MaximumNegated, case_of(f, x, y, dtype=dtype)) is Label.WRONG


CONSTANTS_BEYOND: dict[str, tuple[Any, Any]] = {
    "by a subnormal number and back": (lambda x: x * 1e-310 / 1e-310, 2.0),
    "products too large": (lambda x: x * 1e200 * 1e200 * 1e-200 * 1e-200, 2.0),
    "products too small": (lambda x: x * 1e-200 * 1e-200 * 1e200 * 1e200, 2.0),
    "a square too small": (lambda x: (x * 1e-170) ** 2 * 1e200 * 1e140, [2.0, 3.0]),
    "the smallest number": (lambda x: x * 5e-324 * 2.0**1000 * 2.0**74, [2.0, 3.0]),
    "powers too large": (lambda x: np.exp(x * 1000) / np.exp(x * 1000), [1.0, 0.1]),
}


@pytest.mark.parametrize("name", CONSTANTS_BEYOND)
def test_numbers_that_leave_the_range_by_constants_are_no_wrong_formula(name: str) -> None:
    f, x = CONSTANTS_BEYOND[name]
    with np.errstate(all="ignore"):
        assert label_of(MinigradAdapter, case_of(f, x)) is Label.UNSTABLE


def test_a_point_nearby_at_which_an_element_is_zero_says_nothing_of_it() -> None:
    """JAX loses digits of the second derivative of tanh beside 0; where an input of 0 is none, the sum is large."""
    x = [[6e-5, 84e6], [0.5, 0.25]]
    case = case_of(
        lambda x, y: np.tanh(np.square(x / 2) @ y),
        *(x, [[2.0, -1.0, -2.0, 1.0], [-1.0, -2.0, 0.0, -1.0]]),
        vectors=([[-0.66, 0.07], [0.6, 0.02]], [[0.337, -0.137, -0.103, 0.693], [-1.164, -0.101, -0.453, 0.185]]),
        cotangent=[[0.55, 0.716, -0.08, -1.111], [-0.129, 0.75, 0.19, 0.616]],
    )
    for party in ("jax", "jax.jit"):
        assert examine(case, Setup(party, (), (2,))).verdict(party, 2).label in (Label.UNSTABLE, Label.AGREES)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("party", ["torch", "jax"])
def test_a_step_may_lose_what_noise_swallows_at_the_end_of_the_range(party: str, order: int) -> None:
    """The slope of tanh at 42 is 1e-36, and 0 by 1 - tanh**2."""
    case = case_of(lambda x: np.tanh((x + 2) @ (x + 2)), [2.0, 2.0, -1.0, 1.0], cotangent=-0.021, dtype="float32")
    assert examine(case, Setup(party, (), (order,))).verdict(party, order).label is Label.UNSTABLE


def test_what_cancels_to_zero_leaves_its_rounding() -> None:
    def f(x: Any) -> Any:
        return np.nanprod(np.where(np.array([True, False]), np.nan, x - 0.5))

    case = case_of(f, [-2.299, -1.021], cotangent=-0.164, vectors=([0.263, -0.106],))
    verdict = examine(case, Setup("torch", (), (2,))).verdict("torch", 2)
    assert verdict.label is Label.UNSTABLE
    assert "terms that cancel" in verdict.why


def test_a_quotient_by_a_number_that_is_flushed_is_one_by_zero() -> None:
    """JAX takes subnormal numbers for 0, of which the remainder is NaN."""
    case = case_of(lambda x, y: np.divmod(x, y)[1], [-5e-324] * 3, [-1.1125369292536007e-308, -1.185, 0.05])
    assert examine(case, Setup("jax", (), (1,))).verdict("jax", 1).label is Label.FLUSH


def test_choices_together_are_rounded_where_none_but_zero_is_not() -> None:
    """JAX has a slope of one where a product is zero, of either sign, and PyTorch and minigrad have none."""
    case = case_of(
        lambda x: np.absolute(np.cumprod(x)),
        [0.0, 1.0, -2.0, 2.0],
        cotangent=[0.394, -0.036, 0.127, 0.098],
        vectors=([0.166, -0.219, -0.05, -0.022],),
        dtype="float32",
    )
    parties = ("jax", "torch", "minigrad")
    examined = examine(case, Setup(parties[0], parties[1:], (1, 2)))
    assert {examined.verdict(party, order).label for party in parties for order in (1, 2)} <= {
        *(Label.CONVENTION, Label.KINK_CHAIN, Label.UNSTABLE)
    }


class AddsALittle(trial.Altered):
    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return gradient + np.where(np.abs(gradient) < 1e-9, 1e-12, 0)


def test_zeros_that_are_sums_of_larger_elements_are_off_by_their_rounding() -> None:
    """If both entries grow alike their variance stays, so that the gradient of what is added to both is 0."""
    case = case_of(lambda x, y: np.var(x + y, axis=0), [[-3.8e10, 8.6e-11], [0.61, 9e-10]], [2.963, 0.483])
    [verdict] = examine(case, Setup("torch", (), (1,))).verdicts
    assert verdict.label is Label.AGREES or "rounding of larger elements" in verdict.why
    case = case_of(lambda y, x: np.var(x + y, axis=0), [2.963, 0.483], [[-3.8, 8.6], [0.61, 9.0]])
    assert label_of(AddsALittle, case) is Label.WRONG


def test_what_cancels_altogether_may_leave_more_than_its_noise() -> None:
    """The quotient of a matrix's only singular value by itself is 1."""
    case = case_of(
        lambda x, y: np.sum(np.linalg.cond(x), keepdims=True) - y,
        [[2.203505390305227e-19, 7.318364664277156e-22, 1.5720931501039813e-21, -7.4267848815257065e-22]],
        4.0,
        vectors=([[0.305, 1.208, 0.244, -0.001]], -0.12),
        cotangent=0.004,
    )
    for party in ("torch", "jax"):
        assert examine(case, Setup(party, (), (2,))).verdict(party, 2).label in (Label.UNSTABLE, Label.AGREES)


def test_a_chain_of_choices_elsewhere_is_no_error() -> None:
    """JAX loses digits of the second derivative of tanh at 0, beside a tie at which nobody chose well."""
    case = case_of(
        lambda x, y: np.tanh(np.max(x, axis=0)) @ y,
        [[2.0, -1.0], [2.0, 0.0]],
        [[-4.1e-9, 6.7e-7, -7.5e6, 2.9e-8], [-5e1, -4.8e13, -6e-8, 3.9e8]],
        cotangent=[0.019, 1.999, -0.512, 0.541],
        vectors=([[-0.111, -0.001], [0.188, -1.224]], [[-0.905, 0.125, 0.836, 0.722], [0.426, 1.265, 0.933, 0.012]]),
    )
    assert examine(case, Setup("jax", (), (2,))).verdict("jax", 2).label is Label.UNSTABLE


def test_a_nan_is_wrong_where_zero_is_right() -> None:
    """PyTorch's copysign has no second derivative at 0, and lost digits of a tanh nearby do not excuse that."""
    case = case_of(lambda x: np.copysign(np.tanh(x), x), [0.0, 1.0], dtype="float32")
    assert examine(case, Setup("torch", (), (2,))).verdict("torch", 2).label is Label.WRONG


def test_digits_may_be_lost_by_a_step_at_what_comes_to_it_at_the_very_point_alone() -> None:
    """The remainder is nearly zero there and not nearby; PyTorch divides a product by it, and once more."""
    case = case_of(
        lambda x, y, z: np.square(np.exp(np.prod(np.remainder(x, y), axis=-1))) @ z,
        [-0.052],
        [[-0.103, -3.0, -0.068, 0.001], [-0.092, 1.307, -0.159, -1.731]],
        [3.909, 3.999],
        cotangent=-0.102,
        vectors=([-0.684], [[0.278, -0.13, -0.931, 0.169], [0.21, 0.169, 0.081, 1.93]], [-0.084, 0.673]),
    )
    verdict = examine(case, Setup("torch", (), (2,))).verdict("torch", 2)
    assert verdict.label in (Label.AGREES, Label.ILL_CONDITIONED) or "by itself prod loses digits" in verdict.why


def test_an_error_that_comes_and_goes_nearby_is_one_of_rounding() -> None:
    """A product of one factor has no second derivative; PyTorch has the rounding of two terms."""
    case = case_of(
        lambda x: np.prod(np.mean(np.diagonal(x, offset=1, axis1=-1, axis2=-2), axis=0, keepdims=True), axis=0),
        [[-69.0, 1.3e-11, -5.9e9, -7.1e-05], [7.3e-10, 3.7e6, -4e-10, -0.077]],
        cotangent=-0.231,
        vectors=([[-1.728, 0.421, 0.143, -0.105], [-0.346, -0.031, -0.525, -0.18]],),
    )
    assert examine(case, Setup("torch", (), (2,))).verdict("torch", 2).label in (Label.UNSTABLE, Label.AGREES)


def test_shares_of_a_tie_that_no_chain_was_seen_to_have_are_a_chain_of_choices() -> None:
    """JAX gives halves of halves of a running minimum to the tied, of which a square makes more than of one share."""
    x = [[-1.0, -1.0, -1.0], [-1.0, 4.5e7, 6.5e10], [-1.0, -1.7e3, -1.0], [40.0, -5e4, -1.1e-10]]
    case = case_of(
        lambda x: -np.square(np.minimum.accumulate(x, axis=0)),
        x,
        cotangent=[[-0.026, -0.385, 0.895], [-0.001, 0.318, 0.052], [-0.048, 0.71, 1.548], [0.862, -0.123, 0.523]],
        vectors=([[-0.199, -0.354, -0.663], [0.216, 0.776, 1.489], [-0.218, 1.112, 0.636], [-0.287, -1.055, -1.444]],),
    )
    assert examine(case, Setup("jax", (), (2,))).verdict("jax", 2).label in (Label.KINK_CHAIN, Label.CONVENTION)


def test_what_a_step_sends_back_is_asked_about_where_it_is_sent_something_else() -> None:
    """PyTorch's running logsumexp is right in its own second derivative, and not in how it follows what is sent back.

    Where 0 is sent, it takes the logarithm of that.
    """
    case = case_of(
        lambda x: np.tanh(np.power(np.logaddexp.accumulate(x, axis=0) / 2, 2)),
        [[-2.0, -1.0, 1.0, 0.0]],
        cotangent=[[-1.233, -0.381, 0.891, -0.002]],
        vectors=([[0.1, -0.106, -0.068, -0.84]],),
        dtype="float32",
    )
    assert examine(case, Setup("torch", (), (2,))).verdict("torch", 2).label is Label.WRONG


class ValueOfNan(MinigradAdapter):
    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, gradients = super().vjp(program, inputs, cotangent)
        return value * np.nan, gradients


def test_where_rounding_may_make_no_number_of_a_truth_it_is_not_wrong_to_have_none() -> None:
    """Between two floats there is more than a turn of the cosine, so that the sum may be negative."""

    def f(x: Any) -> Any:
        deviation = np.var(x, axis=0, ddof=1)
        return np.sin(np.tanh(np.log(np.cos(deviation) @ deviation)))

    large = [[9.2e2, -6.5e10, -1.8e-6], [-9.4e-7, 3.9e10, -2e-12], [-1e7, 4.3e4, -1.9e6], [-4.8e-9, -6.5e-6, -1.4e-2]]
    with np.errstate(all="ignore"):
        assert label_of(ValueOfNan, case_of(f, large)) is Label.ILL_CONDITIONED
    assert label_of(ValueOfNan, case_of(f, [[0.25, 0.5], [0.75, 1.25]])) is Label.WRONG
    with np.errstate(invalid="ignore"):  # whose logarithm no engine on NumPy has
        assert label_of(MinigradAdapter, case_of(lambda x: np.log(np.cos(3.7 * x)), 2e21)) is Label.ILL_CONDITIONED


class Infinite(MinigradAdapter):
    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, gradients = super().vjp(program, inputs, cotangent)
        return value + np.inf, gradients


def test_where_rounding_may_make_infinity_of_a_truth_it_is_not_wrong_to_have_it() -> None:
    """Two floats below 1, rounding of the product may come to that, whose erfinv is infinite."""
    case = case_of(lambda x, y: sp.erfinv(x * y), 1 - 2.0**-53, 1 - 2.0**-53)
    assert label_of(Infinite, case) is Label.ILL_CONDITIONED
    assert label_of(Infinite, case_of(lambda x, y: sp.erfinv(x * y), 0.9, 0.9)) is Label.WRONG


class Residue(MinigradAdapter):
    """What is left of terms of about 0.1 that cancel."""

    left = 1e-17

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, gradients = super().vjp(program, inputs, cotangent)
        return value, [g + self.left for g in gradients]


class MoreThanResidue(Residue):
    left = 1e-12


@pytest.mark.parametrize(("party", "label"), [(Residue, Label.UNSTABLE), (MoreThanResidue, Label.WRONG)])
def test_what_rounding_leaves_of_zero_is_no_wrong_formula(party: Any, label: Label) -> None:
    """The softmax of one number is 1, and its derivative a difference."""
    case = case_of(lambda x: np.cos(mg.softmax(np.sqrt(x), axis=0) @ [0.3, -0.2, 0.7]), [[0.8, 1.4, 0.2]])
    assert label_of(party, case) is label


def test_where_only_the_rules_of_this_project_make_no_number_it_is_no_chance() -> None:
    """The noise is infinite then, as if rounding might do anything."""
    case = case_of(lambda x: np.sin(np.linalg.inv(x)), [[2.0, 1.0], [0.5, 3.0]])
    with ruled(np.linalg.inv, lambda g, ans, a: g * np.nan):
        assert label_of(MinigradAdapter, case) is Label.WRONG


def test_a_step_by_itself_has_the_tangents_that_come_to_it_and_the_cotangents_that_come_back() -> None:
    x, v, w = np.array([0.3, 1.1]), np.array([2.0, -1.0]), np.array([0.5, 4.0])
    case = case_of(lambda x: np.exp(2 * np.sin(x)), x, cotangent=w, vectors=(v,))
    along = np.cos(x) * v
    back = w * np.exp(2 * np.sin(x))
    alone = {step.function: step for step in one_by_one(case)}
    assert list(alone) == ["sin", "multiply", "exp"]
    close = partial(np.testing.assert_allclose, rtol=1e-14)
    close(alone["sin"].case.vectors, [v])
    close(alone["multiply"].case.inputs, [np.sin(x)])
    close(alone["multiply"].case.vectors, [along])
    close(alone["multiply"].weighted.inputs, [np.sin(x), back])
    close(alone["multiply"].weighted.vectors, [along, back * 2 * along])
    close(alone["exp"].case.vectors, [2 * along])
    close(alone["exp"].weighted.inputs, [2 * np.sin(x), w])
    close(alone["exp"].weighted.vectors, [2 * along, 0 * w])


class LosesBetween(MinigradAdapter):
    """Takes off a large number that it added, in programs of several steps."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, gradients = super().vjp(program, inputs, cotangent)
        large = [1e5 * np.max(np.abs(g)) * (len(program.steps) > 1) for g in gradients]
        return value, [g.dtype.type(each) + g - each for g, each in zip(gradients, large, strict=True)]


def test_digits_that_no_step_loses_may_be_lost_between_steps() -> None:
    case = case_of(lambda x: np.exp(np.sin(x)), [0.3, 1.1])
    [verdict] = examine(case, Setup(spec_of(LosesBetween), (), (1,))).verdicts
    assert verdict.label is Label.UNSTABLE
    assert "each step agrees by itself" in verdict.why


def test_of_a_step_by_itself_there_are_no_steps_that_could_agree() -> None:
    case = case_of(lambda x: np.exp(np.sin(x)), [0.3, 1.1])
    told = partial(second_looks.step_that_loses, spec="minigrad", order=2, rounds=True)
    assert "each step agrees by itself" in told(Point(case, 2))
    assert [told(Point(step.weighted, 2)) for step in one_by_one(case)] == ["", ""]


def test_digits_may_be_lost_beside_infinity() -> None:
    """PyTorch loses them in float32 where a running sum is large, and no share of an infinite entry."""
    case = case_of(lambda x: np.sum(np.logaddexp.accumulate(x)), [-np.inf, 720.0, 520.0, -np.inf], cotangent=0.195)
    case = Point(case, 1).in_dtype("float32").case
    [verdict] = examine(case, Setup("torch", (), (1,))).verdicts
    assert verdict.label in (Label.UNSTABLE, Label.NONFINITE)


class Answers(trial.Altered):
    """At the point that is asked about, and in its dtype alone, the first gradient is another."""

    at: Any = None
    instead: Any = None

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        asked = [x.tolist() for x in inputs] == self.at and gradient.dtype == np.float64
        return np.broadcast_to(np.asarray(self.instead, gradient.dtype), gradient.shape).copy() if asked else gradient


HIDDEN: dict[str, tuple[Any, Any, Any]] = {
    "an overflow of the engine's own": (lambda x: 1 / np.exp(x), [800.0], 5.0),
    "an overflow before it saturates": (lambda x: 1 / (1 + np.exp(-x)), [-800.0], -7.0),
    "a size at a tie": (lambda x: np.abs(x[0] - x[1]), [[2.0, 2.0]], [1.0, 0.3]),
    "one side of a tie": (lambda x: mg.relu(x[0] - x[1]), [[2.0, 2.0]], [1.0, 0.0]),
    "sizes at many ties": (lambda x: np.sum(np.abs(np.diff(x))), [[2.0, 2.0, 2.0]], 1.0),
    "a range of what ties": (np.ptp, [[2.0, 2.0]], 1.0),
    "the largest beside an infinite mask": (
        lambda x: np.max(np.where(np.array([True, False, True]), x, -np.inf)),
        [[1.0, 2.0, 3.0]],
        0.0,
    ),
    "the largest beside infinity": (np.max, [[1.0, -np.inf, 4.0]], [0.0, 1.0, 0.0]),
    "a sign at zero": (np.sign, [0.0], 1.0),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_no_overflow_and_no_tie_hides_a_number_that_is_wrong(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    f, inputs, wrong = HIDDEN[name]
    with np.errstate(all="ignore"):
        case = case_of(f, *inputs)
        assert examine(case, Setup("minigrad", (), (1,))).verdict("minigrad", 1).label is not Label.WRONG
        monkeypatch.setattr(Answers, "at", inputs)
        monkeypatch.setattr(Answers, "instead", wrong)
        assert label_of(Answers, case) is Label.WRONG


class OffInSingle(trial.Altered):
    """Gradients in float32 are something else altogether."""

    of: Any = None

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return type(self).of(gradient) if gradient.dtype == np.float32 else gradient


OFF: dict[str, Any] = {
    "transposed": lambda g: g.T.copy(),
    "zero": lambda g: 0 * g,
    "no number": lambda g: g * np.float32(np.nan),
    "shifted": lambda g: np.roll(g, 1),
    "larger": lambda g: g + np.float32(0.1),
}


@pytest.mark.parametrize("name", OFF)
@pytest.mark.parametrize("f", [np.sin, lambda x: np.sum(np.exp(np.sin(x)) * x)], ids=["step", "steps"])
def test_what_is_off_at_ordinary_points_of_one_dtype_is_wrong(
    name: str, f: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OffInSingle, "of", OFF[name])
    case = case_of(f, [[1.0, 2.0], [3.0, 4.0]], dtype="float32")
    assert label_of(OffInSingle, case) is Label.WRONG
    assert label_of(OffInSingle, Point(case, 1).in_dtype("float64").case) is Label.AGREES


EXCUSED_BY_RANGE: dict[str, tuple[Any, Any]] = {
    "the smaller": (lambda x, y: np.minimum(x, np.exp(y)), (2.0, 1000.0)),
    "a remainder": (lambda x, y: np.fmod(x, np.exp(y)), (0.5, 1000.0)),
}


@pytest.mark.parametrize("name", EXCUSED_BY_RANGE)
@pytest.mark.parametrize("party", ["minigrad", "torch", "jax"])
def test_an_overflow_that_is_not_chosen_is_no_wrong_formula(name: str, party: str) -> None:
    f, inputs = EXCUSED_BY_RANGE[name]
    with np.errstate(all="ignore"):
        assert label_of(party, case_of(f, *inputs)) is Label.UNSTABLE


NEARLY_ALONG_ONES = ([0.60098565, 0.6010145, 0.60141736], [0.6012949, 0.60122055, 0.6008985])

SOUND: dict[str, tuple[Any, Any]] = {
    "nothing over infinity": (lambda x, y: np.maximum(1 / x, y), (np.inf, 2.0)),
    "a mean of it": (lambda x: np.nanmean(1 / x), ([np.inf, 0.5],)),
    "where it is a number": (lambda x: np.where(np.isnan(1 / x), 5.0, 1 / x), ([np.inf, 0.5],)),
    "an angle": (lambda x, y: np.maximum(np.arctan(x), y), (np.inf, 7.0)),
    "an error function": (lambda x, y: np.fmin(x, sp.erf(y)), (0.0, -np.inf)),
    "a remainder by infinity": (lambda x, y: np.maximum(np.fmod(3.0, x), y), (np.inf, 7.0)),
    "the turn of a zero below": (lambda x: np.arctan2(np.ceil(x), -1.0), (-0.5,)),
    "the sign of a zero below": (lambda x, y: np.copysign(y, np.trunc(x)), (-0.3, 2.0)),
    "the sign of what rounds to zero": (lambda x, y: np.copysign(y, np.rint(x)), (-0.3, 2.0)),
    "the sign of a NaN": (lambda y: np.copysign(1.0, y), (-np.nan,)),
    "there and back": (lambda x: x.astype(np.float32).astype(np.float64) ** 2, (0.1,)),
    "half of it": (lambda x: np.sin(x.astype(np.float32)).astype(np.float64), (0.1,)),
    "a pole": (sp.gammaln, ([-1.0, 1.0],)),
    "nothing by nothing": (lambda x, y: np.cos(sp.xlogy(x, y)), (0.0, 0.0)),
    "a remainder by nothing": (lambda x, y: np.cbrt(np.fmod(x, y)), (0.5, 0.0)),
    "a sum of powers that is nearly 1": (lambda x, y: -np.logaddexp2(x, y), (-0.9999999999999999, -1.0)),
    "one over what rounding may take through 0": (lambda x: 1 / np.sinc(np.cos(x)), (-4.9e-11,)),
    "a negative number to a power that moves": (lambda y, x: np.sum(y**x) ** 2, ([-5.0, 3.0], [2.0, 0.0])),
    "products that nearly cancel, in a mean": (lambda x, y: np.mean(np.cross(x, y)), NEARLY_ALONG_ONES),
}


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("party", ["minigrad", "jax"])
def test_who_is_right_beside_infinities_zeros_and_casts_is_not_accused(name: str, party: str) -> None:
    f, inputs = SOUND[name]
    with np.errstate(all="ignore"):
        found = examine(case_of(f, *inputs), Setup(party, ())).verdicts
    assert {v.label for v in found} <= {Label.AGREES, Label.NONFINITE, Label.EDGE, Label.ILL_CONDITIONED}


@pytest.mark.parametrize("f", [np.fmod, np.remainder, lambda x, y: np.divmod(x, y)[1]])
def test_a_whole_quotient_is_of_the_numbers_that_are_given(f: Any) -> None:
    """A tenth, as a float, goes nine times into 1: that it nearly goes ten times excuses nobody."""
    case = case_of(f, 1.0, 0.1)
    assert label_of("jax", case) is Label.WRONG
    assert label_of("minigrad", case) is Label.AGREES


def test_a_division_by_what_rounding_may_take_through_zero_excuses_no_other_element() -> None:
    case = case_of(lambda y, x: 1 / np.sinc(np.cos(x)) + np.sin(y), 0.7, -4.9e-11)
    assert label_of("minigrad", case) in (Label.AGREES, Label.ILL_CONDITIONED)
    assert label_of(OffInTheNinthDigit, case) not in (Label.AGREES, Label.ILL_CONDITIONED)


class OffInTheNinthDigit(trial.Altered):
    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return gradient * (1 + 1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e20])
def test_large_singular_values_make_no_noise_of_their_vectors(scale: float) -> None:
    case = case_of(lambda a: np.log(np.linalg.svdvals(a)), scale * np.array([[2.0, 0.5, 0.1], [0.3, 1.0, -0.7]]))
    for order in (1, 2):
        assert examine(case, Setup("minigrad", (), (order,))).verdict("minigrad", order).label is Label.AGREES
    assert label_of(OffInTheNinthDigit, case) not in (Label.AGREES, Label.ILL_CONDITIONED)


@pytest.mark.parametrize(
    "f",
    [np.max, np.median, np.ptp, lambda x: np.sort(x)[0], lambda x: np.linalg.norm(x, np.inf)],
    ids=["max", "median", "ptp", "sort", "norm"],
)
def test_of_a_hundred_that_tie_each_may_be_chosen(f: Any) -> None:
    """Few of the nudges that are drawn choose each; of ties that no choice was seen of, all were called wrong."""
    case = case_of(f, np.ones(130))
    verdicts = examine(case, Setup("minigrad", ("torch", "jax"), (1,))).verdicts
    assert {v.label for v in verdicts} <= {Label.AGREES, Label.CONVENTION}


class FirstAxis(MinigradAdapter):
    """At zeros, a norm grows along the first axis, by `SLOPE`."""

    SLOPE = 1.0

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, [gradient] = super().vjp(program, inputs, cotangent)
        return value, [self.SLOPE * np.eye(gradient.size)[0] if not np.any(inputs[0]) else gradient]


class SteepAxis(FirstAxis):
    SLOPE = 1.1


@pytest.mark.parametrize("orders", [(1,), (1, 2)])
@pytest.mark.parametrize(("party", "label"), [(FirstAxis, Label.CONVENTION), (SteepAxis, Label.WRONG)])
def test_along_an_axis_a_norm_of_zeros_grows_by_one(party: Any, label: Label, orders: tuple[int, ...]) -> None:
    case = case_of(np.linalg.norm, np.zeros(8))
    first, *_ = examine(case, Setup(spec_of(party), (), orders)).verdicts
    assert first.label == label


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("f", "shape"),
    [
        (np.cumsum, 1000),
        (lambda x: np.sum(x, axis=0), (300, 3)),
        (lambda x: x[np.zeros(900, int)] * np.full(900, 0.1, x.dtype), 2),
        (lambda x: np.sum(np.broadcast_to(x, (500, 2)) * np.asarray(0.1, x.dtype)), 2),
    ],
    ids=["cumsum", "sum", "scatter", "broadcast"],
)
def test_sums_of_many_equal_terms_may_be_added_one_after_another(f: Any, shape: Any, dtype: str) -> None:
    """Their partial sums all round the same way, unlike those of terms that are each off at random."""
    case = case_of(f, np.full(shape, 0.1), dtype=dtype)
    case = replace(case, cotangent=np.full_like(case.cotangent, 0.1))
    verdicts = examine(case, Setup("minigrad", ("torch", "jax"), (1,))).verdicts
    assert {v.label for v in verdicts} == {Label.AGREES}


class OneTermLost(MinigradAdapter):
    """Of a thousand terms the last is left out."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, [gradient] = super().vjp(program, inputs, cotangent)
        return value, [gradient - cotangent.ravel()[-1]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_order_of_many_terms_excuses_none_that_is_lost(dtype: str) -> None:
    case = case_of(lambda x: x[np.zeros(1000, int)], [1.0], dtype=dtype)
    case = replace(case, cotangent=np.full_like(case.cotangent, 0.1))
    [verdict] = examine(case, Setup(spec_of(OneTermLost), (), (1,))).verdicts
    assert verdict.label == Label.WRONG


@pytest.mark.parametrize(
    ("f", "count"), [(lambda x: np.quantile(x, 0.33), 101), (lambda x: np.percentile(x, [94, 33.3]), 21)]
)
def test_a_place_between_entries_is_counted_in_floats(f: Any, count: int) -> None:
    case = case_of(f, np.linspace(0, 1, count) ** 2)
    verdicts = examine(case, Setup("minigrad", ("torch", "jax"), (1,))).verdicts
    assert {v.label for v in verdicts} == {Label.AGREES}


@pytest.mark.parametrize(
    ("f", "order"),
    [
        (lambda x, y: np.arccosh(x) + np.sin(1e4 * y), 1),
        (lambda x, y: np.arccosh(x) + mg.relu(y * 0.0), 1),
        (lambda x, y: np.arccosh(x) + mg.relu(y * 0.0), 2),
    ],
)
def test_noise_and_a_kink_elsewhere_excuse_no_digits_of_a_number_that_is_given(f: Any, order: int) -> None:
    """The slope of arccosh beside 1 is that of the very number given, of which PyTorch loses digits."""
    verdicts = examine(case_of(f, 1 + 1e-9, 0.3), Setup("minigrad", ("torch", "jax"), (order,))).verdicts
    assert [v.label for v in verdicts] == [Label.AGREES, Label.UNSTABLE, Label.AGREES]


class ConstantSecond(MinigradAdapter):
    """Of the first input every second derivative is 0.9."""

    def hvp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        _, *rest = super().hvp(program, inputs, cotangent, vectors)
        return [np.full_like(inputs[0], 0.9), *rest]


def test_a_kink_elsewhere_makes_no_noise_of_a_number_that_is_given() -> None:
    case = case_of(lambda x, y: np.sin(x) + mg.relu(y), 1e16, 0.0)
    verdicts = examine(case, Setup(spec_of(ConstantSecond), ("minigrad", "torch"), (2,))).verdicts
    assert verdicts[0].label == Label.WRONG
    assert not any(v.label in (Label.WRONG, Label.ILL_CONDITIONED) for v in verdicts[1:])


def everything_to_both(g: Any, ans: Any, x: Any, y: Any) -> Any:
    return np.where(x >= y, g, 0)


class BothGetAll(trial.Broken):
    """At a tie of maximum both operands get the whole gradient."""

    def broken(self) -> Any:
        return ruled(np.maximum, everything_to_both, lambda g, ans, x, y: everything_to_both(g, ans, y, x))


class NeitherGetsAny(trial.Broken):
    def broken(self) -> Any:
        return ruled(np.maximum, lambda g, ans, x, y: np.where(x > y, g, 0), lambda g, ans, x, y: np.where(y > x, g, 0))


@pytest.mark.parametrize("party", [BothGetAll, NeitherGetsAny])
@pytest.mark.parametrize(
    "f",
    [np.maximum, lambda x, y: np.maximum(x * 3.0, y * 3.0), lambda x, y: np.maximum(np.exp(x), np.exp(y))],
    ids=["given", "products", "powers"],
)
def test_ties_of_what_is_computed_are_shared_as_those_of_what_is_given(party: Any, f: Any) -> None:
    """Where rounding undoes the tie, one or the other gets all of it: two choices, and no noise of either."""
    examination = examine(case_of(f, 1.0, 1.0), Setup(spec_of(party), ("minigrad", "torch", "jax"), (1,)))
    subject, *others = examination.verdicts
    assert examination.failed(spec_of(party))
    assert subject.is_off
    assert {v.label for v in others} == {Label.CONVENTION}


class RoundsConstants(MinigradAdapter):
    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        for step in program.steps:
            for operand in step.operands:
                if isinstance(operand, np.ndarray):
                    np.round(operand, out=operand)
        return super().vjp(program, inputs, cotangent)


def test_who_writes_to_a_constant_of_the_program_does_not_alter_the_question() -> None:
    weights = np.array([1.3, 2.4, -0.7])
    case = case_of(lambda x: np.sum(x * weights) ** 2, [1.0, 2.0, 3.0])
    before = str(case.program)
    first, *others = examine(case, Setup(spec_of(RoundsConstants), ("minigrad", "torch"), (1,))).verdicts
    assert (first.label, first.why) == (Label.STRUCTURE, "a constant of the program was written to")
    assert str(case.program) == before
    assert {v.label for v in others} == {Label.AGREES}


@pytest.mark.parametrize(
    ("f", "shape"),
    [
        (lambda x: np.tile(x, 3), 2),
        (lambda x: np.flip(x, (0, 1)), (2, 3)),
        (lambda x: np.average(x, axis=0, weights=[1.0, 2.0]), (2, 3)),
        (lambda x: np.linalg.qr(x, mode="r"), (3, 3)),
        (lambda x: np.prod(x, initial=0.5), 2),
        (lambda x: np.convolve(x, [1.0, -2.0, 0.5, 3.0], "same"), 2),
        (lambda x: np.correlate(x, [1.0, -2.0, 0.5, 3.0], "valid"), 3),
    ],
    ids=["tile", "flip", "average", "qr", "prod", "convolve", "correlate"],
)
def test_a_call_is_spelt_for_pytorch_as_it_is_meant(f: Any, shape: Any) -> None:
    case = case_of(f, np.random.default_rng(0).uniform(1, 2, shape))
    [verdict] = examine(case, Setup("torch", (), (1,))).verdicts
    assert verdict.label == Label.AGREES


class NoLastNumber(trial.Altered):
    """At one point, where an input begins with 3, the last element of the first gradient is NaN."""

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        last = np.arange(np.size(gradient)).reshape(np.shape(gradient)) == np.size(gradient) - 1
        return np.where(last & (inputs[0].flat[0] == 3.0), np.nan, gradient)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda y: np.sum(y), ([3.0, np.nan, 5.0],)),
        (lambda y, x: np.stack([x * 1.0, y * y]), (3.0, np.inf)),
        (lambda y, x: np.cumsum(np.concatenate([y * y, x]))[:2], ([3.0, 2.0], [np.nan])),
    ],
    ids=["sum", "stack", "cumsum"],
)
def test_a_number_that_is_not_finite_makes_none_of_a_sum_or_of_what_lies_beside_it(f: Any, x: Any) -> None:
    case = case_of(f, *x)
    assert label_of(NoLastNumber, case) is Label.WRONG
    assert label_of("minigrad", case) is not Label.WRONG


def test_what_a_sum_that_overflows_comes_to_may_be_no_number() -> None:
    """A sum is as steep as ever, but the angle of two that are infinite is made of them."""
    with np.errstate(over="ignore"):
        case = case_of(lambda y, x: np.arctan2(y + 1e308, x + 1e308), 1.7e308, 1.7e308)
    labels = {v.label for v in examine(case, Setup("minigrad", ("torch", "jax"), (1,))).verdicts}
    assert not labels & {Label.WRONG, Label.UNDECIDED}


def test_columns_that_tie_in_floats_alone_have_a_share_by_rounding() -> None:
    """Their sums differ by a 32-millionth, and the two largest are as one: who sees three that tie, shares by three."""
    column = 2.0**23 + np.array([[0, 1, 1], [0, 0, 0], [1, 1, 1], [0, 1, 1]])
    case = case_of(lambda x: np.linalg.matrix_norm(x, ord=1), column, dtype="float32")
    labels = {v.label for v in examine(case, Setup("minigrad", ("torch", "jax"), (1,))).verdicts}
    assert labels <= {Label.CONVENTION, Label.KINK_CHAIN}


def test_a_root_of_a_norm_that_vanishes_reaches_every_column() -> None:
    case = case_of(lambda x: np.sqrt(np.linalg.matrix_norm(x, ord=-1)), [[0.0, -2.0, 1.0], [0.0, 1.0, 1.0]])
    labels = {v.label for v in examine(case, Setup("minigrad", ("torch", "jax"), (1, 2))).verdicts}
    assert labels <= {Label.EDGE, Label.AGREES}


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[..., None, [0, 0, 1]] * x[..., ::2, None],
        lambda x: np.einsum("ij,kj->ik", x, x),
        lambda x: np.mean(x @ np.ones((4, 50)), axis=-1),
        lambda x: np.tensordot(x, np.ones((12, 4, 3)), axes=([1], [1])),
    ],
    ids=["index", "einsum", "mean", "tensordot"],
)
@pytest.mark.parametrize("order", [1, 2])
def test_whatever_adds_up_can_be_replayed(f: Any, order: int) -> None:
    """Of a replay that fails nothing is known but the rounding of the largest element."""
    case = case_of(f, np.random.default_rng(0).uniform(1, 2, (12, 4)))
    passes = Passes(case, lambda given: knowing.reference(given, order))
    found = sounding.noise(passes, 4, 0)
    assert any(np.any(n > sounding.floor_of(x)) for n, x in zip(found, passes.plain, strict=True)) or order == 2


class FlatBesideOne(trial.Altered):
    """No slope at numbers beside 1."""

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.where(inputs[0] > 0.999, 0.0, gradient)


@pytest.mark.parametrize("below", [2.0**-51, 2.0**-53])
def test_a_number_that_is_given_beside_an_edge_is_not_at_it(below: float) -> None:
    case = case_of(np.arcsin, 1 - below)
    assert label_of(FlatBesideOne, case, "minigrad") is Label.UNSTABLE
    assert label_of("minigrad", case, "torch", "jax") is Label.AGREES


class ValueOf17(MinigradAdapter):
    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, gradients = super().vjp(program, inputs, cotangent)
        return np.full_like(value, 17.0), gradients


def test_where_singular_values_tie_a_norm_has_its_value() -> None:
    case = case_of(lambda x: np.linalg.norm(x, "nuc"), np.ones((3, 3)))
    assert label_of(ValueOf17, case) is Label.WRONG
    assert {v.label for v in examine(case, Setup("minigrad", ("torch", "jax"), (1,))).verdicts} == {Label.CONVENTION}


@pytest.mark.parametrize("f", [lambda x, y: np.maximum(x * 3.0, y * 3.0), lambda x, y: np.maximum(x + 1.0, y + 1.0)])
def test_rules_of_this_project_excuse_themselves_at_no_tie(f: Any) -> None:
    """Where its own replays tie still, they have the same fault: what rounding does is taken from ideal rules."""
    with BothGetAll().broken():
        first, second = examine(case_of(f, 1.0, 1.0), Setup("minigrad", ("torch",), (1,))).verdicts
    assert (first.label, second.label) == (Label.WRONG, Label.CONVENTION)


def test_a_phase_of_many_turns_is_noisy_though_few_floats_are_near() -> None:
    """The sine of 1e22 or so may have either sign, but between the next floats it has one, of which tanh makes 1."""
    y = [[0.021, 3.6e11, -0.88, -5.7e-10], [7.4e11, 0.0086, -7.6e6, -2.9e-10]]
    y += [[9.9e12, -3.8e-8, 0.00049, -2000.0], [-3.1e-7, -67000.0, 1.7e-7, -18000.0]]
    case = case_of(lambda y: np.tanh(-(np.sin(np.dot(y, y)) @ np.dot(y, y))), y)
    labels = {v.label for v in examine(case, Setup("minigrad", ("torch", "jax"), (1,))).verdicts}
    assert labels == {Label.ILL_CONDITIONED}


class HalfOfIt(MinigradAdapter):
    """Gradients are too small by half, or `FACTOR`."""

    FACTOR = 0.5

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, gradients = super().vjp(program, inputs, cotangent)
        return value, [np.asarray(g * np.asarray(self.FACTOR, g.dtype)) for g in gradients]


class Negated(HalfOfIt):
    FACTOR = -1.0


@pytest.mark.parametrize("party", [HalfOfIt, Negated])
@pytest.mark.parametrize(
    ("f", "shape"),
    [
        (lambda x: np.max(x * 0.3, axis=0), (4, 3)),
        (lambda x: np.max(np.sum(x, axis=1)), (4, 3)),
        (lambda x: np.max(x * 0.3) - np.min(x * 0.3), 4),
        (lambda x: np.median(x * 0.3, axis=0), (4, 3)),
        (lambda x: np.median(x * 0.3), 6),
    ],
    ids=["max", "max of sums", "range", "median along an axis", "median"],
)
def test_gradients_at_ties_of_what_is_computed_add_up(party: Any, f: Any, shape: Any) -> None:
    """Rounding undoes such ties, by which a whole choice once counted as noise, and all that is smaller agreed."""
    case = case_of(f, np.full(shape, 0.1))
    subject, *others = examine(case, Setup(spec_of(party), ("minigrad", "torch", "jax"), (1,))).verdicts
    assert subject.label == Label.WRONG
    assert {v.label for v in others} == {Label.CONVENTION}


def test_a_smallest_singular_value_of_zero_is_one_of_two_signs() -> None:
    case = case_of(lambda x: np.linalg.norm(x, -2), np.diag([2.0, 1.0, 0.0]))
    assert {v.label for v in examine(case, Setup("minigrad", ("torch", "jax"), (1,))).verdicts} == {Label.CONVENTION}


def test_a_matrix_that_rounding_makes_singular_is_ill_conditioned() -> None:
    random = np.random.default_rng(5)
    case = case_of(lambda x: np.linalg.slogdet(x)[1], random.normal(size=(3, 1)) @ random.normal(size=(1, 3)))
    labels = {v.label for v in examine(case, Setup("minigrad", ("torch", "jax"), (1,))).verdicts}
    assert labels == {Label.ILL_CONDITIONED}


def test_integers_are_multiplied_as_floats() -> None:
    case = case_of(lambda x: x @ np.arange(-3, 3).reshape(6, 1), np.linspace(0, 1, 12).reshape(2, 6))
    assert label_of("torch", case) is Label.AGREES


STEEP_BESIDE_TIES = {
    # PyTorch and this project choose 0 where JAX has a slope; its choice is one that rounds.
    "difference": lambda x, y, z: np.sin(30 * (np.abs(x - y) @ z)),
    "hypot": lambda x, y, z: np.sin(30 * (np.hypot(x, y) @ z)),
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", STEEP_BESIDE_TIES)
def test_each_choice_at_a_tie_has_the_rounding_of_its_own(name: str, order: int) -> None:
    """In float32 sines of large phases leave few digits of a choice, though it lies well within what may be chosen."""
    random = np.random.default_rng(0)
    x, y, z = (random.uniform(low, high, (3, 3)) for low, high in ((-2, 2), (1, 4), (1, 4)))
    x[1, 1] = y[1, 1] = 0
    case = case_of(STEEP_BESIDE_TIES[name], x, y, z, dtype="float32")
    subject, jax, half = examine(case, Setup("minigrad", ("jax", spec_of(HalfOfIt)), (order,))).verdicts
    assert {subject.label, jax.label} <= {Label.CONVENTION, Label.EDGE, Label.KINK_CHAIN}
    assert half.label == Label.WRONG or order == 2  # of which it leaves the second ones alone


def test_what_rounding_makes_infinite_at_times_is_as_noisy_as_it_is_else() -> None:
    """The least of several that round to 1 is never more in replays: a power that is 0 in all, and infinite in exact
    ones, which leave the very answer that everybody has at others."""
    case = case_of(lambda x, y: np.min(np.tanh(x)) ** y, [40.0, 1e6, 1e7, 1e8], 2.8e27)
    labels = {v.label for v in examine(case, Setup("minigrad", ("torch", "jax"), (1,))).verdicts}
    assert labels == {Label.ILL_CONDITIONED}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_direction_of_what_cancels_is_a_choice_and_no_noise(dtype: str) -> None:
    """Any rounding turns it, however small; JAX has NaN where every choice is a number."""
    x = [0.1, 0.7]
    case = case_of(lambda x, y: np.linalg.norm(x * 0.3 - y * 0.3), x, x, dtype=dtype)
    assert all(np.all(noise < 1e-6) for noise in Point(case, 1).facts(1, 4).noise)
    subject, jax = examine(case, Setup("minigrad", ("jax",), (1,))).verdicts
    assert (subject.label, jax.label) == (Label.CONVENTION, Label.WRONG)


@pytest.mark.parametrize(
    "empty",
    [
        lambda x: np.trace(x, offset=1),
        lambda x: np.sum(x[:0]),
        lambda x: np.dot(x[:0, 0], x[:0, 0]),
        lambda x: np.sum(np.cumsum(x[:0])),
        lambda x: np.prod(x[:0]) - 1,
    ],
    ids=["trace", "sum", "dot", "cumsum", "prod"],
)
def test_a_sum_of_nothing_is_at_an_edge_as_other_zeros_are(empty: Any) -> None:
    case = case_of(lambda x, y: (np.sqrt(empty(x)) - 2) / y, np.ones((3, 1)), [0.5, -2.0])
    assert examine(case, Setup("minigrad", ("torch",), (2,))).verdict("minigrad", 2).label is Label.EDGE


def test_along_the_exponent_of_a_negative_number_there_is_no_derivative_even_times_zero() -> None:
    """And no element is excused by that but those along such exponents, nor a number there that is not the truth."""
    case = case_of(lambda x, y, z: x**y * z, [-2.0, 3.0, -4.0], [2.0, 0.5, 3.0], [1.0, 0.0, 0.0])
    value, *gradients = Point(case, 1).facts(1).truths
    edge = [Status.EDGE, Status.CERTAIN, Status.EDGE]
    assert [truth.status.tolist() for truth in (value, *gradients)] == [[0, 0, 0], [0, 0, 0], edge, [0, 0, 0]]
    assert gradients[1].behind.tolist() == [False, False, True]
    assert {v.label for v in examine(case, Setup("minigrad", ("torch", "jax"), (1, 2))).verdicts} == {Label.EDGE}


def test_an_exponent_that_is_not_whole_or_not_finite_excuses_no_other_entry() -> None:
    """The root of a negative number is past the edge along both operands; NaN is one entry's matter."""
    with np.errstate(all="ignore"):
        root = case_of(lambda x, y: np.sum(x**y) * 0, [-2.0, 3.0], [0.5, 2.0])
        beside = case_of(lambda x, y: x**y, [-2.0, -3.0, 4.0], [np.nan, np.inf, 2.0])
        assert {v.label for v in examine(root, Setup("minigrad", ("torch", "jax"), (1, 2))).verdicts} == {Label.EDGE}
        for truth in Point(beside, 1).facts(1).truths:
            assert (Status(truth.status[2]), Status(truth.status[0])) == (Status.CERTAIN, Status.NONFINITE)


class OtherSigns(MinigradAdapter):
    """Its LAPACK returns the negatives of the first singular vectors."""

    turns_both = True

    def turned(self, a: Any) -> tuple[Any, Any, Any]:
        u, s, vh = refined_svd(a)
        signs = np.where(np.arange(s.shape[-1]) == 0, -1.0, 1.0).astype(s.dtype)
        return u * signs, s, signs[:, None] * vh if self.turns_both else vh

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("minigrad.rules.linalg.refined_svd", self.turned)
            with ruled(np.tanh, lambda g, ans, x: g * self.slope(ans)):
                return super().vjp(program, inputs, cotangent)

    def hvp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("minigrad.rules.linalg.refined_svd", self.turned)
            return super().hvp(program, inputs, cotangent, vectors)

    def slope(self, ans: Any) -> Any:
        return 1 - ans * ans


class OtherSignsAndSlopes(OtherSigns):
    """And its rule of tanh is off."""

    def slope(self, ans: Any) -> Any:
        return 1 - ans


class OneOtherSign(OtherSigns):
    """Its vectors are none of the matrix."""

    turns_both = False


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_negatives_of_singular_vectors_are_as_good(dtype: str) -> None:
    a = np.array([[0.41, 1.04, -0.13], [1.37, -0.67, 0.35]], dtype)

    def vectors(x: Any) -> Any:
        u, s, vh = np.linalg.svd(x, full_matrices=False)
        return np.tanh(u + s) @ np.exp(vh)

    case, one = case_of(vectors, a), case_of(lambda x: np.linalg.svd(x, full_matrices=False)[2], a)
    for order in (1, 2):
        for each in (case, one):
            spec = spec_of(OtherSigns)
            assert examine(each, Setup(spec, ("torch",), (order,))).verdict(spec, order).label is Label.SEMANTICS

    def some(x: Any) -> Any:
        u, s, vh = np.linalg.svd(x - np.mean(x, axis=0), full_matrices=False)
        return u[:, :1] * s[:1] + vh[..., 0, ::2]

    assert label_of(OtherSigns, case_of(some, a)) is Label.SEMANTICS
    assert label_of(OtherSignsAndSlopes, case) is Label.WRONG
    assert label_of(OneOtherSign, case) is Label.WRONG
    invariant = case_of(lambda x: (lambda u, s, vh: np.tanh(u * s @ vh))(*np.linalg.svd(x, full_matrices=False)), a)
    assert label_of(OtherSigns, invariant) is Label.AGREES


class Mirrors(MinigradAdapter):
    """It has the negative of every other vector that a program results in."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        signs = np.where(np.arange(cotangent.shape[-1]) % 2, -1.0, 1.0)
        value, gradients = super().vjp(program, inputs, cotangent * signs)
        return value * signs, gradients


class MirrorsAndDoubles(Mirrors):
    """And twice the gradient."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, gradients = super().vjp(program, inputs, cotangent)
        return value, [2 * g for g in gradients]


VECTORS_IN_COLUMNS = {
    "eigh": (lambda x: np.linalg.eigh(x)[1], [[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 4.0]]),
    "qr": (lambda x: np.linalg.qr(x)[0], [[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 4.0], [1.0, 1.0, 2.0]]),
    "svd": (lambda x: np.linalg.svd(x)[0], [[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [2.0, 0.5, -1.0]]),
}


@pytest.mark.parametrize("name", VECTORS_IN_COLUMNS)
def test_vectors_of_every_decomposition_may_have_either_sign(name: str) -> None:
    vectors, x = VECTORS_IN_COLUMNS[name]
    shape = np.shape(vectors(np.array(x)))
    case = case_of(vectors, x, cotangent=np.reshape(np.arange(np.prod(shape)) ** 2 + 1.0, shape))
    assert label_of(Mirrors, case) is Label.SEMANTICS
    assert label_of(MirrorsAndDoubles, case) is Label.WRONG


def test_vectors_of_vectors_are_told_by_their_own_signs() -> None:
    """And those of a stack, each by its own."""
    a = np.array([[[2.0, 1.0], [0.5, -3.0]], [[1.0, 4.0], [-2.0, 0.5]]])

    def twice(x: Any) -> Any:
        u, s, vh = np.linalg.svd(x)
        return np.linalg.svd(u * s + np.exp(vh))[0] * vh[0]

    case, spec = case_of(twice, a, cotangent=np.arange(8.0).reshape(2, 2, 2)), spec_of(OtherSigns)
    for order in (1, 2):
        assert examine(case, Setup(spec, (), (order,))).verdict(spec, order).label is Label.SEMANTICS


def test_rounding_is_asked_about_at_the_precision_that_the_truth_takes() -> None:
    """The least singular value is 1e-18 of the largest: an elimination rounds by more, everybody's in one way."""
    y = [[0.0, -6.2e9, 0.0], [0.0, 66.0, -38.0], [0.0, 0.0, 0.0], [-6.5e8, -2.9e13, 0.0]]
    v = [[0.094, -0.05, 0.135], [-0.131, -1.094, -0.313], [-0.611, -0.186, 1.471], [0.403, -1.908, -0.2]]
    case = case_of(lambda x, y: np.linalg.matrix_norm(x * x + y, ord=-2), -9.9e11, y, vectors=[0.314, v])
    verdicts = examine(case, Setup("minigrad", ("torch", "jax"), (2,))).verdicts
    assert {verdict.label for verdict in verdicts} == {Label.ILL_CONDITIONED}


@pytest.mark.parametrize(
    ("vectors", "x"),
    [
        (lambda x: np.linalg.qr(x)[0], [[1.0, 2.0], [0.0, 3.0]]),
        (lambda x: np.linalg.qr(x)[1][0, 1], [[1.0, 2.0], [0.0, 3.0]]),
        (lambda x: np.linalg.eigh(x)[1], [[2.0, -1.0, 0.0], [-1.0, 3.0, -1.0], [0.0, -1.0, 2.0]]),
        (lambda x: np.linalg.svd(x)[2], [[1.0, 0.0], [0.0, 2.0]]),
    ],
    ids=["q", "r", "eigh", "svd"],
)
def test_the_sign_that_rounding_takes_for_vectors_is_no_noise(vectors: Any, x: Any) -> None:
    """Beside exact zeros LAPACK's signs change by rounding, and no gradient would be off by more than twice itself."""
    shape = np.shape(vectors(np.array(x)))
    case = case_of(vectors, x, cotangent=np.reshape(np.arange(np.prod(shape)) ** 2 + 1.0, shape))
    for order in (1, 2):
        assert examine(case, Setup("minigrad", (), (order,))).verdict("minigrad", order).label is Label.AGREES
    assert label_of(Negated, case) is Label.WRONG


@pytest.mark.parametrize(("scale", "dtype"), [(1e-200, "float64"), (1e-21, "float32")])
def test_zeros_beside_what_is_beyond_the_range_are_a_matter_of_digits(scale: float, dtype: str) -> None:
    """The first column turns Q, the second one leaves it; of either, infinity less infinity is left."""
    x = scale * np.array([[1.0, 2.0], [3.0, 5.0]])
    with np.errstate(all="ignore"):
        case = case_of(lambda x: np.linalg.qr(x)[0], x, cotangent=[[1.0, 2.0], [3.0, -1.5]], dtype=dtype)
        verdicts = examine(case, Setup("minigrad", ("torch", "jax"), (2,))).verdicts
    assert {verdict.label for verdict in verdicts} == {Label.UNSTABLE}


class Negated(trial.Altered):
    """Its gradient has the other sign."""

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return -gradient


def test_what_lapack_leaves_of_a_pseudo_inverse_is_noise() -> None:
    """NumPy's own value, which is everybody's, is off by 40 rounding units of the largest entry: it stops early."""
    x = [
        [2.192880209014869e-19, 7.852334234226266e-21, -2.382534274036896e-21, -3.428789370485408e-21],
        [3.2526065174565134e-22, 4.2766354693690724e-19, -6.993104012531505e-22, -1.862117231243854e-21],
        [-3.9546274241408775e-21, 4.8328311838541364e-21, 6.482471894345143e-19, -2.97613496347271e-21],
    ]
    case = case_of(np.linalg.pinv, x, cotangent=np.arange(12.0).reshape(4, 3))
    for order in (1, 2):
        verdicts = examine(case, Setup("minigrad", ("torch", "jax"), (order,))).verdicts
        assert {verdict.label for verdict in verdicts} == {Label.AGREES}
    assert label_of(OffInTheNinthDigit, case) is Label.WRONG


def test_where_eigenvalues_alone_do_not_converge_a_case_is_looked_at_as_it_is() -> None:
    with np.errstate(all="ignore"):
        case = case_of(lambda x: np.linalg.eigh(x * 1e300)[0], np.array([[1e10, 2.0], [2.0, 1.0]]))
        assert examine(case, Setup("minigrad", (), (1, 2))).verdict("minigrad", 1).label in (Label.EDGE, Label.UNSTABLE)
