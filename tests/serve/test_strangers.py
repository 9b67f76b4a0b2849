# test_strangers.py - who has no token keeps nobody out, learns nothing, and changes nothing
#
# SPDX-License-Identifier: BSD-3-Clause
import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import warnings

import tensors
from service import Case, Service, wait_until

ROWS = tensors.gauss(1, 30, 1, 4)


def connect(s, address="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", int(s.url.rsplit(":", 1)[1])), timeout=6, source_address=(address, 0))


def all_of(link):
    data = b""
    with contextlib.suppress(OSError):
        while piece := link.recv(65536):
            data += piece
    return data


class Crowd(Case):
    def test_silent_connections(self):
        """However many say nothing, a client with the token is answered at once."""
        with Service(1, "--connections", "16") as s:
            s.ask("GET", "/v1/contexts")
            links = []
            for i in range(200):
                with contextlib.suppress(OSError):
                    links.append(connect(s, f"127.0.1.{i % 7 + 1}"))
                if i % 20 == 19:
                    self.assertEqual(self.soon(s).status, 200)
            # Those of one address have not put out all the others.
            held = sum(1 for link in links if not self.ended(link))
            self.assertGreater(held, 0)
            for link in links:
                link.close()

    def soon(self, s):
        """An answer within 2 s. Where the house is full a client may be sent away while strangers leave; it knocks again."""
        begin = time.monotonic()
        while True:
            with contextlib.suppress(ConnectionError):
                answer = s.ask("GET", "/v1/contexts")
                self.assertLess(time.monotonic() - begin, 2)
                return answer
            self.assertLess(time.monotonic() - begin, 2)

    def ended(self, link):
        link.setblocking(False)
        try:
            return link.recv(1000) is not None
        except BlockingIOError:
            return False
        except OSError:
            return True

    def test_they_are_answered(self):
        with Service(1) as s:
            begin = time.monotonic()
            link = connect(s)
            answer = all_of(link)
            seconds = time.monotonic() - begin
            link.close()
            self.assertTrue(answer.startswith(b"HTTP/1.1 408 "), answer)
            self.assertEqual(json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]["status"], 408)
            self.assertTrue(4 < seconds < 8, seconds)
            # A byte now and then does not help, nor does a body that does not end.
            for first in (b"GET /", b"POST /v1/contexts HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"):
                begin = time.monotonic()
                with connect(s) as link:
                    link.sendall(first)
                    with contextlib.suppress(OSError):
                        while time.monotonic() < begin + 15:
                            link.sendall(b"x")
                            time.sleep(0.2)
                self.assertLess(time.monotonic() - begin, 8)

    def test_connections_are_closed(self):
        with Service(1) as s:
            for path, head, status in (("/healthz", "", 200), ("/v1/contexts", "", 401), ("/nowhere", "", 404),
                                       ("/v1/contexts", "Bearer wrong", 401)):
                answer = s.ask("GET", path, Authorization=head)
                self.assertEqual((answer.status, answer.headers.get("connection", "").lower()), (status, "close"))
            answer = s.ask("GET", "/v1/contexts")
            self.assertNotEqual(answer.headers.get("connection", "").lower(), "close")

    def test_as_many_as_are_allowed(self):
        """Connections with the token are counted apart, and one too many is told so."""
        with Service(1, "--connections", "5") as s:
            links = [s.connect() for _ in range(5)]
            for link in links:
                self.assertEqual(s.ask("GET", "/v1/contexts", connection=link).status, 200)
            self.refused(s.ask("GET", "/v1/contexts"), 503, "connections", "5 already")
            links.pop().close()
            wait_until(lambda: s.ask("GET", "/v1/contexts").status == 200)
            for link in links:
                self.assertEqual(s.ask("GET", "/v1/contexts", connection=link).status, 200)
                link.close()


