# service.py - starts precis serve, talks to it, and stops it
#
# SPDX-License-Identifier: BSD-3-Clause
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import contract
import tensors

# With sanitizers things take their time.
SANITIZED = "ASAN_OPTIONS" in os.environ
RANKS = [int(n) for n in os.environ.get("TEST_NP", "1 2 3 4 5 7").split()]


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    @property
    def report(self):
        return json.loads(self.headers["precis-report"])

    @property
    def tensors(self):
        return tensors.read_safetensors(self.body)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Service:
    """A job that serves; as a context manager it is stopped at the end."""

    def __init__(self, ranks, *options, listen="127.0.0.1:0", token=True, env=None, wrap=()):
        self.folder = tempfile.mkdtemp(prefix="precis-serve-")
        self.ranks = ranks
        self.options = [o.replace("FOLDER", self.folder) for o in options]
        self.listen = listen.replace("FOLDER", self.folder)
        self.wants_token = token
        self.env = env or {}
        self.wrap = wrap  # what each rank is started by
        self.log = open(os.path.join(self.folder, "log"), "w+", encoding="utf-8")
        try:
            self.start()
        except RuntimeError:
            self.log.close()
            shutil.rmtree(self.folder)
            raise

    def command(self):
        launcher = []
        if self.ranks > 1:
            launcher = [os.environ.get("MPIEXEC") or "mpiexec", *shlex.split(os.environ.get("MPIEXEC_FLAGS", "")),
                        "-n", str(self.ranks)]
        token = ["--token-file", os.path.join(self.folder, "token")] if self.wants_token else ["--no-token"]
        if "--token-file" in self.options:
            token = []
        return [*launcher, *self.wrap, os.environ["PRECIS"], "serve", "--listen", self.listen, *token, *self.options]

    def start(self):
        env = {**os.environ, **self.env}
        if self.ranks == 1:
            env["OMPI_MCA_ess_singleton_isolated"] = "1"
        self.job = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=self.log, text=True, env=env)
        line = self.job.stdout.readline()
        found = re.match(r"precis: serving at (\S+), process (\d+),", line)
        if not found:
            self.job.wait()
            self.job.stdout.close()
            self.log.seek(0)
            said = self.log.read()
            self.log.close()
            self.log = open(os.path.join(self.folder, "log"), "w+", encoding="utf-8")
            raise RuntimeError(f"no service: {line!r} {said!r}")
        self.url, self.pid = found[1], int(found[2])
        self.token = None
        if self.wants_token and "--token-file" not in self.options:
            with open(os.path.join(self.folder, "token"), encoding="ascii") as file:
                self.token = file.readline().strip()

    def connect(self, timeout=60):
        if self.url.startswith("unix:"):
            return UnixConnection(self.url[5:], timeout)
        host, port = self.url.split("//")[1].rsplit(":", 1)
        return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout)

    def begin_append(self, context, length):
        """A connection on which the head of an append was sent, with a body of that length to come."""
        link = self.connect()
        link.putrequest("POST", f"/v1/contexts/{context}/append")
        for name, value in self.headers(Content_Length=str(length)).items():
            link.putheader(name, value)
        link.endheaders()
        return link

    def headers(self, **more):
        headers = {k.replace("_", "-"): v for k, v in more.items()}
        if self.token and "Authorization" not in headers:
            headers["Authorization"] = "Bearer " + self.token
        return headers

    def ask(self, method, path, body=None, connection=None, chunked=False, **headers):
        """One request, whose answer is compared with the OpenAPI document."""
        link = connection or self.connect()
        link.request(method, path, body=body, headers=self.headers(**headers), encode_chunked=chunked)
        got = link.getresponse()
        answer = Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        if connection is None:
            link.close()
        if method != "HEAD":
            contract.check(method, path, answer.status, answer.headers, answer.body)
        return answer

    def create(self, **spec):
        answer = self.ask("POST", "/v1/contexts", json.dumps(spec))
        assert answer.status == 201, answer.body
        return answer.json["id"]

    def append(self, context, **arrays):
        return self.ask("POST", f"/v1/contexts/{context}/append", tensors.safetensors(**arrays))

    def attend(self, context, q, query="", **headers):
        return self.ask("POST", f"/v1/contexts/{context}/attend{query}", tensors.safetensors(q=q), **headers)

    def said(self):
        """What it has written on standard error."""
        with open(os.path.join(self.folder, "log"), encoding="utf-8") as file:
            return file.read()

    def metric(self, line):
        """The value of a line of /metrics that begins so."""
        for text in self.ask("GET", "/metrics").body.decode().splitlines():
            if text.startswith(line + " "):
                return float(text.rsplit(" ", 1)[1])
        return 0.0

    def stop(self, number=signal.SIGTERM):
        if self.job.poll() is None:
            os.kill(self.pid, number)
            try:
                self.job.wait(60)
            except subprocess.TimeoutExpired:
                self.job.kill()
                self.job.wait()
        self.job.stdout.close()
        return self.job.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.log.close()
        shutil.rmtree(self.folder)


class Case(unittest.TestCase):
    def close_to(self, answer, q, k, v, tol=2e-5, **how):
        """Results are right, within tol of the range of values."""
        self.assertEqual(answer.status, 200, answer.body[:300])
        out, lse = tensors.attention(q, k, v, **how)
        spread = max(v.values) - min(v.values)
        self.assertLessEqual(tensors.difference(answer.tensors["out"], out), tol * spread)
        self.assertLessEqual(tensors.difference(answer.tensors["lse"], lse), tol * 10)

    def refused(self, answer, status, field, words=""):
        self.assertEqual(answer.status, status, answer.body[:300])
        self.assertEqual(answer.error["field"], field, answer.body)
        self.assertIn(words, answer.error["message"])


def ranks_of(s):
    """Process ids of the ranks, rank 0 first."""
    if s.ranks == 1:
        return [s.pid]
    with open(f"/proc/{s.pid}/stat", encoding="ascii") as file:
        parent = file.read().rsplit(")", 1)[1].split()[1]
    with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
        return sorted((int(p) for p in file.read().split()), key=lambda p: (p != s.pid, p))


def wait_until(what, seconds=10):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)
