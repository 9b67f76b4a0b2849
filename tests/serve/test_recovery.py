# test_recovery.py - a start with --data removes nothing that it does not know, and takes nothing for good that is not
#
# SPDX-License-Identifier: BSD-3-Clause
import glob
import json
import os
import shutil
import subprocess
import unittest

import tensors
from service import Case, Service

ROWS = tensors.gauss(1, 30, 1, 4)


def files(folder):
    """All files below a folder, with what is in them; but the lock, which says who has it."""
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            if name != "lock":
                with open(os.path.join(path, name), "rb") as file:
                    found[os.path.relpath(os.path.join(path, name), folder)] = file.read()
    return found


class Recovery(Case):
    def start(self, ranks=1, *options, **how):
        s = Service(ranks, "--data", "FOLDER/data", *options, **how)
        self.addCleanup(s.__exit__)
        self.data = os.path.join(s.folder, "data")
        return s

    def path(self, *names):
        return os.path.join(self.data, *names)

    def make(self, s, appends=2):
        c = s.create(heads=1, dim=4)
        for _ in range(appends):
            self.assertEqual(s.append(c, k=ROWS, v=ROWS).status, 200)
        return c

    def put(self, *names, text=b"mine"):
        with open(self.path(*names), "wb") as file:
            file.write(text)

    def test_strangers_stay(self):
        """A manifest set aside, a user's files: all of it is there after a start, and is said to be."""
        s = self.start(2)
        gone, kept = self.make(s), self.make(s)
        s.stop()
        os.rename(self.path("contexts", gone + ".manifest"), self.path("contexts", gone + ".manifest.bad"))
        self.put("segments", "notes.safetensors")
        self.put("segments", "x.safetensors.bak")
        self.put("contexts", "c1.manifest.old")
        before = files(self.data)
        s.start()
        self.assertEqual([c["id"] for c in s.ask("GET", "/v1/contexts").json["contexts"]], [kept])
        self.assertEqual(files(self.data), before)
        for name in ("notes.safetensors", "x.safetensors.bak", gone + ".manifest.bad", gone + "-1-"):
            self.assertIn(name, s.said())
        s.stop()
        os.rename(self.path("contexts", gone + ".manifest.bad"), self.path("contexts", gone + ".manifest"))
        s.start()
        self.close_to(s.attend(gone, ROWS), ROWS, tensors.join(ROWS, ROWS), tensors.join(ROWS, ROWS))

    def test_a_start_that_refuses_changes_nothing(self):
        s = self.start()
        c, other = self.make(s), self.make(s)
        s.stop()
        manifest, torn = self.path("contexts", c + ".manifest"), self.path("contexts", other + ".manifest")
        with open(manifest, "rb") as file:
            good = file.read()
        with open(manifest, "wb") as file:
            file.write(good[:40] + b"?" + good[41:])
        with open(torn, "ab") as file:
            file.write(b'{"append"')
        self.put("segments", other + "-9-0123456789abcdef-0.safetensors")
        before = files(self.data)
        with self.assertRaisesRegex(RuntimeError, "line 1 is damaged"):
            s.start()
        self.assertEqual(files(self.data), before)
        with open(manifest, "wb") as file:
            file.write(good)
        s.start()
        after = files(self.data)
        self.assertNotIn("segments/" + other + "-9-0123456789abcdef-0.safetensors", after, "a torn append is left")
        self.assertEqual(len(after), len(before) - 1)
        with open(torn, "rb") as file:
            self.assertFalse(file.read().endswith(b'{"append"'))

    def test_a_complete_line_is_never_dropped(self):
        s = self.start()
        c = self.make(s)
        s.stop()
        manifest = self.path("contexts", c + ".manifest")
        with open(manifest, "rb") as file:
            good = file.read()
        last = good[:-1].rindex(b"\n") + 1
        with open(manifest, "wb") as file:  # the last line, acknowledged, with one character changed
            file.write(good[:last + 12] + b"?" + good[last + 13:])
        before = files(self.data)
        with self.assertRaisesRegex(RuntimeError, "line 3 is damaged"):
            s.start()
        self.assertEqual(files(self.data), before)

    def test_sums(self):
        """One bit of a segment, whichever, is found."""
        s = self.start(2)
        c = self.make(s, 1)
        s.stop()
        segment = sorted(glob.glob(self.path("segments", "*")))[1]
        with open(segment, "rb") as file:
            good = file.read()
        for at in (len(good) - 1, len(good) // 2):
            with open(segment, "wb") as file:
                file.write(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
            with self.assertRaisesRegex(RuntimeError, os.path.basename(segment) + ".*sum"):
                s.start()
        with open(segment, "wb") as file:
            file.write(good)
        s.start()
        self.close_to(s.attend(c, ROWS), ROWS, ROWS, ROWS)

    def test_folders(self):
        """A new one gets a version, that of another program is refused, and one of 0.1.0 is taken over."""
        s = self.start()
        c = self.make(s)
        s.stop()
        with open(self.path("version"), encoding="ascii") as file:
            self.assertEqual(file.read(), "precis data 2\n")
        other = os.path.join(s.folder, "other")
        os.mkdir(other)
        with open(os.path.join(other, "thesis.tex"), "w", encoding="ascii") as file:
            file.write("x")
        with self.assertRaisesRegex(RuntimeError, "not empty and no folder of precis serve"):
            Service(1, "--data", other)
        self.assertEqual(os.listdir(other), ["thesis.tex"])
        self.put("version", text=b"precis data 3\n")
        with self.assertRaisesRegex(RuntimeError, "is of version 3, and this program reads 2"):
            s.start()
        os.remove(self.path("version"))
        # As 0.1.0 wrote it: no number of a job in the names, no sums.
        manifest = self.path("contexts", c + ".manifest")
        lines = []
        with open(manifest, "rb") as file:
            for line in file:
                record = json.loads(line.split(b"\t")[0])
                for segment in record.get("append", {}).get("segments", []):
                    old = "-".join(p for i, p in enumerate(segment[0].split("-")) if i != 2)
                    os.rename(self.path("segments", segment[0] + ".safetensors"), self.path("segments", old + ".safetensors"))
                    segment[:] = [old, segment[1]]
                text = json.dumps(record, separators=(",", ":")).encode()
                total = 14695981039346656037
                for byte in text:
                    total = (total ^ byte) * 1099511628211 % 2**64
                lines.append(text + b"\t%016x\n" % total)
        with open(manifest, "wb") as file:
            file.write(b"".join(lines))
        s.start()
        self.close_to(s.attend(c, ROWS), ROWS, tensors.join(ROWS, ROWS), tensors.join(ROWS, ROWS))
        self.assertEqual(s.append(c, k=ROWS, v=ROWS).json["tokens"], 90)
        self.assertTrue(os.path.exists(self.path("version")))

    def test_no_job_writes_over_another(self):
        s = self.start()
        c = self.make(s, 1)
        names = os.listdir(self.path("segments"))
        s.stop()
        s.start()
        self.assertEqual(s.append(c, k=ROWS, v=ROWS).status, 200)
        new = set(os.listdir(self.path("segments"))) - set(names)
        self.assertNotEqual(names[0].split("-")[2], new.pop().split("-")[2], "two jobs give the same names")

    def test_folders_of_one_node_are_refused(self):
        for ranks in (2, 3):
            self.start()
            one, two = (os.path.join(self.path(), name) for name in ("one", "two"))
            os.mkdir(one)
            os.mkdir(two)
            wrap = ("sh", "-c", f'if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then cd {two}; else cd {one}; fi; exec "$@"', "sh")
            with self.assertRaisesRegex(RuntimeError, "rank 1 on .* does not see there what rank 0"):
                Service(ranks, "--data", "data", wrap=wrap)

    def test_deletes_that_fail(self):
        """500, and all of it is still there, also after a restart; then it goes, and so do its segments."""
        s = self.start(2)
        c = self.make(s)
        for away in ("contexts", "segments"):
            os.rename(self.path(away), self.path(away + ".away"))
            answer = s.ask("DELETE", f"/v1/contexts/{c}")
            self.assertEqual(answer.status, 500, answer.body)
            os.rename(self.path(away + ".away"), self.path(away))
            self.assertEqual(s.ask("GET", f"/v1/contexts/{c}").json["tokens"], 60)
            self.close_to(s.attend(c, ROWS), ROWS, tensors.join(ROWS, ROWS), tensors.join(ROWS, ROWS))
        self.assertEqual(len(os.listdir(self.path("segments"))), 4)
        s.stop()
        s.start()
        self.close_to(s.attend(c, ROWS), ROWS, tensors.join(ROWS, ROWS), tensors.join(ROWS, ROWS))
        self.assertEqual(s.ask("DELETE", f"/v1/contexts/{c}").status, 200)
        self.refused(s.ask("DELETE", f"/v1/contexts/{c}"), 404, "context")
        self.assertEqual(os.listdir(self.path("segments")) + os.listdir(self.path("contexts")), [])

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("chattr"), "needs root and chattr")
    def test_folders_that_cannot_be_changed(self):
        for name in ("contexts", "segments"):
            s = self.start(1)
            c = self.make(s)
            if subprocess.run(["chattr", "+i", self.path(name)], capture_output=True, check=False).returncode != 0:
                self.skipTest("this file system knows no chattr +i")
            try:
                self.assertEqual(s.ask("DELETE", f"/v1/contexts/{c}").status, 500)
                self.close_to(s.attend(c, ROWS), ROWS, tensors.join(ROWS, ROWS), tensors.join(ROWS, ROWS))
            finally:
                subprocess.run(["chattr", "-i", self.path(name)], check=True)
            self.assertEqual(len(os.listdir(self.path("segments"))), 2)
            self.assertEqual(s.ask("DELETE", f"/v1/contexts/{c}").status, 200)

    def test_a_delete_that_was_ended_in_the_middle(self):
        """Its segments go at the next start, but for those that a fork has."""
        s = self.start(1)
        c = self.make(s)
        child = s.ask("POST", f"/v1/contexts/{c}/fork").json["id"]
        self.assertEqual(s.append(c, k=ROWS, v=ROWS).status, 200)
        s.stop()
        os.rename(self.path("contexts", c + ".manifest"), self.path("contexts", c + ".deleted"))
        for _ in range(2):
            s.start()
            self.assertEqual([x["id"] for x in s.ask("GET", "/v1/contexts").json["contexts"]], [child])
            self.assertEqual(len(os.listdir(self.path("segments"))), 2)
            s.stop()
        s.start()
        self.assertEqual(s.ask("DELETE", f"/v1/contexts/{child}").status, 200)
        self.assertEqual(os.listdir(self.path("segments")) + os.listdir(self.path("contexts")), [])
