"""Which view suits the sizes of images: one for all products, since they share the router and the base."""

from collections.abc import Mapping

from moleflow.protocols.presets import PRESETS

# Image pixels for one that the backbone sees: more blur small defects, fewer show nothing new.
FINER, COARSER = 1.4, 0.75


def proposal(sides: Mapping[str, int], view: int) -> str | None:
    """What to change where the backbone sees much less of the images than there is, or more.

    Args:
        sides: median of the smaller side of every product's images, in pixels.
        view: side of what the backbone sees of an image, in pixels.

    Returns:
        A sentence; None if the view suits the images, or there are none.
    """
    if not sides:
        return None
    largest, smallest = max(sides, key=lambda name: sides[name]), min(sides, key=lambda name: sides[name])
    if sides[largest] >= FINER * view:
        accurate = int(PRESETS["accurate"]["img_size"])
        advice = (
            f"`moleflow preset accurate` sees {accurate}, at about four times the seconds and bytes"
            if view < accurate
            else "A larger img_size with its grid shows more, at several times the seconds and bytes; so does tiles: 2"
        )
        return (
            f"of {largest}'s {sides[largest]} pixels a side the backbone sees {view}: a defect of 10 pixels is "
            f"{10 * view / sides[largest]:.1f} there. {advice}. All products are seen alike"
        )
    if sides[largest] <= COARSER * view:
        return (
            f"no product has more than {sides[largest]} pixels a side ({smallest} has {sides[smallest]}), of which the "
            f"backbone sees {view}: a smaller img_size with its grid is faster and shows as much"
        )
    return None
