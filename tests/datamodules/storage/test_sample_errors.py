import pytest

from datamodules.storage.sample_errors import SampleError, SampleErrorCounter, SampleErrorReport


def test_the_report_is_one_line() -> None:
    report = SampleErrorReport(628, {"undecodable": 8, "empty_mask": 4, "unreadable_shard": 1}, "a.tar: key: broken")
    assert str(report) == (
        "12 of 640 samples skipped: 8 undecodable, 4 empty_mask, 1 unreadable_shard (first: a.tar: key: broken)"
    )


def test_counts_by_reason_and_keeps_the_first() -> None:
    sample_errors = SampleErrorCounter()
    sample_errors.count_good()
    for number, reason in enumerate(("empty_mask", "undecodable", "empty_mask")):
        sample_errors.record(SampleError(f"fault {number}", reason))
    assert sample_errors.report() == SampleErrorReport(1, {"undecodable": 1, "empty_mask": 2}, "fault 0")
    sample_errors.reset()
    assert sample_errors.report() == SampleErrorReport(0, {}, "")


def test_a_long_message_is_cut() -> None:
    sample_errors = SampleErrorCounter()
    sample_errors.record(SampleError("\u00e9" * 1000))
    assert sample_errors.report().first == "\u00e9" * 256


def test_strict_raises() -> None:
    with pytest.raises(SampleError, match="broken"):
        SampleErrorCounter(strict=True).record(SampleError("broken", "undecodable"))
