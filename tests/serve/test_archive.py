# test_archive.py - precis data, and starts that leave damaged contexts out
#
# SPDX-License-Identifier: BSD-3-Clause
import os
import subprocess

import tensors
from service import Case, Service
from test_recovery import files

ROWS = tensors.gauss(1, 30, 1, 4)


class Archive(Case):
    def start(self, ranks=1, *options):
        s = Service(ranks, "--data", "FOLDER/data", *options)
        self.addCleanup(s.__exit__)
        self.data = os.path.join(s.folder, "data")
        return s

    def path(self, *names):
        return os.path.join(self.data, *names)

    def make(self, s, *pieces, **spec):
        c = s.create(heads=1, dim=4, **spec)
        for piece in pieces:
            self.assertEqual(s.append(c, k=piece, v=piece).status, 200)
        return c

    def damage(self, path, at=-1):
        with open(path, "r+b") as file:
            file.seek(at, os.SEEK_END)
            byte = file.read(1)
            file.seek(at, os.SEEK_END)
            file.write(bytes([byte[0] ^ 1]))

    def segment(self, c, sequence):
        return next(self.path("segments", n) for n in os.listdir(self.path("segments")) if n.startswith(f"{c}-{sequence}-"))

    def run_data(self, *words):
        return subprocess.run([os.environ["PRECIS"], "data", *words], capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL)

    def test_check(self):
        s = self.start()
        c, other = self.make(s, ROWS, ROWS), self.make(s, ROWS)
        child = s.ask("POST", f"/v1/contexts/{c}/fork").json["id"]
        served = self.run_data("check", self.data)
        self.assertEqual(served.returncode, 1)
        self.assertIn("a job serves it", served.stderr)
        s.stop()
        before = files(self.data)
        good = self.run_data("check", self.data)
        self.assertEqual((good.returncode, good.stderr), (0, ""))
        self.assertRegex(good.stdout, r"^3 contexts, 3 segments, \d+ bytes: 0 damaged\n$")
        self.assertEqual(files(self.data), before)
        segment, manifest = self.segment(c, 2), self.path("contexts", other + ".manifest")
        self.damage(segment)
        self.damage(manifest, -30)
        bad = self.run_data("check", self.data)
        self.assertEqual(bad.returncode, 2)
        self.assertIn("3 of 3 contexts are damaged", bad.stderr)
        for name in (c, child):
            self.assertRegex(bad.stdout, f"(?m)^context {name} is damaged: .*{os.path.basename(segment)}: .* sum")
        self.assertRegex(bad.stdout, f"(?m)^context {other} is damaged: .*{other}.manifest: .*line 2 is damaged")
        os.remove(segment)
        self.assertRegex(self.run_data("check", self.data).stdout, f"{os.path.basename(segment)}: cannot be read: No such")
        for nothing in ("/nowhere", s.folder):
            self.assertNotEqual(self.run_data("check", nothing).returncode, 0)
        self.assertEqual(self.run_data("look", self.data).returncode, 2)

    def test_export(self):
        """All of a context, in order, from whatever ranks it was appended on; a file that is there is not replaced."""
        s = self.start(3)
        k, v, bias = tensors.gauss(2, 50, 2, 3), tensors.gauss(3, 50, 2, 5), tensors.gauss(4, 50)
        c = s.create(heads=4, kv_heads=2, dim=3, value_dim=5)
        for at in range(0, 50, 10):
            more = {"bias": tensors.part(bias, at, at + 10)} if at >= 20 else {}
            s.append(c, k=tensors.part(k, at, at + 10), v=tensors.part(v, at, at + 10), **more)
        empty = s.create(heads=1, dim=4)
        s.stop()
        bias.values[:20] = tensors.gauss(0, 20, spread=0).values
        out = os.path.join(s.folder, "c.safetensors")
        done = self.run_data("export", self.data, "--context", c, "--out", out)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        with open(out, "rb") as file:
            got = tensors.read_safetensors(file.read())
        self.assertEqual({n: (t.shape, t.values) for n, t in got.items()},
                         {n: (t.shape, t.values) for n, t in (("k", k), ("v", v), ("bias", bias))})
        self.assertIn("exists", self.run_data("export", self.data, "--context", c, "--out", out).stderr)
        self.assertIn("there is no context", self.run_data("export", self.data, "--context", "c0", "--out", out + "2").stderr)
        self.assertIn("needs --context", self.run_data("export", self.data).stderr)
        self.assertEqual(self.run_data("export", self.data, "--context", empty, "--out", out + "3").returncode, 0)
        self.damage(self.segment(c, 3))
        bad = self.run_data("export", self.data, "--context", c, "--out", out + "4")
        self.assertEqual(bad.returncode, 2)
        self.assertIn("is damaged", bad.stderr)
        self.assertFalse(os.path.exists(out + "4"))

    def test_compact(self):
        s = self.start()
        s.stop()
        with open(self.path("contexts", "mine"), "w", encoding="ascii") as file:
            file.write("with it the service merges nothing")
        s.start()
        rows = tensors.gauss(5, 100, 1, 4)
        c = self.make(s, *(tensors.part(rows, i, i + 1) for i in range(100)))
        s.stop()
        self.assertEqual(len(os.listdir(self.path("segments"))), 100)
        refused = self.run_data("compact", self.data)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("not known", refused.stderr)
        os.remove(self.path("contexts", "mine"))
        done = self.run_data("compact", self.data)
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, "", "1 segments, 100 before\n"))
        self.assertEqual(len(os.listdir(self.path("segments"))), 1)
        s.start()
        self.close_to(s.attend(c, rows), rows, rows, rows)

    def test_skip_damaged(self):
        """One with a damaged segment, one with a damaged manifest, a fork of it: the others are served, and nothing is lost."""
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                s = self.start(ranks)
                one, two, three = (self.make(s, ROWS, ROWS) for _ in range(3))
                child = s.ask("POST", f"/v1/contexts/{two}/fork").json["id"]
                s.append(child, k=ROWS, v=ROWS)
                s.stop()
                segment, manifest = self.segment(one, 2), self.path("contexts", child + ".manifest")
                self.damage(segment)
                self.damage(manifest, -30)
                with self.assertRaisesRegex(RuntimeError, "damaged"):
                    s.start()
                s.options.append("--skip-damaged")
                s.start()
                found = s.ask("GET", "/v1/contexts").json
                self.assertEqual(sorted(c["id"] for c in found["contexts"]), sorted([two, three]))
                said = {d["id"]: d["error"] for d in found["damaged"]}
                self.assertIn(os.path.basename(segment), said.pop(one))
                self.assertIn(child + ".manifest", said.pop(child))
                self.assertEqual(said, {})
                for lost in (one, child):
                    self.assertIn("left out: ", s.said())
                    self.refused(s.attend(lost, ROWS), 404, "context", "damaged")
                both = tensors.join(ROWS, ROWS)
                self.close_to(s.attend(three, ROWS), ROWS, both, both)
                self.assertEqual(s.append(three, k=ROWS, v=ROWS).status, 200)
                self.assertEqual(s.ask("DELETE", f"/v1/contexts/{two}").status, 200)
                s.stop()
                s.start()
                s.stop()
                self.damage(segment)  # once more: as it was
                self.damage(manifest, -30)
                s.options.remove("--skip-damaged")
                s.start()
                found = s.ask("GET", "/v1/contexts").json
                self.assertEqual(sorted(c["id"] for c in found["contexts"]), sorted([one, three, child]))
                self.assertEqual(found["damaged"], [])
                self.close_to(s.attend(one, ROWS), ROWS, both, both)
                three_times = tensors.join(ROWS, both)
                self.close_to(s.attend(child, ROWS), ROWS, three_times, three_times)
                for c in (one, three, child):
                    s.ask("DELETE", f"/v1/contexts/{c}")
                self.assertEqual(os.listdir(self.path("segments")), [])
