"""From a scene to pixels: path tracing, denoising, masks and what each ray meets."""
