"""DecoupledAttention: keys and values of the cross-attention for the ornament's tokens alone.

Shape legend: B batch, N queries, P prompt tokens and L image tokens of D channels, C channels of a layer.
"""

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn


class DecoupledAttention(nn.Module):
    """The decoupled cross-attention of IP-Adapter (Ye et al., 2023, arXiv 2308.06721, equation 5).

    A layer adds up two attentions before its output projection: softmax(Q K^T) V to the prompt, and softmax(Q K'^T) V'
    to the image tokens. K' and V' are here, and begin as copies of K and V; Q and the output are the layer's.

    Args:
        unet: Its cross-attention layers give the widths and the starting weights; it is not changed.
        names: Names of these layers.
    """

    def __init__(self, unet: UNet2DConditionModel, names: list[str]) -> None:
        super().__init__()
        self.names = names
        self.to_k = nn.ModuleList(_copy(unet.get_submodule(name).to_k) for name in names)
        self.to_v = nn.ModuleList(_copy(unet.get_submodule(name).to_v) for name in names)

    def forward(self, name: str, attn: Attention, queries: Tensor, prompt: Tensor, image_tokens: Tensor) -> Tensor:
        """Attend with a layer.

        Args:
            name: Name of the layer.
            attn: The layer.
            queries: Its input, (B, N, C).
            prompt: (B, P, D).
            image_tokens: (B, L, D).

        Returns:
            (B, N, C).
        """
        number = self.names.index(name)
        query = attn.head_to_batch_dim(attn.to_q(queries), out_dim=4)
        told = _attend(attn, query, attn.to_k(prompt), attn.to_v(prompt))
        shown = _attend(attn, query, self.to_k[number](image_tokens), self.to_v[number](image_tokens))
        projected: Tensor = attn.to_out[0]((told + shown).transpose(1, 2).flatten(2).to(queries.dtype))
        return projected


def _attend(attn: Attention, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of queries, (B, heads, N, d), to keys and values, (B, M, C)."""
    key, value = (attn.head_to_batch_dim(each, out_dim=4) for each in (key, value))
    return F.scaled_dot_product_attention(query, key, value)


def _copy(projection: nn.Linear) -> nn.Linear:
    """A projection with the same weights and no bias."""
    copied = nn.Linear(projection.in_features, projection.out_features, bias=False).to(projection.weight)
    with torch.no_grad():
        copied.weight.copy_(projection.weight)
    return copied
