"""Encodings of a batch: whose they are, and that what is known is not computed again."""

import pytest
import torch

from ornament_lit.models.autoencoders import KLAutoencoder, SpaceToDepthAutoencoder
from ornament_lit.models.conditioning import add_warp, encode_conditioning, encode_images, predicted_masks
from ornament_lit.models.image_encoders import CLIPImageEncoder, NoImageEncoder
from ornament_lit.models.mask_refinement import MaskRefinement
from ornament_lit.models.reference_features import ReferenceFeatures
from ornament_lit.models.warps import NoWarp
from ornament_lit.models.warps.base import warp_inputs


class Closed(SpaceToDepthAutoencoder):
    """An autoencoder that must not be asked."""

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        raise AssertionError("the autoencoder was called")


def test_each_encoding_is_of_its_picture(tiny_batch) -> None:
    batch = tiny_batch()
    autoencoder = SpaceToDepthAutoencoder(4)
    encoded = encode_images(batch, autoencoder, NoImageEncoder())
    assert torch.equal(autoencoder.decode(encoded["person_latents"]), batch["person_image"])
    assert torch.equal(autoencoder.decode(encoded["ornament_latents"]), batch["ornament_image"])
    erased = autoencoder.decode(encoded["masked_person_latents"])
    inside = (batch["box_mask"] == 1).expand_as(erased)
    assert erased[inside].eq(0).all() and torch.equal(erased[~inside], batch["person_image"][~inside])


def test_what_is_known_is_not_computed_again(tiny_batch) -> None:
    batch = tiny_batch()
    batch["encoded"] = encode_images(batch, SpaceToDepthAutoencoder(4), NoImageEncoder())
    again = encode_images(batch, Closed(4), NoImageEncoder())
    assert again.keys() == batch["encoded"].keys()
    assert all(again[name] is batch["encoded"][name] for name in again)
    conditioning = encode_conditioning(batch, Closed(4), NoImageEncoder())
    assert conditioning.masked_person_latents is batch["encoded"]["masked_person_latents"]


def test_what_is_not_known_is_computed(tiny_batch, clip_folder) -> None:
    batch = tiny_batch()
    encoder = CLIPImageEncoder(str(clip_folder), token_dim=24)
    whole = encode_images(batch, SpaceToDepthAutoencoder(4), encoder)
    for absent in whole:
        known = {name: tensor for name, tensor in whole.items() if name != absent}
        got = encode_images({**batch, "encoded": known}, SpaceToDepthAutoencoder(4), encoder)
        assert torch.equal(got[absent], whole[absent]) and absent not in known


def test_known_features_are_still_projected_by_what_trains(tiny_batch, clip_folder) -> None:
    batch = tiny_batch()
    autoencoder, encoder = SpaceToDepthAutoencoder(4), CLIPImageEncoder(str(clip_folder), token_dim=24)
    expected = encode_conditioning(batch, autoencoder, encoder).image_tokens
    batch["encoded"] = encode_images(batch, autoencoder, encoder)
    assert not batch["encoded"]["image_features"].requires_grad
    encoder.clip = None
    tokens = encode_conditioning(batch, autoencoder, encoder).image_tokens
    assert torch.equal(tokens, expected)
    tokens.sum().backward()
    assert encoder.projection.weight.grad.any()


def test_features_are_not_looked_at_without_tokens(tiny_batch) -> None:
    batch = {**tiny_batch(), "encoded": {"image_features": torch.ones(2, 5, 7)}}
    assert encode_conditioning(batch, SpaceToDepthAutoencoder(4), NoImageEncoder()).image_tokens.shape == (2, 0, 0)


def test_conditions_never_encode_the_whole_person(tiny_batch) -> None:
    batch = tiny_batch()
    seen = []

    class Watched(SpaceToDepthAutoencoder):
        def encode(self, images: torch.Tensor) -> torch.Tensor:
            seen.extend(images)
            return super().encode(images)

    encode_conditioning(batch, Watched(4), NoImageEncoder())
    assert len(seen) == 4
    assert not any(torch.equal(image, person) for image in seen for person in batch["person_image"])


@pytest.mark.parametrize("whole_person", [True, False])
def test_a_batch_is_left_as_it_is(tiny_batch, whole_person: bool) -> None:
    batch = {**tiny_batch(), "encoded": {}}
    encode_images(batch, SpaceToDepthAutoencoder(4), NoImageEncoder(), whole_person)
    assert batch["encoded"] == {}


def test_a_neutral_background_is_mid_grey(tiny_batch) -> None:
    batch, parts = tiny_batch(), (SpaceToDepthAutoencoder(4), NoImageEncoder())
    plain, neutral = (encode_conditioning(batch, *parts, neutral_background=value) for value in (False, True))
    picture, outside = parts[0].decode(neutral.ornament_latents), batch["ornament_mask"].expand(-1, 3, -1, -1) == 0
    assert not picture[outside].any() and torch.equal(picture[~outside], batch["ornament_image"][~outside])
    assert torch.equal(plain.ornament_latents, parts[0].encode(batch["ornament_image"]))
    assert torch.equal(plain.masked_person_latents, neutral.masked_person_latents)


