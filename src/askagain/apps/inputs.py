"""What a result depends on beside its settings: files, to know whether it still holds."""

from pathlib import Path
from typing import Any

from askagain.models.named import named_folder

COVERED = ("data", "paths")  # sections: files whose content is compared, and folders that results are written to
PARTS = ("", "encoder", "encoder/encoder.json", "encoder.json")  # of a run folder or an encoder's


def file_states(settings: dict[str, Any]) -> list[list[Any]]:
    """The size and the time of change of each file, folder or encoder that a config names, but for `COVERED`."""
    return _states([value for section, value in settings.items() if section not in COVERED])


def _states(settings: Any) -> list[list[Any]]:
    if isinstance(settings, dict | list):
        values = settings.values() if isinstance(settings, dict) else settings
        return [state for value in values for state in _states(value)]
    if not isinstance(settings, str) or not settings:
        return []
    try:
        place = named_folder(settings) or Path(settings)
        statuses = [path.stat() for path in (place / part for part in PARTS) if path.exists()]
    except (OSError, ValueError):  # text that cannot be a path
        return []
    return [[settings, *([status.st_size, status.st_mtime_ns] for status in statuses)]] if statuses else []
