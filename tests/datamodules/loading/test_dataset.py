import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from datamodules.loading.dataset import ComparisonDataset, TripletDataset, collate
from datamodules.loading.order import OrderOptions, evaluation_order, training_order, type_chances
from datamodules.samples.transforms import TripletTransform
from datamodules.shards.cache import ShardCache
from datamodules.shards.sample_index import open_catalogue
from datamodules.storage.sample_errors import SampleError, SampleErrorCounter
from datamodules.storage.shard_paths import resolve_shards

Draw = Callable[..., dict[str, bytes]]
Write = Callable[[Path, Mapping[str, dict[str, bytes]]], Path]


def dataset(folder: Path, epoch: int | None = None, workers: int = 0, strict: bool = False) -> TripletDataset:
    """Samples of an epoch of training, or of evaluation."""
    catalogue = open_catalogue(resolve_shards(str(folder / "train-*.tar")), lambda error: None, 1.0)
    if epoch is None:
        order = evaluation_order(catalogue, 3, type_chances())
    else:
        order = training_order(catalogue, epoch, OrderOptions(3, samples_per_epoch=64))
    sample_errors = SampleErrorCounter(workers, strict)
    return TripletDataset(
        catalogue, order, TripletTransform(8), sample_errors, ShardCache(), 3, epoch or 0, substitute=epoch is not None
    )


def load(data: TripletDataset, workers: int = 0) -> list[tuple[str, int]]:
    batches = DataLoader(data, batch_size=4, num_workers=workers, collate_fn=collate)
    found = [batch for batch in batches if batch is not None]
    return [pair for batch in found for pair in zip(batch["key"], batch["sample_seed"].tolist(), strict=True)]


def keys(data: TripletDataset, workers: int = 0) -> list[str]:
    return [key for key, _ in load(data, workers)]


ALL = [f"train-{i:06d}" for i in range(32)]


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_keeps_the_order(shard_dir: Path, workers: int) -> None:
    assert keys(dataset(shard_dir, workers=workers), workers) == ALL


def test_the_samples_do_not_depend_on_the_workers(shard_dir: Path) -> None:
    first, *others = (load(dataset(shard_dir, 2, workers), workers) for workers in (0, 1, 2))
    assert others == [first, first]


def test_each_pass_and_epoch_has_seeds_of_its_own(shard_dir: Path) -> None:
    first, second = load(dataset(shard_dir, 0)), load(dataset(shard_dir, 1))
    assert len({seed for _, seed in first + second}) == 128
    assert sorted(key for key, _ in first) == sorted(2 * ALL)


def test_a_dataset_can_go_to_a_process_that_is_not_forked(shard_dir: Path) -> None:
    copied = pickle.loads(ForkingPickler.dumps(dataset(shard_dir)))
    assert keys(copied) == ALL


