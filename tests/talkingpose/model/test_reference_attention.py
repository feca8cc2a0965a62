"""The shortcuts of the attention against the full computation."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0

from talkingpose.model.pose_guider import PoseConvIn, install_pose_input
from talkingpose.model.reference_attention import install_reference_reader, project_reference, write_bank


@pytest.fixture(scope="module")
def inputs(pipe, golden):
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(2, 4 + 32, 8, 8, generator=generator)
    token = torch.randn(2, 1, 32, generator=generator)
    with torch.no_grad():
        bank = write_bank(pipe.reference_unet, torch.randn(2, 4, 8, 8, generator=generator), token)
        return sample, token, bank, project_reference(pipe.denoising_unet, bank, token)


@torch.no_grad()
def predict(pipe, sample, cache):
    return pipe.denoising_unet(sample, 500, None, cross_attention_kwargs={"reference": cache}).sample


def test_split_guidance_is_two_passes(pipe, inputs):
    sample, _, _, cache = inputs
    both = predict(pipe, torch.cat([sample, sample]), cache)
    unconditional = predict(pipe, sample, cache.select([]))
    torch.testing.assert_close(both[:2], unconditional, atol=5e-5, rtol=0)
    torch.testing.assert_close(both[2:], predict(pipe, sample, cache), atol=5e-5, rtol=0)
    assert (both[:2] - both[2:]).abs().max() > 1e-2


def test_portraits_of_a_batch_do_not_mix(pipe, inputs):
    sample, _, _, cache = inputs
    both = predict(pipe, sample, cache)
    for row in range(2):
        alone = predict(pipe, sample[[row]], cache.select([row]))
        torch.testing.assert_close(both[[row]], alone, atol=1e-5, rtol=0)


@torch.no_grad()
def test_constant_cross_attention_is_cross_attention(pipe, inputs):
    _, token, _, cache = inputs
    names = [name for name in cache.rows if name.endswith("attn2")]
    assert len(names) == len(cache.rows) == len(cache.keys) > 0
    for name in names:
        attn = pipe.denoising_unet.get_submodule(name)
        hidden = torch.randn(2, 6, attn.to_q.in_features)
        real = AttnProcessor2_0()(attn, hidden, encoder_hidden_states=token)
        torch.testing.assert_close(cache.rows[name].expand_as(real), real, atol=1e-5, rtol=0)
        empty = AttnProcessor2_0()(attn, hidden, encoder_hidden_states=torch.zeros_like(token))
        torch.testing.assert_close(cache.null_rows[name].expand_as(empty), empty, atol=1e-5, rtol=0)


@torch.no_grad()
def test_cached_keys_are_those_of_the_joined_tokens(pipe, inputs):
    _, _, bank, cache = inputs
    for name, tokens in bank.items():
        attn = pipe.denoising_unet.get_submodule(name)
        hidden = torch.randn_like(tokens)
        real = AttnProcessor2_0()(attn, hidden, encoder_hidden_states=torch.cat([hidden, tokens], dim=1))
        torch.testing.assert_close(attn(hidden, reference=cache), real, atol=1e-5, rtol=0)


def test_projection_can_be_trained(pipe, inputs):
    _, token, bank, _ = inputs
    cache = project_reference(pipe.denoising_unet, bank, token)
    assert all(key.requires_grad for key in cache.keys.values())


def test_the_pose_feature_is_added_after_conv_in(pipe, inputs):
    sample = inputs[0]
    conv = pipe.denoising_unet.conv_in
    assert isinstance(conv, PoseConvIn)
    plain = torch.nn.functional.conv2d(sample[:, :4], conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(conv(sample), plain + sample[:, 4:])
    install_pose_input(pipe.denoising_unet)
    assert pipe.denoising_unet.conv_in is conv


def test_parameters_keep_their_stock_names(pipe):
    stock = UNet2DConditionModel.from_config(pipe.denoising_unet.config)
    names = list(stock.state_dict())
    install_reference_reader(stock)
    install_pose_input(stock)
    assert list(stock.state_dict()) == names == list(pipe.denoising_unet.state_dict())
    assert pipe.denoising_unet.config.in_channels == 4


def test_cache_moves_and_counts(inputs):
    cache = inputs[3]
    half = cache.to(dtype=torch.bfloat16)
    assert half.num_references == 2 and cache.select([1]).num_references == 1
    assert {x.dtype for x in [*half.keys.values(), *half.null_rows.values()]} == {torch.bfloat16}
