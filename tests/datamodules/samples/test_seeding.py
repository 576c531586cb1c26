from statistics import mean

from datamodules.samples.seeding import hash_fraction, hash_seed, sample_seed


def test_seeds_are_known_numbers() -> None:
    # printf "(0, 'shards')" | b2sum -l 64, halved
    assert hash_seed(0, "shards") == 3621744648151642796


def test_each_argument_changes_the_seed() -> None:
    seeds = {
        sample_seed(0, 0, "a"),
        sample_seed(1, 0, "a"),
        sample_seed(0, 1, "a"),
        sample_seed(0, 0, "b"),
        sample_seed(0, 0, "a", 1),
    }
    assert len(seeds) == 5


def test_parts_are_kept_apart() -> None:
    assert hash_seed(1, 12) != hash_seed(11, 2)
    assert hash_seed("1") != hash_seed(1)


def test_seeds_fit_int64() -> None:
    assert all(0 <= hash_seed(number) < 2**63 for number in range(1000))


def test_fractions_are_uniform() -> None:
    values = [hash_fraction(number) for number in range(4000)]
    assert 0 <= min(values) < 0.01 and 0.99 < max(values) < 1
    assert abs(mean(values) - 0.5) < 0.02
