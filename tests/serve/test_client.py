# test_client.py - the clients: precis remote, the library's, and the example in Python
#
# SPDX-License-Identifier: BSD-3-Clause
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
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
                self.assertEqual(self.works(s, "create", "--heads", "2", "--kv-heads", "1", "--dim", "4", "--value-dim", "3",
                                            "--causal", "--key", "make")["id"], c)
                self.fails(2, "422: Idempotency-Key", "create", "--heads", "1", "--dim", "1", "--key", "make", "--url", s.url,
                           "--token-file", os.path.join(s.folder, "token"))
                done = self.works(s, "append", "--context", c, "--input", source, "--key", "one")
                self.assertEqual(done, self.works(s, "append", "--context", c, "--input", source, "--key", "one"))
                report = self.works(s, "attend", "--context", c, "--input", source, "--out", target)
                self.assertEqual(report["tokens"], 30)
                self.works(s, "attend", "--context", c, "--input", source, "-o", target + "2", "--bounds")
                with open(target + "2", "rb") as file:
                    bounds = tensors.read_safetensors(file.read())["bounds"]
                self.assertTrue(all(0 < b < 1e-2 for b in bounds.values))
                self.fails(2, "--bounds is for attend", "list", "--bounds")
                self.works(s, "attend", "--context", c, "--input", source, "--out", target + ".npy")
                with open(target + ".npy", "rb") as file:
                    plain = tensors.read_npy(file.read())
                with open(source + "2", "wb") as file:
                    file.write(tensors.safetensors(q=q, k=k, v=v, attn_mask=k))
                for action in ("append", "attend"):
                    self.fails(2, 'tensor "attn_mask"', action, "--context", c, "--input", source + "2", "--out", target, "--url",
                               s.url, "--token-file", os.path.join(s.folder, "token"))
                with open(target, "rb") as file:
                    got = tensors.read_safetensors(file.read())
                want = tensors.attention(q, k, v, causal=True)
                self.assertLess(tensors.difference(got["out"], want[0]), 1e-5)
                self.assertLess(tensors.difference(got["lse"], want[1]), 1e-5)
                self.assertLess(tensors.difference(plain, want[0]), 1e-5)
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

    @unittest.skipUnless(shutil.which("openssl"), "there is no openssl")
    def test_https(self):
        """All clients: verified, by --cacert; another authority, or a certificate of another name, is refused."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        for name in ("127.0.0.1", "10.9.8.7"):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                            "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem", "-days", "2", "-subj", "/CN=x",
                            "-addext", "subjectAltName=IP:" + name], check=True, capture_output=True)
            os.chmod(f"{folder}/{name}.key", 0o600)
        good, bad = f"{folder}/127.0.0.1.pem", f"{folder}/10.9.8.7.pem"
        with Service(1, "--tls-cert", good, "--tls-key", f"{folder}/127.0.0.1.key") as s:
            at = ("--url", s.url, "--token-file", os.path.join(s.folder, "token"))
            self.assertEqual(json.loads(self.run_remote("list", *at, "--cacert", good).stdout), {"contexts": [], "damaged": []})
            self.fails(1, "cannot connect: ", "list", *at)
            self.fails(1, "cannot connect: ", "list", *at, "--cacert", bad)
            self.fails(2, "holds no certificate", "list", *at, "--cacert", os.path.join(s.folder, "token"))
            if os.path.exists(ASKER):
                done = subprocess.run([ASKER, s.url, s.token, good], capture_output=True, text=True, timeout=60, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
            if PYTHON:
                done = self.example(s.url, os.path.join(s.folder, "token"), good)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertNotEqual(self.example(s.url, os.path.join(s.folder, "token"), bad).returncode, 0)
        with Service(1, "--tls-cert", bad, "--tls-key", f"{folder}/10.9.8.7.key") as s:
            self.fails(1, "cannot connect: ", "list", "--url", s.url, "--token-file", os.path.join(s.folder, "token"),
                       "--cacert", bad)

    def example(self, *arguments):
        program = os.path.join(HERE, "..", "..", "jobs", "client", "ask.py")
        return subprocess.run([PYTHON, program, *arguments], capture_output=True, text=True, timeout=60, check=False)

    def against(self, *answers):
        """A server that gives each connection the next of these answers (None: says nothing); returns its URL, what it heard."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        heard = []

        def serve():
            links = []
            for answer in answers:
                link = listener.accept()[0]
                links.append(link)
                data = b""
                while b"\r\n\r\n" not in data:
                    data += link.recv(65536)
                heard.append(data.decode())
                if answer is not None:
                    for piece in answer:
                        link.sendall(piece)
                        time.sleep(0.05)
                    link.close()

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}", heard

    def test_answers_of_others(self):
        """As proxies give them: in chunks, after 1xx, until the end; and prefixes are kept."""
        body = b'{"contexts": []}'
        ok = b"HTTP/1.1 200 OK\r\n"
        for pieces in (
                [ok + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + body[:5], b"\r\nb;x=y\r\n" + body[5:] + b"\r\n0\r\nT: 1\r\n\r\n"],
                [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
                 ok + b"content-length: 16\r\n\r\n" + body],
                [ok, b"\r\n" + body], [b"HTTP/1.0 200 OK\r\n\r\n" + body],
                [(ok + b"Content-Length: 16 \r\n\r\n" + body)[i:i + 1] for i in range(57)]):
            url, heard = self.against(pieces)
            done = self.run_remote("list", "--url", url + "/a/b/")
            self.assertEqual((done.returncode, done.stdout), (0, body.decode() + "\n"), done.stderr)
            self.assertTrue(heard[0].startswith("GET /a/b/v1/contexts HTTP/1.1\r\nHost: 127.0.0.1:"), heard)
        for pieces, words in (([ok + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"], "cannot be read"),
                              ([ok + b"Transfer-Encoding: gzip\r\n\r\n"], "cannot be read"),
                              ([ok + b"Content-Length: -1\r\n\r\n"], "cannot be read"),
                              ([b"SSH-2.0-OpenSSH\r\n\r\n"], "cannot be read")):
            self.assertIn(words, self.run_remote("list", "--url", self.against(pieces)[0]).stderr)
        short = [ok + b"Content-Length: 17\r\n\r\n" + body]
        self.fails(1, "broke off", "list", "--url", self.against(short, short)[0])

    def test_silence(self):
        begin = time.monotonic()
        self.fails(1, "no answer for 1 seconds", "list", "--url", self.against(None)[0], "--timeout", "1")
        self.assertLess(time.monotonic() - begin, 5)

    def test_an_answer_that_got_lost(self):
        """A proxy drops the answer to an append: it is sent again, with the key that it had, and done once."""
        with Service(1) as s:
            c = s.create(heads=1, dim=2)
            source = os.path.join(s.folder, "in.safetensors")
            k = tensors.gauss(1, 2, 1, 2)
            with open(source, "wb") as file:
                file.write(tensors.safetensors(k=k, v=k))
            listener = socket.create_server(("127.0.0.1", 0))
            self.addCleanup(listener.close)
            keys = []

            def proxy():
                for lose in (True, False):
                    link = listener.accept()[0]
                    data = b""
                    while not data.endswith(tensors.safetensors(k=k, v=k)):
                        data += link.recv(65536)
                    keys.append(re.search(rb"Idempotency-Key: (\S+)", data)[1])
                    host, port = s.url.split("//")[1].split(":")
                    with socket.create_connection((host, int(port))) as there:
                        there.sendall(data)
                        answer = there.recv(65536)
                        while b"}" not in answer:
                            answer += there.recv(65536)
                    if not lose:
                        link.sendall(answer)
                    link.close()

            threading.Thread(target=proxy, daemon=True).start()
            done = self.run_remote("append", "--context", c, "--input", source, "--token-file", os.path.join(s.folder, "token"),
                                   "--url", f"http://127.0.0.1:{listener.getsockname()[1]}")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout), {"appended": 2, "tokens": 2})
            self.assertEqual(keys[0], keys[1])
            self.assertEqual(s.ask("GET", f"/v1/contexts/{c}").json["tokens"], 2)

    @unittest.skipUnless(PYTHON, "there is no NumPy")
    def test_python(self):
        for listen in ("127.0.0.1:0", "unix:FOLDER/socket"):
            with Service(2, listen=listen) as s:
                done = self.example(s.url, os.path.join(s.folder, "token"))
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertIn("deviations of the values, with bounds of", done.stdout)
