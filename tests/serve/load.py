#!/usr/bin/env python3
# load.py - many clients at once, some of which break off or talk nonsense: load.py [SECONDS [CLIENTS [RANKS]]]
#
# SPDX-License-Identifier: BSD-3-Clause
#
# Each answer is compared with NumPy in double precision. Prints latencies, what went wrong, and the memory of the ranks over time.
# Needs NumPy; PRECIS names the program, MPIEXEC the launcher. Not part of "make check": takes ten minutes by default.
import http.client
import multiprocessing
import os
import socket
import sys
import threading
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "jobs", "client"))
import ask as client

HEADS, DIM, TOL = 2, 16, 0.01
PROCESSES = 4


def reference(q, k, v):
    scores = np.einsum("qhd,khd->hqk", q.astype(float), k) / np.sqrt(q.shape[2])
    most = scores.max(-1, keepdims=True)
    weights = np.exp(scores - most)
    total = weights.sum(-1, keepdims=True)
    return np.einsum("hqk,khd->qhd", weights / total, v), (most + np.log(total))[..., 0].T


class Client(threading.Thread):
    """Appends and attends to a context of its own and to one that all share."""

    def __init__(self, number, url, token, until, shared):
        super().__init__()
        self.rng = np.random.default_rng(number)
        self.url, self.token, self.until, self.shared = url, token, until, shared
        self.service = client.Service(url, token)
        self.seconds = {"append": [], "attend": []}
        self.wrong, self.refused, self.broken_off, self.nonsense = [], 0, 0, 0
        self.context = None

    def gauss(self, *shape, spread=1.0):
        return self.rng.standard_normal(shape, np.float32) * np.float32(spread)

    def timed(self, what, *arguments):
        begin = time.monotonic()
        result = getattr(self.service, what)(*arguments)
        self.seconds[what].append(time.monotonic() - begin)
        return result

    def append(self):
        rows = int(self.rng.choice([1, 1, 1, 20, 300]))
        k, v = self.gauss(rows, HEADS, DIM), self.gauss(rows, HEADS, DIM)
        tokens = self.timed("append", self.context, k, v)
        self.k, self.v = np.concatenate([self.k, k]), np.concatenate([self.v, v])
        if tokens != len(self.k):
            self.wrong.append(f"{tokens} tokens where {len(self.k)} were appended")

    def attend(self, context, k, v):
        q = self.gauss(int(self.rng.integers(1, 5)), HEADS, DIM, spread=0.2)
        out, lse, report = self.timed("attend", context, q)
        want, want_lse = reference(q, k, v)
        # The last term is for one token, whose values have no range.
        allowed = min(report["promise"] * 1.0001, TOL) * np.ptp(v, axis=0) + 1e-6 * np.abs(v).max()
        if not (np.abs(out - want) <= allowed).all() or report["tokens"] != len(k):
            self.wrong.append(f"off by {np.abs(out - want).max()}, promised {report}")
        if not np.abs(lse - want_lse).max() <= report["lse_promise"] + 1e-4:
            self.wrong.append(f"lse off by {np.abs(lse - want_lse).max()}, promised {report}")

    def break_off(self):
        body = client.to_safetensors(k=self.gauss(500, HEADS, DIM), v=self.gauss(500, HEADS, DIM))
        host, port = self.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as link:
            link.sendall(f"POST /v1/contexts/{self.context}/append HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
                         f"Authorization: Bearer {self.token}\r\n\r\n".encode())
            link.sendall(body[:int(self.rng.integers(0, len(body)))])
        self.broken_off += 1

    def talk_nonsense(self):
        host, port = self.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as link:
            try:
                link.sendall(bytes(self.rng.integers(0, 256, int(self.rng.integers(1, 3000)), np.uint8)) + b"\r\n\r\n")
                link.recv(100)
            except OSError:
                pass
        try:
            self.service.ask("POST", f"/{self.context}/append", bytes(self.rng.integers(0, 256, 500, np.uint8)))
            self.wrong.append("nonsense was taken")
        except RuntimeError:
            pass
        self.nonsense += 1

    def renew(self):
        if self.context is not None:
            self.service.delete(self.context)
        self.context = self.service.create(heads=HEADS, dim=DIM, tol=TOL)
        self.k = self.v = np.zeros((0, HEADS, DIM), np.float32)
        self.append()

    def turn(self):
        dice = self.rng.random()
        if len(self.k) > 4000:
            self.renew()
        elif dice < 0.4:
            self.append()
        elif dice < 0.7:
            self.attend(self.context, self.k, self.v)
        elif dice < 0.94:
            self.attend(*self.shared)
        elif dice < 0.97:
            self.break_off()
        else:
            self.talk_nonsense()

    def run(self):
        self.renew()
        while time.monotonic() < self.until:
            try:
                self.turn()
            except (RuntimeError, OSError, http.client.HTTPException) as e:
                if "503" in str(e):
                    self.refused += 1
                    continue
                self.wrong.append(repr(e))
                self.service = client.Service(self.url, self.token)


