import torch

from ornament_lit.metrics.mean_losses import MeanLosses


def test_batches_count_by_their_samples() -> None:
    metric = MeanLosses(["noise", "mask"])
    metric.update({"noise": torch.tensor(1.0), "mask": torch.tensor(0.0)}, 3)
    metric.update({"mask": torch.tensor(4.0), "noise": torch.tensor(5.0)}, 1)
    assert {name: float(value) for name, value in metric.compute().items()} == {"noise": 2.0, "mask": 1.0}
    metric.reset()
    assert metric.count == 0 and not metric.sums.any()


def test_nothing_of_it_is_saved() -> None:
    assert MeanLosses(["noise"]).state_dict() == {}
