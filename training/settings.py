"""Checks of the settings that a recipe holds, with one message for all of them."""


class SettingError(ValueError):
    """A setting that is not accepted; the message names its key and what is accepted."""


def require(condition: bool, key: str, value: object, accepted: str) -> None:
    """Raise SettingError unless `condition` holds."""
    if not condition:
        raise SettingError(f"{key} = {value!r} is not accepted; it must be {accepted}")
