"""What is known of a case: found once, at the point itself and at others, and kinder to nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.special as sp

from oracles import judge
from oracles.campaign import shrink_data
from oracles.cases import Case
from oracles.errors import UsageError
from oracles.exact import Status
from oracles.examine import Setup, examine
from oracles.facts import Point
from oracles.findings import Suspect
from oracles.noise import Noisy, Summing
from oracles.report.frames import accuracy_frame
from oracles.verdict import Label
from tests import trial
from tests.trial import case_of, on_trial, spec


def test_facts_are_found_once() -> None:
    point = Point(case_of(np.tanh, [0.5, 2.0]), 2)
    assert point.facts(1) is point.facts(1)
    assert point.facts(1, 1) is not point.facts(1)
    # Without a kink nothing more is found by looking longer.
    assert point.facts(1, 3) is point.facts(1, 1)
    kink = Point(case_of(np.abs, 0.0), 1)
    assert kink.facts(1, 3) is not kink.facts(1, 1)


def test_other_points_are_made_once_and_have_a_value() -> None:
    point = Point(case_of(np.linalg.cholesky, [[1.0, 0.0], [0.0, 1e-9]]), 1)
    assert next(point.nearby()) is next(point.nearby())
    indefinite = case_of(np.linalg.cholesky, [[1.0, 0.0], [0.0, 1e-9]]).inputs[0] - np.eye(2)
    assert point.other(Case("off", point.case.program, (indefinite,), point.case.cotangent, point.case.vectors)) is None


def test_a_point_off_the_event_stays_within_the_domain() -> None:
    def root(x: Any) -> Any:
        return np.sqrt(0.0 - x)

    with np.errstate(invalid="ignore"):
        point = Point(case_of(root, 0.0), 1).off_the_event()
    assert point is not None
    assert -0.03 < point.case.inputs[0] < 0


def test_every_partys_time_is_counted_at_either_order() -> None:
    for order in (1, 2):
        found = examine(case_of(np.tanh, 0.5), Setup("minigrad", ("minigrad.stage", "torch"), (order,)))
        assert {"minigrad", "minigrad.stage", "torch", "referee"} <= found.cost.keys()


def test_a_value_that_is_attained_only_at_the_point_is_among_the_choices() -> None:
    """``arctan2(0, -0)`` is pi; from nearby, all three at once cannot be come to."""
    zeros = np.zeros(3)
    case = case_of(lambda x, y, z: np.sum(np.square(np.arctan2(x, y))) * z, zeros, -zeros, 2.0)
    verdict = on_trial(trial.Certified, case).verdict(spec(trial.Certified), 1)
    assert verdict.label == Label.EDGE
    truth = Point(case, 1).facts(1, 1).truths[3]
    assert truth.low <= 3 * np.pi**2 <= truth.high


def test_a_choice_behind_a_jump_of_any_size_is_seen() -> None:
    """At a whole quotient fmod is 0, where abs chooses a side; beside it is a tiny input."""
    found = judge(lambda x: np.abs(np.fmod(x, 0.5)), np.array([1e6, 5e-11]), parties=["minigrad"])
    assert found.verdicts["minigrad"].label in (Label.CONVENTION, Label.KINK_CHAIN)


def test_an_infinite_input_is_not_left_out_as_nan_is() -> None:
    assert (
        judge(np.nansum, np.array([np.inf, 0.75]), parties=["minigrad"]).verdicts["minigrad"].label == Label.NONFINITE
    )
    assert judge(np.nansum, np.array([np.nan, 0.75]), parties=["minigrad"]).verdicts["minigrad"].label == Label.AGREES


def test_sums_where_a_value_forks_round_with_the_best_of_rules() -> None:
    """The second derivative's contributions of 1e-18 cancel, which no rule for one operand at a time can help."""
    case = case_of(lambda x: np.hypot(x - 2, x), -9e8, vectors=[1.0])
    point = Point(case, 2)
    plain, sums = (point.spread(2, 6, kind)[0] for kind in (Noisy, Summing))
    assert plain / 64 <= sums <= 64 * plain
    assert examine(case, Setup("minigrad", ())).verdict("minigrad", 2).label == Label.ILL_CONDITIONED


