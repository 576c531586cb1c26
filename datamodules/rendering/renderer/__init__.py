"""From a scene to a triplet: path tracing, denoising, masks and correspondences."""
