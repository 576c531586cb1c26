"""One sample: decoding, transforms, input masks, seeds, computed latents."""