def test_a_phase_between_two_floats_is_noise() -> None:
    """Around 1e25 floats are 2**31 apart: an engine's replays see three phases of a sine, exact ones see all."""
    for x in np.random.default_rng(0).uniform(1e12, 7e12, 12):
        point = Point(case_of(lambda x: np.sin(np.square(x)), x), 1)
        assert point.facts(1, 1).noise[0] > 0.9


def test_exact_replays_round_numbers_as_well_as_arrays() -> None:
    """In float32 tanh is 1 here, which a maximum takes for a tie; either choice is a matter of rounding."""
    case = case_of(lambda x, y: np.maximum(np.tanh(x), y), np.float32(31.0), np.float32(1.0))
    point = Point(case, 1)
    assert np.all(point.referee.rounding(1, point.facts(1).truths, 16)[1] > 0)
    assert examine(case, Setup("minigrad", (), (1,))).verdict("minigrad", 1).label == Label.ILL_CONDITIONED


def test_choices_among_many_ties_are_seen_in_pairs() -> None:
    """Half of sixteen are 0, the others 1: the median's two may be any of each, at order 2 both at once."""
    x = np.repeat([0.0, 1.0], 8)
    v = np.linspace(-1, 1, 16)
    truth = Point(case_of(lambda x: np.square(np.median(x)), x, vectors=[v]), 2).facts(2, 4).truths[0]
    assert np.all(truth.lowest <= np.minimum(0, (v + np.where(x == 0, v[8], v[0])) / 2) + 1e-12)
    assert np.all(truth.highest >= np.maximum(0, (v + np.where(x == 0, v[15], v[7])) / 2) - 1e-12)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sqrt(np.prod(np.linalg.norm(x, ord=-np.inf, axis=-1))),
        lambda x: np.sqrt(np.min(np.maximum.accumulate(0 * x))),
        lambda x: np.square(np.linalg.qr(x[:1])[0]),
        # The last column of the input has no part in the first of R.
        lambda x: np.sqrt(np.prod(np.square(np.linalg.qr(x[:, 1:])[1]), axis=0)),
    ],
)
def test_what_an_edge_may_reach_is_told_from_what_it_may_not(f: Any) -> None:
    x = np.array([[0.0, 1.0, -1.0], [0.0, 0.0, 2.0]])
    for order in (1, 2):
        assert examine(case_of(f, x), Setup("minigrad", ())).verdict("minigrad", order).label == Label.EDGE


def test_either_of_what_ties_may_be_what_an_edge_reaches() -> None:
    """The second derivatives of all that is picked meet the infinite one of the root of 0; of two 2s either may be."""
    x = np.array([[0.0, 2.0, -1.0, -2.0], [2.0, 0.0, -2.0, 2.0]])
    case = case_of(lambda x: np.square(np.sum(np.sqrt(np.partition(x, 2, axis=1)[:, 2]))), x)
    truth = Point(case, 2).facts(2, 1).truths[0]
    assert np.argwhere(truth.status == Status.EDGE).tolist() == [[0, 0], [1, 0], [1, 3]]


def test_what_shows_off_the_kink_is_shrunk_and_scripted_there() -> None:
    """At the kink itself the engine's answer is an allowed choice."""
    subject = spec(trial.WrongButAtZero)
    found = examine(case_of(lambda x: np.abs(x) * 3.0, 0.0), Setup(subject, (), (1,)))
    [verdict] = found.as_data()["verdicts"]
    assert (verdict["label"], verdict["moved"]) == ("wrong", True)
    small, script = shrink_data(Suspect(subject, "wrong", 1, found.as_data(), verdict["moved"]), "small")
    assert Case.from_data(small).inputs[0] != 0
    assert "np.array(0.0" not in script


