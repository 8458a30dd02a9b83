"""Which value of an image of more than 8 bits is white."""

from collections.abc import Iterable
from typing import Literal

BIT_DEPTHS = (8, 10, 12, 14, 16)
WHITE_16 = 65535.0  # white of 16-bit integers that use more than a sixteenth of their range
BitDepth = Literal["auto", 8, 10, 12, 14, 16]


def find_white(largest: Iterable[int | float], bit_depth: BitDepth) -> float | None:
    """The value that is read as white in all images of a product that hold more than 8 bits.

    A camera of 12 bits writes files of 16, whose white then is 4095 and not 65535.

    Args:
        largest: the largest value of each normal image of more than 8 bits: int of integers, float of floating point.
        bit_depth: "auto" for the smallest of 8, 10, 12, 14 and 16 bits that holds all of them, or for their
            maximum where all are floating point or one does not fit; or the bits.

    Returns:
        The value; None with "auto" if there is no such image or no value above 0.
    """
    if bit_depth != "auto":
        return 2.0**bit_depth - 1
    values = list(largest)
    top = max(values, default=0)
    if top <= 0:
        return None
    if any(isinstance(value, int) for value in values):
        return next((2.0**bits - 1 for bits in BIT_DEPTHS if top <= 2**bits - 1), float(top))
    return float(top)


def has_white(kind: str, largest: int | float, white: float | None) -> bool:
    """Whether it is known which value of an image of more than 8 bits is white.

    Args:
        kind: numpy's name of the type of its values.
        largest: the largest of them.
        white: the product's; None if it has none.

    Returns:
        False for floating point that would be black, so that it must be on another scale; without `white`, for other
        values than integers of 16 bits, and for those that a camera of 12 bits could have written: of others
        `WHITE_16` is white.
    """
    if white is None:
        return kind == "uint16" and largest > 4095
    return not (kind.startswith("float") and 255 * largest < white)
