import json

import pytest

from datamodules.rendering.schema import POSE, complete

pytest.importorskip("mitsuba")
from datamodules.rendering.composition import Recipe, compose
from datamodules.rendering.triplet import _metadata
from datamodules.rendering.variants import Variant, activate


def types(value: object) -> object:
    """Keys and types of a JSON value; a list of whatever length by its first."""
    if isinstance(value, dict):
        return {name: types(of) for name, of in value.items()}
    return [types(value[0])] if isinstance(value, list) else type(value).__name__


def test_the_metadata_of_all_types_have_the_same_keys_and_types() -> None:
    activate(Variant("scalar_rgb"))
    recipe = Recipe(0, "train", 32, 4)
    documents = [json.loads(json.dumps(_metadata(compose(index, recipe), recipe, {}))) for index in range(8)]
    assert len({document["type"] for document in documents}) == 4
    first, *others = map(types, documents)
    assert all(other == first for other in others)
    assert "NoneType" not in json.dumps(first)


def test_what_is_absent_gets_the_blank_and_what_is_unknown_is_refused() -> None:
    pose = complete({"camera": [0, 1, 0], "width": 2, "body": {"slim": 1}}, POSE)
    assert pose["finger"] == "" and pose["width"] == 2.0 and type(pose["width"]) is float and pose["palm"] is False
    assert pose["body"]["slim"] == 1.0 and pose["body"]["garment"] == "" and pose["camera"] == [0, 1, 0]
    with pytest.raises(ValueError, match="no elbow"):
        complete({"body": {"elbow": 1.0}}, POSE)
