"""NoWarp: nothing is warped."""

from ornament_lit.models.warps.base import Warp, WarpGroundTruth, WarpInputs, WarpOutput, WarpTraining


class NoWarp(Warp):
    """Warp nothing: the paper's method."""

    num_predictions = 0

    def forward(self, inputs: WarpInputs) -> WarpOutput:
        """Return the masked person, with no ornament anywhere."""
        zero = inputs.box_mask.new_zeros(inputs.box_mask.shape)
        return WarpOutput(
            uv=zero.repeat(1, 2, 1, 1),
            visibility=zero,
            coverage=zero,
            gain=zero.repeat(1, 3, 1, 1) + 1,
            skin=inputs.masked_person,
            composite=inputs.masked_person,
            confidence=zero.new_zeros(len(zero)),
            warped=zero.repeat(1, 3, 1, 1),
        )

    def training_pass(self, inputs: WarpInputs, ground_truth: WarpGroundTruth) -> WarpTraining | None:
        """Return None: nothing trains."""
        return None
