"""Figures that follow from others, by hand; those that cannot be had say why."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from ornament_lit.profiling.report import Figure, format_time, to_json, to_text
from ornament_lit.profiling.session import Session, Subject
from ornament_lit.profiling.steps import Recipe

CPU = torch.device("cpu")


@pytest.fixture
def session(build_module: Any) -> Callable[..., Session]:
    def make(build: Any = lambda device: build_module(), **options: Any) -> Session:
        return Session(Subject(build, lambda: [], Recipe(), 32, 2, **options), CPU)

    return make


def figure(session: Session, name: str) -> Figure:
    return next(one for one in session.figures if one.name == name)


def test_shares_margin_and_run_by_hand(session: Callable[..., Session]) -> None:
    measured = session(world_size=8, samples=640_000)
    known = {"training": 5.0, "matmul_peak": 200.0, "step_flop": 12.0, "step_flop_computed": 14.0, "loader": 4.0}
    for name, value in known.items():
        measured.note(name, value)
    measured.share_of_peak()
    measured.margin()
    measured.estimate()
    assert figure(measured, "mfu").value == pytest.approx(30.0)
    assert figure(measured, "hfu").value == pytest.approx(35.0)
    assert figure(measured, "loader_margin").value == pytest.approx(0.8)
    assert "training waits for data" in figure(measured, "loader_margin").note
    run = figure(measured, "whole_run")
    assert run.value == pytest.approx(640_000 / 40 / 3600)
    assert run.note.startswith("4.4 h: 640,000 samples on 8 of these devices")
    assert "5.6 h at the loader's pace" in run.note


def test_what_cannot_be_had_says_why(session: Callable[..., Session]) -> None:
    empty = session()
    empty.share_of_peak()
    empty.margin()
    empty.estimate()
    assert [one.value for one in empty.figures] == [None] * 3
    assert all(one.note.startswith("needs ") for one in empty.figures)


def test_where_the_meta_device_refuses_the_device_counts(session: Callable[..., Session], build_module: Any) -> None:
    def refuse(device: torch.device) -> Any:
        if device.type == "meta":
            raise NotImplementedError("no meta kernel")
        return build_module()

    refused = session(refuse)
    refused.flops()
    assert "the meta device refused (no meta kernel)" in figure(refused, "step_flop").note
    plain = session()
    plain.flops()
    assert plain.value("step_flop") == refused.value("step_flop") > 0  # type: ignore[operator]
    assert figure(plain, "trained_parameters").value == sum(p.numel() for p in build_module().parameters())


def test_largest_batch_is_noted(session: Callable[..., Session]) -> None:
    measured = session()
    measured.largest(lambda size: 2**30 + size * 2**28, 2**31 + 2**27)
    assert measured.figures[-1] == Figure("largest_batch", 4, "samples", "2.00 of 2.12 GiB, run")


def test_report_as_lines_and_as_json() -> None:
    figures = [
        Figure("trained_parameters", 8_011_264),
        Figure("step", 0.51234, "s", "median"),
        Figure("mfu", None, "%", "no"),
    ]
    text = to_text(figures, {"device": "CPU"})
    assert text.startswith("device: CPU\n\n")
    assert "8,011,264" in text and "0.5123 s" in text
    assert text.splitlines()[-1].split() == ["mfu", "-", "no"]
    content = json.loads(to_json(figures, {"device": "CPU"}))
    assert content["about"] == {"device": "CPU"}
    assert content["figures"]["step"] == {"value": 0.51234, "unit": "s", "note": "median"}
    assert content["figures"]["mfu"]["value"] is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.34, "12.3 s"), (900, "15.0 min"), (11_200, "3.1 h"), (259_200, "3.0 days")]
)
def test_times_in_the_unit_that_suits(seconds: float, text: str) -> None:
    assert format_time(seconds) == text
