"""The sampler against diffusers, and the guided steps."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

from talkingpose.model.official_checkpoint import OFFICIAL_SCHEDULER
from talkingpose.model.reference_attention import ReferenceCache
from talkingpose.pipeline.ddim import Guidance, LinearSampler, SchedulerSampler, denoise, make_sampler
from talkingpose.pipeline.inputs import PipelineError

CPU = torch.device("cpu")
REFERENCE = ReferenceCache({}, {}, {"attn2": torch.zeros(1, 1, 1)}, {})


def fields(count: int) -> torch.Tensor:
    return torch.randn(count, 1, 2, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("steps", [1, 4, 30])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"beta_schedule": "scaled_linear"},
        {"prediction_type": "epsilon", "rescale_betas_zero_snr": False},
        {"prediction_type": "sample"},
        {"set_alpha_to_one": False, "timestep_spacing": "leading"},
    ],
)
def test_a_step_is_that_of_diffusers(steps, change):
    scheduler = DDIMScheduler(**{**OFFICIAL_SCHEDULER, **change})
    sampler = make_sampler(scheduler, steps, CPU)
    assert isinstance(sampler, LinearSampler)
    scheduler.set_timesteps(steps)
    assert torch.equal(sampler.timesteps, scheduler.timesteps)
    latents, *outputs = fields(steps + 1)
    expected = latents
    for number, (timestep, output) in enumerate(zip(scheduler.timesteps, outputs, strict=True)):
        latents = sampler.step(number, latents, output)
        expected = scheduler.step(output, timestep, expected).prev_sample
    torch.testing.assert_close(latents, expected, rtol=1e-5, atol=1e-6)


def test_another_scheduler_uses_its_own_step_and_restarts_for_each_frame():
    sampler = make_sampler(DPMSolverMultistepScheduler.from_config(OFFICIAL_SCHEDULER), 4, CPU)
    assert isinstance(sampler, SchedulerSampler)
    first, second = (run(sampler, Guidance(1.0)) for _ in range(2))
    assert torch.equal(first, second)
    fresh = DPMSolverMultistepScheduler.from_config(OFFICIAL_SCHEDULER)
    fresh.set_timesteps(4)
    expected = fields(1)[0]
    for timestep in fresh.timesteps:
        expected = fresh.step(expected.sin(), timestep, expected).prev_sample
    torch.testing.assert_close(first, expected)


def run(sampler, guidance, rows: list[int] | None = None) -> torch.Tensor:
    """Denoise with a model whose output is the sine of its input; with guidance the first half is doubled."""

    def model(sample, timestep, **_):
        if rows is not None:
            rows.append(len(sample))
        output = sample[:, :2].sin()
        if len(sample) == 2:
            output = output * torch.tensor([2.0, 1.0]).view(2, 1, 1, 1)
        return (output,)

    latents = fields(1)[0]
    return denoise(model, sampler, guidance, latents, torch.zeros_like(latents), REFERENCE)


def test_guidance_extrapolates_from_the_unconditional_half():
    sampler = make_sampler(DDIMScheduler(**OFFICIAL_SCHEDULER), 1, CPU)
    latents = fields(1)[0]
    # Output 2 sin without, sin with the condition: 2 sin + 3 (sin - 2 sin) = - sin.
    torch.testing.assert_close(run(sampler, Guidance(3.0)), sampler.step(0, latents, -latents.sin()))


@pytest.mark.parametrize(
    ("guidance", "rows"),
    [
        (Guidance(1.0), [1, 1, 1, 1, 1]),
        (Guidance(3.5), [2, 2, 2, 2, 2]),
        (Guidance(3.5, (0.2, 0.6)), [1, 2, 2, 1, 1]),
        (Guidance(3.5, (0.0, 0.0)), [1, 1, 1, 1, 1]),
        (Guidance(3.5, (0.8, 1.0)), [1, 1, 1, 1, 2]),
    ],
)
def test_steps_outside_of_the_interval_run_without_the_other_half(guidance, rows):
    seen: list[int] = []
    run(make_sampler(DDIMScheduler(**OFFICIAL_SCHEDULER), 5, CPU), guidance, seen)
    assert seen == rows


@pytest.mark.parametrize("interval", [(0.5, 0.4), (-0.1, 1.0), (0.0, 1.1), (float("nan"), 1.0)])
def test_an_interval_lies_within_the_steps(interval):
    with pytest.raises(PipelineError, match="guidance_interval"):
        Guidance(3.5, interval)


def test_invalid_steps_and_predictions_are_refused():
    with pytest.raises(PipelineError, match="num_inference_steps: 0: give 1 or more"):
        make_sampler(DDIMScheduler(**OFFICIAL_SCHEDULER), 0, CPU)
    with pytest.raises(PipelineError, match="up to 1000"):
        make_sampler(DDIMScheduler(**OFFICIAL_SCHEDULER), 1001, CPU)
    # With zero terminal SNR the first latents are noise alone, from which no noise can be told.
    with pytest.raises(PipelineError, match="epsilon is not defined at step 999"):
        make_sampler(DDIMScheduler(**{**OFFICIAL_SCHEDULER, "prediction_type": "epsilon"}), 4, CPU)
