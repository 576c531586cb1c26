"""Images: reading, writing, crops, geometry, masks of ornaments, compositing."""
