# tensors.py - arrays as flat lists, .safetensors and .npy, and attention in double precision
#
# SPDX-License-Identifier: BSD-3-Clause
import array
import json
import math
import random
import struct


class Tensor:
    """Float32 values in C order."""

    def __init__(self, shape, values):
        self.shape = tuple(shape)
        self.values = values if isinstance(values, array.array) else array.array("f", values)

    @property
    def bytes(self):
        return self.values.tobytes()


def gauss(seed, *shape, spread=1.0):
    rng = random.Random(seed)
    return Tensor(shape, [rng.gauss(0, spread) for _ in range(math.prod(shape))])


def part(tensor, first, end):
    row = math.prod(tensor.shape[1:])
    return Tensor((end - first,) + tensor.shape[1:], tensor.values[first * row:end * row])


def join(*tensors):
    values = array.array("f")
    for t in tensors:
        values += t.values
    return Tensor((sum(t.shape[0] for t in tensors),) + tensors[0].shape[1:], values)


def safetensors(**tensors):
    head, at = {}, 0
    for name, t in tensors.items():
        head[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + len(t.bytes)]}
        at += len(t.bytes)
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(t.bytes for t in tensors.values())


def read_safetensors(data):
    (length,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8:8 + length])
    found = {}
    for name, entry in head.items():
        begin, end = entry["data_offsets"]
        values = array.array("f")
        values.frombytes(data[8 + length + begin:8 + length + end])
        assert math.prod(entry["shape"]) == len(values)
        found[name] = Tensor(entry["shape"], values)
    return found


def npy(tensor):
    shape = "(" + ", ".join(map(str, tensor.shape)) + ("," if len(tensor.shape) == 1 else "") + ")"
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (63 - (len(text) + 10) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + tensor.bytes


def read_npy(data):
    (length,) = struct.unpack("<H", data[8:10])
    head = eval(data[10:10 + length], {}, {})  # of a service under test
    values = array.array("f")
    values.frombytes(data[10 + length:])
    return Tensor(head["shape"], values)


def attention(q, k, v, causal=False, bias=None, first_position=None, scale=None):
    """out and lse, by the definition."""
    n_q, heads, dim = q.shape
    n_k, kv_heads, value_dim = k.shape[0], v.shape[1], v.shape[2]
    scale = scale or 1 / math.sqrt(dim)
    first = n_k - n_q if first_position is None else first_position
    out, lse = [], []
    for i in range(n_q):
        for h in range(heads):
            g = h // (heads // kv_heads)
            qi = q.values[(i * heads + h) * dim:(i * heads + h + 1) * dim]
            scores = []
            for j in range(min(n_k, first + i + 1) if causal else n_k):
                kj = k.values[(j * kv_heads + g) * dim:(j * kv_heads + g + 1) * dim]
                scores.append(scale * sum(a * b for a, b in zip(qi, kj)) + (bias.values[j] if bias else 0))
            most = max(scores, default=-math.inf)
            if most == -math.inf:
                out += [0.0] * value_dim
                lse.append(-math.inf)
                continue
            weights = [math.exp(x - most) for x in scores]
            total = sum(weights)
            lse.append(most + math.log(total))
            for c in range(value_dim):
                out.append(sum(w * v.values[(j * kv_heads + g) * value_dim + c]
                               for j, w in enumerate(weights)) / total)
    return Tensor((n_q, heads, value_dim), out), Tensor((n_q, heads), lse)


def difference(a, b):
    assert a.shape == b.shape, (a.shape, b.shape)
    return max((abs(x - y) for x, y in zip(a.values, b.values) if x != y), default=0.0)
