#!/usr/bin/env python3
# ask.py - a client of "precis serve" that needs NumPy and Python's standard library: ask.py [URL [TOKEN-FILE [CA-FILE]]]
#
# SPDX-License-Identifier: BSD-3-Clause
#
# Run as it is, it makes a context of random keys and values, asks, and compares with NumPy. Copy Service into your own program.
import http.client
import json
import socket
import ssl
import struct
import sys
import time
import urllib.parse
import uuid

import numpy as np


def to_safetensors(**arrays):
    """Arrays as the bytes of a .safetensors file, float32."""
    head, data, at = {}, [], 0
    for name, array in arrays.items():
        data.append(np.ascontiguousarray(array, "<f4").tobytes())
        head[name] = {"dtype": "F32", "shape": list(np.shape(array)), "data_offsets": [at, at + len(data[-1])]}
        at += len(data[-1])
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(data)


def from_safetensors(body):
    """Arrays of a .safetensors file of float32."""
    length, = struct.unpack("<Q", body[:8])
    head = json.loads(body[8:8 + length])
    return {name: np.frombuffer(body[8 + length:][slice(*e["data_offsets"])], "<f4").reshape(e["shape"])
            for name, e in head.items() if name != "__metadata__"}


class UnixConnection(http.client.HTTPConnection):
    """A connection to a socket file."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Service:
    """A service at http://HOST:PORT, https://HOST[:PORT][/PREFIX] or unix:PATH; one thread at a time.

    timeout: seconds that it may be silent. cafile: for https, who may vouch for it (default: as the system has it)."""

    def __init__(self, url, token="", timeout=600, cafile=None):
        where = urllib.parse.urlsplit(url)
        self.prefix = where.path.rstrip("/")
        if where.scheme == "unix":
            self.prefix, self.link = "", UnixConnection(url.removeprefix("unix:"), timeout)
        elif where.scheme == "https":
            context = ssl.create_default_context(cafile=cafile)
            self.link = http.client.HTTPSConnection(where.hostname, where.port, timeout=timeout, context=context)
        else:
            self.link = http.client.HTTPConnection(where.hostname, where.port, timeout=timeout)
        self.headers = {"Authorization": "Bearer " + token} if token else {}

    def ask(self, method, path, body=None, key=None):
        """What changes something has a key, so that it can be sent again where nobody knows whether it was done."""
        headers = {**self.headers, **({"Idempotency-Key": key} if key else {})}
        for turn in range(100):
            try:
                self.link.request(method, self.prefix + "/v1/contexts" + path, body, headers)
                answer = self.link.getresponse()
                data = answer.read()
            except TimeoutError:
                self.link.close()
                raise
            except (ConnectionError, http.client.HTTPException):
                self.link.close()  # the next request connects again
                if turn > 0:
                    raise
                continue
            if answer.status == 409 and turn > 0:  # the first one is still under way
                time.sleep(0.1)
                continue
            break
        if answer.status >= 300:
            error = json.loads(data)["error"]
            raise RuntimeError(f"{answer.status}: {error['field']}: {error['message']}")
        return answer, data

    def create(self, **spec):
        """A new context (heads, dim, and perhaps kv_heads, value_dim, causal, scale, tol, tol_of, name); returns its id."""
        return json.loads(self.ask("POST", "", json.dumps(spec), key=uuid.uuid4().hex)[1])["id"]

    def append(self, context, k, v, bias=None, key=None):
        """k (tokens, kv_heads, dim), v (tokens, kv_heads, value_dim); returns how many tokens there are then."""
        arrays = {"k": k, "v": v} if bias is None else {"k": k, "v": v, "bias": bias}
        key = key or uuid.uuid4().hex
        return json.loads(self.ask("POST", f"/{context}/append", to_safetensors(**arrays), key=key)[1])["tokens"]

    def attend(self, context, q):
        """q (queries, heads, dim); returns out (queries, heads, value_dim), lse and bounds (queries, heads), and the certificate.

        bounds: of |out - truth|, all columns together, each in units of the standard deviation of its values."""
        answer, data = self.ask("POST", f"/{context}/attend?bounds=1", to_safetensors(q=q))
        arrays = from_safetensors(data)
        return arrays["out"], arrays["lse"], arrays["bounds"], json.loads(answer.headers["Precis-Report"])

    def fork(self, context):
        return json.loads(self.ask("POST", f"/{context}/fork", key=uuid.uuid4().hex)[1])["id"]

    def delete(self, context):
        self.ask("DELETE", f"/{context}")


def main():
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8470"
    with open(sys.argv[2] if len(sys.argv) > 2 else "precis.token", encoding="ascii") as file:
        service = Service(url, file.read().split()[0], cafile=sys.argv[3] if len(sys.argv) > 3 else None)
    rng = np.random.default_rng(1)
    k, v, q = (rng.standard_normal(shape, np.float32) for shape in ((5000, 2, 32), (5000, 2, 32), (3, 2, 32)))
    context = service.create(heads=2, dim=32, tol=0.01, name="ask.py")
    service.append(context, k[:4000], v[:4000])
    print("tokens", service.append(context, k[4000:], v[4000:], key="rest"))
    out, _, bounds, report = service.attend(context, q)
    scores = np.einsum("qhd,khd->hqk", q.astype(float), k) / np.sqrt(32)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    want = np.einsum("hqk,khd->qhd", weights / weights.sum(-1, keepdims=True), v)
    error = np.sqrt((((out - want) / v.astype(float).std(0)) ** 2).sum(-1))
    print(f"{report['move']}, promised {report['promise']:.2g} of {report['unit']}; rows are off by {error.max():.2g} deviations of the "
          f"values, with bounds of {bounds.min():.2g} to {bounds.max():.2g}, and differ by {report['mean_signal']:.2g}")
    service.delete(context)
    return 0 if (error <= bounds).all() else 1


if __name__ == "__main__":
    sys.exit(main())
