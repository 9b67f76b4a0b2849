# test_fork.py - a fork is a snapshot that goes its own way, shares memory and disk, and outlives its parent
#
# SPDX-License-Identifier: BSD-3-Clause
import glob
import os

import tensors
from service import RANKS, Case, Service


class Fork(Case):
    def bytes(self, s):
        return sum(s.metric(f'precis_rank_bytes{{rank="{r}"}}') for r in range(s.ranks))

    def fork(self, s, c):
        answer = s.ask("POST", f"/v1/contexts/{c}/fork")
        self.assertEqual(answer.status, 201, answer.body)
        self.assertEqual(answer.json["parent"], c)
        return answer.json["id"]

    def test_both_go_on(self):
        for ranks in RANKS[:4]:
            with self.subTest(ranks=ranks), Service(ranks) as s:
                k, v, q = tensors.gauss(1, 90, 2, 5), tensors.gauss(2, 90, 2, 5), tensors.gauss(3, 4, 2, 5)
                c = s.create(heads=2, dim=5, causal=True)
                old = tensors.part(k, 0, 40), tensors.part(v, 0, 40)
                one = tensors.part(k, 40, 70), tensors.part(v, 40, 70)
                two = tensors.part(k, 70, 90), tensors.part(v, 70, 90)
                s.append(c, k=old[0], v=old[1])
                s.attend(c, q)
                child = self.fork(s, c)
                self.close_to(s.attend(child, q), q, *old, causal=True)
                s.append(child, k=one[0], v=one[1])
                s.append(c, k=two[0], v=two[1])
                grandchild = self.fork(s, child)
                s.append(grandchild, k=two[0], v=two[1])
                first, second = (tensors.join(a, b) for a, b in zip(old, one)), (tensors.join(a, b) for a, b in zip(old, two))
                self.close_to(s.attend(child, q), q, *first, causal=True)
                self.close_to(s.attend(c, q), q, *second, causal=True)
                s.ask("DELETE", f"/v1/contexts/{c}")
                s.ask("DELETE", f"/v1/contexts/{child}")
                third = (tensors.join(a, b, d) for a, b, d in zip(old, one, two))
                self.close_to(s.attend(grandchild, q), q, *third, causal=True)
                self.refused(s.ask("POST", f"/v1/contexts/{c}/fork"), 404, "context")

    def test_summaries_are_inherited(self):
        """A fork's first answer is from its parent's summary, which it shares until it gets keys of its own."""
        for ranks in [r for r in (1, 3) if r in RANKS]:
            with self.subTest(ranks=ranks), Service(ranks) as s:
                k, q = tensors.gauss(1, 20000, 1, 16), [tensors.gauss(i, 1, 1, 16, spread=0.12) for i in range(60)]
                c = s.create(heads=1, dim=16, tol=0.01, tol_of="range", move="summaries")
                s.append(c, k=k, v=k)
                for one in q[:3]:
                    want = s.attend(c, one)
                self.assertTrue(want.report["kept"], want.report)
                exact = s.create(heads=1, dim=16)
                s.append(exact, k=k, v=k)
                before = self.bytes(s)
                self.fork(s, exact)
                without = self.bytes(s)
                child = self.fork(s, c)
                self.assertEqual(self.bytes(s) - without, without - before, "the summary is there twice")
                answer = s.attend(child, q[2])
                self.assertTrue(answer.report["kept"], answer.report)
                self.assertEqual(answer.tensors["out"].values, want.tensors["out"].values)
                s.append(child, k=tensors.part(k, 0, 500), v=tensors.part(k, 0, 500))
                self.assertTrue(s.attend(child, q[3]).report["kept"])
                again = s.attend(c, q[2])
                self.assertEqual(again.tensors["out"].values, want.tensors["out"].values)

    def test_what_is_shared_is_there_once(self):
        with Service(2, "--data", "FOLDER/data") as s:
            k = tensors.gauss(1, 20000, 1, 16)
            q = tensors.gauss(2, 1, 1, 16)
            few = tensors.part(k, 0, 10)
            c = s.create(heads=1, dim=16)
            s.append(c, k=k, v=k)
            alone = self.bytes(s)
            self.assertGreater(alone, 20000 * 16 * 2 * 4)
            children = [self.fork(s, c) for _ in range(5)]
            for child in children:
                s.append(child, k=few, v=few)
            self.assertLess(self.bytes(s), 2 * alone)
            segments = os.path.join(s.folder, "data", "segments", "*")
            self.assertLess(sum(map(os.path.getsize, glob.glob(segments))), 1.2 * 20000 * 16 * 2 * 4)
            s.ask("DELETE", f"/v1/contexts/{c}")
            want = [s.attend(child, q).tensors["out"] for child in children]
            before = self.bytes(s)
            for ranks in (3, 2):
                self.assertEqual(s.stop(), 0)
                s.ranks = ranks
                s.start()
                self.assertEqual([x["tokens"] for x in s.ask("GET", "/v1/contexts").json["contexts"]], [20010] * 5)
                for child, out in zip(children, want):
                    self.assertLess(tensors.difference(s.attend(child, q).tensors["out"], out), 1e-5)
            self.assertLess(self.bytes(s), 1.3 * before, "a restart has copied what was shared")
            for child in children:
                s.ask("DELETE", f"/v1/contexts/{child}")
            self.assertEqual(glob.glob(segments), [])
            self.assertEqual(self.bytes(s), 0)
