"""What ornaments and bodies are made of, as entries for Mitsuba.

Each material belongs to one *slot*, a kind of BSDF. Slots matter because every combination of BSDFs costs the JIT
compiler a second: a scene always holds the same ones (:mod:`datamodules.rendering.renderer.scene`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Description = dict[str, Any]
Color = Sequence[float] | NDArray[Any]

GREY = (0.5, 0.5, 0.5)
SHARPEST = 0.03


class Material(NamedTuple):
    """What a part of an ornament is made of.

    Attributes:
        slot: ``metal``, ``diamond``, ``gem``, ``pearl`` or ``opaque``.
        color: Linear RGB: what a metal reflects head on, how a crossing of a gem's surface colours light, else albedo.
        edge: Linear RGB that a metal tends to at grazing angles.
    """

    slot: str
    color: tuple[float, float, float]
    edge: tuple[float, float, float] = (1.0, 1.0, 1.0)


class Finish(NamedTuple):
    """What two ornaments of the same materials differ in.

    Attributes:
        roughness: Of the metal: 0.03 (polished) to 0.3 (brushed).
        polish: Roughness of opaque stones.
        body_color: Linear RGB of the pearls.
        overtone: Linear RGB that pearls show away from the middle.
    """

    roughness: float = 0.08
    polish: float = 0.25
    body_color: tuple[float, float, float] = (0.74, 0.69, 0.62)
    overtone: tuple[float, float, float] = (0.82, 0.56, 0.57)


MATERIALS = {
    "gold": Material("metal", (1.00, 0.71, 0.29), (1.0, 0.93, 0.72)),
    "silver": Material("metal", (0.95, 0.93, 0.90), (0.99, 0.99, 0.98)),
    "rose_gold": Material("metal", (0.95, 0.62, 0.49), (1.0, 0.86, 0.80)),
    "white_gold": Material("metal", (0.84, 0.80, 0.73), (0.97, 0.95, 0.92)),
    "platinum": Material("metal", (0.76, 0.74, 0.71), (0.95, 0.94, 0.93)),
    "copper": Material("metal", (0.93, 0.50, 0.35), (1.0, 0.84, 0.74)),
    "diamond": Material("diamond", (1.0, 1.0, 1.0)),
    "ruby": Material("gem", (0.86, 0.03, 0.10)),
    "sapphire": Material("gem", (0.06, 0.14, 0.82)),
    "emerald": Material("gem", (0.04, 0.64, 0.24)),
    "amethyst": Material("gem", (0.52, 0.16, 0.80)),
    "citrine": Material("gem", (1.0, 0.66, 0.08)),
    "aquamarine": Material("gem", (0.45, 0.87, 0.95)),
    "topaz": Material("gem", (0.20, 0.62, 0.98)),
    "pearl": Material("pearl", (0.88, 0.84, 0.79)),
    "turquoise": Material("opaque", (0.16, 0.60, 0.60)),
    "onyx": Material("opaque", (0.012, 0.012, 0.014)),
    "coral": Material("opaque", (0.82, 0.20, 0.15)),
    "jade": Material("opaque", (0.22, 0.52, 0.30)),
    "lapis": Material("opaque", (0.05, 0.11, 0.45)),
    "rose_quartz": Material("opaque", (0.90, 0.60, 0.62)),
    "wood": Material("opaque", (0.28, 0.14, 0.065)),
}
PEARLS = (
    ((0.74, 0.69, 0.62), (0.82, 0.56, 0.57)),
    ((0.76, 0.60, 0.54), (0.74, 0.66, 0.44)),
    ((0.64, 0.67, 0.71), (0.74, 0.60, 0.74)),
    ((0.10, 0.11, 0.12), (0.16, 0.32, 0.24)),
)
INDEX_OF_REFRACTION = {"diamond": 2.42, "gem": 1.77}


def draw_finish(rng: np.random.Generator, roughness: float) -> Finish:
    """Draw how the stones of an ornament are polished and which pearls it has; its metal has a given roughness."""
    body_color, overtone = PEARLS[int(rng.choice(len(PEARLS), p=(0.45, 0.22, 0.21, 0.12)))]
    return Finish(max(roughness, SHARPEST), float(rng.uniform(0.15, 0.4)), body_color, overtone)


def is_sharp(name: str) -> bool:
    """Whether a material mirrors or refracts, so that its pixels carry images of other things."""
    return MATERIALS[name].slot in ("metal", "diamond", "gem")


def rgb(color: Color) -> Description:
    """A colour that does not change over a surface."""
    return {"type": "rgb", "value": [float(value) for value in color]}


def vertex_colors() -> Description:
    """A colour from the vertices of the mesh."""
    return {"type": "mesh_attribute", "name": "vertex_color"}


def conductor_indices(color: Color, edge: Color) -> tuple[NDArray[Any], NDArray[Any]]:
    """Complex index of refraction of a metal from its colours (Gulbrandsen, "Artist Friendly Metallic Fresnel", 2014).

    Args:
        color: (3,) reflectance head on, in (0, 1).
        edge: (3,) tint at grazing angles, in [0, 1].

    Returns:
        (3,) real parts n and (3,) imaginary parts k; ((n - 1)^2 + k^2) / ((n + 1)^2 + k^2) is ``color`` again.
    """
    reflectance = np.clip(np.asarray(color, np.float64), 1e-3, 0.999)
    root = np.sqrt(reflectance)
    low, high = (1 - reflectance) / (1 + reflectance), (1 + root) / (1 - root)
    n = np.asarray(edge) * low + (1 - np.asarray(edge)) * high
    k = np.sqrt(np.maximum((reflectance * (n + 1) ** 2 - (n - 1) ** 2) / (1 - reflectance), 0))
    return n, k


def ornament_bsdf(name: str, finish: Finish) -> Description:
    """The BSDF of an ornament's part.

    Args:
        name: A key of :data:`MATERIALS`.
        finish: How it is polished.

    Raises:
        ValueError: If there is no such material.
    """
    if name not in MATERIALS:
        raise ValueError(f"a material must be one of {', '.join(MATERIALS)}, got {name!r}")
    return slot_bsdf(MATERIALS[name].slot, MATERIALS[name], finish)


def slot_bsdf(slot: str, material: Material, finish: Finish) -> Description:
    """The BSDF of a slot of ornaments with the colours of a material."""
    if slot == "metal":
        return two_sided(_metal(material, finish))
    if slot in INDEX_OF_REFRACTION:
        transmittance = rgb(material.color)
        return {"type": "dielectric", "int_ior": INDEX_OF_REFRACTION[slot], "specular_transmittance": transmittance}
    if slot == "pearl":
        return two_sided(_coated(vertex_colors(), 0.24, clearcoat=1.0, specular=0.8))
    return two_sided(_coated(rgb(material.color), finish.polish, clearcoat=0.6, specular=0.5))


def _metal(material: Material, finish: Finish) -> Description:
    n, k = conductor_indices(material.color, material.edge)
    return {"type": "roughconductor", "distribution": "ggx", "alpha": finish.roughness, "eta": rgb(n), "k": rgb(k)}


def _coated(color: Description, roughness: float, clearcoat: float, specular: float) -> Description:
    coat = {"clearcoat": clearcoat, "clearcoat_gloss": 0.95}
    return {"type": "principled", "base_color": color, "roughness": roughness, "specular": specular, **coat}


def two_sided(bsdf: Description) -> Description:
    """Let the back of a surface look like its front; conductors are black there otherwise."""
    return {"type": "twosided", "bsdf": bsdf}


def pearl_colors(normals: NDArray[Any], to_camera: NDArray[Any], finish: Finish) -> NDArray[np.float32]:
    """Orient: the overtone that a pearl shows around its body colour, painted for one camera.

    Args:
        normals: (V, 3) unit normals.
        to_camera: (V, 3) unit vectors to the camera.
        finish: Which pearls they are.

    Returns:
        (V, 3) linear RGB.
    """
    facing = np.clip(np.einsum("vi,vi->v", normals, to_camera), 0, 1)[:, None]
    body, overtone = np.array(finish.body_color), np.array(finish.overtone)
    ring = np.exp(-(((facing - 0.5) / 0.25) ** 2))
    rim = (1 - facing) ** 3
    cool = body * np.array([0.70, 0.95, 0.88])
    colors = body + 0.7 * ring * (overtone - body) + 0.8 * rim * (cool - body)
    return np.asarray(np.clip(colors, 0.01, 0.95), np.float32)
