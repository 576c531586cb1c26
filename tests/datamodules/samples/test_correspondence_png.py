import io

import numpy as np
import pytest
from PIL import Image

from datamodules.samples.correspondence import PixelCorrespondence
from datamodules.samples.correspondence_png import CorrespondenceSizeError, decode_correspondence, encode_correspondence


def field(height: int = 6, width: int = 10) -> PixelCorrespondence:
    known = np.zeros((height, width), np.float32)
    known[1:4, 2:7] = np.arange(15).reshape(3, 5) / 15
    y, x = np.mgrid[:height, :width].astype(np.float32)
    points = np.stack([3 * x + 0.3, 7 * y + 100.7], -1) * (known > 0)[..., None]
    return PixelCorrespondence(points.astype(np.float32), known, known / 2)


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def test_what_is_read_is_what_was_written_to_a_thirty_second_of_a_pixel() -> None:
    before = field()
    after = decode_correspondence(encode_correspondence(before), (10, 6))
    assert [array.dtype for array in after] == [np.float32] * 3
    np.testing.assert_allclose(after.points, before.points, atol=1 / 32 + 1e-6)
    np.testing.assert_allclose(after.known, before.known, atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(after.seen, before.seen, atol=0.5 / 255 + 1e-6)
    again = decode_correspondence(encode_correspondence(after), (10, 6))
    assert all(np.array_equal(first, second) for first, second in zip(after, again, strict=True))


def test_points_that_do_not_fit_are_refused() -> None:
    far = field()._replace(points=np.full((6, 10, 2), 5000, np.float32))
    with pytest.raises(ValueError, match=r"between 0 and 4095 pixels, got 5000.* smaller"):
        encode_correspondence(far)


def test_another_size_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(CorrespondenceSizeError, match=r"must have \(12, 18\) pixels.*got \(10, 18\)"):
        decode_correspondence(encode_correspondence(field()), (12, 6))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png(np.zeros((18, 10), np.uint8)), "16-bit grey, got mode L"),
        (png(np.full((18, 10), 3, np.uint16)), "no more of a pixel can be seen than is known"),
    ],
)
def test_other_pictures_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_correspondence(content, (10, 6))


def test_no_picture_and_half_a_picture_are_refused() -> None:
    whole = encode_correspondence(field(60, 100))
    for content in (b"", b"nothing", whole[: len(whole) // 2]):
        with pytest.raises(OSError):
            decode_correspondence(content, (100, 60))