def test_two_samples_of_one_key_stay_two(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> None:
    for shard in range(2):
        write_shard(tmp_path / f"train-{shard}.tar", {"k": draw_entries(shard)})
    data = dataset(tmp_path)
    assert [data[0]["category"], data[1]["category"]] == ["bracelet", "ring"]  # type: ignore[index]


@pytest.fixture
def damaged(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> Path:
    """Half of 32 samples cannot be decoded."""
    for shard in range(4):
        drawn = (draw_entries(i, wearing_mask__png=b"bad") if i % 2 else draw_entries(i) for i in range(8))
        write_shard(tmp_path / f"train-{shard}.tar", {f"k{shard}{i}": entries for i, entries in enumerate(drawn)})
    return tmp_path


@pytest.mark.parametrize("workers", [1, 2])
def test_substitutes_are_a_function_of_the_position(damaged: Path, workers: int) -> None:
    samples = load(dataset(damaged, 0))
    assert samples == load(dataset(damaged, 0, workers), workers) and len(samples) == 64
    assert all(int(key[2]) % 2 == 0 for key, _ in samples)
    assert len({seed for _, seed in samples}) == 64
    assert samples != load(dataset(damaged, 1))


def test_good_samples_keep_their_places_beside_substitutes(damaged: Path) -> None:
    data = dataset(damaged, 0)
    wanted = [data.catalogue.keys[sample] for sample in data.order.samples]
    found = keys(data)
    good = [position for position, key in enumerate(wanted) if int(key[2]) % 2 == 0]
    assert len(good) == 32 and all(found[position] == wanted[position] for position in good)


def test_evaluation_skips_and_never_substitutes(damaged: Path) -> None:
    data = dataset(damaged)
    assert keys(data) == [f"k{shard}{i}" for shard in range(4) for i in range(0, 8, 2)]
    report = data.sample_errors.report()
    assert report.good == 16 and report.bad == {"undecodable": 16}


def test_a_batch_without_a_usable_sample_is_none() -> None:
    assert collate([None, None]) is None


@pytest.mark.parametrize("workers", [0, 2])
def test_faults_of_workers_are_counted(damaged: Path, workers: int) -> None:
    data = dataset(damaged, 0, workers)
    load(data, workers)
    report = data.sample_errors.report()
    assert report.good == 64 and report.bad["undecodable"] >= 32
    assert "wearing_mask.png" in report.first and "train-" in report.first


@pytest.mark.parametrize("workers", [0, 1])
def test_strict_raises_with_shard_and_key(damaged: Path, workers: int) -> None:
    data = dataset(damaged, workers=workers, strict=True)
    batches = iter(DataLoader(data, batch_size=1, num_workers=workers))
    assert next(batches)["key"] == ["k00"]
    with pytest.raises(SampleError, match=r"train-0\.tar: k01: wearing_mask\.png"):
        next(batches)
    if workers:
        batches._shutdown_workers()  # type: ignore[attr-defined]


def test_a_shard_that_goes_away_or_changes_is_a_fault(shard_dir: Path) -> None:
    data = dataset(shard_dir, 0)
    (shard_dir / "train-000000.tar").unlink()
    cut = shard_dir / "train-000001.tar"
    cut.write_bytes(cut.read_bytes()[:9000])
    (shard_dir / "train-000003.tar").write_bytes((shard_dir / "train-000002.tar").read_bytes())
    found = set(keys(data))
    report = data.sample_errors.report()
    assert report.good == 64 and set(report.bad) == {"unreadable"}
    assert set(ALL[16:24]) <= found < set(ALL[8:24])


def test_each_sample_comes_with_another_ornament_of_its_type(shard_dir: Path) -> None:
    plain = dataset(shard_dir)
    data = ComparisonDataset(
        plain.catalogue, plain.order, plain.transform, plain.sample_errors, plain.cache, plain.seed
    )
    samples = [data[position] for position in range(len(data))]
    categories = {sample["key"]: sample["category"] for sample in samples if sample}
    for sample in samples:
        assert sample is not None
        other = sample["other_ornament"]["key"]
        assert other != sample["key"] and categories[other] == sample["category"]
    assert len({sample["other_ornament"]["key"] for sample in samples if sample}) == len(samples)


def test_several_others_are_all_different_and_of_the_type(shard_dir: Path) -> None:
    plain = dataset(shard_dir)
    parts = (plain.catalogue, plain.order, plain.transform, plain.sample_errors, plain.cache, plain.seed)
    one, three = ComparisonDataset(*parts), ComparisonDataset(*parts, count=3)
    samples = [three[position] for position in range(len(three))]
    categories = {sample["key"]: sample["category"] for sample in samples if sample}
    for position, sample in enumerate(samples):
        assert sample is not None
        found = [other["key"] for other in (sample["other_ornament"], *sample["other_ornaments"])]
        assert len({*found, sample["key"]}) == 4 and {categories[key] for key in found} == {sample["category"]}
        assert found[0] == (one[position] or {})["other_ornament"]["key"]
    batch = collate(samples[:2])
    assert batch is not None and len(batch["other_ornaments"]) == 2
    assert batch["other_ornaments"][1]["ornament_image"].shape == batch["ornament_image"].shape


def test_too_few_samples_of_a_type_are_told(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> None:
    write_shard(tmp_path / "train-0.tar", {name: draw_entries(0) for name in ("one", "two")})
    plain = dataset(tmp_path)
    parts = (plain.catalogue, plain.order, plain.transform, plain.sample_errors, plain.cache, plain.seed)
    with pytest.raises(ValueError, match="other_ornaments=2 needs 3 samples of each type, and there are only 2 of"):
        ComparisonDataset(*parts, count=2)


def test_a_sample_alone_has_no_other(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> None:
    write_shard(tmp_path / "train-0.tar", {"one": draw_entries(0)})
    plain = dataset(tmp_path)
    data = ComparisonDataset(
        plain.catalogue, plain.order, plain.transform, plain.sample_errors, plain.cache, plain.seed
    )
    assert "other_ornament" not in (data[0] or {})
    write_shard(tmp_path / "train-1.tar", {"two": draw_entries(1)})
    plain = dataset(tmp_path)
    data = ComparisonDataset(
        plain.catalogue, plain.order, plain.transform, plain.sample_errors, plain.cache, plain.seed
    )
    assert [(data[row] or {})["other_ornament"]["key"] for row in (0, 1)] == ["two", "one"]


def test_whole_photographs_keep_their_sizes(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> None:
    write_shard(tmp_path / "train-0.tar", {"small": draw_entries(0), "large": draw_entries(1, size=64)})
    data = replace(dataset(tmp_path), transform=TripletTransform(8, whole=True))
    batch = collate([data[0], data[1]])
    assert batch is not None
    assert [tuple(photograph.shape) for photograph in batch["photograph"]] == [(3, 48, 48), (3, 64, 64)]
    assert batch["crop"].shape == (2, 3) and batch["box"].shape == (2, 4)


def test_extras_are_batched_and_other_ornaments_have_their_detail(shard_dir: Path) -> None:
    data = dataset(shard_dir)
    transform = TripletTransform(8, correspondence=True, wide_view=2.0, detail=2)
    compared = ComparisonDataset(**{**vars(data), "transform": transform})
    batch = collate([compared[0], compared[1]])
    assert batch is not None
    assert batch["correspondence"]["uv"].shape == (2, 2, 8, 8) and batch["correspondence"]["known"].sum() == 0
    assert batch["wide_view"]["image"].shape == (2, 3, 8, 8) and batch["wide_view"]["factor"].shape == (2,)
    assert batch["ornament_detail"]["image"].shape == (2, 3, 16, 16)
    assert batch["other_ornament"]["ornament_detail"]["mask"].shape == (2, 1, 16, 16)
    assert not TripletTransform(8).wants("correspondence.png") and transform.wants("correspondence.png")
