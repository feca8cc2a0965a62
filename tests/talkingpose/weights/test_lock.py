from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from talkingpose.weights import LOCK_FILE, WeightsError, files_for, pick, read_lock

SHIPPED = read_lock()


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_entry_is_valid(name: str) -> None:
    entry = SHIPPED[name]
    assert all(urlsplit(address).scheme == "https" for address in entry.addresses)
    assert entry.licence and entry.used_by and entry.what
    assert entry.size is None or entry.size > 100
    assert (entry.sha256 is None) == (entry.unverified is not None)
    if entry.sha256 is not None:
        assert re.fullmatch("[0-9a-f]{64}", entry.sha256)
        assert entry.known_size is not None


def test_names_with_a_hash_in_them_agree_with_the_lock() -> None:
    """File names of torch contain the first eight digits of the SHA-256."""
    marked = {
        entry.id: (match[1], entry.sha256)
        for entry in SHIPPED.values()
        if (match := re.search(r"-([0-9a-f]{8})\.pth$", entry.file))
    }
    assert len(marked) == 4
    assert all(sha256 is not None and sha256.startswith(digits) for digits, sha256 in marked.values())


def test_folder_of_the_reference_model_has_the_official_layout() -> None:
    files = {entry.file for entry in files_for("talkingpose")}
    assert {f"talkingpose/{name}.pth" for name in ("denoising_unet", "reference_unet", "pose_guider")} < files
    assert {"talkingpose/base/unet/config.json", "talkingpose/vae/config.json"} < files


def test_research_only_weights_are_not_commercial() -> None:
    assert {entry.id for entry in SHIPPED.values() if entry.commercial == "no"} >= {
        "arcface",
        "talkingpose-denoising-unet",
    }


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(WeightsError, match=r"no-such: .*choose from .*sface"):
        pick(["no-such"])
    with pytest.raises(WeightsError, match=r"choose from .*lpips"):
        files_for("no-such")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "Net 1"}, "id"),
        ({"file": "../net.bin"}, "file"),
        ({"file": "/etc/net.bin"}, "file"),
        ({"file": "a//net.bin"}, "file"),
        ({"size": 0}, "size"),
        ({"sha256": "12"}, "sha256"),
        ({"sha256": None}, "unverified"),
        ({"sha256_prefix": "abcd"}, "sha256_prefix"),
        ({"address": "http://example.org/net.bin"}, "https"),
        ({"address": "file:///net.bin"}, "https"),
        ({"mirror": "ftp://example.org/net.bin"}, "https"),
        ({"licence": ""}, "licence"),
        ({"used_by": []}, "used_by"),
        ({"commercial": "perhaps"}, "commercial"),
        ({"revision": "abc"}, "revision"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_entry_is_refused(change: dict[str, Any], message: str, make: Any) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        read_lock(make.lock(make.entry("https://example.org/net.bin") | change))
    assert "\n" not in str(caught.value) or "pydantic" not in str(caught.value)


@pytest.mark.parametrize("same", ["id", "file"])
def test_an_id_or_a_file_named_twice_is_refused(same: str, make: Any) -> None:
    first = make.entry("https://example.org/net.bin")
    second = first | {"id": "other", "file": "other.bin"} | {same: first[same]}
    with pytest.raises(WeightsError, match="occurs twice"):
        read_lock(make.lock(first, second))


@settings(max_examples=50)
@given(text=st.text(max_size=200))
def test_any_text_is_valid_or_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("lock") / "lock.yaml"
    path.write_text(text, "utf-8")
    with contextlib.suppress(WeightsError):
        assert all(entry.id for entry in read_lock(path).values())


def test_hashes_are_quoted() -> None:
    raw = yaml.safe_load(Path(LOCK_FILE).read_text("utf-8"))
    assert all(isinstance(item["sha256"], str | None) for item in raw)
