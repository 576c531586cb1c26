import pytest

pytest.importorskip("mitsuba")
from datamodules.rendering.composition import CATEGORIES
from datamodules.rendering.plan import BODY_GROUP, Plan, check_plan, parse_range
from ornament_lit.utils.categories import CATEGORIES as KNOWN_CATEGORIES


def test_the_types_come_in_turn_in_the_order_of_the_paper():
    assert CATEGORIES == ("bracelet", "ring", "earring", "necklace")
    assert set(CATEGORIES) == set(KNOWN_CATEGORIES)


@pytest.mark.parametrize(("num", "shard_size"), [(1, 1), (100, 32), (129, 128), (70, 13), (256, 128)])
def test_every_triplet_is_in_just_one_task_of_its_shard(num, shard_size):
    plan = Plan(num, shard_size, "train")
    for shard in range(plan.shards):
        indices = [index for task in plan.tasks(shard) for index in task.indices]
        assert sorted(indices) == list(plan.indices(shard))
    assert sum(len(plan.indices(shard)) for shard in range(plan.shards)) == num


def test_a_task_needs_one_body():
    for task in Plan(200, 100, "train").tasks(1):
        assert len({(index % len(CATEGORIES), index // BODY_GROUP) for index in task.indices}) == 1


def test_some_types_keep_the_numbers_that_they_have_among_all():
    plan = Plan(7, 4, "train", ("ring", "necklace"))
    assert (plan.indices(0), plan.indices(1)) == ((1, 3, 5, 7), (9, 11, 13))
    assert [task.indices for task in plan.tasks(0)] == [(1, 5), (3, 7)]


def test_names_begin_with_the_split():
    plan = Plan(10, 4, "val")
    assert (plan.shards, plan.name(2), plan.key(9)) == (3, "val-000002.tar", "val-000009")


def test_a_range_of_shards_may_leave_out_its_ends():
    assert parse_range(None, 5) == range(5)
    assert parse_range(":", 5) == range(5)
    assert parse_range("1:3", 5) == range(1, 3)
    assert parse_range("3:", 5) == range(3, 5)


@pytest.mark.parametrize("text", ["3", "a:b", "-1:2", "2:2", "3:1", "0:6", ""])
def test_other_ranges_are_refused(text):
    with pytest.raises(ValueError, match="--shard_range must"):
        parse_range(text, 5)


@pytest.mark.parametrize("plan", [Plan(0, 4, "train"), Plan(4, 0, "train")])
def test_a_set_needs_triplets_and_shards(plan):
    with pytest.raises(ValueError, match="at least 1"):
        check_plan(plan)


def test_a_set_needs_a_type():
    with pytest.raises(ValueError, match="--types must name at least one of bracelet"):
        check_plan(Plan(4, 4, "train", ()))
