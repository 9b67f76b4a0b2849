# test_unit.py - what tolerances and promises are measured in: asked for, reported, and the same after forks and restarts
#
# SPDX-License-Identifier: BSD-3-Clause
import json
import math
import signal
import subprocess
import os
import time

import tensors
from service import RANKS, Case, Service

HEADS, DIM, TOKENS = 2, 6, 300


def near(a, b):
    """But for what is proved of the results, which R is lessened by, and which depends on the number of ranks."""
    return abs(a - b) <= 1e-3 * max(abs(a), abs(b))


class Unit(Case):
    def values(self):
        return tensors.gauss(1, TOKENS, HEADS, DIM), tensors.gauss(2, TOKENS, HEADS, DIM)

    def errors(self, answer, q, k, v):
        """|result - truth| of each row and head, in deviations of the columns of values."""
        want, got = tensors.attention(q, k, v)[0].values, answer.tensors["out"].values
        rows, found = q.shape[0], []
        for i in range(rows):
            for h in range(HEADS):
                square = 0.0
                for c in range(DIM):
                    column = [v.values[(j * HEADS + h) * DIM + c] for j in range(TOKENS)]
                    mean = sum(column) / TOKENS
                    deviation = math.sqrt(sum((x - mean) ** 2 for x in column) / TOKENS)
                    at = (i * HEADS + h) * DIM + c
                    square += ((want[at] - got[at]) / deviation) ** 2
                found.append(math.sqrt(square))
        return found

    def test_units(self):
        k, v = self.values()
        q = tensors.gauss(3, 40, HEADS, DIM, spread=0.2)
        for ranks in RANKS[:3]:
            with self.subTest(ranks=ranks), Service(ranks) as s:
                reports = {}
                for unit in ("outputs", "range", "lse"):
                    c = s.create(heads=HEADS, dim=DIM, tol=1e-2, tol_of=unit)
                    self.assertEqual(s.ask("GET", f"/v1/contexts/{c}").json["tol_of"], unit)
                    s.append(c, k=k, v=v)
                    report = reports[unit] = s.attend(c, q).report
                    self.assertEqual(report["unit"], unit)
                    self.assertEqual(report["promise"], report[unit])
                    self.assertLessEqual(report["promise"], 1e-2)
                    self.assertLessEqual(report["outputs_rms"], report["outputs"])
                    self.assertGreater(report["mean_signal"], 0)
                    self.assertEqual(report["constant_heads"], 0)
                self.assertLess(reports["outputs"]["range"], reports["outputs"]["outputs"])
                c = s.create(heads=HEADS, dim=DIM, tol=1e-2)
                self.assertEqual(s.ask("GET", f"/v1/contexts/{c}").json["tol_of"], "outputs")
                for bad in ("signal", 1, None):
                    self.refused(s.ask("POST", "/v1/contexts", json.dumps({"heads": 1, "dim": 1, "tol_of": bad})), 400, "tol_of",
                                 "must be one of outputs|range|lse")

    def test_constant(self):
        """Where results do not change with queries nothing is said in units of how they change."""
        with Service(2) as s:
            c = s.create(heads=1, dim=2, tol=1e-2)
            v = tensors.Tensor((9, 1, 2), tensors.gauss(1, 1, 1, 2).values * 9)
            s.append(c, k=tensors.gauss(2, 9, 1, 2), v=v)
            report = s.attend(c, tensors.gauss(3, 5, 1, 2)).report
            self.assertEqual(report["constant_heads"], 1)
            for name in ("outputs", "outputs_rms", "mean_signal", "trivial_error"):
                self.assertIsNone(report[name])

    def test_bounds(self):
        k, v = self.values()
        q = tensors.gauss(3, 20, HEADS, DIM, spread=0.2)
        for ranks in RANKS[:3]:
            with self.subTest(ranks=ranks), Service(ranks) as s:
                for move in ("tiles", "summaries"):
                    c = s.create(heads=HEADS, dim=DIM, tol=1e-1, move=move)
                    s.append(c, k=k, v=v)
                    answer = s.attend(c, q, "?bounds=1")
                    self.assertEqual(answer.report["move"], move)
                    bounds = answer.tensors["bounds"]
                    self.assertEqual(tuple(bounds.shape), (20, HEADS))
                    for error, bound in zip(self.errors(answer, q, k, v), bounds.values):
                        self.assertLessEqual(error, bound + 1e-7)
                        self.assertLess(bound, 1)
                    self.assertNotIn("bounds", s.attend(c, q).tensors)
                    self.assertNotIn("bounds", s.attend(c, q, "?bounds=0").tensors)
                self.refused(s.attend(c, q, "?bounds=2"), 400, "bounds", "must be 0 or 1")
                self.refused(s.attend(c, q, "?bounds=1", Accept="application/x-npy"), 400, "bounds", ".npy")

    def signal_of(self, s, c, seed, spread):
        return s.attend(c, tensors.gauss(seed, 30, HEADS, DIM, spread=spread)).report["mean_signal"]

    def test_forks(self):
        """A fork goes on with the mean query and R of its parent, which a new context has to find."""
        k, v = self.values()
        with Service(2) as s:
            c, other = s.create(heads=HEADS, dim=DIM), s.create(heads=HEADS, dim=DIM)
            for context in (c, other):
                s.append(context, k=k, v=v)
            self.signal_of(s, c, 3, 1.0)
            child = s.ask("POST", f"/v1/contexts/{c}/fork").json["id"]
            first, second = self.signal_of(s, c, 4, 0.1), self.signal_of(s, child, 4, 0.1)
            self.assertEqual(first, second)
            self.assertGreater(first, 2 * self.signal_of(s, other, 4, 0.1))

    def test_restarts(self):
        """A job that ends leaves R of all rows; one that is killed the mean query of the first, and R of most rows."""
        k, v = self.values()
        with Service(2, "--data", "FOLDER/data") as s, Service(1) as plain:
            contexts = [s.create(heads=HEADS, dim=DIM, tol_of="range"), plain.create(heads=HEADS, dim=DIM, tol_of="range")]
            for service, c in zip((s, plain), contexts):
                service.append(c, k=k, v=v)
            found = [[self.signal_of(x, c, seed, spread) for seed, spread in ((3, 1.0), (4, 0.1))]
                     for x, c in zip((s, plain), contexts)]
            for a, b in zip(*found):
                self.assertTrue(near(a, b))
            for ranks in (3, 1):
                self.assertEqual(s.stop(), 0)
                s.ranks = ranks
                s.start()
                self.assertEqual(s.ask("GET", f"/v1/contexts/{contexts[0]}").json["tol_of"], "range")
                a, b = (self.signal_of(x, c, 5, 0.2) for x, c in zip((s, plain), contexts))
                self.assertTrue(near(a, b), (a, b))
            child = s.ask("POST", f"/v1/contexts/{contexts[0]}/fork").json["id"]
            late = s.create(heads=HEADS, dim=DIM)
            s.append(late, k=k, v=v)
            lone = self.signal_of(s, late, 6, 1.0)
            os.kill(s.pid, signal.SIGKILL)
            s.job.wait(60)
            s.stop()
            time.sleep(0.1)
            s.start()
            a, b = (self.signal_of(x, c, 7, 0.2) for x, c in zip((s, plain), (child, contexts[1])))
            self.assertTrue(near(a, b), (a, b))
            after = self.signal_of(s, late, 8, 0.001)
            self.assertTrue(0.4 * lone < after < 0.7 * lone, (lone, after))

    def test_remote(self):
        with Service(1) as s:
            done = subprocess.run([os.environ["PRECIS"], "remote", "create", "--heads", "1", "--dim", "2", "--tol", "0.1", "--tol-of", "range",
                                   "--url", s.url, "--token-file", os.path.join(s.folder, "token")], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=60, check=False,
                                  env={**os.environ, "OMPI_MCA_ess_singleton_isolated": "1"})
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["tol_of"], "range")
