"""One scene for Mitsuba, always of the same slots.

The JIT compiler makes a new kernel, a second of work, for every other number or order of shapes and BSDFs. So each
scene has all of :data:`SLOTS`, filled with a speck where there is nothing, and scenes are loaded one after the other.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import mitsuba
import numpy as np
from numpy.typing import NDArray

from datamodules.rendering.appearance.lights import Dome
from datamodules.rendering.appearance.looks import Look, skin_relief
from datamodules.rendering.appearance.materials import (
    GREY,
    MATERIALS,
    Description,
    Finish,
    Material,
    ornament_bsdf,
    pearl_colors,
    rgb,
    slot_bsdf,
    two_sided,
    vertex_colors,
)
from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.vectors import FloatArray, Vector, across, unit
from datamodules.rendering.geometry.views import Camera, LaidView, WornView
from datamodules.rendering.renderer.masks import Window, camera_frame

SLOTS = {
    "skin": 1,
    "nail": 1,
    "hair": 1,
    "cloth": 1,
    "ground": 1,
    "metal": 3,
    "diamond": 1,
    "gem": 2,
    "pearl": 1,
    "opaque": 3,
}
BODY = ("skin", "nail", "hair", "cloth", "ground")
MAX_DEPTH = 12
RUSSIAN_ROULETTE_DEPTH = 3
SAMPLER = "multijitter"
SPECK = 1e-6
RELIEF_TILE = 0.22
ALIGNMENT = 64


class Part(NamedTuple):
    """One surface.

    Attributes:
        slot: A key of :data:`SLOTS`.
        mesh: Its triangles; with colours for skin and pearls.
        bsdf: What it is made of.
        uv: (V, 2) coordinates of its texture, for ``skin`` and ``ground``.
    """

    slot: str
    mesh: Mesh
    bsdf: Description
    uv: FloatArray | None = None


def worn_parts(view: WornView, look: Look) -> list[Part]:
    """The surfaces of a person who wears an ornament, and of what is behind."""
    return [*bare_parts(view, look), *_ornament_parts(view.ornament, view.camera, look.finish)]


def bare_parts(view: WornView, look: Look) -> list[Part]:
    """The same without the ornament."""
    _, axes = camera_frame(view.camera)
    parts = []
    for name, mesh in view.body.items():
        colors = mesh.colors if name == "skin" else None
        uv = (mesh.vertices @ axes[:2].T / RELIEF_TILE).astype(np.float32)
        parts.append(Part(name, mesh._replace(colors=colors), _body_bsdf(name, look), uv))
    center = view.camera.target - view.backdrop_normal * view.backdrop_distance
    reach = view.camera.width * 1.2 + view.backdrop_distance * 2.2
    return [*parts, _ground(center, view.backdrop_normal, view.camera.up, reach, _ground_bsdf(look.backdrop, 0.9))]


def laid_parts(view: LaidView, look: Look) -> list[Part]:
    """The surfaces of an ornament on a table."""
    center = np.array([view.camera.target[0], view.camera.target[1], view.plane])
    bsdf = _ground_bsdf(look.table, look.table_roughness)
    table = _ground(center, np.array([0.0, 0.0, 1.0]), view.camera.up, view.camera.width * 4, bsdf, repeats=4)
    return [table, *_ornament_parts(view.ornament, view.camera, look.finish)]


def load_scene(parts: Sequence[Part], dome: Dome, camera: Camera, window: Window) -> "mitsuba.Scene":
    """Load a scene.

    Args:
        parts: At most as many of each slot as :data:`SLOTS` has.
        dome: The light.
        camera: The camera.
        window: The part of its image that is rendered.

    Raises:
        ValueError: If there are more parts of a slot than places.
    """
    entries: Description = {"type": "scene", "sensor": _sensor(camera, window), "light": _light(dome)}
    speck = _speck(camera)
    for slot, places in SLOTS.items():
        found = [part for part in parts if part.slot == slot]
        if len(found) > places:
            raise ValueError(f"a scene has room for {places} surfaces of {slot}, got {len(found)}; merge some")
        filled = [*found, *[Part(slot, speck, _empty_bsdf(slot))] * (places - len(found))]
        entries |= {f"{slot}{place}": _shape(part, f"{slot}{place}") for place, part in enumerate(filled)}
    return mitsuba.load_dict(entries, parallel=False)


def _ornament_parts(ornament: Mapping[str, Mesh], camera: Camera, finish: Finish) -> Iterable[Part]:
    origin, _ = camera_frame(camera)
    for name, mesh in sorted(ornament.items()):
        slot = MATERIALS[name].slot if name in MATERIALS else ""
        if slot == "pearl":
            mesh = mesh._replace(colors=pearl_colors(mesh.normals, unit(origin - mesh.vertices), finish))
        yield Part(slot, mesh, ornament_bsdf(name, finish))


def _body_bsdf(name: str, look: Look) -> Description:
    if name == "skin":
        skin = {"base_color": vertex_colors(), "roughness": look.skin_roughness, "specular": 0.42, "flatness": 0.7}
        inner = {"type": "principled", **skin, "sheen": 0.18, "sheen_tint": 0.6}
        return two_sided(
            {"type": "bumpmap", "relief": _texture(skin_relief() * np.float32(look.relief), "repeat"), "bsdf": inner}
        )
    if name == "nail":
        nail = {"base_color": rgb(look.nail), "roughness": 0.28, "specular": 0.5}
        return two_sided({"type": "principled", **nail, "clearcoat": 0.6, "clearcoat_gloss": 0.9})
    if name == "hair":
        hair = {"base_color": rgb(look.hair), "roughness": 0.42, "specular": 0.6, "sheen": 0.2}
        return two_sided({"type": "principled", **hair})
    cloth = {"base_color": rgb(look.cloth), "roughness": 0.8, "specular": 0.2, "sheen": 0.6}
    return two_sided({"type": "principled", **cloth})


def _ground_bsdf(image: NDArray[np.float32], roughness: float) -> Description:
    texture = _texture(image, "mirror")
    return two_sided({"type": "principled", "base_color": texture, "roughness": roughness, "specular": 0.3})


def _empty_bsdf(slot: str) -> Description:
    if slot == "ground":
        return _ground_bsdf(np.full((256, 256, 3), 0.5, np.float32), 0.5)
    if slot in BODY:
        return _body_bsdf(slot, Look())
    return slot_bsdf(slot, Material(slot, GREY), Finish())


def _texture(image: NDArray[np.float32], wrap: str) -> Description:
    bitmap = mitsuba.Bitmap(np.ascontiguousarray(image))
    return {"type": "bitmap", "bitmap": bitmap, "raw": True, "wrap_mode": wrap}


def _light(dome: Dome) -> Description:
    return {"type": "envmap", "bitmap": mitsuba.Bitmap(np.ascontiguousarray(dome.radiance))}


def _sensor(camera: Camera, window: Window) -> Description:
    """A camera with the window as its film; with a JIT variant rays are made one by one, and the film plays no part."""
    origin, axes = camera_frame(camera)
    look_at = mitsuba.ScalarTransform4f().look_at(
        origin=origin.tolist(), target=camera.target.tolist(), up=axes[1].tolist()
    )
    film: Description = {
        "type": "hdrfilm",
        "width": 1,
        "height": 1,
        "component_format": "float32",
        "pixel_format": "rgb",
    }
    if mitsuba.variant().startswith("scalar"):
        crop = {"crop_offset_x": window.x, "crop_offset_y": window.y}
        crop |= {"crop_width": window.size, "crop_height": window.size}
        film |= {"width": window.whole, "height": window.whole, **crop}
    return {
        "type": "perspective",
        "fov": camera.fov,
        "near_clip": 0.01,
        "far_clip": 100.0,
        "to_world": look_at,
        "film": {**film, "rfilter": {"type": "box"}},
        "sampler": {"type": SAMPLER},
    }


def _ground(center: Vector, normal: Vector, up: Vector, reach: float, bsdf: Description, repeats: float = 1.0) -> Part:
    normal = unit(normal)
    second = across(up if abs(unit(up) @ normal) < 0.99 else np.roll(normal, 1), normal)
    first = np.cross(second, normal)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float64)
    vertices = center + reach * (corners[:, :1] * first + corners[:, 1:] * second)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.uint32)
    mesh = Mesh(vertices.astype(np.float32), np.tile(normal, (4, 1)).astype(np.float32), faces)
    return Part("ground", mesh, bsdf, ((corners + 1) / 2 * repeats).astype(np.float32))


def _speck(camera: Camera) -> Mesh:
    at = camera.target - camera.direction * camera.width * 0.02
    vertices = at + SPECK * np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    normals = np.tile(np.array([0, 0, 1], np.float32), (3, 1))
    return Mesh(vertices.astype(np.float32), normals, np.array([[0, 1, 2]], np.uint32))


def _shape(part: Part, name: str) -> "mitsuba.Mesh":
    properties = mitsuba.Properties()
    properties["bsdf"] = mitsuba.load_dict(part.bsdf, parallel=False)
    mesh, textured = part.mesh, part.slot in ("skin", "ground")
    shape = mitsuba.Mesh(
        name,
        len(mesh.vertices),
        len(mesh.faces),
        props=properties,
        has_vertex_normals=True,
        has_vertex_texcoords=textured,
    )
    if part.slot in ("skin", "pearl"):
        colors = np.full(mesh.vertices.shape, 0.5) if mesh.colors is None else mesh.colors
        shape.add_attribute("vertex_color", 3, _flat(colors))
    values = mitsuba.traverse(shape)
    values["vertex_positions"], values["vertex_normals"] = _flat(mesh.vertices), _flat(mesh.normals)
    values["faces"] = np.ascontiguousarray(mesh.faces, np.uint32).ravel()
    if textured:
        values["vertex_texcoords"] = _flat(np.zeros((len(mesh.vertices), 2)) if part.uv is None else part.uv)
    values.update()
    return shape


def _flat(values: NDArray[Any]) -> NDArray[np.float32]:
    """A flat copy in memory that is aligned: kernels differ by whether arrays are."""
    space = np.empty(values.size + ALIGNMENT, np.float32)
    first = -space.ctypes.data % ALIGNMENT // space.itemsize
    flat = space[first : first + values.size]
    flat[:] = np.asarray(values, np.float32).ravel()
    return flat
