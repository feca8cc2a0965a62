"""Members of zip archives, read without unpacking the archive to disk."""

from __future__ import annotations

import zipfile
from pathlib import Path

from talkingpose.weights.errors import WeightsError

# ONNX files of this field are below 300 MB; a member that claims far more is not a weight file.
_MAX_BYTES = 4 << 30


def read_member(archive: Path, name: str) -> bytes:
    """Read a member of an archive and check its CRC; onnxruntime can load a model from these bytes.

    Args:
        archive: path from `find`.
        name: last part of the member's path; archives differ in their folders.

    Raises:
        WeightsError: the archive cannot be read, or does not have exactly one such member.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [info for info in opened.infolist() if info.filename.rpartition("/")[2] == name]
            if not name or len(members) != 1:
                raise WeightsError(f"{archive}: {name}: {len(members)} members of this name, expected one")
            if members[0].file_size > _MAX_BYTES:
                raise WeightsError(f"{archive}: {name}: too large ({members[0].file_size:,} bytes)")
            return opened.read(members[0])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise WeightsError(f"{archive}: {name}: cannot be read ({error})") from error
