import subprocess
import sys
from pathlib import Path

LEFT_OPEN = """
from datamodules import OrnamentDataModule

if __name__ == "__main__":
    shards = {shards!r}
    loaders = [
        OrnamentDataModule(shards, shards, resolution=8, batch_size=2, num_workers=workers).train_dataloader()
        for workers in (0, 1)
    ]
    open_loops = [iter(loader) for loader in loaders]
    print([len(next(batches)["key"]) for batches in open_loops])
"""


def test_a_script_may_end_in_the_middle_of_an_epoch(shard_dir: Path) -> None:
    script = shard_dir / "script.py"
    script.write_text(LEFT_OPEN.format(shards=str(shard_dir / "train-*.tar")))
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (0, "[2, 2]\n") and "rror" not in ended.stderr, ended.stderr
