"""The images a stack runs on, built through the Docker SDK where no registry has them.

A folder of images/ is one build context. Its content hash goes into the image as a label. An image
whose label has the same hash is not built again.
"""

from stackctl.engine.images.base import ensure_base
from stackctl.engine.images.build import ensure_image, image_labels
from stackctl.engine.images.context import collector_files, content_hash, images_root
from stackctl.engine.images.errors import ImageBuildError
from stackctl.engine.images.pull import pull

__all__ = [
    "ImageBuildError",
    "collector_files",
    "content_hash",
    "ensure_base",
    "ensure_image",
    "image_labels",
    "images_root",
    "pull",
]
