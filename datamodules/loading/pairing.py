"""Which training samples become warped pairs, and whose ornament's place each takes."""

from dataclasses import dataclass

from datamodules.loading.dataset import TripletDataset
from datamodules.samples.schema import BARE, ENTRIES
from datamodules.samples.seeding import hash_fraction, hash_seed, sample_seed
from datamodules.samples.transforms import TryOnSample
from datamodules.samples.warped_pairs import warped_pair
from datamodules.shards.reading import is_entry
from ornament_lit.utils.schedules import decay


@dataclass(frozen=True)
class PairOptions:
    """How many training samples are warped pairs.

    Attributes:
        share: Share in the first epoch, in [0, 1].
        epochs: Epochs within which it falls to 0, in a straight line; None where it stays.

    Raises:
        ValueError: If a number is out of its range.
    """

    share: float = 0.0
    epochs: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"warped_pairs must be a share in [0, 1], got {self.share}")
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"warped_pairs_epochs must be at least 1, or null to keep the share, got {self.epochs}")

    def share_in(self, epoch: int) -> float:
        """Share in an epoch, from 0."""
        return self.share if self.epochs is None else self.share * decay("linear", epoch, self.epochs)


@dataclass(frozen=True)
class WarpedPairsDataset(TripletDataset):
    """The samples of an epoch of training, a share of them with the ornament on another person.

    Whether a sample is such a pair, who the other person is and how the ornament is warped are functions of its
    ``sample_seed``. Its place in the order, key, type and seed stay what they are.

    Attributes:
        share: Share of the samples, in [0, 1].
    """

    share: float = 0.0

    def load(self, row: int, occurrence: int = 0) -> TryOnSample:
        """Load the sample in a row of the catalogue, as a pair where it is one.

        Raises:
            SampleError: If it, or the sample that gives the person, cannot be used.
        """
        seed = sample_seed(self.seed, self.epoch, self.catalogue.keys[row], occurrence)
        if hash_fraction(seed, "is a warped pair") >= self.share:
            return super().load(row, occurrence)
        ornament, person = self.read(row, is_entry), self.read(self.person_of(row, seed), is_worn_entry)
        return self.transform(warped_pair(ornament, person, seed), seed)

    def person_of(self, row: int, seed: int) -> int:
        """Row of the sample that gives the person: another one of the same type and shard, or itself if there is none.

        Remote shards are copied as the order comes to them; a person from any shard would need all of them at once.
        """
        others = [other for other in self.catalogue.alike(row) if other != row] or [row]
        return others[hash_seed(seed, "person") % len(others)]


def is_worn_entry(entry: str) -> bool:
    """Whether an entry is looked at of the sample that gives the person."""
    return entry in (*ENTRIES, BARE)