def test_accuracy_is_by_party_over_functions() -> None:
    functions = pd.DataFrame(
        {
            "party": ["one", "one", "one", "two"],
            "dtype": "float64",
            "order": 1,
            "function": ["abs", "exp", "tanh", "abs"],
            "ulp_median": [0.0, 1.0, 5.0, np.nan],
            "ulp_p99": [0.0, 2.0, 7.0, np.nan],
            "ulp_max": [0.0, 3.0, 9.0, np.nan],
        }
    )
    [row] = accuracy_frame(functions).to_dict("records")
    assert (row["party"], row["functions"], row["within_one"]) == ("one", 3, 2)
    assert (row["ulp_median"], row["ulp_p99"], row["ulp_max"]) == (1, 2, 3)


def test_parties_are_a_list() -> None:
    with pytest.raises(UsageError, match=r"give a list, such as \['minigrad'\]"):
        judge(np.tanh, 0.5, parties="minigrad")


def test_even_shares_among_many_ties_are_allowed_choices() -> None:
    """At order 2 they are no mean of what single choices give: each is a product of two."""
    v = np.linspace(-1, 1, 31) - 0.01
    case = case_of(lambda x: np.square(np.max(x)), np.zeros(31), vectors=[v])
    assert examine(case, Setup("minigrad", ())).verdict("minigrad", 2).label in (Label.CONVENTION, Label.KINK_CHAIN)


def test_what_nobody_uses_is_not_on_the_way() -> None:
    """The slope of log at 0 is infinite, but no gradient passes through it."""
    with np.errstate(all="ignore"):
        case = case_of(lambda x: [np.log(x - x), np.sqrt(x - x), np.tanh(x)][2], [0.5, -0.25])
        point = Point(case, 2)
        assert point.events == []
        statuses = [truth.status for order in (1, 2) for truth in point.facts(order).truths]
    assert not np.any(statuses)


def test_off_a_kink_too_jax_is_judged_by_what_people_call() -> None:
    """Op by op XLA's arccosh has lost digits that it keeps where the function is compiled whole, as it is timed."""
    x = np.float32([1.0, 1.0017465])
    found = examine(case_of(np.arccosh, x, dtype="float32"), Setup("minigrad", ("jax",)))
    assert {v.label for v in found.verdicts if v.party == "jax"} == {Label.EDGE}


def test_where_nothing_can_be_seen_nearby_every_choice_counts() -> None:
    """Beside the top of a cosine its logarithmic gamma is above 0 by less than the referee's precision."""
    case = case_of(lambda x: np.maximum(0, sp.gammaln(np.cos(x))), 0.0)
    truth = Point(case, 2).facts(2, 4).truths[0]
    assert truth.status == Status.KINK
    assert truth.low <= 0 < 0.57 < truth.high


def test_an_overflow_at_the_end_of_the_range_is_a_matter_of_digits() -> None:
    """Twice the largest exponential is infinite, and half of that is not; a little below all of them are numbers."""
    case = case_of(lambda x: np.expm1(x * 0.5), [1419.5654], cotangent=[-1.999], vectors=[[1.15]])
    found = examine(case, Setup("minigrad", ()))
    assert [v.label for v in found.verdicts] == [Label.UNSTABLE, Label.UNSTABLE]


def test_off_the_end_of_the_range_is_where_terms_are_finite_as_well() -> None:
    """The second derivatives of two powers leave the range with different signs; at 0.4165 only their sum is in it."""
    powers = np.array([-800.0, -800.0, -750.0])
    case = case_of(lambda y: np.power(y, powers), 0.416, cotangent=[-0.168, 0.114, 0.1], vectors=[-0.07])
    assert [v.label for v in examine(case, Setup("minigrad", ())).verdicts] == [Label.AGREES, Label.EDGE]
    moved = Point(case, 2).off_the_event()
    assert moved is not None
    assert not moved.reaches_the_end_of_the_range


