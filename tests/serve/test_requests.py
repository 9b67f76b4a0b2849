# test_requests.py - contexts over HTTP: what is answered is right, at any number of ranks
#
# SPDX-License-Identifier: BSD-3-Clause
import http.client
import json
import os
import shutil
import ssl
import stat
import subprocess
import tempfile
import threading
import unittest

import tensors
from service import RANKS, Case, Service, wait_until


class Requests(Case):
    def test_answers(self):
        for ranks in RANKS:
            with self.subTest(ranks=ranks), Service(ranks) as s:
                self.plain(s)
                self.causal(s)
                self.empty(s)

    def plain(self, s):
        k, v, q = tensors.gauss(1, 50, 2, 5), tensors.gauss(2, 50, 2, 3), tensors.gauss(3, 7, 4, 5)
        bias = tensors.gauss(4, 50)
        bias.values[3] = float("-inf")
        c = s.create(name="plain", heads=4, kv_heads=2, dim=5, value_dim=3)
        at = 0
        for end in (1, 2, 3, 20, 50):
            p = {"k": tensors.part(k, at, end), "v": tensors.part(v, at, end), "bias": tensors.part(bias, at, end)}
            self.assertEqual(s.append(c, **p).json, {"appended": end - at, "tokens": end})
            at = end
        answer = s.attend(c, q)
        self.close_to(answer, q, k, v, bias=bias)
        self.assertEqual(answer.report["tokens"], 50)
        self.close_to(s.attend(c, tensors.part(q, 0, 1)), tensors.part(q, 0, 1), k, v, bias=bias)
        self.assertEqual(answer.report["tokens"], 50)
        rows = s.ask("GET", f"/v1/contexts/{c}").json["rank_tokens"]
        self.assertEqual(sum(rows), 50)
        self.assertLessEqual(max(rows) - min(rows), 1, "shards are not balanced")
        out = s.ask("POST", f"/v1/contexts/{c}/attend", tensors.npy(q), Accept="application/x-npy")
        self.assertEqual(tensors.difference(tensors.read_npy(out.body), answer.tensors["out"]), 0)

    def causal(self, s):
        k, v, q = tensors.gauss(5, 40, 1, 4), tensors.gauss(6, 40, 1, 4), tensors.gauss(7, 6, 2, 4)
        c = s.create(heads=2, kv_heads=1, dim=4, causal=True)
        s.append(c, k=k, v=v)
        self.close_to(s.attend(c, q), q, k, v, causal=True)
        self.close_to(s.attend(c, q, "?first_position=10"), q, k, v, causal=True, first_position=10)

    def empty(self, s):
        c = s.create(heads=1, dim=2)
        got = s.attend(c, tensors.gauss(1, 3, 1, 2)).tensors
        self.assertEqual(list(got["out"].values), [0.0] * 6)
        self.assertEqual(list(got["lse"].values), [float("-inf")] * 3)
        nothing = tensors.Tensor((0, 1, 2), [])
        self.assertEqual(s.append(c, k=nothing, v=nothing).json, {"appended": 0, "tokens": 0})
        self.assertEqual(s.attend(c, nothing).tensors["out"].shape, (0, 1, 2))