def test_a_neutral_background_refuses_encodings_with_another_one(tiny_batch) -> None:
    batch, parts = tiny_batch(), (SpaceToDepthAutoencoder(4), NoImageEncoder())
    encoded = encode_images(batch, *parts)
    with pytest.raises(ValueError, match=r"image_features and ornament_latents .* set data.precomputed to never"):
        encode_conditioning({**batch, "encoded": encoded}, *parts, neutral_background=True)
    kept = {name: value for name, value in encoded.items() if name == "person_latents"}
    assert encode_images({**batch, "encoded": kept}, *parts, neutral_background=True).keys() == encoded.keys()


def test_a_warp_is_asked_and_what_it_says_is_encoded(worn_batch, build_warp) -> None:
    batch, autoencoder, warp = worn_batch(), SpaceToDepthAutoencoder(4), build_warp()
    plain = encode_conditioning(batch, autoencoder, NoImageEncoder())
    conditioning = add_warp(plain, warp, batch, autoencoder)
    composite = warp(warp_inputs(batch)).composite.clamp(-1, 1)
    torch.testing.assert_close(autoencoder.decode(conditioning.warp_latents[:, :-1]), composite)
    coverage = torch.nn.functional.avg_pool2d(conditioning.warp.coverage, 4)
    torch.testing.assert_close(conditioning.warp_latents[:, -1:], coverage)
    assert not conditioning.warp_latents.requires_grad
    assert conditioning.masked_person_latents is plain.masked_person_latents
    assert add_warp(plain, NoWarp(), batch, autoencoder) is plain and plain.warp_latents is None


def test_beside_a_finer_mask_the_person_stays_and_a_box_hides_all_of_itself(worn_batch, build_warp) -> None:
    batch, autoencoder, warp = worn_batch(), SpaceToDepthAutoencoder(4), build_warp()
    finer = torch.zeros_like(batch["box_mask"])
    finer[..., 12:20, 10:22] = 1
    finer = finer * batch["box_mask"]
    plain = encode_conditioning({**batch, "input_mask": finer}, autoencoder, NoImageEncoder())
    said = add_warp(plain, warp, {**batch, "input_mask": finer}, autoencoder).warp
    beside = (1 - finer).expand_as(said.skin) > 0
    torch.testing.assert_close(said.skin[beside], batch["person_image"][beside])
    boxed = add_warp(plain, warp, batch, autoencoder).warp
    alone = warp(warp_inputs(batch))
    assert torch.equal(boxed.skin, alone.skin) and torch.equal(boxed.composite, alone.composite)


def test_where_the_bare_person_is_shown_the_warp_s_skin_stays(worn_batch, build_warp) -> None:
    batch, autoencoder, warp = worn_batch(), SpaceToDepthAutoencoder(4), build_warp()
    bare = {"image": torch.rand(2, 3, 32, 32), "wide_image": torch.rand_like(batch["wide_view"]["image"])}
    finer = batch["box_mask"] * (torch.arange(32) < 16)
    batch = {**batch, "input_mask": finer, "bare_person": {**bare, "shown": torch.tensor([1.0, 0.0])}}
    plain = encode_conditioning(batch, autoencoder, NoImageEncoder())
    assert torch.equal(plain.masked_person_image[0], bare["image"][0])
    said, alone = add_warp(plain, warp, batch, autoencoder).warp, warp(warp_inputs(batch))
    assert torch.equal(said.skin[0], alone.skin[0])
    torch.testing.assert_close(said.skin[1, ..., 16:], batch["person_image"][1, ..., 16:])


def test_the_mask_of_the_warp_is_the_last(worn_batch, build_warp) -> None:
    batch, autoencoder = worn_batch(), SpaceToDepthAutoencoder(4)
    plain = encode_conditioning(batch, autoencoder, NoImageEncoder())
    empty = torch.zeros(2, 0, 8, 8)
    logits = (torch.zeros(2, 1, 8, 8), torch.ones(2, 1, 8, 8))
    refinement = MaskRefinement(logits, plain.box_mask, ReferenceFeatures(empty, empty))
    like = batch["box_mask"]
    before = predicted_masks(plain, refinement, like)
    conditioning = add_warp(plain, build_warp(), batch, autoencoder)
    masks = predicted_masks(conditioning, refinement, like)
    assert masks.shape == (3, 2, 1, 32, 32)
    assert torch.equal(masks[:2], before) and torch.equal(masks[2], conditioning.warp.coverage)
    alone = MaskRefinement((), plain.box_mask, refinement.features)
    assert torch.equal(predicted_masks(conditioning, alone, like), masks[2:])


def test_autocast_leaves_encodings_in_the_type_of_the_pictures(tiny_batch, worn_batch, build_warp, vae_folder) -> None:
    autoencoder, batch = KLAutoencoder(str(vae_folder)), worn_batch()
    with torch.autocast("cpu", torch.bfloat16):
        assert autoencoder.encode(batch["person_image"]).dtype == torch.bfloat16, "what would be noised"
        encoded = encode_images(batch, autoencoder, NoImageEncoder())
        conditioning = encode_conditioning(batch, autoencoder, NoImageEncoder())
        warped = add_warp(conditioning, build_warp(), batch, autoencoder)
    latents = [value for name, value in encoded.items() if name.endswith("latents")]
    assert [each.dtype for each in [*latents, warped.warp_latents]] == [torch.float32] * 4
