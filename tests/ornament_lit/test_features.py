import torch

from ornament_lit.features import tokens_to_map


def test_tokens_are_laid_out_row_by_row() -> None:
    tokens = torch.arange(8.0).view(1, 8, 1)
    assert tokens_to_map(tokens, 64, 128)[0, 0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert tokens_to_map(tokens, 128, 64)[0, 0].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
