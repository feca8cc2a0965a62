from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from talkingpose.weights import (
    WeightsError,
    find,
    offline_environment,
    read_member,
    status,
    verify,
    weights_folder,
)
from talkingpose.weights import folder as folder_module

ADDRESS = "https://example.org/net.bin"


def put(folder: Path, data: bytes, age: float = 0.0) -> Path:
    """Write a file as if copied by hand `age` seconds ago."""
    path = folder / "nets" / "net.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_missing_names_the_command(tmp_path: Path, make: Any) -> None:
    with pytest.raises(WeightsError) as caught:
        find("net", needed_by="lpips", folder=tmp_path, lock=make.lock(make.entry(ADDRESS)))
    assert str(caught.value) == "lpips needs net: missing: tp-eval weights fetch net"


def test_a_file_copied_by_hand_is_found(tmp_path: Path, make: Any, content: bytes) -> None:
    lock = make.lock(make.entry(ADDRESS))
    path = put(tmp_path, content)
    assert status("net", folder=tmp_path, lock=lock).state == "present"
    assert find("net", folder=tmp_path, lock=lock) == path
    assert (tmp_path / "nets" / "net.bin.sha256").read_text().endswith("  net.bin\n")


def test_one_flipped_byte_is_refused(tmp_path: Path, make: Any, content: bytes) -> None:
    lock = make.lock(make.entry(ADDRESS))
    path = put(tmp_path, content)
    find("net", folder=tmp_path, lock=lock)
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(WeightsError, match=r"metric needs net: SHA-256 .* tp-eval weights fetch net"):
        find("net", folder=tmp_path, lock=lock)
    assert verify(folder=tmp_path, lock=lock)[0].state == "damaged"


def test_another_size_is_damaged_without_reading(tmp_path: Path, make: Any, content: bytes) -> None:
    put(tmp_path, content[:-1])
    seen = status("net", folder=tmp_path, lock=make.lock(make.entry(ADDRESS)))
    assert (seen.state, seen.detail) == ("damaged", "299,999 bytes, expected 300,000")


def test_a_checked_file_is_not_read_again(
    tmp_path: Path, make: Any, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = make.lock(make.entry(ADDRESS))
    monkeypatch.setattr(folder_module, "_SETTLED_NS", 0)
    put(tmp_path, content, age=10)
    time.sleep(0.02)  # the record must be later than the file on a coarse clock
    find("net", folder=tmp_path, lock=lock)
    assert status("net", folder=tmp_path, lock=lock).state == "verified"
    monkeypatch.setattr(folder_module, "hash_file", lambda *args, **kwargs: pytest.fail("read again"))
    find("net", folder=tmp_path, lock=lock)


def test_record_of_another_file_is_not_trusted(tmp_path: Path, make: Any, content: bytes) -> None:
    """A copy with a preserved modification time beside the record of an older file."""
    lock = make.lock(make.entry(ADDRESS))
    put(tmp_path, content, age=60)
    find("net", folder=tmp_path, lock=lock)
    put(tmp_path, content[::-1], age=60)
    with pytest.raises(WeightsError, match="SHA-256"):
        find("net", folder=tmp_path, lock=lock)


def test_without_a_published_hash_the_first_one_is_the_reference(
    tmp_path: Path, make: Any, content: bytes
) -> None:
    lock = make.lock(make.unpublished(ADDRESS))
    put(tmp_path, content)
    first = verify(["net"], folder=tmp_path, lock=lock)[0]
    assert first.state == "present"  # never "verified"
    assert "checked by size only (nobody publishes it)" in first.detail
    put(tmp_path, content[::-1])
    second = verify(["net"], folder=tmp_path, lock=lock)[0]
    assert second.state == "damaged"
    assert "recorded at the first fetch" in second.detail


def test_a_known_prefix_is_checked(tmp_path: Path, make: Any, content: bytes) -> None:
    put(tmp_path, content)
    good = make.entry(ADDRESS)["sha256"][:8]
    for prefix, state in ((good, "present"), ("0" * 8, "damaged")):
        lock = make.lock(make.unpublished(ADDRESS, sha256_prefix=prefix))
        assert verify(folder=tmp_path, lock=lock)[0].state == state


def test_read_only_folder_works(
    tmp_path: Path, make: Any, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, sha256: str) -> None:
        raise PermissionError(13, "read-only")

    put(tmp_path, content)
    monkeypatch.setattr(folder_module, "write_record", refuse)
    assert find("net", folder=tmp_path, lock=make.lock(make.entry(ADDRESS))).is_file()


def test_order_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKINGPOSE_WEIGHTS", str(tmp_path / "shared"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert weights_folder(tmp_path / "dest") == tmp_path / "dest"
    assert weights_folder() == tmp_path / "shared"
    monkeypatch.delenv("TALKINGPOSE_WEIGHTS")
    assert weights_folder() == tmp_path / "cache" / "talkingpose" / "weights"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # ignored, as the specification says
    assert weights_folder().is_absolute()


def test_shared_folder_is_found_by_its_variable(
    tmp_path: Path, make: Any, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path / "shared", content)
    monkeypatch.setenv("TALKINGPOSE_WEIGHTS", str(tmp_path / "shared"))
    assert find("net", lock=make.lock(make.entry(ADDRESS))) == path


def test_a_member_is_read_from_its_archive(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "buffalo_l.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("buffalo_l/w600k_r50.onnx", content)
        opened.writestr("../../evil.onnx", b"evil")
        opened.writestr("a/twice.onnx", b"1")
        opened.writestr("b/twice.onnx", b"2")
    assert read_member(archive, "w600k_r50.onnx") == content
    for name in ("absent.onnx", "twice.onnx", ""):
        with pytest.raises(WeightsError, match="members of this name"):
            read_member(archive, name)
    assert [path.name for path in tmp_path.iterdir()] == ["buffalo_l.zip"]
    archive.write_bytes(archive.read_bytes().replace(content[:1000], content[1000:2000]))
    with pytest.raises(WeightsError, match="cannot be read"):
        read_member(archive, "w600k_r50.onnx")
    archive.write_bytes(b"no archive")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_member(archive, "w600k_r50.onnx")


def test_import_is_cheap_and_the_hub_can_be_kept_off_the_network() -> None:
    code = (
        "import sys, talkingpose.weights; "
        "heavy = {'pydantic', 'yaml', 'rich', 'torch', 'requests', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy; import huggingface_hub.constants as hub; assert hub.HF_HUB_OFFLINE"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    subprocess.run([sys.executable, "-c", code], env=environment | offline_environment(), check=True)
