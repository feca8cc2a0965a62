"""The feedback controllers: their equations, and invariants for any latents."""

from __future__ import annotations

import dataclasses
import io
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from talkingpose.pipeline.feedback import (
    CONTROLLERS,
    FeedbackError,
    FeedbackState,
    FirstFrameAnchor,
    FixedGain,
    FrameContext,
    IntegralStatistics,
    LowPass,
    MotionGain,
    RegionGain,
    ShrunkNoise,
    TemporalFilter,
    VariancePreserving,
    describe,
    make_controller,
)
from talkingpose.pipeline.feedback.low_pass import low_pass
from talkingpose.pipeline.feedback.pose_grid import pose_motion, pose_regions
from talkingpose.pose import draw_pose

CLIPS, SIZE = 3, (8, 12)
ALL = [kind() for kind in CONTROLLERS.values()]
# With these settings the loop is open: the noise alone goes in, the sampler's latents come out.
OPEN = [
    FixedGain(0),
    ShrunkNoise(1),
    VariancePreserving(0),
    LowPass(0),
    FirstFrameAnchor(0),
    RegionGain(0, 0, 0),
    MotionGain(0),
    IntegralStatistics(0, rate=0),
    TemporalFilter(0),
]
seeds = st.integers(0, 2**31)


def drawn(seed: int, *, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(CLIPS, 4, *SIZE, generator=generator, dtype=torch.float64)


def context(seed: int) -> FrameContext:
    random = np.random.default_rng(seed)
    pictures = random.integers(0, 256, (CLIPS, 32, 48, 3), dtype=np.uint8)
    return FrameContext(torch.from_numpy(pictures), drawn(seed + 1))


def after(controller, frames: int, seed: int = 0, *, scale: float = 1.0) -> FeedbackState:
    """Return the state after some frames with random latents."""
    state = FeedbackState(drawn(seed))
    for k in range(frames):
        final, memory = controller.finish(state, context(k), drawn(seed + 10 + k, scale=scale))
        state = state.after(final, memory)
    return state


def test_every_controller_is_tested_open() -> None:
    assert {type(c) for c in OPEN} == {type(c) for c in ALL} == set(CONTROLLERS.values())


@pytest.mark.parametrize("controller", OPEN, ids=repr)
@pytest.mark.parametrize("frames", [0, 1, 3])
def test_without_gain_the_loop_is_open_bit_for_bit(controller, frames) -> None:
    state, final = after(controller, frames), drawn(99)
    assert torch.equal(controller.initial_latents(state, context(7)), state.noise)
    assert controller.finish(state, context(7), final)[0] is final


@pytest.mark.parametrize("controller", ALL, ids=repr)
@pytest.mark.parametrize("frames", [0, 1, 3])
def test_clips_of_a_batch_are_independent(controller, frames) -> None:
    state, frame, final = after(controller, frames), context(7), drawn(99)
    whole, (filtered, memory) = (
        controller.initial_latents(state, frame),
        controller.finish(state, frame, final),
    )
    for rows in ([1], [2, 0]):
        part = state.select(rows)
        part_frame = FrameContext(frame.pictures[rows], frame.reference[rows])
        assert torch.equal(controller.initial_latents(part, part_frame), whole[rows])
        alone, alone_memory = controller.finish(part, part_frame, final[rows])
        assert torch.equal(alone, filtered[rows])
        assert {k: v.tolist() for k, v in alone_memory.items()} == {
            k: v[rows].tolist() for k, v in memory.items()
        }


@pytest.mark.parametrize("controller", ALL, ids=repr)
def test_a_restored_state_continues_as_the_saved_one(controller) -> None:
    state, frame = after(controller, 2), context(7)
    file = io.BytesIO()
    torch.save(state.state_dict(), file)
    file.seek(0)
    restored = FeedbackState.from_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(controller.initial_latents(restored, frame), controller.initial_latents(state, frame))
    mine, theirs = (controller.finish(s, frame, drawn(99)) for s in (restored, state))
    assert torch.equal(mine[0], theirs[0]) and mine[1].keys() == theirs[1].keys()


def test_a_state_without_memory_is_read() -> None:
    state = after(FixedGain(), 1).state_dict()
    del state["memory"]
    assert FeedbackState.from_state_dict(state).memory == {}


@pytest.mark.parametrize("controller", ALL, ids=repr)
def test_the_first_frame_does_not_depend_on_anything_before(controller) -> None:
    state = FeedbackState(drawn(0))
    scale = getattr(controller, "scale", 1.0)
    assert torch.equal(controller.initial_latents(state, context(7)), state.noise * scale)
    final = drawn(99)
    assert torch.equal(controller.finish(state, context(7), final)[0], final)


@given(seeds, st.floats(0.01, 0.95), st.floats(0.1, 10))
@settings(deadline=None, max_examples=10)
def test_variance_is_kept_for_any_latents(seed, gain, scale) -> None:
    controller = VariancePreserving(gain)
    state = after(controller, 2, seed, scale=scale)
    made = controller.initial_latents(state, context(7))
    for moment in (torch.mean, torch.std):
        torch.testing.assert_close(moment(made, dim=(-2, -1)), moment(state.noise, dim=(-2, -1)))
    # The paper's loop does not keep it, so the assertion above says something.
    plain = FixedGain(gain).initial_latents(state, context(7))
    assert not torch.allclose(plain.std(dim=(-2, -1)), state.noise.std(dim=(-2, -1)), rtol=1e-3)


# A sampler as a linear plant, z0 = mean + g * z_T: what DDIM is for a Gaussian mode (g is about the root of
# the conditional variance). Two loops of other pasts come together by the pole of the loop in every frame.
@given(seeds, st.floats(0, 0.9), st.floats(0, 1))
@settings(deadline=None, max_examples=10)
def test_the_paper_s_loop_forgets_by_its_pole(seed, gain, g) -> None:
    distances = loop_distances(FixedGain(gain), seed, g, frames=4)
    for before, now in itertools.pairwise(distances):
        assert now == pytest.approx(gain * g * before, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("controller", "pole"),
    [
        (LowPass(0.5, cutoff=0.5), 0.5),
        (RegionGain(0.3, 0.2, 0.6), 0.6),
        (MotionGain(0.7), 0.7),
        (FirstFrameAnchor(0.4), 0.0),
        (ShrunkNoise(0.5), 0.0),
    ],
    ids=repr,
)
@given(seed=seeds, g=st.floats(0, 1))
@settings(deadline=None, max_examples=6)
def test_other_loops_forget_at_least_by_their_largest_gain(controller, pole, seed, g) -> None:
    distances = loop_distances(
        controller, seed, g, frames=4, same_first=isinstance(controller, FirstFrameAnchor)
    )
    for before, now in itertools.pairwise(distances):
        assert now <= pole * g * before + 1e-12


def loop_distances(controller, seed: int, g: float, frames: int, *, same_first: bool = False) -> list[float]:
    """Return the distance per frame of two loops that differ in the latents of one frame."""
    noise, mean = drawn(seed), drawn(seed + 1)
    states = []
    for past in (2, 3):
        state = FeedbackState(noise)
        if same_first:
            state = state.after(*controller.finish(state, context(0), mean))
        states.append(state.after(*controller.finish(state, context(0), drawn(seed + past))))
    distances = [float((states[0].previous - states[1].previous).norm())]
    for k in range(1, frames):
        frame = context(k)
        for n, state in enumerate(states):
            final = mean + g * controller.initial_latents(state, frame)
            states[n] = state.after(*controller.finish(state, frame, final))
        distances.append(float((states[0].previous - states[1].previous).norm()))
    return distances


def test_low_pass_keeps_constants_and_stops_the_nyquist_frequency() -> None:
    flat = torch.full((1, 1, 8, 8), 3.0)
    torch.testing.assert_close(low_pass(flat, 0.25), flat)
    board = (-1.0) ** torch.arange(8).repeat(8, 1).float()[None, None]
    # One axis at its Nyquist frequency: exp(-1 / (2 * 0.25^2)).
    torch.testing.assert_close(low_pass(board, 0.25), board * np.exp(-8.0), atol=1e-6, rtol=1e-4)
    assert low_pass(torch.zeros(1, 1, 5, 7), 0.3).shape == (1, 1, 5, 7)


def test_low_pass_feedback_leaves_fine_noise_alone() -> None:
    state = after(LowPass(), 1)
    change = LowPass(0.5, cutoff=0.1).initial_latents(state, context(1)) - state.noise
    spectrum = torch.fft.rfft2(change).abs()
    assert spectrum[..., 4, :].max() < 1e-6 * spectrum[..., 0, 0].max()
    assert spectrum[..., 0, 0].min() > 0


def speaker(shift: float = 0.0) -> np.ndarray:
    """Keypoints of a face in the middle above and a left hand below, on the right of the picture."""
    keypoints = np.zeros((133, 3), np.float32)
    random = np.random.default_rng(0)
    keypoints[[5, 6]] = [(0.7, 0.55, 1), (0.3, 0.55, 1)]
    keypoints[23:91] = np.c_[random.uniform((0.4, 0.15), (0.6, 0.4), (68, 2)), np.ones(68)]
    keypoints[91:112] = np.c_[random.uniform((0.75, 0.7), (0.9, 0.9), (21, 2)), np.ones(21)]
    keypoints[91:112, 0] += shift
    return keypoints


@pytest.mark.parametrize("side", [128, 512])
def test_face_and_hands_are_found_in_the_pose_picture(side) -> None:
    if side == 512:
        picture = draw_pose(speaker(), side, side)
    else:
        from talkingpose.pose.overlay import pose_image

        picture = pose_image(speaker(), side, side)
    grid = side // 8
    regions = pose_regions(torch.from_numpy(picture)[None], (grid, grid))
    for mask, (x, y, w, h) in (
        (regions.face, (0.4, 0.15, 0.2, 0.25)),
        (regions.hands, (0.75, 0.7, 0.15, 0.2)),
    ):
        rows, columns = np.nonzero(mask[0, 0].numpy())
        near = 2 / 16
        assert x - near <= columns.min() / grid <= x + near and y - near <= rows.min() / grid <= y + near
        assert x + w - near <= columns.max() / grid <= x + w + near
        assert y + h - near <= rows.max() / grid <= y + h + near
        assert len(rows) >= 0.6 * w * h * grid**2  # filled, not a cloud of points
    assert not (regions.face * regions.hands).any()


def test_region_gain_by_region() -> None:
    picture = torch.from_numpy(draw_pose(speaker(), 256, 256))[None]
    noise = torch.ones(1, 2, 32, 32)
    state = FeedbackState(noise).after(torch.zeros_like(noise))
    frame = FrameContext(picture, noise)
    made = RegionGain(face=0.25, hands=0.5, background=0.125).initial_latents(state, frame)
    regions = pose_regions(picture, (32, 32))
    assert set(made.unique().tolist()) == {0.75, 0.5, 0.875}
    assert (made[0, 1][regions.hands[0, 0] > 0] == 0.5).all()
    assert (made[0, 0][regions.face[0, 0] > 0] == 0.75).all()


def test_motion_is_seen_where_the_hand_moved_and_nowhere_else() -> None:
    before, now = (torch.from_numpy(draw_pose(speaker(s), 256, 256))[None] for s in (0.0, 0.03))
    motion = pose_motion(now, before, (16, 16), reach=0)[0, 0]
    assert motion[12, 13] > 0.05
    assert motion[:10].max() == 0 and motion[:, :10].max() == 0
    wide = pose_motion(now, before, (16, 16), reach=0.125)[0, 0]
    assert wide[9, 13] == pytest.approx(float(motion[9:12, 11:16].max())) and wide[:7].max() == 0
    assert pose_motion(now, now, (16, 16), reach=0.125).max() == 0


@pytest.mark.parametrize("kind", [MotionGain, TemporalFilter])
def test_motion_drops_the_past(kind) -> None:
    pictures = [torch.from_numpy(draw_pose(speaker(s), 256, 256))[None] for s in (0.0, 0.03)]
    noise, past = torch.zeros(1, 4, 32, 32), torch.full((1, 4, 32, 32), 0.01)
    controller = kind()
    state = FeedbackState(noise).after(
        *controller.finish(FeedbackState(noise), FrameContext(pictures[0], noise), past)
    )
    frame = FrameContext(pictures[1], noise)
    if kind is MotionGain:
        mixed, most = controller.initial_latents(state, frame), controller.gain
    else:
        mixed, most = controller.finish(state, frame, noise)[0], controller.hold
    share = mixed[0, 0] / 0.01
    assert share[8, 4] == pytest.approx(most, rel=2e-3)
    assert share[25, 26] < 0.1 * most


@given(seeds, st.floats(0, 0.95))
@settings(deadline=None, max_examples=10)
def test_a_filtered_frame_lies_between_the_sampled_and_the_one_before(seed, hold) -> None:
    controller = TemporalFilter(hold, softness=1e6, tolerance=0.5 + hold)
    state, final = after(controller, 2, seed), drawn(seed + 99)
    weights = controller.weights(state, context(7), final)
    assert weights.min() >= 0 and weights.max() <= hold
    made, _ = controller.finish(state, context(7), final)
    low, high = torch.minimum(final, state.previous), torch.maximum(final, state.previous)
    assert (made >= low - 1e-12).all() and (made <= high + 1e-12).all()


def test_the_filter_holds_jitter_and_passes_a_jump() -> None:
    picture = torch.from_numpy(draw_pose(speaker(), 64, 64))[None]
    still = FrameContext(picture, torch.zeros(1, 4, 8, 8))
    controller = TemporalFilter(hold=0.75, tolerance=1.0)
    mean = torch.ones(1, 4, 8, 8)
    state = FeedbackState(mean)
    made = []
    for k in range(40):
        # Jitter of 0.05 about 1, and from frame 20 on about 3.
        final = mean * (1 if k < 20 else 3) + 0.05 * (-1) ** k
        kept, memory = controller.finish(state, still, final)
        state = state.after(kept, memory)
        made.append(float(kept.mean()))
    # The response of the pole a to an alternation is (1 - a) / (1 + a).
    assert abs(made[19] - made[18]) == pytest.approx(0.1 * 0.25 / 1.75, rel=0.1)
    assert made[20] == pytest.approx(3.05, abs=0.05)


@pytest.mark.parametrize("offset", [0.3, -5.0])
@pytest.mark.parametrize("g", [0.3, 1.0])
def test_integral_correction_takes_a_drift_away_or_stops_at_its_limit(offset, g) -> None:
    controller = IntegralStatistics(gain=0, rate=0.5, limit=1.0)
    reference = drawn(5)
    frame = FrameContext(context(0).pictures, reference)
    state = FeedbackState(drawn(0))
    for _ in range(60):
        final = offset + g * controller.initial_latents(state, frame)
        state = state.after(*controller.finish(state, frame, final))
        assert all(v.abs().max() <= 1.0 for v in state.memory.values())
    gap = (reference - state.previous).mean(dim=(-2, -1)).abs()
    wanted = (reference.mean(dim=(-2, -1)) - offset - g * drawn(0).mean(dim=(-2, -1))).abs() / g
    reachable = wanted < 0.8
    assert (gap[reachable] < 1e-3).all()
    if offset == -5.0:
        assert (state.memory["mean"] == 1.0).all()


@pytest.mark.parametrize(
    ("name", "given_", "message"),
    [
        ("pid", {}, "choose one of proportional"),
        ("low-pass", {"cut": "1"}, "it has gain, cutoff"),
        ("low-pass", {"gain": "much"}, "give a number"),
        ("low-pass", {"gain": "1"}, "less than 1"),
        ("low-pass", {"cutoff": "0"}, "cutoff"),
        ("temporal-filter", {"hold": "-0.1"}, "hold"),
        ("shrunk-noise", {"scale": "nan"}, "scale"),
        ("proportional", {"gain": "inf"}, "gain"),
    ],
)
def test_invalid_settings_are_one_line(name, given_, message) -> None:
    with pytest.raises(FeedbackError, match=message) as caught:
        make_controller(name, given_)
    assert "\n" not in str(caught.value)


def test_by_name_and_text() -> None:
    assert make_controller("low-pass", {"gain": "0.2"}) == LowPass(0.2)
    assert make_controller("proportional") == FixedGain(0.05)
    assert describe(LowPass(0.2)) == "low-pass, gain 0.2, cutoff 0.25"
    assert all(dataclasses.is_dataclass(kind) for kind in CONTROLLERS.values())
