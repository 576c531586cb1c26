from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import SamConfig, SamImageProcessor, SamModel, SamProcessor

from datamodules.packing.auto_masks import MaskMaker, add_masks
from datamodules.packing.encoding import Encoding
from datamodules.packing.rows import Row
from datamodules.packing.rules import Problem
from datamodules.packing.run import Request, run
from datamodules.shards.index import read_index
from ornament_lit.imaging.geometry import Box


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Segment Anything of 27,000 random weights, in the format of the real one."""
    folder = tmp_path_factory.mktemp("sam")
    torch.manual_seed(0)
    vision = {"hidden_size": 16, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_dim": 32}
    vision |= {"image_size": 64, "patch_size": 16, "window_size": 2, "global_attn_indexes": [1], "num_pos_feats": 8}
    prompts = {"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    decoder = {"hidden_size": 16, "mlp_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = SamConfig(
        vision_config=vision,
        prompt_encoder_config=prompts | {"image_embedding_size": 4},
        mask_decoder_config=decoder | {"iou_head_hidden_dim": 16},
    )
    SamModel(config).save_pretrained(folder)
    sizes = {"size": {"longest_edge": 64}, "pad_size": {"height": 64, "width": 64}}
    mask_sizes = {"mask_size": {"longest_edge": 16}, "mask_pad_size": {"height": 16, "width": 16}}
    SamProcessor(SamImageProcessor(**sizes, **mask_sizes)).save_pretrained(folder)
    return folder


class Disc:
    """A maker that finds a disc in the middle of the box."""

    def __init__(self) -> None:
        self.boxes: list[Box] = []

    def segment(self, image: Image.Image, box: Box) -> Image.Image:
        self.boxes.append(box)
        y, x = np.mgrid[: image.height, : image.width]
        radius = min(box[2] - box[0], box[3] - box[1]) / 2
        inside = (x - (box[0] + box[2]) / 2) ** 2 + (y - (box[1] + box[3]) / 2) ** 2 < radius**2
        return Image.fromarray((255 * inside).astype(np.uint8))


def bare_row(folder: Path, box: Box | None = (60, 40, 120, 70)) -> Row:
    return Row(3, "k1", "ring", folder / "shop/o1.jpg", folder / "shop/p1.jpg", box=box)


def test_a_mask_lies_in_its_box_and_is_always_the_same(sam: Path) -> None:
    image = Image.effect_noise((120, 90), 80).convert("RGB")
    masks = [MaskMaker(str(sam), "cpu").segment(image, (20, 30, 70, 80)) for _ in range(2)]
    assert masks[0].size == image.size and masks[0].mode == "L" and masks[0].tobytes() == masks[1].tobytes()
    outside = np.asarray(masks[0]).copy()
    outside[30:80, 20:70] = 0
    assert not outside.any()


def test_the_best_candidate_that_does_not_fill_the_box_is_taken(sam: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = MaskMaker(str(sam), "cpu")
    full, half, corner = np.ones((20, 20), bool), np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    half[:, :10], corner[:4, :4] = True, True

    def rated(scores: list[float]) -> int:
        outputs = type("Outputs", (), {"pred_masks": torch.zeros(1), "iou_scores": torch.tensor([[scores]])})
        monkeypatch.setattr(maker, "_model", lambda **_: outputs)
        monkeypatch.setattr(
            maker._processor, "post_process_masks", lambda *_: [torch.tensor(np.stack([full, half, corner]))[None]]
        )
        return int((np.asarray(maker.segment(Image.new("RGB", (20, 20)), (0, 0, 20, 20))) > 0).sum())

    assert rated([0.9, 0.8, 0.1]) == 200
    assert rated([0.9, 0.1, 0.8]) == 16


@pytest.mark.usefixtures("shop")
def test_the_person_is_segmented_around_the_box_and_the_ornament_as_a_whole(tmp_path: Path) -> None:
    maker = Disc()
    (row,) = add_masks([bare_row(tmp_path)], maker, tmp_path / "made")  # type: ignore[arg-type]
    assert isinstance(row, Row) and row.ornament_mask == tmp_path / "made/k1.ornament_mask.png"
    # The window of 150 pixels around the box starts in column 15 of 200 and row 0 of 120.
    assert maker.boxes == [(4.0, 2.4, 196.0, 117.6), (45.0, 40.0, 105.0, 70.0)]
    mask = Image.open(row.wearing_mask or "")
    assert mask.size == (200, 120) and mask.getbbox() == (76, 41, 105, 70)


@pytest.mark.usefixtures("shop")
def test_masks_that_are_there_are_not_made_again(tmp_path: Path) -> None:
    list(add_masks([bare_row(tmp_path)], Disc(), tmp_path / "made"))  # type: ignore[arg-type]
    again = Disc()
    list(add_masks([bare_row(tmp_path)], again, tmp_path / "made"))  # type: ignore[arg-type]
    assert again.boxes == []


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(("box", "rule"), [(None, "no_box"), ((300, 0, 320, 20), "box_outside")])
def test_the_person_needs_a_box(tmp_path: Path, box: Box | None, rule: str) -> None:
    (problem,) = add_masks([bare_row(tmp_path, box)], Disc(), tmp_path / "made")  # type: ignore[arg-type]
    assert isinstance(problem, Problem) and (problem.row, problem.rule) == (3, rule)


@pytest.mark.usefixtures("shop")
def test_packing_with_a_real_model(sam: Path, tmp_path: Path) -> None:
    lines = [
        "key,type,ornament,person,box,ornament_mask,wearing_mask",
        "k1,ring,o1.jpg,p1.jpg,60 40 120 70,,p1_mask.png",
    ]
    (tmp_path / "shop/bare.csv").write_text("\n".join(lines))
    out = tmp_path / "out"
    request = Request(tmp_path / "shop/bare.csv", out, Encoding(min_extent=1), auto_mask=str(sam), workers=1, sheet=0)
    run(request)
    assert (out / "auto_masks/k1.ornament_mask.png").is_file() and not (out / "auto_masks/k1.wearing_mask.png").exists()
    assert [row.key for row in read_index(out)["train-000000.tar"].samples] == ["k1"]


def test_missing_weights_are_named(sam: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"lacks config\.json, preprocessor_config\.json, model\.safetensors; bring"
    ):
        MaskMaker(str(tmp_path))
    (tmp_path / "config.json").write_bytes((sam / "config.json").read_bytes())
    with pytest.raises(FileNotFoundError, match=r"lacks preprocessor_config\.json, model\.safetensors"):
        MaskMaker(str(tmp_path))
    monkeypatch.setattr(SamProcessor, "from_pretrained", lambda path: (_ for _ in ()).throw(OSError(f"no {path}")))
    with pytest.raises(FileNotFoundError, match=r"no facebook/sam-vit-base\); bring config\.json"):
        MaskMaker("facebook/sam-vit-base")
