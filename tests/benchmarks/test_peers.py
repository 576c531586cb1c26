"""The usual implementation that ours is compared with computes the same losses and gradients."""

import torch

from benchmarks.peers import Options, build, check_losses, step
from benchmarks.sd15 import draw_batch

OPTIONS = Options(resolution=64, width=0.125, device="cpu", dtype="float32")


def test_both_compute_the_same_losses_and_gradients() -> None:
    batch = draw_batch(64, 2, "cpu")
    ours, usual = (build(kind, OPTIONS, "cpu") for kind in ("ours", "usual"))
    losses = {kind: step(network, batch, OPTIONS) for kind, network in (("ours", ours), ("usual", usual))}
    check_losses(losses, OPTIONS)
    assert all(value > 0 for value in losses["ours"].values())
    pairs = {
        "model.denoiser.unet.": usual.unet,
        "model.reference_net.unet.": usual.reference,
        "model.image_encoder.": usual.image_encoder,
        "model.mask_head.": usual.mask_head,
    }
    compared = 0
    for name, value in ours.named_parameters():
        prefix = next(prefix for prefix in pairs if name.startswith(prefix))
        twin = pairs[prefix].get_parameter(name.removeprefix(prefix).replace("attn2.bias", "attn2.to_out.0.bias"))
        torch.testing.assert_close(twin.grad, value.grad, rtol=2e-2, atol=1e-5, msg=name)
        compared += 1
    assert compared > 800
    tail = usual.reference.conv_out.weight
    assert tail.grad is None, "the tail that the usual one runs is of no use"
    assert not any(processor.bank for processor in (*usual.writing.values(), *usual.reading.values()))
