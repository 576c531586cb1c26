import pytest

from ornament_lit.utils.schedules import decay, ramp


@pytest.mark.parametrize(
    ("name", "step", "expected"),
    [
        ("constant", 7, 1.0),
        ("linear", 0, 1.0),
        ("linear", 5, 0.6),
        ("linear", 10, 0.2),
        ("linear", 99, 0.2),
        ("cosine", 0, 1.0),
        ("cosine", 5, 0.6),
        ("cosine", 10, 0.2),
    ],
)
def test_decay_falls_to_its_final_value(name: str, step: int, expected: float) -> None:
    assert decay(name, step, num_steps=10, final=0.2) == pytest.approx(expected)


@pytest.mark.parametrize(("step", "expected"), [(0, 0.1), (5, 0.55), (10, 1.0), (50, 1.0)])
def test_ramp_grows_to_one(step: int, expected: float) -> None:
    assert ramp(0.1, step, num_steps=10) == pytest.approx(expected)


def test_ramp_of_no_steps_is_one() -> None:
    assert ramp(0.1, 0, num_steps=0) == 1.0


def test_errors_name_the_rule_and_the_value() -> None:
    with pytest.raises(ValueError, match="constant, linear, cosine, got 'square'"):
        decay("square", 0, 1)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        decay("linear", 0, 0)
