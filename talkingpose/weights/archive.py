"""Weight files that come as a zip stay zipped: a member is read from it, nothing is unpacked on disk."""

from __future__ import annotations

import zipfile
from pathlib import Path

from talkingpose.weights.errors import WeightsError

# onnx files of this field are below 300 MB; a member that claims far more is no weight file.
_LARGEST_BYTES = 4 << 30


def read_member(archive: Path, name: str) -> bytes:
    """The bytes of one member of an archive, checked against its CRC; onnxruntime loads a model from bytes.

    Args:
        archive: path that `find` gave.
        name: last part of the member's name: some archives have their members in a folder, some have not.

    Raises:
        WeightsError: the archive cannot be read, or has not exactly one such member.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            found = [info for info in opened.infolist() if info.filename.rpartition("/")[2] == name]
            if not name or len(found) != 1:
                raise WeightsError(f"{archive}: {name}: {len(found)} members of this name, it should be one")
            if found[0].file_size > _LARGEST_BYTES:
                raise WeightsError(f"{archive}: {name}: {found[0].file_size:,} bytes are too many")
            return opened.read(found[0])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise WeightsError(f"{archive}: {name}: cannot be read ({error})") from error
