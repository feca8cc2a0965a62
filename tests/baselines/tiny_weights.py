"""Tiny random weights of every contestant, in the layout of the lock file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

PARITY = Path(__file__).parents[1] / "data" / "parity"


OFFICIAL_NAMES = {
    ".pos_embed.pe": ".attention_blocks.0.pos_encoder.pe",
    ".attn1.": ".attention_blocks.0.",
    ".attn2.": ".attention_blocks.1.",
    ".norm1.": ".norms.0.",
    ".norm2.": ".norms.1.",
    ".norm3.": ".ff_norm.",
}


def write_animate_anyone(folder: Path) -> Path:
    """The checkpoint of the parity tests, with random temporal layers."""
    from diffusers import UNet2DConditionModel, UNetMotionModel

    shutil.copytree(PARITY, folder, ignore=shutil.ignore_patterns("*.npz"))
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(folder / "base" / "unet"))
        model = UNetMotionModel.from_unet2d(unet, load_weights=False)
    settings = folder / "base" / "unet" / "config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "sample_size": 8}))
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, tensor in model.state_dict().items():
        block, mark, rest = name.partition(".motion_modules.")
        if mark:
            number, _, inner = rest.partition(".")
            inner = f".{inner}"
            for current, official in OFFICIAL_NAMES.items():
                inner = inner.replace(current, official)
            drawn = torch.randn(tensor.shape, generator=generator) * 0.1
            state[f"{block}{mark}{number}.temporal_transformer{inner}"] = drawn
    torch.save(state, folder / "motion_module.pth")
    return folder


def write_stable_diffusion(root: Path) -> Path:
    """Random parts of `controlnet-ip` and `animatediff`: pictures of 32 pixels, latents of 16."""
    from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, MotionAdapter, UNet2DConditionModel
    from transformers import (
        CLIPTextConfig,
        CLIPTextModel,
        CLIPVisionConfig,
        CLIPVisionModelWithProjection,
    )

    torch.manual_seed(0)
    blocks = {
        "block_out_channels": (8, 8),
        "layers_per_block": 1,
        "norm_num_groups": 2,
        "cross_attention_dim": 8,
        "attention_head_dim": 2,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    }
    unet = UNet2DConditionModel(sample_size=16, up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **blocks)
    controlnet = ControlNetModel(conditioning_embedding_out_channels=(8, 8), **blocks)
    for parameter in controlnet.parameters():  # a fresh one adds nothing
        torch.nn.init.normal_(parameter, std=0.2)
    vae = AutoencoderKL(
        block_out_channels=[8, 8],
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        latent_channels=4,
        norm_num_groups=2,
    )
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
            hidden_size=8,
            intermediate_size=16,
            num_attention_heads=2,
            num_hidden_layers=1,
            vocab_size=8,
        )
    )
    image_encoder = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=8,
            intermediate_size=16,
            projection_dim=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=16,
        )
    )
    adapter = MotionAdapter(
        block_out_channels=(8, 8),
        motion_layers_per_block=1,
        motion_norm_num_groups=2,
        motion_num_attention_heads=2,
    )
    for name, model in (("unet", unet), ("vae", vae), ("text_encoder", text_encoder)):
        model.save_pretrained(root / "sd15" / name)
    DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1
    ).save_pretrained(root / "sd15" / "scheduler")
    write_tokenizer(root / "sd15" / "tokenizer")
    controlnet.save_pretrained(root / "controlnet-openpose")
    adapter.save_pretrained(root / "animatediff-adapter")
    image_encoder.save_pretrained(root / "ip-adapter" / "image_encoder")
    write_ip_adapter(root / "ip-adapter" / "ip-adapter-plus_sd15.safetensors", unet)
    return root


def write_tokenizer(folder: Path) -> None:
    """A CLIP tokenizer that knows no word."""
    folder.mkdir(parents=True)
    words = ["<|startoftext|>", "<|endoftext|>", "a", "b", "a</w>", "b</w>", "ab</w>", "!"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\na b</w>\n")
    tokens = {"bos_token": words[0], "eos_token": words[1], "unk_token": words[1], "pad_token": words[1]}
    (folder / "special_tokens_map.json").write_text(json.dumps(tokens))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**tokens, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"})
    )


def write_ip_adapter(path: Path, unet: torch.nn.Module) -> None:
    """A random IP-Adapter Plus with the official names of its weights."""
    from safetensors.torch import save_file

    width, tokens, encoder, depth = 64, 4, 8, 4
    shapes = {
        "latents": (1, tokens, width),
        "proj_in.weight": (width, encoder),
        "proj_in.bias": (width,),
        "proj_out.weight": (8, width),
        "proj_out.bias": (8,),
        "norm_out.weight": (8,),
        "norm_out.bias": (8,),
    }
    for layer in range(depth):
        shapes |= {
            f"layers.{layer}.0.norm1.weight": (width,),
            f"layers.{layer}.0.norm1.bias": (width,),
            f"layers.{layer}.0.norm2.weight": (width,),
            f"layers.{layer}.0.norm2.bias": (width,),
            f"layers.{layer}.0.to_q.weight": (width, width),
            f"layers.{layer}.0.to_kv.weight": (2 * width, width),
            f"layers.{layer}.0.to_out.weight": (width, width),
            f"layers.{layer}.1.0.weight": (width,),
            f"layers.{layer}.1.0.bias": (width,),
            f"layers.{layer}.1.1.weight": (4 * width, width),
            f"layers.{layer}.1.3.weight": (width, 4 * width),
        }
    state = {f"image_proj.{name}": torch.randn(shape) * 0.2 for name, shape in shapes.items()}
    names = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    processors = {name: 2 * number + 1 for number, name in enumerate(names)}
    for number in processors.values():
        for part in ("to_k_ip", "to_v_ip"):
            state[f"ip_adapter.{number}.{part}.weight"] = torch.randn(8, 8) * 0.5
    save_file(state, path)


def write_wan_animate(folder: Path) -> Path:
    """A random `WanAnimatePipeline` for frames of 16 pixels and more."""
    from diffusers import (
        AutoencoderKLWan,
        UniPCMultistepScheduler,
        WanAnimatePipeline,
        WanAnimateTransformer3DModel,
    )
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        CLIPVisionModel,
        T5TokenizerFast,
        UMT5Config,
        UMT5EncoderModel,
    )

    torch.manual_seed(0)
    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("a", -1.0)]
    pipeline = WanAnimatePipeline(
        tokenizer=T5TokenizerFast(vocab=words, extra_ids=0),
        text_encoder=UMT5EncoderModel(
            UMT5Config(vocab_size=8, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
        ),
        vae=AutoencoderKLWan(
            base_dim=3,
            z_dim=16,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
        ),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        image_processor=CLIPImageProcessor(size={"shortest_edge": 4}, crop_size={"height": 4, "width": 4}),
        image_encoder=CLIPVisionModel(
            CLIPVisionConfig(
                hidden_size=4,
                projection_dim=4,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=4,
                intermediate_size=16,
                patch_size=1,
            )
        ),
        transformer=WanAnimateTransformer3DModel(
            patch_size=(1, 2, 2),
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=36,
            latent_channels=16,
            out_channels=16,
            text_dim=16,
            freq_dim=256,
            ffn_dim=32,
            num_layers=2,
            image_dim=4,
            rope_max_seq_len=32,
            motion_encoder_channel_sizes={"4": 16, "8": 16, "16": 16},
            motion_encoder_size=16,
            motion_style_dim=8,
            motion_dim=4,
            motion_encoder_dim=16,
            face_encoder_hidden_dim=16,
            face_encoder_num_heads=2,
            inject_face_latents_blocks=2,
        ),
    )
    pipeline.save_pretrained(folder)
    return folder
