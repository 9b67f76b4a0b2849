# test_client.py - the clients: precis remote, the library's, and the example in Python
#
# SPDX-License-Identifier: BSD-3-Clause
import json
import os
import subprocess
import unittest

import tensors
from service import Case, Service

HERE = os.path.dirname(os.path.abspath(__file__))
ASKER = os.path.join(os.path.dirname(os.environ["PRECIS"]), "tests", "asker")
PYTHON = next((p for p in ("python3", "/usr/bin/python3")
               if subprocess.run([p, "-c", "import numpy"], capture_output=True, check=False).returncode == 0), None)


class Remote(Case):
    def run_remote(self, *arguments):
        return subprocess.run([os.environ["PRECIS"], "remote", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60, check=False, env={**os.environ, "OMPI_MCA_ess_singleton_isolated": "1"})

    def works(self, s, *arguments):
        done = self.run_remote(*arguments, "--url", s.url, "--token-file", os.path.join(s.folder, "token"))
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def fails(self, status, words, *arguments):
        done = self.run_remote(*arguments)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertEqual(done.stderr.count("precis: "), 1)

    def test_remote(self):
        for listen in ("127.0.0.1:0", "unix:FOLDER/socket"):
            with Service(2, listen=listen) as s:
                k, v, q = tensors.gauss(1, 30, 1, 4), tensors.gauss(2, 30, 1, 3), tensors.gauss(3, 5, 2, 4)
                source, target = os.path.join(s.folder, "in.safetensors"), os.path.join(s.folder, "out.safetensors")
                with open(source, "wb") as file:
                    file.write(tensors.safetensors(q=q, k=k, v=v))
                c = self.works(s, "create", "--heads", "2", "--kv-heads", "1", "--dim", "4", "--value-dim", "3", "--causal",
                               "--key", "make")["id"]
                self.assertEqual(self.works(s, "create", "--heads", "1", "--dim", "1", "--key", "make")["id"], c)
                done = self.works(s, "append", "--context", c, "--input", source, "--key", "one")
                self.assertEqual(done, self.works(s, "append", "--context", c, "--input", source, "--key", "one"))
                report = self.works(s, "attend", "--context", c, "--input", source, "--out", target)
                self.assertEqual(report["tokens"], 30)
                with open(target, "rb") as file:
                    got = tensors.read_safetensors(file.read())
                want = tensors.attention(q, k, v, causal=True)
                self.assertLess(tensors.difference(got["out"], want[0]), 1e-5)
                self.assertLess(tensors.difference(got["lse"], want[1]), 1e-5)
                child = self.works(s, "fork", "--context", c)["id"]
                self.assertEqual(len(self.works(s, "list")["contexts"]), 2)
                self.assertEqual(self.works(s, "inspect", "--context", child)["parent"], c)
                self.works(s, "delete", "--context", child)
                at = ("--url", s.url, "--token-file", os.path.join(s.folder, "token"))
                self.fails(2, "404: context", "inspect", "--context", child, *at)
                self.fails(2, "401: Authorization", "list", "--url", s.url)
                self.fails(2, "needs --input", "append", "--context", c, *at)
                self.fails(1, "cannot be read", "append", "--context", c, "--input", s.folder, *at)
                self.fails(1, "cannot be written", "attend", "--context", c, "--input", source, "--out", "/nowhere/x", *at)
                self.fails(2, "precis remote takes", "rename", *at)
        self.fails(2, "must be like", "list", "--url", "127.0.0.1")
        self.fails(1, "cannot connect", "list", "--url", "unix:/nowhere")

    @unittest.skipUnless(os.path.exists(ASKER), "tests/asker is not built")
    def test_library(self):
        with Service(2) as s:
            done = subprocess.run([ASKER, s.url, s.token], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)

    @unittest.skipUnless(PYTHON, "there is no NumPy")
    def test_python(self):
        with Service(2) as s:
            program = os.path.join(HERE, "..", "..", "jobs", "client", "ask.py")
            done = subprocess.run([PYTHON, program, s.url, os.path.join(s.folder, "token")], capture_output=True, text=True,
                                  timeout=60, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("of the values' range", done.stdout)
