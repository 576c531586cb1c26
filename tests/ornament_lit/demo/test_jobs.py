"""Work is stopped by session, and all of it at the end."""

import pytest

from ornament_lit.demo.generating import Stopped
from ornament_lit.demo.jobs import Jobs


def test_work_is_stopped_by_session() -> None:
    jobs = Jobs()
    with jobs.running("a") as first, jobs.running("b") as second:
        assert jobs.stop("a") and not jobs.stop("nobody")
        jobs.check(second)
        with pytest.raises(Stopped):
            jobs.check(first)
        jobs.stop_all()
        with pytest.raises(Stopped):
            jobs.check(second)
    assert not jobs.stop("a"), "what is over cannot be stopped"
    with jobs.running("c") as late, pytest.raises(Stopped):
        jobs.check(late)
