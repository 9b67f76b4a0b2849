# test_decode.py - one query after the other on a long context: answered from its summary, however long it is
#
# SPDX-License-Identifier: BSD-3-Clause
#
# PRECIS_DECODE_TOKENS=1000000 takes the context of the claim in README (64 MB for each of two contexts and sizes).
import array
import os
import random
import time

import tensors
from service import Case, Service

DIM, TOL = 32, 0.01
HEADS = int(os.environ.get("PRECIS_DECODE_HEADS", 1))


def long_gauss(seed, tokens):
    """Normal numbers, of which blocks come again: Python takes its time for a million of them."""
    rng = random.Random(seed)
    block = array.array("f", [rng.gauss(0, 1) for _ in range(1 << 17)])
    values = array.array("f")
    while len(values) < tokens * HEADS * DIM:
        cut = rng.randrange(1 << 17)
        values += block[cut:] + block[:cut]
    return tensors.Tensor((tokens, HEADS, DIM), values[:tokens * HEADS * DIM])


class Decode(Case):
    def seconds(self, s, context, count):
        """The median time of an attend with one query, and the last answer."""
        times, link = [], s.connect()
        for i in range(count):
            begin = time.monotonic()
            answer = s.ask("POST", f"/v1/contexts/{context}/attend",
                           tensors.safetensors(q=tensors.gauss(i, 1, HEADS, DIM, spread=0.12)), connection=link)
            times.append(time.monotonic() - begin)
        link.close()
        return sorted(times[count // 2:])[count // 4], answer

    def test_decode(self):
        most = int(os.environ.get("PRECIS_DECODE_TOKENS", 300000))
        found = {}
        with Service(1, "--threads", "1") as s:
            for tokens in (most // 10, most):
                k, v = long_gauss(1, tokens), long_gauss(2, tokens)
                near, exact = s.create(heads=HEADS, dim=DIM, tol=TOL, tol_of="range"), s.create(heads=HEADS, dim=DIM)
                for c in (near, exact):
                    self.assertEqual(s.append(c, k=k, v=v).json["tokens"], tokens)
                found[tokens] = self.seconds(s, near, 40)[0], self.seconds(s, exact, 8)[0]
                answer = self.seconds(s, near, 4)[1]
                self.assertEqual(answer.report["move"], "summaries", answer.report)
                self.assertLess(answer.report["promise"], TOL)
        for tokens, (near, exact) in found.items():
            print(f"one query on {tokens} tokens, {HEADS} heads: {1e3 * near:.2f} ms, exact {1e3 * exact:.1f} ms, {exact / near:.0f} times")
        # What is printed above is the measurement; here it need only be plain that the context is not read again.
        self.assertGreater(found[most][1], 2 * found[most][0])
        self.assertLess(found[most][0], 3 * found[most // 10][0] + 0.02)
