"""Models on disk: our own checkpoints, which stock transformers loads too, and those of others.

`load_checkpoint` takes any of them; the layouts stand in `llava_core.checkpoint.load`.
"""

from llava_core.checkpoint.bundle import LlavaBundle, build_bundle, connect
from llava_core.checkpoint.folder import save_checkpoint, verify_checkpoint
from llava_core.checkpoint.join import join_models
from llava_core.checkpoint.load import checkpoint_hash, load_checkpoint, read_seen_ids

__all__ = [
    "LlavaBundle",
    "build_bundle",
    "checkpoint_hash",
    "connect",
    "join_models",
    "load_checkpoint",
    "read_seen_ids",
    "save_checkpoint",
    "verify_checkpoint",
]
