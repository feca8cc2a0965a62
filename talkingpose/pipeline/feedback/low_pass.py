"""Feedback of the low spatial frequencies alone.

    z_T(k) = e + gain * L(z0(k-1) - e)

L is a Gaussian low-pass filter in the frequency domain, exp(-f^2 / (2 * cutoff^2)) with f = 1 at the Nyquist
frequency along an axis: a filter of FreeInit (Wu et al., arXiv 2312.07537), which found that the low
frequencies of the initial latents determine a video, and draws the high frequencies again. Here the fine
noise stays fixed and has unit variance, as a diffusion model expects it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from talkingpose.pipeline.feedback.errors import check_range
from talkingpose.pipeline.feedback.state import FeedbackState, FrameContext, InitialOnly


@dataclass(frozen=True)
class LowPass(InitialOnly):
    """Feedback of the low frequencies of the previous frame; the high frequencies stay those of the noise.

    Attributes:
        gain: of the low frequencies, 0 or more and less than 1.
        cutoff: width of the Gaussian, in Nyquist frequencies, more than 0; FreeInit's default is 0.25.

    Raises:
        FeedbackError: a setting is out of range.
    """

    gain: float = 0.05
    cutoff: float = 0.25

    def __post_init__(self) -> None:
        check_range("gain", self.gain, 0, 1)
        check_range("cutoff", self.cutoff, 1e-3)

    def initial_latents(self, state: FeedbackState, frame: FrameContext | None = None) -> torch.Tensor:
        """Return e before the first frame, e + gain * L(z0(k-1) - e) after it."""
        if state.previous is None:
            return state.noise
        return state.noise + self.gain * low_pass(state.previous - state.noise, self.cutoff)


def low_pass(latents: torch.Tensor, cutoff: float) -> torch.Tensor:
    """Filter (..., h, w) by exp(-f^2 / (2 * cutoff^2)), f = 1 at the Nyquist frequency; edges wrap around."""
    height, width = latents.shape[-2:]
    rows = 2 * torch.fft.fftfreq(height, device=latents.device)
    columns = 2 * torch.fft.rfftfreq(width, device=latents.device)
    response = torch.exp(-(rows[:, None] ** 2 + columns**2) / (2 * cutoff**2))
    # Transforms in half precision exist on few devices.
    spectrum = torch.fft.rfft2(latents.float() if latents.dtype != torch.float64 else latents)
    filtered: torch.Tensor = torch.fft.irfft2(spectrum * response, s=(height, width))
    return filtered.to(latents.dtype)
