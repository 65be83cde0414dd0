"""Writes a small llama of random weights as GGUF: real tensors for llama.cpp, noise for answers."""

import argparse
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType

EMBEDDING, FEED_FORWARD, LAYERS, HEADS, CONTEXT = 256, 768, 4, 4, 2048
BYTES = 256


def write(path: Path, seed: int) -> None:
    """Write a model of 3.5 million parameters; one seed, one file."""
    random = np.random.default_rng(seed)
    out = GGUFWriter(path, "llama")
    out.add_name("noise")
    out.add_context_length(CONTEXT)
    out.add_embedding_length(EMBEDDING)
    out.add_feed_forward_length(FEED_FORWARD)
    out.add_block_count(LAYERS)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(EMBEDDING // HEADS)
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(BYTES))]
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    out.add_tokenizer_model("llama")
    out.add_token_list(tokens)
    out.add_token_scores([0.0] * len(tokens))
    out.add_token_types([*kinds, *[TokenType.BYTE] * BYTES])
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)

    def matrix(name: str, rows: int, columns: int) -> None:
        values = random.standard_normal((rows, columns), np.float32) / np.sqrt(columns)
        out.add_tensor(f"{name}.weight", values.astype(np.float32))

    def ones(name: str) -> None:
        out.add_tensor(f"{name}.weight", np.ones(EMBEDDING, np.float32))

    matrix("token_embd", len(tokens), EMBEDDING)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        ones(f"{block}.attn_norm")
        for part in ("q", "k", "v", "output"):
            matrix(f"{block}.attn_{part}", EMBEDDING, EMBEDDING)
        ones(f"{block}.ffn_norm")
        matrix(f"{block}.ffn_gate", FEED_FORWARD, EMBEDDING)
        matrix(f"{block}.ffn_up", FEED_FORWARD, EMBEDDING)
        matrix(f"{block}.ffn_down", EMBEDDING, FEED_FORWARD)
    ones("output_norm")
    matrix("output", len(tokens), EMBEDDING)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    write(asked.path, asked.seed)