def shared_rows():
    rng = np.random.default_rng(99)
    return [rng.standard_normal((5000, HEADS, DIM), np.float32) for _ in range(2)]


def crowd(process, clients, url, token, until, context, results):
    shared = (context, *shared_rows())
    threads = [Client(1000 * process + i, url, token, until, shared) for i in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    results.put({"append": sum((t.seconds["append"] for t in threads), []),
                 "attend": sum((t.seconds["attend"] for t in threads), []),
                 "wrong": sum((t.wrong for t in threads), []), "refused": sum(t.refused for t in threads),
                 "broken_off": sum(t.broken_off for t in threads), "nonsense": sum(t.nonsense for t in threads)})


def memory(pids):
    """Bytes of the ranks' own memory, shared parts included."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            total += int(next(line for line in file if line.startswith("VmRSS")).split()[1]) * 1024
    return total


def main():
    os.environ.setdefault("PRECIS", "precis")
    from service import Service
    from test_data import ranks_of
    seconds, clients, ranks = (int(x) for x in (sys.argv[1:] + ["600", "64", "2"][len(sys.argv) - 1:]))
    with Service(ranks, "--threads", "1", "--connections", "256") as s:
        easy = client.Service(s.url, s.token)
        context = easy.create(heads=HEADS, dim=DIM, tol=TOL)
        easy.append(context, *shared_rows())
        until, results = time.monotonic() + seconds, multiprocessing.Queue()
        crowds = [multiprocessing.Process(target=crowd, args=(p, clients // PROCESSES, s.url, s.token, until, context, results))
                  for p in range(PROCESSES)]
        for c in crowds:
            c.start()
        samples = []
        while time.monotonic() < until:
            time.sleep(max(1, seconds / 30))
            samples.append(memory(ranks_of(s)))
        all_results = [results.get() for _ in crowds]
        for c in crowds:
            c.join()
        for c in s.ask("GET", "/v1/contexts").json["contexts"]:
            s.ask("DELETE", "/v1/contexts/" + c["id"])
        held = [s.metric(f'precis_rank_bytes{{rank="{r}"}}') for r in range(ranks)]
        final = memory(ranks_of(s))
        status = s.stop()
    wrong = sum((r["wrong"] for r in all_results), [])
    for what in ("append", "attend"):
        times = sorted(sum((r[what] for r in all_results), []))
        print(f"{what}: {len(times)} requests, p50 {1e3 * times[len(times) // 2]:.1f} ms, "
              f"p99 {1e3 * times[len(times) * 99 // 100]:.1f} ms, longest {1e3 * times[-1]:.0f} ms")
    print(", ".join(f"{sum(r[x] for r in all_results)} {x.replace('_', ' ')}" for x in ("broken_off", "nonsense", "refused")))
    print("memory of the ranks, MB:", " ".join(f"{x / 1e6:.0f}" for x in samples), f"and {final / 1e6:.0f} without contexts")
    print(f"{len(wrong)} wrong, exit status {status}, {held} bytes held by no context")
    print("\n".join(wrong[:10]))
    return 1 if wrong or status or any(held) else 0


if __name__ == "__main__":
    sys.exit(main())
