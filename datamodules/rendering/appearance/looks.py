"""What a triplet's surfaces look like: skin, nails, hair, cloth, table, backdrop and the finish of the ornament."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.rendering.appearance.backdrops import ImageArray, draw_backdrop, draw_table
from datamodules.rendering.appearance.materials import Finish, draw_finish

Color = tuple[float, float, float]

GREY_IMAGE: ImageArray = np.full((256, 256, 3), 0.5, np.float32)
HAIR = {
    "black": (0.0085, 0.0060, 0.0048),
    "dark brown": (0.022, 0.010, 0.006),
    "brown": (0.073, 0.030, 0.011),
    "blond": (0.26, 0.13, 0.040),
    "red": (0.10, 0.017, 0.0060),
    "grey": (0.26, 0.25, 0.23),
}
HAIR_SHARES = (0.30, 0.25, 0.20, 0.10, 0.08, 0.07)
VARNISH = ((0.55, 0.02, 0.05), (0.75, 0.35, 0.40), (0.12, 0.01, 0.03), (0.80, 0.75, 0.70), (0.02, 0.05, 0.20))
NATURAL_NAIL = (1.04, 0.79, 0.76)
VARNISHED_SHARE = 0.35
RELIEF_SIZE = 256


class Look(NamedTuple):
    """Colours and textures of one triplet, linear RGB.

    Attributes:
        nail: Finger nails.
        hair: Hair.
        cloth: Garment.
        skin_roughness: How dull skin is.
        relief: How strong the lines of the skin are.
        backdrop: Image behind the person.
        table: Image under the ornament.
        table_roughness: How dull the table is.
        finish: Of the ornament.
        info: Names of what was drawn, JSON-able.
    """

    nail: Color = (0.5, 0.5, 0.5)
    hair: Color = (0.5, 0.5, 0.5)
    cloth: Color = (0.5, 0.5, 0.5)
    skin_roughness: float = 0.45
    relief: float = 1.0
    backdrop: ImageArray = GREY_IMAGE
    table: ImageArray = GREY_IMAGE
    table_roughness: float = 0.5
    finish: Finish = Finish()
    info: dict[str, Any] = {}  # noqa: RUF012


def draw_look(rng: np.random.Generator, tone: NDArray[np.float64], roughness: float) -> Look:
    """Draw the looks of a triplet.

    Args:
        rng: Source of chance.
        tone: (3,) linear RGB of the skin.
        roughness: Of the ornament's metal.
    """
    hair = str(rng.choice(list(HAIR), p=HAIR_SHARES))
    varnished = bool(rng.random() < VARNISHED_SHARE)
    varnish = VARNISH[int(rng.integers(len(VARNISH)))]
    cloth = np.clip(rng.uniform(0.03, 0.8) * (1 + rng.uniform(-0.5, 0.5, 3)), 0.02, 0.85)
    backdrop_name, backdrop = draw_backdrop(rng)
    table_name, table = draw_table(rng)
    finish = draw_finish(rng, roughness)
    return Look(
        nail=varnish if varnished else _color(np.clip(tone * NATURAL_NAIL, 0.01, 0.95)),
        hair=HAIR[hair],
        cloth=_color(cloth),
        skin_roughness=float(rng.uniform(0.38, 0.52)),
        relief=float(rng.uniform(0.6, 1.4)),
        backdrop=backdrop,
        table=table,
        table_roughness=float(rng.uniform(0.25, 0.9)),
        finish=finish,
        info={"hair": hair, "varnished": varnished, "backdrop": backdrop_name, "table": table_name},
    )


def _color(values: NDArray[Any]) -> Color:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


@lru_cache(maxsize=1)
def skin_relief() -> ImageArray:
    """Height of the fine lines of skin: (256, 256, 1) around 0, seamless where it repeats."""
    rng = np.random.default_rng(7)
    cells = _seamless_noise(rng, 14.0)
    pores = _seamless_noise(rng, 40.0)
    height = -np.exp(-((cells / 0.35) ** 2)) + 0.25 * pores
    return np.asarray(0.00028 * (height - height.mean())[..., None], np.float32)


def _seamless_noise(rng: np.random.Generator, frequency: float) -> NDArray[np.float64]:
    """Noise of about ``frequency`` bumps a side, of variance one."""
    waves = np.hypot(*np.meshgrid(*[np.fft.fftfreq(RELIEF_SIZE, 1 / RELIEF_SIZE)] * 2))
    band = np.exp(-(((waves - frequency) / (0.35 * frequency)) ** 2))
    noise = np.fft.ifft2(np.fft.fft2(rng.normal(size=(RELIEF_SIZE, RELIEF_SIZE))) * band).real
    return np.asarray(noise / noise.std())
