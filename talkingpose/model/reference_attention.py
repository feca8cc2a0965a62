"""Attention to the portrait: the processors of both UNets and the cache they read.

The reference UNet writes the input of every `attn1` into a bank. The denoising UNet attends to the keys and
values of the bank, projected by its own `to_k` and `to_v`, next to those of its own tokens. Cross-attention
sees one token, so its softmax is 1 and its output is one row per layer, the same for every query. Bank, keys,
values and rows are constant for a video: `ReferenceCache` holds them and is passed through
`cross_attention_kwargs`; no module changes during a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch.nn import functional as F


@dataclass(frozen=True)
class ReferenceCache:
    """Everything that the frames of a video need of the portrait; n portraits side by side.

    Attributes:
        keys: per `attn1`, by its name in the UNet, (n, tokens, channels).
        values: the same for the values.
        rows: per `attn2`, its output for the CLIP token, (n, 1, channels).
        null_rows: per `attn2`, its output for a token of zeros, (1, 1, channels).
        latents: of the portraits, scaled, float32 (n, C, h, w); None in training.
    """

    keys: dict[str, torch.Tensor]
    values: dict[str, torch.Tensor]
    rows: dict[str, torch.Tensor]
    null_rows: dict[str, torch.Tensor]
    latents: torch.Tensor | None = None

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> ReferenceCache:
        """Return the cache on another device or in another floating point type."""

        def moved(part: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {name: tensor.to(device=device, dtype=dtype) for name, tensor in part.items()}

        latents = None if self.latents is None else self.latents.to(device=device)
        parts = (moved(part) for part in (self.keys, self.values, self.rows, self.null_rows))
        keys, values, rows, null_rows = parts
        return ReferenceCache(keys, values, rows, null_rows, latents)

    def select(self, portraits: Sequence[int] | torch.Tensor) -> ReferenceCache:
        """Return the cache of the portraits at these positions, in this order; a tensor is int64."""
        device = next(iter(self.rows.values())).device
        chosen = torch.as_tensor(portraits, dtype=torch.long, device=device)
        latents = None if self.latents is None else self.latents[chosen]
        keys, values, rows = (
            {name: tensor.index_select(0, chosen) for name, tensor in part.items()}
            for part in (self.keys, self.values, self.rows)
        )
        return ReferenceCache(keys, values, rows, self.null_rows, latents)

    @property
    def num_references(self) -> int:
        """Number of portraits."""
        return len(next(iter(self.rows.values())))


class ReferenceWriter(AttnProcessor2_0):
    """Stock attention of the reference UNet that stores the input of self-attention in `bank[name]`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *,
        bank: dict[str, torch.Tensor],
    ) -> torch.Tensor:
        """Attend as diffusers does; hidden_states (n, tokens, channels)."""
        if encoder_hidden_states is None:
            bank[self.name] = hidden_states
        output: torch.Tensor = super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask)
        return output


class ReferenceReader:
    """Self-attention of the denoising UNet over its own tokens and those of n portraits.

    The last n rows attend to the portraits; the rows before are the unconditional half and attend to their
    own tokens only.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *,
        reference: ReferenceCache,
    ) -> torch.Tensor:
        """Attend; hidden_states (rows, tokens, channels), rows >= portraits of `reference`."""
        query, key, value = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)
        alone = len(hidden_states) - reference.num_references
        parts = []
        if alone > 0:
            parts.append(_attend(attn.heads, query[:alone], key[:alone], value[:alone]))
        if alone < len(hidden_states):
            joint_key = torch.cat([key[alone:], reference.keys[self.name]], dim=1)
            joint_value = torch.cat([value[alone:], reference.values[self.name]], dim=1)
            parts.append(_attend(attn.heads, query[alone:], joint_key, joint_value))
        output: torch.Tensor = attn.to_out[0](torch.cat(parts))
        return output


class SingleTokenAttention:
    """Cross-attention to one token: the cached row for every query. Unconditional rows come first."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *,
        reference: ReferenceCache,
    ) -> torch.Tensor:
        """Return (rows, 1, channels), to be added to hidden_states (rows, tokens, channels)."""
        alone = len(hidden_states) - reference.num_references
        null_rows = reference.null_rows[self.name].expand(alone, -1, -1)
        return torch.cat([null_rows, reference.rows[self.name]])


def install_reference_writer(unet: UNet2DConditionModel) -> None:
    """Give every attention of the reference UNet a `ReferenceWriter`."""
    unet.set_attn_processor(
        {key: ReferenceWriter(key.removesuffix(".processor")) for key in unet.attn_processors}
    )


def install_reference_reader(unet: UNet2DConditionModel) -> None:
    """Give the denoising UNet a `ReferenceReader` per `attn1` and a `SingleTokenAttention` per `attn2`."""
    processors: dict[str, ReferenceReader | SingleTokenAttention] = {}
    for key in unet.attn_processors:
        name = key.removesuffix(".processor")
        processors[key] = ReferenceReader(name) if name.endswith(".attn1") else SingleTokenAttention(name)
    unet.set_attn_processor(processors)


def write_bank(
    unet: UNet2DConditionModel, latents: torch.Tensor, token: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Run the reference UNet once, at timestep 0, and return the input of every `attn1` by its name.

    Args:
        unet: the reference UNet with `install_reference_writer`.
        latents: of the portraits, scaled, (n, channels, h, w).
        token: their CLIP embeddings, (n, 1, dim).
    """
    bank: dict[str, torch.Tensor] = {}
    timestep = torch.zeros((), dtype=torch.long, device=latents.device)
    unet(latents, timestep, encoder_hidden_states=token, cross_attention_kwargs={"bank": bank})
    return bank


def project_reference(
    unet: UNet2DConditionModel, bank: Mapping[str, torch.Tensor], token: torch.Tensor
) -> ReferenceCache:
    """Project bank and CLIP token with the denoising UNet's own weights. Differentiable.

    Args:
        unet: the denoising UNet.
        bank: from `write_bank` of a UNet with the same blocks, each (n, tokens, channels).
        token: CLIP embeddings, (n, 1, dim).
    """
    keys, values, rows, null_rows = {}, {}, {}, {}
    for name, attn in _attentions(unet):
        # With CPU offload the weights are on the GPU only while the UNet runs, the bank is there already.
        device = attn.to_k.weight.device
        if name.endswith(".attn1"):
            tokens = bank[name].to(device)
            keys[name], values[name] = attn.to_k(tokens), attn.to_v(tokens)
        else:
            row = token.to(device)
            rows[name] = attn.to_out[0](attn.to_v(row))
            null_rows[name] = attn.to_out[0](attn.to_v(torch.zeros_like(row[:1])))
    return ReferenceCache(keys, values, rows, null_rows)


def _attentions(unet: UNet2DConditionModel) -> Iterator[tuple[str, Attention]]:
    for key in unet.attn_processors:
        name = key.removesuffix(".processor")
        yield name, unet.get_submodule(name)


def _attend(heads: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    query, key, value = (torch.unflatten(x, -1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
