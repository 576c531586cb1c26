"""The schema of shards: which entries a sample has, by name.

Required of every sample ``{key}`` are

- ``{key}.ornament.jpg``, the ornament alone, and ``{key}.ornament_mask.png``, where it is in it;
- ``{key}.person.jpg``, the person wearing it, and ``{key}.wearing_mask.png``, its visible part in it;
- ``{key}.json``, the metadata: at least ``type`` and ``box``.

There may be ``{key}.bare.jpg`` (the person without the ornament), ``{key}.correspondence.png`` (which point of the
ornament each worn pixel shows, see ``correspondence_png``) and ``{key}.latents_0.safetensors`` and so on (copies that
were encoded beforehand, see ``latents``). datamodules/README.md tells what each of them holds.
"""

import re

IMAGES = ("ornament.jpg", "person.jpg")
MASKS = ("ornament_mask.png", "wearing_mask.png")
ENTRIES = (*IMAGES, *MASKS, "json")
BARE = "bare.jpg"
CORRESPONDENCE = "correspondence.png"
OPTIONAL = (BARE, CORRESPONDENCE)
LATENTS = "latents_{}.safetensors"
LATENTS_PATTERN = re.compile(r"latents_\d+\.safetensors")


def is_latents(entry: str) -> bool:
    """Whether an entry is a copy's latents."""
    return LATENTS_PATTERN.fullmatch(entry) is not None
