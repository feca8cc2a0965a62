"""Protocols: frozen hashes, sizes, errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import pytest

from benchmark.protocols.protocol import ProtocolError, SizeRule, load_protocol, protocol_names
from benchmark.rules import Rules

# A change of a number needs a new file with a new version; these hashes stay.
FROZEN = {
    "tp-long@1": "389b63985989de6a3f34c9bb9d117d1dfc3697d00bb46ab686707da8d44c0609",
    "tp-mini@1": "e08ed6962b0266ea1fb73b439f05b57db9355fdad2d03b78ee10c9fcaac967a5",
    "tp-long@2": "0023566a3beba394ef67d6ca7965882a1729297ed4f118beb132e7c8da9a61ee",
    "tp-mini@2": "f3975336cb5ae6131b351f72fbec8087bd59ef39711ae894dae080236186f8d8",
    "tp-demo@1": "104bf5a04369c81cd93ac34b8b6876ec0b3e6e1e38434d04042b79ba46d311e1",
    "tp-demo@2": "6f7ead6b9e602668aa31e2229919702d4cc6d48f82fb89720b1ab09c6fb7c015",
    "tp-minutes@1": "025ad1063137c57a82687af8c529b41b2a47b5870a544bbdf5bfd36556a02faa",
    "disco-tiktok@1": "fec8cdb4c6d165c0cef6549e9b8f2b1feef473d86aac3f5d81a485ad8ad6b218",
    "tp-robust@1": "c596373f34c64a98294959b4a2b85092d390906379442457f210b029a6b2e840",
}


@pytest.mark.parametrize("name", FROZEN)
def test_a_protocol_is_frozen(name: str) -> None:
    assert load_protocol(name).sha256() == FROZEN[name]


def changed(rules: Rules, name: str) -> Iterator[tuple[str, Rules]]:
    """Copies of the rules with one leaf changed each, with the path of the leaf."""
    for field, value in rules:
        path = f"{name}.{field}"
        if value is None:
            continue
        if isinstance(value, Rules):
            yield from ((leaf, rules.model_copy(update={field: new})) for leaf, new in changed(value, path))
        elif isinstance(value, Mapping):
            for key in value:
                yield f"{path}.{key}", rules.model_copy(update={field: {**value, key: 99}})
            yield f"{path}.new", rules.model_copy(update={field: {**value, "new": 1}})
        else:
            other = (
                f"{value}x"
                if isinstance(value, str)
                else (1, 3)
                if isinstance(value, tuple)
                else not value
                if isinstance(value, bool)
                else value + 1
            )
            yield path, rules.model_copy(update={field: other})


@pytest.mark.parametrize("name", protocol_names())
def test_every_rule_that_changes_a_number_is_in_the_hash(name: str) -> None:
    protocol = load_protocol(name)
    hashes = {path: copy.sha256() for path, copy in changed(protocol, name)}
    for unhashed in ("title", "primary"):
        assert hashes.pop(f"{name}.{unhashed}") == protocol.sha256()
    assert protocol.sha256() not in hashes.values()
    assert len(set(hashes.values())) == len(hashes) > 30


@pytest.mark.parametrize("name", ["regions", "flow", "lpips-alex"])
def test_a_new_version_of_a_feature_changes_the_hash(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.entry_points import load

    protocol = load_protocol("tp-long@1")
    before = protocol.sha256()
    kind = load("talkingpose.features", name)
    monkeypatch.setattr(kind, "spec", dataclasses.replace(kind.spec, version=9))
    assert protocol.sha256() != before


def test_another_weight_file_changes_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.features import registry

    protocol = load_protocol("tp-long@1")
    before, lock = protocol.sha256(), dict(registry.read_lock())
    lock["lpips-alex"] = dataclasses.replace(lock["lpips-alex"], sha256="0" * 64)
    monkeypatch.setattr(registry, "read_lock", lambda: lock)
    assert protocol.sha256() != before


@pytest.mark.parametrize(("one", "other"), [("tp-mini@1", "tp-long@1"), ("tp-demo@1", "tp-long@2")])
def test_protocols_of_drawn_speakers_score_as_tp_long_does(one: str, other: str) -> None:
    mini, long = load_protocol(one), load_protocol(other)
    assert (mini.metrics, mini.deltas, mini.drift) == (long.metrics, long.deltas, long.drift)


def test_the_hash_covers_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    from talkingpose import media

    protocol = load_protocol("tp-long@1")
    before = protocol.sha256()
    monkeypatch.setattr(media, "DECODER_POLICY", media.DecoderPolicy(unspecified_matrix="bt709"))
    assert protocol.sha256() != before


def test_an_unknown_protocol_is_one_line_with_the_known_ones() -> None:
    assert {"tp-cross@1", "tp-cross@2", "tp-long@1", "tp-long@2", "tp-mini@2"} <= set(protocol_names())
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


def test_a_clip_smaller_than_one_multiple_is_refused() -> None:
    with pytest.raises(ProtocolError):
        SizeRule(max_side=512, multiple=8, filter="bicubic").apply(7, 100)