class Life(Case):
    @classmethod
    def setUpClass(cls):
        cls.s = Service(2, "--machine", os.environ["PRECIS_TEST_MACHINE"])

    @classmethod
    def tearDownClass(cls):
        cls.s.__exit__()

    def test_contexts_come_and_go(self):
        s = self.s
        before = [c["id"] for c in s.ask("GET", "/v1/contexts").json["contexts"]]
        one = s.create(name="one", heads=1, dim=2)
        two = s.create(name="two \u00e4", heads=1, dim=2, tol=0.01, guarantee="sampled", move="tiles", scale=0.5)
        listed = s.ask("GET", "/v1/contexts").json["contexts"]
        self.assertEqual([c["id"] for c in listed], before + [one, two])
        self.assertEqual(s.ask("GET", f"/v1/contexts/{two}").json, listed[-1])
        self.assertEqual((listed[-1]["name"], listed[-1]["scale"], listed[-1]["move"]), ("two \u00e4", 0.5, "tiles"))
        self.assertEqual(s.ask("DELETE", f"/v1/contexts/{one}").json, {"deleted": one})
        self.refused(s.ask("GET", f"/v1/contexts/{one}"), 404, "context")
        self.refused(s.ask("DELETE", f"/v1/contexts/{one}"), 404, "context")
        self.refused(s.attend(one, tensors.gauss(1, 1, 1, 2)), 404, "context")
        s.ask("DELETE", f"/v1/contexts/{two}")

    def test_summaries_are_kept(self):
        s = self.s
        k, v = tensors.gauss(1, 3000, 1, 4), tensors.gauss(2, 3000, 1, 4)
        q = tensors.gauss(3, 40, 1, 4, spread=0.2)
        c = s.create(heads=1, dim=4, tol=0.02)
        s.append(c, k=k, v=v)
        answers = [s.attend(c, q) for _ in range(6)]
        self.assertEqual(answers[-1].report["move"], "summaries", answers[-1].report)
        self.assertLess(answers[-1].report["promise"], 0.02)
        few = tensors.part(q, 0, 5)
        self.close_to(s.attend(c, few), few, k, v, tol=0.02)
        moves = s.ask("GET", f"/v1/contexts/{c}").json["moves"]
        self.assertEqual(sum(moves.values()), 7)
        self.assertGreater(s.metric('precis_attends_total{move="summaries"}'), 0)
        s.ask("DELETE", f"/v1/contexts/{c}")

    def test_bodies_in_pieces(self):
        s = self.s
        k, v = tensors.gauss(8, 300, 3, 8), tensors.gauss(9, 300, 3, 8)
        q = tensors.gauss(10, 2, 3, 8)
        c = s.create(heads=3, dim=8)
        body = tensors.safetensors(v=v, other=q, k=k)  # in any order, others are passed over
        sizes = [1, 7, 1000, 3, 50000]
        pieces, at = [], 0
        while at < len(body):
            pieces.append(body[at:at + sizes[len(pieces) % len(sizes)]])
            at += len(pieces[-1])
        answer = s.ask("POST", f"/v1/contexts/{c}/append", iter(pieces), chunked=True, Transfer_Encoding="chunked")
        self.assertEqual(answer.json, {"appended": 300, "tokens": 300})
        self.close_to(s.attend(c, q), q, k, v)
        s.ask("DELETE", f"/v1/contexts/{c}")

    def test_attends_together(self):
        """Many small attends at once are right, and share collective calls."""
        s = self.s
        k, v = tensors.gauss(11, 20000, 2, 16), tensors.gauss(12, 20000, 2, 16)
        for causal in (False, True):
            c = s.create(heads=2, dim=16, causal=causal)
            s.append(c, k=k, v=v)
            want = s.attend(c, tensors.gauss(0, 1, 2, 16)).tensors["out"]
            answers = [None] * 16

            def client(i, c=c, answers=answers):
                answers[i] = [s.attend(c, tensors.gauss(i, 1, 2, 16)) for _ in range(5)]

            threads = [threading.Thread(target=client, args=(i,)) for i in range(16)]
            [t.start() for t in threads]
            [t.join() for t in threads]
            together = max(a.report["batched"] for one in answers for a in one)
            self.assertGreater(together, 1)
            self.assertLessEqual(tensors.difference(answers[0][0].tensors["out"], want), 1e-5)
            for i in range(1, 16):
                alone = s.attend(c, tensors.gauss(i, 1, 2, 16)).tensors["out"]
                for answer in answers[i]:
                    self.assertLessEqual(tensors.difference(answer.tensors["out"], alone), 1e-5)
            s.ask("DELETE", f"/v1/contexts/{c}")

    def test_an_append_that_breaks_off_is_not_there(self):
        s = self.s
        k = tensors.gauss(1, 30000, 1, 8)
        c = s.create(heads=1, dim=8)
        body = tensors.safetensors(k=k, v=k)
        link = s.begin_append(c, len(body))
        link.send(body[:len(body) * 2 // 3])
        wait_until(lambda: sum(s.ask("GET", f"/v1/contexts/{c}").json["rank_tokens"]) == 30000)
        self.assertEqual(s.ask("GET", f"/v1/contexts/{c}").json["tokens"], 0)
        link.close()
        wait_until(lambda: sum(s.ask("GET", f"/v1/contexts/{c}").json["rank_tokens"]) == 0)
        few = tensors.part(k, 0, 10)
        self.assertEqual(s.append(c, k=few, v=few).json["tokens"], 10)
        s.ask("DELETE", f"/v1/contexts/{c}")

    def test_document_and_health(self):
        s = self.s
        self.assertEqual(s.ask("GET", "/openapi.json", Authorization="").json["openapi"], "3.0.3")
        self.assertEqual(s.ask("GET", "/healthz", Authorization="").json["status"], "ok")
        self.assertEqual(s.ask("HEAD", "/healthz").body, b"")
        metrics = s.ask("GET", "/metrics").body.decode()
        for name in ("precis_ranks 2", "precis_rank_bytes{rank=\"1\"}", "# TYPE precis_request_seconds histogram",
                     "precis_requests_total{route=\"health\",code=\"200\"}"):
            self.assertIn(name, metrics)
        for line in metrics.splitlines():
            self.assertRegex(line, r"^(# (HELP|TYPE) precis_\w+ .+|precis_\w+(\{[^}]*\})? [-+.e\d]+)$")


class Doors(Case):
    def test_token(self):
        with Service(1) as s:
            mode = os.stat(os.path.join(s.folder, "token")).st_mode
            self.assertEqual(stat.S_IMODE(mode), 0o600)
            for given in ("", "Bearer", "Bearer ", "Bearer " + s.token[:-1], "Bearer " + s.token + "0",
                          "Basic " + s.token, s.token, "Bearer " + "0" * len(s.token)):
                for method, path in (("GET", "/v1/contexts"), ("GET", "/metrics"), ("POST", "/v1/contexts")):
                    answer = s.ask(method, path, json.dumps({"heads": 1, "dim": 1}) if method == "POST" else None,
                                   Authorization=given)
                    self.refused(answer, 401, "Authorization")
            first = s.token
            s.stop()
            s.start()
            self.assertEqual(s.token, first, "the token of the file is not used again")
            s.stop()
            os.chmod(os.path.join(s.folder, "token"), 0o640)
            with self.assertRaisesRegex(RuntimeError, "others may read the token"):
                s.start()

    @unittest.skipUnless(shutil.which("openssl"), "there is no openssl")
    def test_tls(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        os.chmod(key, 0o600)
        with Service(2, "--tls-cert", cert, "--tls-key", key) as s:
            self.assertTrue(s.url.startswith("https://127.0.0.1:"))
            host, port = s.url.split("//")[1].split(":")
            link = http.client.HTTPSConnection(host, int(port), context=ssl.create_default_context(cafile=cert), timeout=30)
            answer = s.ask("POST", "/v1/contexts", json.dumps({"heads": 1, "dim": 2}), connection=link)
            k = tensors.gauss(1, 5, 1, 2)
            path = f"/v1/contexts/{answer.json['id']}/"
            s.ask("POST", path + "append", tensors.safetensors(k=k, v=k), connection=link)
            self.close_to(s.ask("POST", path + "attend", tensors.safetensors(q=k), connection=link), k, k, k)
            link.close()
            with self.assertRaises((OSError, http.client.HTTPException)):
                s.ask("GET", "/healthz", connection=http.client.HTTPConnection(host, int(port), timeout=30))
        os.chmod(key, 0o644)
        with self.assertRaisesRegex(RuntimeError, "others may read it"):
            Service(1, "--tls-cert", cert, "--tls-key", key)
        os.chmod(key, 0o600)
        with self.assertRaisesRegex(RuntimeError, "cannot be started"):
            Service(1, "--tls-cert", key, "--tls-key", key)

    def test_socket_file(self):
        with Service(2, listen="unix:FOLDER/socket", token=False) as s:
            path = os.path.join(s.folder, "socket")
            self.assertEqual(os.stat(path).st_mode & 0o077, 0, "others may connect")
            c = s.create(heads=1, dim=2)
            k = tensors.gauss(1, 5, 1, 2)
            s.append(c, k=k, v=k)
            self.close_to(s.attend(c, k), k, k, k)
            self.assertEqual(s.stop(), 0)
            self.assertFalse(os.path.exists(path))
