from collections import Counter
from itertools import chain

import pytest

from datamodules.loading.order import (
    Order,
    OrderOptions,
    deal,
    epoch_samples,
    evaluation_order,
    training_order,
    type_chances,
)
from datamodules.shards.index import SampleRow, ShardEntry
from datamodules.shards.sample_index import Catalogue

TYPES = ("bracelet", "ring", "earring", "necklace")


def catalogue(*sizes: int) -> Catalogue:
    entries, first = [], 0
    for shard, size in enumerate(sizes):
        rows = tuple(SampleRow(f"k{first + i}", TYPES[i % 4], 512 * i, 512) for i in range(size))
        entries.append(ShardEntry(f"{shard}.tar", 512 * size, rows))
        first += size
    return Catalogue(tuple(f"/data/{shard}.tar" for shard in range(len(sizes))), tuple(entries))


def samples(order: Order) -> list[int]:
    return order.samples.tolist()


def test_a_known_order() -> None:
    # It must never change: a run that is going on depends on it.
    order = training_order(catalogue(4, 3, 0, 5), 1, OrderOptions(seed=7, shuffle_block_size=6))
    assert samples(order) == [10, 8, 7, 4, 11, 9, 1, 0, 5, 3, 6, 2]


def test_a_pass_has_each_sample_once() -> None:
    for block in (1, 5, 8192):
        order = training_order(catalogue(8, 8, 1, 8), 3, OrderOptions(shuffle_block_size=block))
        assert sorted(samples(order)) == list(range(25)) != samples(order)
        assert order.passes.tolist() == [0] * 25


def test_seed_and_epoch_change_the_order() -> None:
    orders = {
        tuple(samples(training_order(catalogue(16, 16), epoch, OrderOptions(seed))))
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_a_block_needs_few_shards() -> None:
    order = samples(training_order(catalogue(*[10] * 20), 0, OrderOptions(shuffle_block_size=30)))
    shards = [{sample // 10 for sample in order[start : start + 30]} for start in range(0, 200, 30)]
    assert all(len(some) == 3 for some in shards[:-1]) and set().union(*shards) == set(range(20))
    assert any(order[start : start + 30] != sorted(order[start : start + 30]) for start in range(0, 200, 30))


def test_more_samples_than_a_pass_has_take_several_passes() -> None:
    order = training_order(catalogue(10, 10), 0, OrderOptions(samples_per_epoch=50))
    assert order.passes.tolist() == [0] * 20 + [1] * 20 + [2] * 10
    first, second = samples(order)[:20], samples(order)[20:40]
    assert sorted(first) == sorted(second) == list(range(20)) and first != second
    assert len(set(samples(order)[40:])) == 10


def test_an_epoch_that_is_longer_goes_on_with_the_same_order() -> None:
    short, long = (samples(training_order(catalogue(9, 9), 2, OrderOptions(samples_per_epoch=n))) for n in (10, 30))
    assert long[:10] == short


def test_weights_are_chances() -> None:
    chances = type_chances({"bracelet": 2.0, "ring": 1.0, "earring": 0.0, "necklace": 2.0})
    all_samples = catalogue(400, 400)
    order = training_order(all_samples, 0, OrderOptions(chances=chances, samples_per_epoch=5000))
    types = Counter(all_samples.categories[sample] for sample in samples(order))
    assert types["earring"] == 0 and types["bracelet"] / 5000 == pytest.approx(0.4, abs=0.02)
    assert types["ring"] / 5000 == pytest.approx(0.2, abs=0.03)


def test_one_pass_with_weights_has_the_same_length_in_each_epoch() -> None:
    options = OrderOptions(chances=type_chances({"ring": 0.5}))
    lengths = {len(training_order(catalogue(40, 40), epoch, options).samples) for epoch in range(20)}
    assert lengths == {70} == {epoch_samples(catalogue(40, 40), options)}


def test_a_rare_type_is_waited_for() -> None:
    one = Catalogue(("/a.tar",), (ShardEntry("a.tar", 1, (SampleRow("k", "ring", 0, 1),)),))
    options = OrderOptions(chances=type_chances({"ring": 0.05}), samples_per_epoch=3)
    order = training_order(one, 0, options)
    assert samples(order) == [0] * 3 and len(set(order.passes.tolist())) == 3


def test_a_type_that_is_nowhere_is_an_error() -> None:
    chances = type_chances({"bracelet": 0.0, "ring": 0.0, "earring": 0.0})
    with pytest.raises(ValueError, match="training needs samples of necklace"):
        epoch_samples(catalogue(3), OrderOptions(chances=chances))


@pytest.mark.parametrize("weights", [{"tiara": 1.0}, {"ring": -1.0}, {"ring": float("nan")}, dict.fromkeys("abc", 0.0)])
def test_bad_weights_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="type_weights"):
        type_chances(weights)


def test_all_weights_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="not all 0"):
        type_chances(dict.fromkeys(TYPES, 0.0))


def test_evaluation_keeps_the_order_of_the_shards() -> None:
    assert samples(evaluation_order(catalogue(3, 0, 2), 0, type_chances())) == [0, 1, 2, 3, 4]
    assert samples(evaluation_order(catalogue(4, 4), 0, type_chances({"ring": 0.0}))) == [0, 2, 3, 4, 6, 7]


@pytest.mark.parametrize("length", [0, 1, 7, 24, 25])
@pytest.mark.parametrize(("world_size", "batch_size"), [(1, 4), (2, 2), (4, 1), (3, 5), (40, 2)])
def test_each_position_is_dealt_once(length: int, world_size: int, batch_size: int) -> None:
    dealt = [list(deal(length, batch_size, rank, world_size)) for rank in range(world_size)]
    assert sorted(position for batches in dealt for batch in batches for position in batch) == list(range(length))
    assert all(0 < len(batch) <= batch_size for batches in dealt for batch in batches)
    assert max(map(len, dealt)) <= -(-length // (world_size * batch_size))


def test_any_number_of_processes_has_the_same_global_batches() -> None:
    def batches(world_size: int, batch_size: int, start: int) -> list[set[int]]:
        micro = [list(deal(48, batch_size, rank, world_size, start)) for rank in range(world_size)]
        joined = [list(chain(*(rank[number] for rank in micro))) for number in range(len(micro[0]))]
        accumulate = 8 // (world_size * batch_size)
        return [set(chain(*joined[n : n + accumulate])) for n in range(0, len(joined), accumulate)]

    expected = [set(range(start, start + 8)) for start in range(16, 48, 8)]
    for world_size, batch_size in ((1, 8), (1, 4), (2, 4), (2, 2), (4, 2), (8, 1), (4, 1)):
        assert batches(world_size, batch_size, 2 * (8 // (world_size * batch_size))) == expected