def test_an_infinity_of_the_other_sign_has_lost_no_digits_where_the_truth_is_beyond_the_range() -> None:
    """What comes back is 1.5e308 twice, which is infinite, and then -1.7e308 three times."""

    def f(x: Any) -> Any:
        return sum((c * x for c in (-1.7e308, -1.7e308, 1.5e308, 1.5e308)), start=-1.7e308 * x)

    with np.errstate(over="ignore"):
        case = case_of(f, 0.1)
        found = examine(case, Setup("minigrad", ())).verdict("minigrad", 1)
    assert found.label is Label.EDGE
    assert "got inf; the truth is beyond the range, towards -inf" in found.why


def test_constants_by_which_slopes_leave_the_range_of_float32_make_no_formula_wrong() -> None:
    """6e38 less 5.7e38 times a cosine, at every ordinary point."""
    case = case_of(lambda x: 3e38 * np.sin(x) * 2.0 - 3e38 * np.sin(x) * 1.9, 0.1, dtype="float32")
    for verdict in examine(case, Setup("minigrad", ("torch", "jax"), (1,))).verdicts:
        assert verdict.label is Label.UNSTABLE, verdict


def test_a_case_in_another_dtype_takes_its_arrays_along() -> None:
    case = case_of(lambda x: x * np.array([0.1, 2.0]) + np.array([1, 2]), [1.0, 2.0])
    there = Point(case, 1).in_dtype("float32")
    assert there is not None
    assert there.case.program(*there.case.inputs).dtype == np.float64  # of the whole numbers, which are as they were
    floats = case_of(lambda x: x * np.array([0.1, 2.0]), [1.0, 2.0])
    there = Point(floats, 1).in_dtype("float32")
    assert there is not None
    assert there.case.program(*there.case.inputs).dtype == np.float32


def test_off_an_event_nothing_is_sent_back_that_leaves_the_range() -> None:
    """A power of 4408 that is 1 at the tie; a little off it is tiny, and its own power's slope beyond float32."""

    def f(x: Any, z: Any) -> Any:
        v = np.maximum(np.abs(x), z)
        return np.max(np.power(np.power(v, v @ z), z))

    case = case_of(f, [4408.0], [0.0, -1.0, 1.0, 0.0], dtype="float32")
    point = Point(case, 1)
    with np.errstate(all="ignore"):
        moved = point.off_the_event()
        assert moved is not None
        assert not moved.sends_back_too_much
        for verdict in examine(case, Setup("minigrad", ())).verdicts:
            assert verdict.label in (Label.CONVENTION, Label.KINK_CHAIN), verdict
        tiny = np.array([0.0, -1.0016, 1.0016, -0.0013], "float32")
        there = point.other(replace(case, inputs=(case.inputs[0], tiny)))
        assert there is not None
        assert there.sends_back_too_much


def test_a_value_that_is_another_one_at_the_very_point_is_what_its_own_gradients_follow_from() -> None:
    """The angle of (0, 0) is 0, and a little beside it that of two equal squares."""

    def f(x: Any, y: Any) -> Any:
        v = x * x
        return (np.arctan2(np.tanh(v), v) + 1) * y

    with np.errstate(all="ignore"):
        case = case_of(f, 0.0, 0.3)
        point = Point(case, 1)
        verdicts = examine(case, Setup("minigrad", (), (1,))).verdicts
        truth = point.facts(1, 1).truths[2]
    assert (truth.low, truth.high) == pytest.approx((1, 1 + np.pi / 4))
    assert [v.label for v in verdicts] == [Label.CONVENTION]
    # What a nudge makes of a zero is no such jump.
    with np.errstate(all="ignore"):
        relus = Point(case_of(lambda x: np.maximum(x, 0) - np.maximum(-x, 0), 0.0), 1)
        relus.facts(1)
        assert not relus.referee.look_around(1, 0).jumps


def test_where_an_angle_has_no_derivative_nobody_is_asked_for_one() -> None:
    """JAX's is NaN at (0, 0), also times 0, as what is moved there is at first order."""
    with np.errstate(all="ignore"):
        case = case_of(lambda x, y: np.arctan2(x * x, x * x) * y, 0.0, 0.3)
        verdicts = examine(case, Setup("minigrad", ("torch", "jax"))).verdicts
    assert {v.label for v in verdicts} == {Label.EDGE}
