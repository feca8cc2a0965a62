from __future__ import annotations

import pytest

from talkingpose import TalkingPosePipeline
from talkingpose.pipeline.device import (
    DeviceError,
    Placement,
    check_compiled,
    choose_placement,
    place,
    precision_of,
)

GIB = 2**30
PIXELS = 512 * 512
# Stable Diffusion 1.5, twice, in half precision.
WEIGHTS = 4 * GIB


@pytest.mark.parametrize(
    ("free", "asked", "expected"),
    [
        (16, None, Placement("cuda", "float16")),
        (5, None, Placement("cuda", "float16", tiling=True)),
        (4, None, Placement("cuda", "float16", offload=True)),
        (1, None, Placement("cuda", "float16", offload=True, tiling=True)),
        (16, True, Placement("cuda", "float16", offload=True)),
        (4, False, Placement("cuda", "float16", tiling=True)),
    ],
)
def test_on_a_gpu_memory_decides(free: int, asked: bool | None, expected: Placement) -> None:
    chosen = choose_placement(
        "cuda", "float16", weights=WEIGHTS, pixels=PIXELS, free=free * GIB, cpu_offload=asked
    )
    assert chosen == expected


def test_on_the_cpu_nothing_is_offloaded() -> None:
    free = {"weights": WEIGHTS, "pixels": PIXELS}
    assert choose_placement("cpu", "float32", free=8 * GIB, **free) == Placement("cpu", "float32")
    assert choose_placement("cpu", "float32", free=GIB, **free) == Placement("cpu", "float32", tiling=True)
    with pytest.raises(DeviceError, match="leave it out"):
        choose_placement("cpu", "float32", free=8 * GIB, cpu_offload=True, **free)


def test_placement_as_text() -> None:
    assert str(Placement("cuda:1", "float16")) == "cuda:1, float16"
    words = str(Placement("cuda", "bfloat16", offload=True, tiling=True))
    assert words == "cuda, bfloat16, parts wait on the CPU, VAE in tiles"
    assert "compiled before the first frame" in str(Placement("cpu", "float32", compiled=True))


def test_compilation_is_refused_where_impossible(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match="--cpu-offload"):
        check_compiled(True)
    sizes = {"weights": WEIGHTS, "pixels": PIXELS, "compiled": True}
    assert choose_placement("cuda", "float16", free=16 * GIB, **sizes).compiled
    # With 6 GiB it fits, but not with what CUDA graphs keep.
    for free in (4 * GIB, 6 * GIB):
        with pytest.raises(DeviceError, match="does not fit into the memory of cuda"):
            choose_placement("cuda", "float16", free=free, **sizes)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(DeviceError, match="no no-such-compiler on the path: install it"):
        check_compiled(None)


def test_compiling_follows_the_placement(pipe: TalkingPosePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, bool]] = []
    monkeypatch.setattr(pipe, "enable_compile", lambda **more: asked.append(more), raising=False)
    assert place(pipe, "cpu", pixels=128 * 128, compiled=True).compiled
    assert asked == [{"cuda_graphs": False}]


def test_precision() -> None:
    assert precision_of("auto", "cpu") == "float32" and precision_of("auto", "cuda:1") == "float16"
    assert precision_of("bfloat16", "cpu") == "bfloat16"


def test_a_pipeline_is_placed(pipe: TalkingPosePipeline) -> None:
    assert place(pipe, "cpu", pixels=128 * 128) == Placement("cpu", "float32")
