from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from datamodules.loading.dataset import TripletDataset, collate
from datamodules.loading.order import OrderOptions, training_order
from datamodules.loading.pairing import PairOptions, WarpedPairsDataset
from datamodules.samples.decoding import decode
from datamodules.samples.seeding import sample_seed
from datamodules.samples.transforms import TripletTransform
from datamodules.shards.cache import ShardCache
from datamodules.shards.sample_index import open_catalogue
from datamodules.storage.sample_errors import SampleErrorCounter
from datamodules.storage.shard_paths import resolve_shards

Draw = Callable[..., dict[str, bytes]]
Write = Callable[[Path, Mapping[str, dict[str, bytes]]], Path]
PICTURES = ("ornament_image", "ornament_mask", "person_image", "wearing_mask", "box_mask")


def plain(folder: Path, epoch: int = 0, workers: int = 0) -> TripletDataset:
    catalogue = open_catalogue(resolve_shards(str(folder / "train-*.tar")), lambda error: None, 1.0)
    order = training_order(catalogue, epoch, OrderOptions(3, samples_per_epoch=64))
    sample_errors = SampleErrorCounter(workers)
    return TripletDataset(catalogue, order, TripletTransform(16), sample_errors, ShardCache(), 3, epoch, True)


def paired(data: TripletDataset, share: float) -> WarpedPairsDataset:
    return WarpedPairsDataset(*(getattr(data, field.name) for field in fields(data)), share)


def samples(data: TripletDataset, workers: int = 0) -> list[dict[str, Any]]:
    batches = list(DataLoader(data, batch_size=4, num_workers=workers, collate_fn=collate))
    return [{name: batch[name][i] for name in batch} for batch in batches for i in range(4)]


def changed(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> list[bool]:
    """Whether the person is another one; all but what shows the person must be the same."""
    for one, other in zip(first, second, strict=True):
        assert (one["key"], one["category"], int(one["sample_seed"])) == (
            other["key"],
            other["category"],
            int(other["sample_seed"]),
        )
        assert torch.equal(one["ornament_mask"], other["ornament_mask"])
    return [not torch.equal(x["person_image"], y["person_image"]) for x, y in zip(first, second, strict=True)]


def test_no_share_is_the_plain_dataset_to_the_last_bit_and_all_is_all(shard_dir: Path) -> None:
    data = plain(shard_dir)
    before = samples(data)
    for one, other in zip(before, samples(paired(data, 0.0)), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in PICTURES)
    assert all(changed(before, samples(paired(data, 1.0))))


def test_a_greater_share_adds_pairs_to_those_of_a_smaller_one(shard_dir: Path) -> None:
    data = plain(shard_dir)
    before = samples(data)
    some, more = (changed(before, samples(paired(data, share))) for share in (0.3, 0.7))
    assert 10 <= sum(some) <= 28 and 36 <= sum(more) <= 54
    assert all(late for early, late in zip(some, more, strict=True) if early)


def test_pairs_do_not_depend_on_the_workers_and_differ_between_epochs_and_passes(shard_dir: Path) -> None:
    first = samples(paired(plain(shard_dir), 1.0))
    for workers in (1, 2):
        again = samples(paired(plain(shard_dir, workers=workers), 1.0), workers)
        assert not any(changed(first, again))
    pictures = {sample["person_image"].numpy().tobytes() for sample in first}
    pictures |= {sample["person_image"].numpy().tobytes() for sample in samples(paired(plain(shard_dir, 1), 1.0))}
    assert len(pictures) == 128


def test_the_person_is_another_one_of_the_type_and_the_shard(shard_dir: Path) -> None:
    data = paired(plain(shard_dir), 1.0)
    chosen = Counter((row, data.person_of(row, seed)) for row in range(32) for seed in range(20))
    for row, person in chosen:
        assert person != row and person // 8 == row // 8
        assert data.catalogue.categories[person] == data.catalogue.categories[row]


def test_alone_of_its_type_an_ornament_moves_about_its_own_person(
    tmp_path: Path, draw_entries: Draw, write_shard: Write
) -> None:
    write_shard(tmp_path / "train-0.tar", {name: draw_entries(i) for i, name in enumerate("abcd")})
    data = paired(plain(tmp_path), 1.0)
    assert [data.person_of(row, 5) for row in range(4)] == [0, 1, 2, 3]
    assert all(changed(samples(plain(tmp_path)), samples(data)))


def test_an_other_sample_that_cannot_be_used_is_substituted(
    tmp_path: Path, draw_entries: Draw, write_shard: Write
) -> None:
    drawn = [draw_entries(i, person__jpg=b"bad") if i == 4 else draw_entries(i) for i in range(8)]
    write_shard(tmp_path / "train-0.tar", {f"k{i}": entries for i, entries in enumerate(drawn)})
    data = paired(plain(tmp_path), 1.0)
    found = samples(data)
    assert len(found) == 64 and not {sample["key"] for sample in found} & {"k0", "k4"}
    assert data.sample_errors.report().bad["undecodable"] >= 16
    data = paired(plain(tmp_path), 0.5)
    kept = [sample["key"] for sample in samples(data)]
    assert "k0" in kept and "k4" not in kept


def test_a_bare_picture_is_read_of_the_person_alone(
    tmp_path: Path, draw_entries: Draw, write_shard: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [draw_entries(4 * i) for i in range(2)]
    write_shard(tmp_path / "train-0.tar", {f"k{i}": {**e, "bare.jpg": e["person.jpg"]} for i, e in enumerate(entries)})
    read: list[bool] = []

    def watch(raw: dict[str, Any], description: Any) -> Any:
        read.append("bare.jpg" in raw)
        return decode(raw, description)

    monkeypatch.setattr("datamodules.loading.dataset.decode", watch)
    data = plain(tmp_path)
    data.load(0)
    paired(data, 1.0).load(0)
    assert read == [False, False, True]


def test_a_pair_is_a_function_of_the_samples_seed(shard_dir: Path) -> None:
    data = paired(plain(shard_dir), 1.0)
    sample = data.load(5, 2)
    assert sample["sample_seed"] == sample_seed(3, 0, "train-000005", 2)
    assert torch.equal(sample["person_image"], data.load(5, 2)["person_image"])
    assert not torch.equal(sample["person_image"], data.load(5, 3)["person_image"])


def test_the_share_falls_over_the_epochs() -> None:
    assert [PairOptions(0.8).share_in(epoch) for epoch in (0, 100)] == [0.8, 0.8]
    falling = [PairOptions(0.8, 4).share_in(epoch) for epoch in range(6)]
    assert falling == pytest.approx([0.8, 0.6, 0.4, 0.2, 0, 0])


@pytest.mark.parametrize(("share", "epochs"), [(1.5, None), (-0.1, None), (0.5, 0)])
def test_options_out_of_range(share: float, epochs: int | None) -> None:
    with pytest.raises(ValueError, match=r"warped_pairs(_epochs)? must be .*got"):
        PairOptions(share, epochs)
