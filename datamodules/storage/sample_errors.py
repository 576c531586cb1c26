"""What can be wrong with a sample, and how often it was."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

Reason = Literal[
    "undecodable", "missing_entry", "empty_mask", "size_mismatch", "bad_metadata", "unreadable", "unreadable_shard"
]
REASONS: tuple[Reason, ...] = get_args(Reason)
TEXT_BYTES = 512


def shared_zeros(*shape: int, dtype: torch.dtype) -> Tensor:
    """Zeros that worker processes and the main process see and write alike, also outside of inference mode."""
    with torch.inference_mode(False):
        zeros = torch.zeros(shape, dtype=dtype)
    zeros.share_memory_()
    return zeros


class SampleError(ValueError):
    """A sample that cannot be used, or a shard that cannot be read to its end.

    Attributes:
        reason: One of :data:`REASONS`.
    """

    def __init__(self, message: str, reason: Reason = "undecodable") -> None:
        """Keep the reason beside the message, which names shard and key; of what a shard says, all can be printed."""
        super().__init__("".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in message))
        self.reason: Reason = reason


@dataclass(frozen=True)
class SampleErrorReport:
    """Counts of one epoch.

    Attributes:
        good: Samples handed out, substitutes included.
        bad: Number of sample errors by reason; only those that occurred.
        first: Message of the first error of the first worker that had one.
    """

    good: int
    bad: dict[str, int]
    first: str

    def __str__(self) -> str:
        """One line, such as ``12 of 640 samples skipped: 8 undecodable, 4 empty_mask (first: ...)``."""
        samples = sum(count for reason, count in self.bad.items() if reason != "unreadable_shard")
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.bad.items())
        return f"{samples} of {self.good + samples} samples skipped: {reasons or 'none'} (first: {self.first or '-'})"


class SampleErrorCounter:
    """Counts sample errors in worker processes and reads the counts in the main process.

    Each worker writes into a row of its own in shared memory.

    Args:
        num_workers: Worker processes of the loader; 0 counts in the main process.
        strict: Raise each error instead of counting it.
    """

    def __init__(self, num_workers: int = 0, strict: bool = False) -> None:
        """Allocate the shared memory."""
        rows = max(1, num_workers)
        self.strict = strict
        self._counts = shared_zeros(rows, 1 + len(REASONS), dtype=torch.int64)
        self._first = shared_zeros(rows, TEXT_BYTES, dtype=torch.uint8)

    def count_good(self) -> None:
        """Count a sample that is handed out."""
        self._counts[_row(), 0] += 1

    def record(self, error: SampleError) -> None:
        """Count a sample error.

        Raises:
            SampleError: The error itself, where errors are not to be skipped.
        """
        if self.strict:
            raise error
        row = self._counts[_row()]
        if not row[1:].any():
            text = str(error).encode()[:TEXT_BYTES]
            self._first[_row(), : len(text)] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        row[1 + REASONS.index(error.reason)] += 1

    def report(self) -> SampleErrorReport:
        """Sum up all workers."""
        good, *bad = self._counts.sum(dim=0).tolist()
        counts: dict[str, int] = {reason: count for reason, count in zip(REASONS, bad, strict=True) if count}
        texts = (bytes(row.tolist()).rstrip(b"\0").decode(errors="ignore") for row in self._first)
        return SampleErrorReport(good, counts, next(filter(None, texts), ""))

    def reset(self) -> None:
        """Forget what all workers have counted."""
        self._counts.zero_()
        self._first.zero_()


def _row() -> int:
    worker = get_worker_info()
    return 0 if worker is None else int(worker.id)
