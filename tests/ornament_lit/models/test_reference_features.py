import torch

from ornament_lit.models.reference_features import LayerTokens, ReferenceFeatures, repeat_rows, tokens_to_map


def test_tokens_are_laid_out_row_by_row() -> None:
    tokens = torch.arange(8.0).view(1, 8, 1)
    assert tokens_to_map(tokens, 64, 128)[0, 0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert tokens_to_map(tokens, 128, 64)[0, 0].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_a_batch_is_put_behind_itself() -> None:
    maps = torch.arange(2.0).view(2, 1, 1, 1)
    tokens = {"layer": LayerTokens(torch.ones(2, 3, 1), torch.zeros(2, 3, 1))}
    features = ReferenceFeatures(maps, maps, tokens)
    twice = repeat_rows(features, 2)
    assert twice.ornament_map.flatten().tolist() == [0, 1, 0, 1] and twice.context_tokens is None
    assert twice.tokens["layer"].ornament.shape == (4, 3, 1)
    assert repeat_rows(features, 1) is features
