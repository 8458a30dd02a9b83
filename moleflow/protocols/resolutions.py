"""Which view suits the sizes of images: one for all products, since they share the router and the base."""

from collections.abc import Mapping

from moleflow.protocols.presets import PRESETS, TIMES

# Image pixels for one that the backbone sees: more blur small defects, fewer show nothing new.
FINER, COARSER = 1.4, 0.75


def finer_view(sides: Mapping[str, int], view: int) -> str | None:
    """What to change where the backbone sees much less of a product's images than there is.

    Args:
        sides: median of the smaller side of every product's images, in pixels.
        view: side of what the backbone sees of an image, in pixels.

    Returns:
        A sentence; None if the view suits the images, or there are none.
    """
    largest = max(sides, key=lambda name: sides[name], default=None)
    if largest is None or sides[largest] < FINER * view:
        return None
    finer = [
        f"`moleflow preset {name}` sees {PRESETS[name]['img_size']} in {times} times the default's time"
        for name, times in TIMES.items()
        if view < int(PRESETS[name]["img_size"])
    ]
    coarse = "A larger img_size with its grid shows more, at several times the seconds and bytes; so does tiles: 2"
    return (
        f"of {largest}'s {sides[largest]} pixels a side the backbone sees {view}: a defect of 10 pixels is "
        f"{10 * view / sides[largest]:.1f} there. {', '.join(finer) or coarse}. All products are seen alike"
    )


def coarser_view(sides: Mapping[str, int], view: int) -> str | None:
    """What to change where the backbone sees more pixels than any product's images have.

    Args:
        sides: median of the smaller side of every product's images, in pixels.
        view: side of what the backbone sees of an image, in pixels.

    Returns:
        A sentence; None if the view suits the images, or there are none.
    """
    if not sides or max(sides.values()) > COARSER * view:
        return None
    smallest = min(sides, key=lambda name: sides[name])
    return (
        f"no product has more than {max(sides.values())} pixels a side ({smallest} has {sides[smallest]}), of which "
        f"the backbone sees {view}: a smaller img_size with its grid is faster and shows as much"
    )
