"""How each image is built from packages, one image per file."""
