"""Names in configurations that stand for Python objects: which are honest, which have a capability.

A loader that imports what a dotted path says gives whoever writes the configuration any function of
any installed package. So a path is permitted if it leads to a class of a family that such paths
honestly name; a known capability is dangerous; everything else is unknown.
"""

import re

from modelsec.scanning.pickle.capabilities import capability

_DOTTED = re.compile(r"[A-Za-z_]\w*+(?>(?:\.[A-Za-z_]\w*+)+)", re.ASCII)
_CLASSES = (  # classes of layers, losses, optimisers, data modules; never functions
    "torch.nn.",
    "torch.optim.",
    "nemo.collections.",
    "nemo.core.",
    "pytorch_lightning.",
    "lightning.pytorch.",
    "sentence_transformers.",
    "transformers.models.",
    "transformers.activations.",
    "diffusers.models.",
    "diffusers.schedulers.",
)

LIBRARIES = frozenset({"diffusers", "transformers", "onnxruntime.training", "optimum.intel"})
"""Libraries that the parts of a pipeline are honestly taken from."""

PIPELINES = frozenset(
    {"allegro", "amused", "animatediff", "audioldm", "audioldm2", "aura_flow", "blip_diffusion"}
    | {"bria", "chroma", "cogvideo", "cogview3", "cogview4", "consisid", "controlnet", "cosmos"}
    | {"dance_diffusion", "ddim", "ddpm", "deepfloyd_if", "dit", "easyanimate", "flux"}
    | {"hidream_image", "hunyuan_video", "hunyuandit", "i2vgen_xl", "kandinsky", "kandinsky2_2"}
    | {"kandinsky3", "kandinsky5", "kolors", "latent_consistency_models", "latent_diffusion"}
    | {"latte", "ledits_pp", "ltx", "lumina", "lumina2", "marigold", "mochi", "musicldm"}
    | {"omnigen", "pag", "paint_by_example", "pia", "pixart_alpha", "pndm", "qwenimage", "repaint"}
    | {"sana", "score_sde_ve", "semantic_stable_diffusion", "shap_e", "skyreels_v2"}
    | {"spectrogram_diffusion", "stable_audio", "stable_cascade", "stable_diffusion"}
    | {"stable_diffusion_3", "stable_diffusion_attend_and_excite", "stable_diffusion_k_diffusion"}
    | {"stable_diffusion_safe", "stable_diffusion_xl", "stable_unclip", "stable_video_diffusion"}
    | {"text_to_video_synthesis", "unclip", "unidiffuser", "versatile_diffusion", "visualcloze"}
    | {"vq_diffusion", "wan", "wuerstchen", "z_image"}
)
"""Modules of ``diffusers.pipelines``: a part may be of the pipeline's own module."""


def is_dotted(value: object) -> bool:
    """Whether a value is a path of at least two identifiers."""
    return isinstance(value, str) and len(value) <= 500 and bool(_DOTTED.fullmatch(value))  # noqa: PLR2004 - no path is longer


def is_class(name: str) -> bool:
    """Whether a name is written as classes are; what a loader calls is then a constructor."""
    return name[:1].isupper() and name.isidentifier()


def is_honest(path: str) -> bool:
    """Whether a dotted path names a class of a family that configurations honestly name."""
    return path.startswith(_CLASSES) and is_class(path.rpartition(".")[2])


def power(path: str) -> str:
    """Return what importing and calling a dotted path is known to give, or ""."""
    module, _, name = path.rpartition(".")
    return capability(module, name) or capability(path, "")
