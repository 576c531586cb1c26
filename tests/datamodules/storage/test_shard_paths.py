import os
from pathlib import Path

import pytest

from datamodules.shards.reading import read_shard
from datamodules.storage.shard_paths import resolve_shards, scheme_of, start_program


def names(shards: list[str]) -> list[str]:
    return [Path(shard).name for shard in shards]


def test_a_folder_a_glob_braces_and_a_list(shard_dir: Path) -> None:
    train = [f"train-{i:06d}.tar" for i in range(4)]
    assert names(resolve_shards(str(shard_dir))) == [*train, "val-000000.tar"]
    assert names(resolve_shards(str(shard_dir / "train-*.tar"))) == train
    assert names(resolve_shards(str(shard_dir / "train-{000001..000002}.tar"))) == train[1:3]
    both = [str(shard_dir / "val-000000.tar"), str(shard_dir / "train-00000[01].tar")]
    assert names(resolve_shards(both)) == ["val-000000.tar", *train[:2]]


def test_each_shard_comes_once(shard_dir: Path) -> None:
    assert len(resolve_shards([str(shard_dir), str(shard_dir / "val-*.tar")])) == 5


def test_a_relative_path_becomes_absolute(shard_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shard_dir)
    assert resolve_shards("val-000000.tar") == [str(shard_dir / "val-000000.tar")]


def test_bundled_shards_are_found() -> None:
    assert names(resolve_shards("bundled:rendered_128/train-*.tar")) == [f"train-{i:06d}.tar" for i in range(4)]


def test_urls_are_passed_on() -> None:
    expected = ["https://example.org/a-0.tar", "https://example.org/a-1.tar", "s3://bucket/b.tar"]
    assert resolve_shards(["https://example.org/a-{0..1}.tar", "s3://bucket/b.tar"]) == expected


@pytest.mark.parametrize("name", ["nothing-*.tar", "missing.tar", "train-{000003..000004}.tar"])
def test_what_matches_nothing_is_named(shard_dir: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"no shard matches .*(nothing|missing|train-000004)"):
        resolve_shards(str(shard_dir / name))


def test_a_folder_without_shards_and_no_shards_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        resolve_shards(str(tmp_path))
    for pattern in ("train-{000000..000003.tar", "train-000000..000003}.tar"):
        with pytest.raises(ValueError, match=r"each brace of a pattern must be closed.*got 'train-"):
            resolve_shards(pattern)
    with pytest.raises(ValueError, match="at least one shard"):
        resolve_shards([])


@pytest.mark.parametrize("url", ["pipe:touch pwned", "PIPE:touch pwned", "ftp://example.org/a.tar", "file:/a.tar"])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="pipe: is refused"):
        resolve_shards(url)


@pytest.mark.parametrize(
    ("shard", "scheme"),
    [("/a/b.tar", None), ("./c:d.tar", None), ("S3://bucket/a.tar", "s3"), ("https://h/a.tar", "https")],
)
def test_schemes(shard: str, scheme: str | None) -> None:
    assert scheme_of(shard) == scheme


def test_a_file_that_is_named_like_a_command_is_only_read(
    shard_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (shard_dir / "val-000000.tar").rename(tmp_path / "pipe:touch pwned #.tar")
    (shard,) = resolve_shards("*.tar")
    assert len(list(read_shard(shard, lambda error: None))) == 8
    assert not (tmp_path / "pwned").exists()


def test_s3_is_read_without_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "aws"
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    output, _ = start_program("s3://bucket/a;touch pwned.tar").communicate()
    assert output == b"s3|cp|--only-show-errors|s3://bucket/a;touch pwned.tar|-|"
