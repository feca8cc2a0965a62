from __future__ import annotations

from typing import Any

import pytest

from benchmark.protocol import Protocol, ProtocolError, SizeRule, load_protocol, protocol_names

# A new value here is a new protocol: a new file with a new version, and this one stays.
TP_LONG_1 = "5715fc28efd8d308f134bb4ad2e2edd822ee48e8903da350d3b1b9bcb297368c"


def test_tp_long_1_is_frozen() -> None:
    assert load_protocol("tp-long@1").sha256() == TP_LONG_1


@pytest.mark.parametrize(
    "change",
    [
        {"deltas": (1, 2)},
        {"metrics": {"psnr": 2}},
        {"size": {"max_side": 256, "multiple": 8, "filter": "bicubic"}},
        {"admission": {"min_frames": 99}},
        {"version": 2},
    ],
    ids=str,
)
def test_the_hash_covers_what_moves_a_number(change: dict[str, Any]) -> None:
    protocol = load_protocol("tp-long@1")
    changed = Protocol.model_validate(protocol.model_dump() | change)
    assert changed.sha256() != protocol.sha256()


def test_the_hash_covers_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    from talkingpose import media

    protocol = load_protocol("tp-long@1")
    before = protocol.sha256()
    monkeypatch.setattr(media, "DECODER_POLICY", media.DecoderPolicy(unspecified_matrix="bt709"))
    assert protocol.sha256() != before


def test_the_title_moves_no_number() -> None:
    protocol = load_protocol("tp-long@1")
    assert protocol.model_copy(update={"title": "other"}).sha256() == protocol.sha256()


def test_an_unknown_protocol_is_one_line_with_the_known_ones() -> None:
    assert protocol_names() == ["tp-long@1", "tp-mini@1"]
    with pytest.raises(ProtocolError, match="tp-long@1"):
        load_protocol("../../etc/passwd")


@pytest.mark.parametrize(
    ("stored", "evaluated"),
    [
        ((512, 512), (512, 512)),
        ((128, 64), (128, 64)),
        ((1920, 1080), (512, 288)),
        ((1080, 1920), (288, 512)),
        ((854, 480), (512, 288)),
        ((500, 300), (496, 296)),
        ((519, 511), (512, 504)),
        ((516, 8), (512, 8)),
        ((4096, 16), (512, 8)),
    ],
)
def test_sizes(stored: tuple[int, int], evaluated: tuple[int, int]) -> None:
    rule = SizeRule(max_side=512, multiple=8, filter="bicubic")
    assert rule.apply(*stored) == evaluated


def test_the_size_rule_never_scales_up_and_gives_multiples() -> None:
    rule = SizeRule(max_side=512, multiple=8, filter="bicubic")
    for width in range(8, 700, 13):
        for height in range(8, 700, 17):
            w, h = rule.apply(width, height)
            assert w % 8 == h % 8 == 0
            assert 8 <= w <= min(width, 512) and 8 <= h <= min(height, 512)
            assert rule.apply(w, h) == (w, h)


def test_a_clip_of_a_few_pixels_is_refused() -> None:
    with pytest.raises(ProtocolError):
        SizeRule(max_side=512, multiple=8, filter="bicubic").apply(7, 100)
