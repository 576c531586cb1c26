"""What can be wrong with a set, and what it means."""

from typing import NamedTuple

MEANINGS = {
    "unreadable_shard": "the tar cannot be opened or read to its end: copy it again",
    "empty_shard": "the tar holds no sample",
    "unreadable": "the sample cannot be read at its place in the tar; training skips it",
    "missing_entry": "a file of the sample is not there; training skips it",
    "bad_metadata": "its json lacks type or box, or they are wrong; training skips it",
    "undecodable": "an image cannot be decoded; training skips it",
    "size_mismatch": "a mask, correspondence or bare person has other pixels than its image; training skips it",
    "empty_mask": "a mask has no pixel above 127; training skips it",
    "inverted_mask": "most of a mask's border is white; training would not notice",
    "box_without_mask": "the box cuts the mask by more than a pixel; training would not notice",
    "correspondence": "a correspondence does not fit its masks and images: leave it out; training would not notice",
    "duplicate_key": "another sample has the same key",
    "duplicate_triplet": "another sample has the same two images",
    "in_two_splits": "the same image lies in shards of two names (`train-...`, `val-...`): validation flatters",
    "index": "`index.json` is not true: file missing, other size, checksum or samples; `--write-index` renews it",
}


class Finding(NamedTuple):
    """Something that is wrong.

    Attributes:
        shard: File name.
        key: The sample, empty where it is the shard.
        rule: One of :data:`MEANINGS`.
        value: What was found.
    """

    shard: str
    key: str
    rule: str
    value: str

    def __str__(self) -> str:
        """One line; of long keys and values, the beginning."""
        place = f"{self.shard}: {shorten(self.key)}" if self.key else self.shard
        return f"{place}: {self.rule}: {shorten(self.value)}"


def shorten(text: str, limit: int = 200) -> str:
    """Cut a text that is longer than a number of letters."""
    return text if len(text) <= limit else f"{text[:limit]}…"
