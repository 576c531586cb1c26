"""The command with a renderer that draws at once, so that shards, kept work and interruptions can be seen."""

import json

import pytest

pytest.importorskip("mitsuba")
from datamodules.rendering import run as module
from datamodules.rendering.composition import CATEGORIES, Recipe
from datamodules.rendering.plan import Plan
from datamodules.rendering.pool import Product
from datamodules.rendering.run import Job, run
from datamodules.rendering.variants import Variant
from datamodules.shards.index import read_index, scan_shard


@pytest.fixture
def renderer(monkeypatch, draw_entries):
    """Replaces the pool; counts what it renders and fails at the task whose number is in ``fail_at``."""

    class Renderer:
        rendered: list[int] = []  # noqa: RUF012
        fail_at = -1

        def __call__(self, tasks, recipe, variant, workers):
            for number, task in enumerate(reversed(tasks)):
                if number == self.fail_at:
                    raise KeyboardInterrupt
                self.rendered = [*self.rendered, *task.indices]
                yield task, [self.product(index) for index in task.indices]

        def product(self, index):
            entries = draw_entries(index)
            metadata = json.loads(entries["json"]) | {"kind": "drawn", "type": CATEGORIES[index % 4]}
            return Product(index, entries | {"json": json.dumps(metadata).encode()}, (), 0.5)

    renderer = Renderer()
    monkeypatch.setattr(module, "render_all", renderer)
    return renderer


def job(folder, num=20, shards=None, **changes):
    plan = Plan(num, 8, "train")
    return Job(folder, plan, shards or range(plan.shards), Recipe(0, **changes), Variant("scalar_rgb"), 2)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def samples(folder):
    """The bytes of each sample by its key."""
    return {
        row.key: (folder / entry.name).read_bytes()[row.offset : row.offset + row.size]
        for entry in read_index(folder).values()
        for row in entry.samples
    }


def test_a_run_makes_shards_index_card_and_sheet(tmp_path, renderer):
    run(job(tmp_path))
    index = read_index(tmp_path)
    assert [len(entry.samples) for entry in index.values()] == [8, 8, 4]
    keys = [row.key for entry in index.values() for row in entry.samples]
    assert keys == [f"train-{number:06d}" for number in range(20)]
    entry = index["train-000001.tar"]
    assert scan_shard(tmp_path / entry.name, checksum=True) == entry
    assert "20 triplets" in (tmp_path / "README.md").read_text()
    assert (tmp_path / "contact_sheet.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.rglob("*.part"))


def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(tmp_path, renderer):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(job(whole))
    renderer.fail_at = 5
    with pytest.raises(KeyboardInterrupt):
        run(job(parts))
    finished = list(contents(parts))
    assert 0 < len(finished) < 3
    assert not (parts / "README.md").exists()
    renderer.fail_at, renderer.rendered = -1, []
    run(job(parts))
    assert len(renderer.rendered) == 20 - sum(len(scan_shard(whole / name).samples) for name in finished)
    assert contents(parts) == contents(whole)


def test_a_finished_set_is_not_rendered_again(tmp_path, renderer, capsys):
    run(job(tmp_path))
    before, renderer.rendered = contents(tmp_path), []
    run(job(tmp_path))
    assert renderer.rendered == []
    assert "3 of 3 shards are there already" in capsys.readouterr().out
    assert contents(tmp_path) == before


def test_parts_of_an_array_job_make_the_same_set_and_the_last_one_its_card(tmp_path, renderer, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(job(whole))
    run(job(parts, shards=range(1, 3)))
    assert "1 of 3 shards are missing" in capsys.readouterr().out
    assert not (parts / "README.md").exists()
    run(job(parts, shards=range(0, 1)))
    assert contents(parts) == contents(whole)
    for name in ("index.json", "README.md", "contact_sheet.png"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()


def test_a_larger_set_keeps_the_full_shards_of_a_smaller_one(tmp_path, renderer):
    run(job(tmp_path, num=20))
    renderer.rendered = []
    run(job(tmp_path, num=30))
    assert sorted(renderer.rendered) == list(range(16, 30))
    assert [len(entry.samples) for entry in read_index(tmp_path).values()] == [8, 8, 8, 6]


def test_some_types_are_the_triplets_that_a_set_of_all_has(tmp_path, renderer):
    some = job(tmp_path / "some", num=10)
    run(some._replace(plan=some.plan._replace(categories=("bracelet", "ring"))))
    run(job(tmp_path / "all"))
    chosen, every = samples(tmp_path / "some"), samples(tmp_path / "all")
    assert list(chosen) == [f"train-{number:06d}" for number in (0, 1, 4, 5, 8, 9, 12, 13, 16, 17)]
    assert all(every[key] == entries for key, entries in chosen.items())
    with pytest.raises(ValueError, match=r"types \['bracelet', 'ring'\] \(now None\)"):
        run(job(tmp_path / "some", num=10))


def test_other_options_are_refused_and_nothing_is_touched(tmp_path, renderer):
    run(job(tmp_path))
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"size 512 \(now 64\)"):
        run(job(tmp_path, size=64))
    assert contents(tmp_path) == before


def test_a_shard_that_was_cut_off_is_made_again(tmp_path, renderer):
    run(job(tmp_path))
    before = contents(tmp_path)
    path = tmp_path / "train-000000.tar"
    path.write_bytes(path.read_bytes()[:-4096])
    run(job(tmp_path))
    assert contents(tmp_path) == before
