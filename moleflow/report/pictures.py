"""Pictures as values that a page holds in itself: data URIs of photographs and heat maps, outlines as SVG paths."""

from base64 import b64encode
from io import BytesIO

import numpy as np
from PIL import Image
from skimage.measure import approximate_polygon, find_contours

SIDE, QUALITY = 224, 75  # pixels and WebP's quality of a picture: some 8 kB
HEAT = np.array([[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]])


def data_uri(pixels: np.ndarray) -> str:
    """A picture of `SIDE` by `SIDE` pixels as text.

    Args:
        pixels: (H, W, 3) uint8.

    Returns:
        A data URI of a WebP image.
    """
    image, buffer = Image.fromarray(np.ascontiguousarray(pixels)), BytesIO()
    image.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(buffer, "WEBP", quality=QUALITY, method=4)
    return f"data:image/webp;base64,{b64encode(buffer.getvalue()).decode()}"


def heat_colors(values: np.ndarray) -> np.ndarray:
    """Colors from black over red to pale yellow.

    Args:
        values: (...), from 0 (dark) to 1 (bright); others are clipped.

    Returns:
        RGB, (..., 3) uint8.
    """
    anchors = np.linspace(0, 1, len(HEAT))
    channels = [np.interp(values, anchors, HEAT[:, channel]) for channel in range(3)]
    return np.stack(channels, -1).round().astype(np.uint8)


def contour_path(mask: np.ndarray) -> str:
    """The outline of a mask to lay over a picture.

    Args:
        mask: (S, S) bool.

    Returns:
        Data of an SVG path in pixels of the mask; empty if nothing is marked.
    """
    lines = find_contours(np.pad(mask, 1).astype(float), 0.5)
    # Padded so that regions at the border close; approximated to half a pixel because an outline
    # point per pixel would weigh more than the picture.
    shapes = [approximate_polygon(line, 0.5) - 0.5 for line in lines]
    return "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for y, x in shape[:-1]) + "Z" for shape in shapes)
