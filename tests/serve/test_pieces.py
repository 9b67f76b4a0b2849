# test_pieces.py - long attends are done in pieces: others have their turn, and promises are those of the whole
#
# SPDX-License-Identifier: BSD-3-Clause
import json
import math
import os
import statistics
import threading
import time

import tensors
from service import RANKS, SANITIZED, Case, Service, wait_until

SMALL = {"PRECIS_PIECE_ROWS": "1"}  # pieces of one row
MACHINE = ("--machine", os.environ["PRECIS_TEST_MACHINE"])
PATIENCE = 10 if SANITIZED else 1
HEADS, DIM = 4, 64


def big(seed, tokens):
    """Normal numbers, of which a block comes again."""
    block = tensors.gauss(seed, 1 << 10, HEADS, DIM)
    return tensors.Tensor((tokens, HEADS, DIM), block.values * (tokens >> 10))


class Pieces(Case):
    def test_results(self):
        """Every piece sees the same keys, wherever its rows stand."""
        k, v, q = tensors.gauss(1, 60, 2, 5), tensors.gauss(2, 60, 2, 5), tensors.gauss(3, 21, 4, 5)
        bias = tensors.Tensor((60,), [-math.inf] * 30 + [0.1 * i for i in range(30)])
        for ranks in RANKS[:3]:
            with self.subTest(ranks=ranks), Service(ranks, env=SMALL) as s, Service(ranks) as whole:
                for causal, first in ((False, None), (True, None), (True, 20), (True, 45)):
                    reports = []
                    for job in (s, whole):
                        c = job.create(heads=4, kv_heads=2, dim=5, causal=causal)
                        job.append(c, k=k, v=v, bias=bias)
                        answer = job.attend(c, q, "?first_position=%d" % first if first is not None else "")
                        self.close_to(answer, q, k, v, causal=causal, bias=bias, first_position=first)
                        reports.append(answer.report)
                        # The mean query is the context's from then on.
                        answer = job.attend(c, tensors.part(q, 0, 7))
                        reports.append(answer.report)
                    self.assertEqual([r["pieces"] for r in reports], [21, 7, 1, 1])
                    for mine, other in zip(reports[:2], reports[2:]):
                        self.assertEqual(mine["queries"], other["queries"])
                        for name in ("mean_signal", "trivial_error"):
                            self.assertAlmostEqual(mine[name], other[name], delta=1e-3 * other[name], msg=name)
                        self.assertLessEqual(mine["outputs_rms"], mine["outputs"])
                        self.assertLess(mine["outputs"], 1e-3)
                    # More rows than there are tokens begin before the first.
                    c = s.create(heads=4, kv_heads=2, dim=5, causal=causal)
                    few = {name: tensors.part(t, 0, 9) for name, t in (("k", k), ("v", v))}
                    s.append(c, **few)
                    self.close_to(s.attend(c, q), q, few["k"], few["v"], causal=causal)

    def test_promise(self):
        """Rows that come first are worth most: what they relied on is not there in the end, and they are answered again."""
        tol, n = 0.02, 6000
        k, v = tensors.gauss(1, n, 1, 3), tensors.gauss(2, n, 1, 3)
        q = tensors.join(tensors.gauss(3, 40, 1, 3), tensors.gauss(4, 100, 1, 3, spread=0.05))
        for ranks in RANKS[:2]:
            with self.subTest(ranks=ranks), Service(ranks, *MACHINE, env=SMALL) as s:
                c = s.create(heads=1, dim=3, tol=tol)
                s.append(c, k=k, v=v)
                answer = s.attend(c, q, "?bounds=1")
                self.assertEqual(answer.status, 200, answer.body)
                report = answer.report
                self.assertLessEqual(report["promise"], tol)
                self.assertGreater(report["pieces"], q.shape[0])
                mean = tensors.Tensor((1, 1, 3), [sum(q.values[c::3]) / q.shape[0] for c in range(3)])
                m = tensors.attention(mean, k, v)[0].values
                columns = [v.values[c::3] for c in range(3)]
                deviation = [statistics.pstdev(x) for x in columns]
                out, bounds = answer.tensors["out"].values, answer.tensors["bounds"].values
                want = tensors.attention(q, k, v)[0].values

                def distance(a, b):
                    return math.sqrt(sum(((x - y) / d) ** 2 for x, y, d in zip(a, b, deviation)))
                rows = [slice(3 * i, 3 * i + 3) for i in range(q.shape[0])]
                mean_signal = statistics.mean(distance(want[r], m) for r in rows)
                self.assertLess(report["mean_signal"], mean_signal)
                for i, r in enumerate(rows):
                    self.assertLessEqual(distance(out[r], want[r]), 1.01 * bounds[i] + 1e-6)
                    self.assertLessEqual(bounds[i], 1.01 * tol * max(mean_signal, distance(want[r], m)))

    def long_one(self, s, rows=3 << 10, **headers):
        """A context, and a thread whose attend takes some seconds there."""
        c = s.create(heads=HEADS, dim=DIM)
        s.append(c, k=big(1, 16 << 10), v=big(2, 16 << 10))
        body, found = tensors.safetensors(q=big(3, rows)), []

        def attend():
            begin = time.monotonic()
            found.append(s.ask("POST", f"/v1/contexts/{c}/attend", body, **headers))
            found.append(time.monotonic() - begin)
        thread = threading.Thread(target=attend)
        thread.start()
        wait_until(lambda: s.ask("GET", "/v1/status").json["attending"] > 0)
        return c, thread, found

    def test_others_go_on(self):
        for ranks in RANKS[:2]:
            with self.subTest(ranks=ranks), Service(ranks, "--threads", "1") as s:
                other = s.create(heads=2, dim=4)
                s.append(other, k=tensors.gauss(1, 50, 2, 4), v=tensors.gauss(2, 50, 2, 4))
                c, thread, found = self.long_one(s)
                waits, one, small = [], tensors.gauss(5, 1, HEADS, DIM), tensors.gauss(6, 1, 2, 4)
                while thread.is_alive():
                    for context, q in ((c, one), (other, small)):
                        begin = time.monotonic()
                        self.assertEqual(s.attend(context, q).status, 200)
                        waits.append(time.monotonic() - begin)
                thread.join()
                self.assertEqual(found[0].status, 200, found[0].body[:200])
                self.assertGreater(found[0].report["pieces"], 2)
                print(f"{ranks} ranks: one query beside an attend of {found[1]:.1f} s in {found[0].report['pieces']} pieces: "
                      f"{1e3 * statistics.median(waits):.0f} ms, at most {1e3 * max(waits):.0f} ms")
                begin = time.monotonic()
                s.attend(c, one)
                alone = time.monotonic() - begin
                # A busy machine takes its time for anything.
                self.assertLess(statistics.median(waits), 0.3 * PATIENCE + 4 * alone)
                self.assertLess(statistics.median(waits), found[1] / 4)

    def test_gone(self):
        """Nobody waits for it, and nothing is done for it any more; what changes the context has waited for it."""
        with Service(2, "--threads", "1") as s:
            c = s.create(heads=HEADS, dim=DIM)
            s.append(c, k=big(1, 16 << 10), v=big(2, 16 << 10))
            body = tensors.safetensors(q=big(3, 24 << 10))
            link = s.connect()
            link.request("POST", f"/v1/contexts/{c}/attend", body, headers=s.headers())
            wait_until(lambda: s.ask("GET", "/v1/status").json["attending"] > 0)
            link.close()
            begin = time.monotonic()
            wait_until(lambda: s.ask("GET", "/v1/status").json["attending"] == 0, 20 * PATIENCE)
            self.assertLess(time.monotonic() - begin, 1.5 * PATIENCE)
            self.assertEqual(s.append(c, k=big(1, 1 << 10), v=big(2, 1 << 10)).json["tokens"], 17 << 10)
            self.assertIn("499", s.said())

    def test_timeout(self):
        with Service(2, "--threads", "1") as s:
            more = tensors.safetensors(k=big(1, 1 << 10), v=big(2, 1 << 10))
            c, thread, found = self.long_one(s, 24 << 10, Precis_Timeout="4")
            begin = time.monotonic()
            late = s.ask("POST", f"/v1/contexts/{c}/append", more, Precis_Timeout="0.4")
            self.refused(late, 504, "Precis-Timeout", "was over")
            self.assertLess(time.monotonic() - begin, 1 * PATIENCE)
            thread.join()
            self.refused(found[0], 504, "Precis-Timeout", "was over")
            self.assertLess(found[1], 5.5 * PATIENCE)
            self.assertEqual(s.ask("GET", f"/v1/contexts/{c}").json["tokens"], 16 << 10)
            for bad in ("0", "-1", "soon", "nan", "1e9", "1 s"):
                self.refused(s.ask("GET", "/v1/contexts", Precis_Timeout=bad), 400, "Precis-Timeout", "number of seconds")
            self.assertEqual(s.ask("GET", "/v1/contexts", Precis_Timeout="2.5").status, 200)
            self.assertEqual(json.loads(s.ask("GET", "/v1/status").body)["queued"], 0)
