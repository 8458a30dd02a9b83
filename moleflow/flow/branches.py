"""Branches: whether a density has another one beside it, which learns and judges without a position code."""

# A member says which position code the other density has; None: there is no other.
BRANCHES: dict[str, str | None] = {"none": None, "dual": "none"}
