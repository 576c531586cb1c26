import torch

from ornament_lit.models.mask_refinement import MaskRefinement, blend, resize_mask
from ornament_lit.models.reference_features import ReferenceFeatures


def test_blend_by_hand() -> None:
    torch.testing.assert_close(blend(torch.tensor(0.5), torch.tensor(1.0), alpha=0.2), torch.tensor(0.9))


def test_resizing_averages_areas_and_leaves_an_equal_size_alone() -> None:
    mask = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]])[None, None]
    assert resize_mask(mask, like=torch.zeros(2, 2))[0, 0].tolist() == [[0.25, 0.0], [1.0, 0.0]]
    assert resize_mask(mask, like=torch.zeros(4, 4)) is mask


def test_pictures_are_probabilities_at_the_size_asked_for() -> None:
    empty = torch.zeros(2, 0, 4, 4)
    features = ReferenceFeatures(empty, empty)
    logits = (torch.zeros(2, 1, 4, 4), torch.full((2, 1, 4, 4), 50.0).requires_grad_())
    pictures = MaskRefinement(logits, torch.zeros(2, 1, 4, 4), features).upsample(like=torch.zeros(2, 1, 16, 16))
    assert pictures.shape == (2, 2, 1, 16, 16) and not pictures.requires_grad
    assert pictures[0].unique().tolist() == [0.5] and pictures[1].unique().tolist() == [1.0]
    assert MaskRefinement((), torch.zeros(2, 1, 4, 4), features).upsample(like=torch.zeros(2, 1, 8, 8)).shape[0] == 0
