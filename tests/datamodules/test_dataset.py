from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from datamodules.dataset import ShuffledDataset, Source, TripletDataset, type_chances
from datamodules.faults import FaultCounter, SampleError
from datamodules.shards import resolve_shards
from datamodules.transforms import TripletTransform

Draw = Callable[..., dict[str, bytes]]
Write = Callable[[Path, Mapping[str, dict[str, bytes]]], Path]
SMALL = TripletTransform(8)


def source(folder: Path, weights: dict[str, float] | None = None, rank: int = 0, world_size: int = 1) -> Source:
    return Source(resolve_shards(str(folder / "train-*.tar")), 3, type_chances(weights), rank, world_size)


def shuffled(folder: Path, epoch: int = 0, quota: list[int] | None = None, **options: object) -> ShuffledDataset:
    dataset = ShuffledDataset(source(folder, **options), SMALL, FaultCounter(4), 8, quota)  # type: ignore[arg-type]
    dataset.epoch = epoch
    return dataset


def keys(dataset: TripletDataset, workers: int = 0) -> list[str]:
    return [sample["key"] for sample in DataLoader(dataset, batch_size=None, num_workers=workers)]


ALL = [f"train-{i:06d}" for i in range(32)]


def test_evaluation_keeps_the_order(shard_dir: Path) -> None:
    assert keys(TripletDataset(source(shard_dir), SMALL, FaultCounter())) == ALL


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("kind", [TripletDataset, ShuffledDataset])
def test_ranks_and_workers_share_every_sample_once(shard_dir: Path, kind: type[TripletDataset], workers: int) -> None:
    parts = [keys(kind(source(shard_dir, None, rank, 2), SMALL, FaultCounter(workers)), workers) for rank in (0, 1)]
    assert sorted(parts[0] + parts[1]) == ALL
    assert len(parts[0]) == len(parts[1]) == 16


def test_evaluation_needs_no_shard_for_each_worker(shard_dir: Path) -> None:
    one = Source(resolve_shards(str(shard_dir / "val-*.tar")), rank=1, world_size=3)
    assert keys(TripletDataset(one, SMALL, FaultCounter(2)), 2) == ["val-000001", "val-000004", "val-000007"]


def test_the_order_is_a_function_of_seed_and_epoch(shard_dir: Path) -> None:
    first = keys(shuffled(shard_dir))
    assert first == keys(shuffled(shard_dir)) != ALL
    assert first != keys(shuffled(shard_dir, epoch=1))
    assert sorted(first) == sorted(keys(shuffled(shard_dir, epoch=1))) == ALL


def test_the_samples_do_not_depend_on_the_workers(shard_dir: Path) -> None:
    def seeds(workers: int) -> dict[str, int]:
        loader = DataLoader(shuffled(shard_dir, 2, None, weights={"ring": 0.5}), batch_size=None, num_workers=workers)
        return {sample["key"]: sample["sample_seed"] for sample in loader}

    assert seeds(0) == seeds(1) == seeds(2)


def test_running_workers_see_a_new_epoch(shard_dir: Path) -> None:
    dataset = shuffled(shard_dir)
    loader = DataLoader(dataset, batch_size=None, num_workers=2, persistent_workers=True)
    first = [sample["key"] for sample in loader]
    dataset.epoch = 1
    second = [sample["key"] for sample in loader]
    loader._iterator._shutdown_workers()  # type: ignore[union-attr]
    assert second == keys(shuffled(shard_dir, epoch=1), 2) != first


def test_a_quota_goes_through_the_shards_again(shard_dir: Path) -> None:
    dataset = shuffled(shard_dir, quota=[80])
    counts = Counter(keys(dataset))
    assert set(counts) == set(ALL) and sum(counts.values()) == 80 and max(counts.values()) == 3
    seeds = [sample["sample_seed"] for sample in dataset]
    assert len(set(seeds)) == 80


def test_weights_are_chances(shard_dir: Path) -> None:
    weights = {"bracelet": 2.0, "ring": 1.0, "earring": 0.0, "necklace": 2.0}
    types = Counter(sample["category"] for epoch in range(20) for sample in shuffled(shard_dir, epoch, weights=weights))
    assert types["bracelet"] == types["necklace"] == 160 and types["earring"] == 0
    assert 60 < types["ring"] < 100


@pytest.mark.parametrize("weights", [{"tiara": 1.0}, {"ring": -1.0}, {"ring": float("nan")}, dict.fromkeys(ALL, 0.0)])
def test_bad_weights_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="type_weights"):
        type_chances(weights)


def test_all_weights_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="not all 0"):
        type_chances(dict.fromkeys(("bracelet", "ring", "earring", "necklace"), 0.0))


def test_a_pass_without_any_good_sample_ends(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> None:
    write_shard(tmp_path / "train-0.tar", {f"k{i}": draw_entries(i, person__jpg=b"bad") for i in range(5)})
    with pytest.raises(ValueError, match="5 of 5 samples skipped: 5 undecodable"):
        keys(shuffled(tmp_path, quota=[100]))


def test_a_pass_without_a_type_that_is_wanted_ends(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> None:
    write_shard(tmp_path / "train-0.tar", {"k": draw_entries(0)})
    with pytest.raises(ValueError, match="type_weights"):
        keys(shuffled(tmp_path, quota=[100], weights={"bracelet": 0.0}))


def test_a_rare_type_is_waited_for(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> None:
    write_shard(tmp_path / "train-0.tar", {"k": draw_entries(0)})
    assert keys(shuffled(tmp_path, quota=[3], weights={"bracelet": 0.05})) == ["k"] * 3


def test_two_samples_of_one_key_stay_two(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> None:
    for shard in range(2):
        write_shard(tmp_path / f"train-{shard}.tar", {"k": draw_entries(shard)})
    samples = list(TripletDataset(source(tmp_path), SMALL, FaultCounter()))
    assert [(sample["key"], sample["category"]) for sample in samples] == [("k", "bracelet"), ("k", "ring")]


@pytest.mark.parametrize("workers", [0, 2])
def test_faults_of_workers_are_counted(tmp_path: Path, draw_entries: Draw, write_shard: Write, workers: int) -> None:
    bad = {"a": draw_entries(0, json=None), "b": draw_entries(1, person__jpg=b""), "c": draw_entries(2)}
    write_shard(tmp_path / "train-0.tar", bad)
    whole = write_shard(tmp_path / "train-1.tar", {f"d{i}": draw_entries(i) for i in range(4)}).read_bytes()
    (tmp_path / "train-1.tar").write_bytes(whole[: len(whole) // 3])
    faults = FaultCounter(workers)
    found = keys(TripletDataset(source(tmp_path), SMALL, faults), workers)
    report = faults.report()
    assert report.good == len(found) and report.bad["unreadable_shard"] == 1 and report.bad["undecodable"] == 1
    assert "train-0.tar: a: no entry json" in report.first


@pytest.mark.parametrize("workers", [0, 1])
def test_strict_raises_with_shard_and_key(tmp_path: Path, draw_entries: Draw, write_shard: Write, workers: int) -> None:
    write_shard(tmp_path / "train-0.tar", {"good": draw_entries(), "bad": draw_entries(person__jpg=b"")})
    dataset = TripletDataset(source(tmp_path), SMALL, FaultCounter(workers, strict=True))
    batches = iter(DataLoader(dataset, batch_size=None, num_workers=workers))
    assert next(batches)["key"] == "good"
    with pytest.raises(SampleError, match=r"train-0\.tar: bad: person\.jpg"):
        next(batches)
    if workers:
        batches._shutdown_workers()  # type: ignore[attr-defined]
