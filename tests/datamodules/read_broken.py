"""Read a folder of broken shards as training and ``data check`` do; as a script, in a process of its own."""

import json
import resource
import sys
from contextlib import suppress
from pathlib import Path

from datamodules import OrnamentDataModule
from datamodules.checking.run import run_check


def read_to_the_end(folder: Path) -> dict[str, int]:
    """Take every batch of an epoch of training, and every finding; count them, and the greatest memory in bytes."""
    loader = OrnamentDataModule(str(folder), str(folder), resolution=8, batch_size=4).train_dataloader()
    samples = sum(len(batch["key"]) for batch in loader)
    with suppress(SystemExit):
        run_check(folder, False, 1, None)
    findings = (folder / "check_report.csv").read_text().count("\n") - 1
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"samples": samples, "findings": findings, "memory": memory}


if __name__ == "__main__":
    print(json.dumps(read_to_the_end(Path(sys.argv[1]))))