class Tokens(Case):
    A, B, C = "a" * 20, "b" * 20, "c" * 20

    def start(self, *options):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.file = os.path.join(folder, "tokens")
        self.write(f"{self.A} anna\n{self.B} bert read\n{self.C} carl write contexts=2 tokens=50 bytes=1k  # little\n")
        s = Service(2, "--token-file", self.file, *options)
        self.addCleanup(s.__exit__)
        return s

    def write(self, text):
        with open(self.file, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(self.file, 0o600)

    def test_rights(self):
        s = self.start()
        s.token = self.A
        c = s.create(heads=1, dim=4)
        s.append(c, k=ROWS, v=ROWS)
        self.assertEqual(s.ask("GET", f"/v1/contexts/{c}").json["owner"], "anna")
        s.token = self.B
        self.close_to(s.attend(c, ROWS), ROWS, ROWS, ROWS)
        self.assertEqual(s.ask("GET", "/metrics").status, 200)
        for answer in (s.ask("POST", "/v1/contexts", '{"heads": 1, "dim": 1}'), s.append(c, k=ROWS, v=ROWS),
                       s.ask("POST", f"/v1/contexts/{c}/fork"), s.ask("DELETE", f"/v1/contexts/{c}")):
            self.refused(answer, 403, "Authorization", "read only")
        self.assertEqual(s.ask("GET", f"/v1/contexts/{c}").json["tokens"], 30)
        s.token = "d" * 20
        self.refused(s.attend(c, ROWS), 401, "Authorization")

    def test_quotas(self):
        s = self.start("--data", "FOLDER/data")
        s.token = self.C
        k = tensors.gauss(2, 20, 1, 4)
        c = s.create(heads=1, dim=4)
        self.assertEqual(s.append(c, k=k, v=k).status, 200)  # 20 tokens, 640 bytes
        self.refused(s.append(c, k=k, v=k), 507, "body", "bytes")
        narrow = s.create(heads=1, dim=1)
        self.refused(s.ask("POST", "/v1/contexts", '{"heads": 1, "dim": 1}'), 507, "contexts", "'carl' have 2 contexts")
        many = tensors.gauss(3, 31, 1, 1)
        self.refused(s.append(narrow, k=many, v=many), 507, "body", "20 tokens, 31 more are asked for, and its quota is 50")
        few = tensors.part(many, 0, 30)
        self.assertEqual(s.append(narrow, k=few, v=few).status, 200)
        self.refused(s.ask("POST", f"/v1/contexts/{c}/fork"), 507, "contexts")
        s.ask("DELETE", f"/v1/contexts/{narrow}")
        s.token = self.A  # by whomever it is appended to: it is carl's
        self.refused(s.append(c, k=k, v=k), 507, "body", "'carl'")
        s.stop()
        s.start()
        s.token = self.C
        self.refused(s.append(c, k=k, v=k), 507, "body", "'carl'")
        self.write(f"{self.C} carl\n")
        os.kill(s.pid, 1)
        wait_until(lambda: "tokens were read again" in s.said())
        self.assertEqual(s.append(c, k=k, v=k).status, 200)
        s.token = self.A
        self.assertEqual(s.ask("GET", "/v1/contexts").status, 401)

    def test_the_file(self):
        s = self.start()
        s.stop()
        link = self.file + ".link"
        os.link(self.file, link)
        with self.assertRaisesRegex(RuntimeError, "has 2 names"):
            s.start()
        os.remove(link)
        os.rename(self.file, link)
        os.symlink(link, self.file)
        with self.assertRaisesRegex(RuntimeError, "the token cannot be read"):
            s.start()
        os.remove(self.file)
        os.rename(link, self.file)
        if os.geteuid() == 0:
            os.chown(self.file, 12345, -1)
            with self.assertRaisesRegex(RuntimeError, "belongs to user 12345"):
                s.start()
            os.chown(self.file, 0, -1)
        self.write(f"{self.A} anna\nshort\n")
        with self.assertRaisesRegex(RuntimeError, "line 2: holds no token"):
            s.start()
        self.write(f"{self.A} anna\n")
        s.start()


class Doors(Case):
    def test_other_machines(self):
        with self.assertRaisesRegex(RuntimeError, "--insecure allows it"):
            Service(1, listen="0.0.0.0:0")
        with Service(1, "--insecure", listen="0.0.0.0:0") as s:
            s.url = s.url.replace("0.0.0.0", "127.0.0.1")
            self.assertEqual(s.ask("GET", "/v1/contexts").status, 200)
        with self.assertRaisesRegex(RuntimeError, "everybody could come in"):
            Service(1, "--insecure", listen="0.0.0.0:0", token=False)

    def test_pages_of_others(self):
        """Without a token: what a browser of this machine may send for a page from elsewhere is refused."""
        with Service(1, token=False) as s:
            port = s.url.rsplit(":", 1)[1]
            for host in ("evil.example", "evil.example:" + port, "127.0.0.1.evil.example", "[::1", "", "localhost.evil"):
                self.refused(s.ask("GET", "/v1/contexts", Host=host), 403, "Host")
            for host in ("localhost", "LOCALHOST:" + port, "127.0.0.1:" + port, "[::1]:80", "10.1.2.3"):
                self.assertEqual(s.ask("GET", "/v1/contexts", Host=host).status, 200)
            here = "127.0.0.1:" + port
            for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "http://localhost"):
                self.refused(s.ask("GET", "/v1/contexts", Host=here, Origin=origin), 403, "Origin")
            self.assertEqual(s.ask("GET", "/v1/contexts", Host=here, Origin="http://" + here).status, 200)
        with Service(1) as s:
            self.assertEqual(s.ask("GET", "/v1/contexts", Host="node7", Origin="http://x").status, 200)

    def test_the_page(self):
        with Service(1) as s:
            answers = [s.ask("GET", "/") for _ in range(2)]
            nonces = [re.search("script-src 'nonce-([0-9a-f]{32})'", a.headers["content-security-policy"])[1] for a in answers]
            self.assertNotEqual(*nonces)
            for answer, nonce in zip(answers, nonces):
                page = answer.body.decode()
                self.assertEqual(len(re.findall("<(?:script|style)[^>]*>", page)), page.count(f'nonce="{nonce}"'))
                self.assertIn("default-src 'none'", answer.headers["content-security-policy"])
                self.assertIn("history.replaceState", page)
                self.assertNotIn("@NONCE@", page)

    @unittest.skipUnless(shutil.which("openssl"), "there is no openssl")
    def test_tls(self):
        """1.2 and 1.3 only; HUP brings another certificate, and one that is none changes nothing."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")

        def make(name):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                            "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=" + name, "-addext",
                            "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
            os.chmod(key, 0o600)

        def shown(version=None):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings(action="ignore"):
                if version:
                    context.minimum_version = context.maximum_version = version
            with connect(s) as link, context.wrap_socket(link) as tls:
                der = tls.getpeercert(True)
            text = subprocess.run(["openssl", "x509", "-inform", "der", "-noout", "-subject"], input=der, check=True,
                                  capture_output=True).stdout.decode()
            return re.search(r"CN ?= ?(\S+)", text)[1]

        make("one")
        with Service(1, "--tls-cert", cert, "--tls-key", key) as s:
            self.assertEqual([shown(v) for v in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)], ["one", "one"])
            for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
                with self.assertRaises((ssl.SSLError, OSError)):
                    shown(version)
            context = ssl.create_default_context(cafile=cert)
            old = http.client.HTTPSConnection("127.0.0.1", int(s.url.rsplit(":", 1)[1]), context=context, timeout=30)
            self.assertEqual(s.ask("GET", "/v1/contexts", connection=old).status, 200)
            make("two")
            os.kill(s.pid, 1)
            wait_until(lambda: "the certificate was read again" in s.said())
            self.assertEqual(shown(), "two")
            self.assertEqual(s.ask("GET", "/v1/contexts", connection=old).status, 200)
            with open(cert, "w", encoding="ascii") as file:
                file.write("no certificate")
            os.kill(s.pid, 1)
            wait_until(lambda: "cannot be used" in s.said())
            self.assertEqual(shown(), "two")
            self.assertEqual(s.ask("GET", "/v1/contexts", connection=old).status, 200)
            old.close()


class Head(Case):
    def ask_raw(self, s, text):
        with connect(s) as link:
            link.sendall(text.encode("latin-1"))
            return all_of(link)

    def test_one_meaning(self):
        """What two programs could read in two ways is refused, and what follows it is no request."""
        with Service(1) as s:
            token = f"Authorization: Bearer {s.token}\r\n"
            host, second = "Host: x\r\n", f"GET /healthz HTTP/1.1\r\nHost: x\r\n{token}\r\n"
            start = "POST /v1/contexts HTTP/1.1\r\n"
            for name, text in (
                    ("two lengths", start + host + token + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"),
                    ("other lengths", start + host + token + "Content-Length: 0\r\nContent-Length: 70\r\n\r\n"),
                    ("length and chunks", start + host + token + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                    ("two codings", start + host + token + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
                    ("two hosts", "GET /v1/contexts HTTP/1.1\r\nHost: x\r\nHost: y\r\n" + token + "\r\n"),
                    ("no host", "GET /v1/contexts HTTP/1.1\r\n" + token + "\r\n"),
                    ("a zero", "GET /v1/contexts HTTP/1.1\r\n" + host + token + "X: a\0b\r\n\r\n"),
                    ("bare LF", "GET /v1/contexts HTTP/1.1\n" + host + token + "\r\n"),
                    ("bare LF in headers", "GET /v1/contexts HTTP/1.1\r\nHost: x\n" + token + "\r\n"),
                    ("bare LF at the end", "GET /v1/contexts HTTP/1.1\r\nHost: x\r\n" + token + "\n"),
                    ("a space before the colon", "GET /v1/contexts HTTP/1.1\r\nHost : x\r\n" + token + "\r\n")):
                with self.subTest(name):
                    answer = self.ask_raw(s, text + second)
                    self.assertRegex(answer, rb"^HTTP/1\.1 400 ")
                    self.assertEqual(len(re.findall(rb"HTTP/1\.1 \d\d\d ", answer)), 1, answer)
            self.assertRegex(self.ask_raw(s, f"GET /v1/contexts HTTP/1.0\r\n{token}\r\n"), rb"^HTTP/1\.[01] 200 ")

    def test_arguments(self):
        with Service(1) as s:
            c = s.create(heads=1, dim=4, causal=True)
            s.append(c, k=ROWS, v=ROWS)
            for method, path in (("GET", "/v1/contexts?limit=5"), ("GET", "/healthz?x"), ("POST", f"/v1/contexts/{c}/fork?a=b"),
                                 ("DELETE", f"/v1/contexts/{c}?force=1"), ("GET", "/metrics?first_position=1")):
                self.refused(s.ask(method, path), 400, "query", "is not known")
            self.refused(s.attend(c, ROWS, "?first_postion=3"), 400, "query", "first_postion")
            self.assertEqual(s.attend(c, ROWS, "?first_position=0").status, 200)
