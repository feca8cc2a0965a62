"""Dataset card: the YAML header of `README.md`, which names the Parquet files of each split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ValidationError

from talkingpose.data.schema import SPLITS, DatasetError
from talkingpose.io.documents import parse_yaml, read_text

_CARD = "README.md"


class _DataFiles(BaseModel):
    split: str
    path: str | list[str]


class _Config(BaseModel):
    config_name: str
    data_files: list[_DataFiles]


class _Header(BaseModel):
    configs: list[_Config] = []
    tags: list[str] = []


def clip_files(folder: Path) -> dict[str, list[Path]]:
    """Return the Parquet files of the configuration `clips` by split, in the order train, validation, test.

    Raises:
        DatasetError: there is no card, its header is invalid or names no clips, or a file is missing or
            lies outside the dataset.
    """
    card = folder / _CARD
    if not card.exists():
        raise DatasetError(f"dataset {folder}: no {_CARD}: give the folder that tp-curate wrote (--out)")
    text = read_text(card, "dataset card")
    header = text.split("---", 2)[1] if text.startswith("---") and text.count("---") >= 2 else ""
    try:
        parsed = _Header.model_validate(parse_yaml(header, f"dataset card {card}") or {})
    except ValidationError as error:
        raise DatasetError(f"dataset card {card}: invalid YAML header: write the dataset again") from error
    clips = next((config for config in parsed.configs if config.config_name == "clips"), None)
    if clips is None and not parsed.configs and "talkingpose" in parsed.tags:
        return {}  # tp-curate kept no clip
    if clips is None:
        raise DatasetError(f"dataset card {card}: no configuration 'clips': write the dataset with tp-curate")
    files = {entry.split: sorted(_matches(folder, entry.path)) for entry in clips.data_files}
    for split, paths in files.items():
        if not paths:
            raise DatasetError(f"dataset {folder}, split {split}: no files: copy the dataset completely")
    return dict(sorted(files.items(), key=lambda item: (*SPLITS, item[0]).index(item[0])))


def _matches(folder: Path, patterns: str | list[str]) -> Iterator[Path]:
    # The Hub's cache stores the files of a snapshot as links to a sibling folder of the snapshots.
    root = (folder.parent.parent if folder.parent.name == "snapshots" else folder).resolve()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        parts = PurePosixPath(pattern).parts
        if not parts or parts[0] == "/" or ".." in parts or "\0" in pattern or Path(pattern).is_absolute():
            raise DatasetError(
                f"dataset {folder}: path {pattern!r} in the card: give a path inside the dataset"
            )
        for path in folder.glob(pattern):
            if not path.resolve().is_relative_to(root):
                raise DatasetError(f"dataset {folder}: {path} links outside the dataset: copy the file")
            if not path.is_file():
                raise DatasetError(f"dataset {folder}: {path} is not a regular file: copy the dataset again")
            yield path
