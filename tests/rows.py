#!/usr/bin/env python3
"""rows.py - judges every row of a run by what the tolerance means

rows.py scale FROM TO A B      writes a .safetensors file again, with row i of n of its queries times A (B / A)^(i / n)
rows.py judge IN EXACT OUT BOUNDS TOL [causal]
    IN .safetensors, the others .npy: results of an exact run, of the run to judge, and its bounds. Each row must be within its own
    bound, and its bound within TOL max(R, |true - m|): all by its definition in precis.h, from the exact results. Of Python alone.
"""
import array
import ast
import json
import math
import struct
import sys

ROUNDING = 2e-5  # of exact results in float32, in deviations of the values, beside bounds of 1e-4 and more


def floats(data):
    values = array.array("f")
    values.frombytes(data)
    return values


def tensors(path):
    with open(path, "rb") as file:
        raw = file.read()
    (length,) = struct.unpack("<Q", raw[:8])
    head = json.loads(raw[8:8 + length])
    found = {}
    for name, entry in head.items():
        first, end = entry["data_offsets"]
        found[name] = (entry["shape"], floats(raw[8 + length + first:8 + length + end]))
    return raw, 8 + length, head, found


def npy(path):
    with open(path, "rb") as file:
        raw = file.read()
    (length,) = struct.unpack("<H", raw[8:10])
    return ast.literal_eval(raw[10:10 + length].decode())["shape"], floats(raw[10 + length:])


def scale(source, to, first, last):
    raw, begin, head, found = tensors(source)
    (rows, heads, dim), q = found["q"]
    width = heads * dim
    for i in range(rows):
        factor = first * (last / first) ** (i / rows)
        for c in range(i * width, (i + 1) * width):
            q[c] *= factor
    start, end = head["q"]["data_offsets"]
    with open(to, "wb") as file:
        file.write(raw[:begin + start] + q.tobytes() + raw[begin + end:])


def deviations(v, keys, kv_heads, g, dv):
    found = []
    for c in range(dv):
        column = [v[(j * kv_heads + g) * dv + c] for j in range(keys)]
        mean = math.fsum(column) / keys
        found.append(math.sqrt(math.fsum((x - mean) ** 2 for x in column) / keys))
    return found


def distance(a, b, sigma):
    return math.sqrt(sum(((x - y) / s) ** 2 for x, y, s in zip(a, b, sigma) if s > 0))


def means(q, k, v, h, causal):
    """What the mean query of head h gets from the keys that each row sees."""
    (rows, heads, dim), q = q
    (keys, kv_heads, _), k = k
    dv, v = v[0][2], v[1]
    g = h // (heads // kv_heads)
    mean = [math.fsum(q[(i * heads + h) * dim + c] for i in range(rows)) / rows / math.sqrt(dim) for c in range(dim)]
    total, sums, prefixes = 0.0, [0.0] * dv, []
    for j in range(keys):
        at = (j * kv_heads + g) * dim
        weight = math.exp(sum(x * y for x, y in zip(mean, k[at:at + dim])))
        total += weight
        at = (j * kv_heads + g) * dv
        for c in range(dv):
            sums[c] += weight * v[at + c]
        prefixes.append([x / total for x in sums] if causal else None)
    return prefixes[keys - rows:] if causal else [[x / total for x in sums]] * rows


def judge(source, exact, out, bounds, tol, causal):
    found = tensors(source)[3]
    (rows, heads, dv), true = npy(exact)
    (keys, kv_heads, _), _ = found["k"]
    (_, got), (_, bound) = npy(out), npy(bounds)
    worst = [0.0, 0.0]
    for h in range(heads):
        sigma = deviations(found["v"][1], keys, kv_heads, h // (heads // kv_heads), dv)
        rowwise = [(true[(i * heads + h) * dv:(i * heads + h + 1) * dv], got[(i * heads + h) * dv:(i * heads + h + 1) * dv])
                   for i in range(rows)]
        away = [distance(t, m, sigma) for (t, _), m in zip(rowwise, means(found["q"], found["k"], found["v"], h, causal))]
        mean = math.fsum(away) / rows
        for i in range(rows):
            error, proved = distance(*rowwise[i], sigma), bound[i * heads + h]
            if not error <= proved + ROUNDING:
                sys.exit(f"rows.py: row {i}, head {h}: the error is {error}, the bound {proved}")
            if not proved <= tol * (max(mean, away[i]) + ROUNDING):
                sys.exit(f"rows.py: row {i}, head {h}: the bound is {proved}, with R = {mean} and {away[i]} from the mean query's")
            worst = [max(worst[0], error / proved), max(worst[1], proved / max(mean, away[i]))]
    print(f"rows.py: {rows * heads} rows, errors within {worst[0]:.2g} of their bounds, these within {worst[1]:.3g} of the unit")


if __name__ == "__main__":
    if sys.argv[1] == "scale":
        scale(sys.argv[2], sys.argv[3], float(sys.argv[4]), float(sys.argv[5]))
    else:
        judge(*sys.argv[2:6], float(sys.argv[6]), len(sys.argv) > 7)
