"""What every config is held to."""

# Without it pydantic drops an unknown key of a dataclass silently; a test holds every config to it.
STRICT = {"extra": "forbid"}

# Metadata of a field that an earlier release did not have: it counts in a stage's fingerprint only
# where it differs from its default, so that results of hours made without it stay valid.
ADDED_LATER = {"added_later": True}


def check_fraction(name: str, value: float, low_open: bool = False) -> None:
    """Raise ValueError unless `value` lies in [0, 1), or (0, 1) with `low_open`."""
    hint = f"; did you mean {value / 100:g}?" if 1 <= value < 100 else ""
    inside = (0 < value < 1) if low_open else (0 <= value < 1)
    check(inside, f"{name} is {value:g}, expected a fraction from 0 up to, not including, 1{hint}")


def check_positive(name: str, value: float) -> None:
    """Raise ValueError unless `value` is above 0."""
    check(value > 0, f"{name} is {value:g}, expected a number above 0")


def check(holds: bool, message: str) -> None:
    """Raise ValueError with `message` unless `holds`."""
    if not holds:
        raise ValueError(message)
