# test_stop.py - the job ends soon after the signal, whatever its ranks do
#
# SPDX-License-Identifier: BSD-3-Clause
import array
import os
import random
import shutil
import signal
import threading
import time
import unittest

import tensors
from service import SANITIZED, Case, Service, ranks_of, wait_until

CLOCK = os.path.join(os.path.dirname(os.environ["PRECIS"]), "tests", ".libs", "clock.so")
END = 50 if SANITIZED else 10


def rows(seed, tokens, heads, dim):
    """Numbers that come again: Python takes its time for millions of them."""
    rng = random.Random(seed)
    block = array.array("f", [rng.gauss(0, 1) for _ in range(1 << 16)])
    values = block * (tokens * heads * dim // len(block) + 1)
    return tensors.Tensor((tokens, heads, dim), values[:tokens * heads * dim])


class Stop(Case):
    def long_attend(self, s, seconds=20):
        """Begins an attend that takes at least so long, and comes back while it runs."""
        c = s.create(heads=16, kv_heads=1, dim=64)
        k = rows(1, 100000, 1, 64)
        self.assertEqual(s.append(c, k=k, v=k).status, 200)
        few = rows(2, 50, 16, 64)
        s.attend(c, few)
        begin = time.monotonic()
        s.attend(c, few)
        count = min(int(50 * seconds / (time.monotonic() - begin)) + 1, 15000)

        def ask():
            try:
                s.attend(c, rows(3, count, 16, 64))
            except (OSError, EOFError, ValueError):
                pass

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        wait_until(lambda: s.metric("precis_active_requests") == 2, 30)
        time.sleep(1)
        return c, thread

    def ends(self, s, number=signal.SIGTERM, status=None):
        begin = time.monotonic()
        os.kill(s.pid, number)
        wait_until(lambda: s.ask("GET", "/healthz").status == 503, 1)
        self.refused(s.ask("GET", "/v1/contexts"), 503, "service", "stopping")
        self.assertEqual(s.ask("GET", "/readyz").json["status"], "stopping")
        got = s.job.wait(60)
        seconds = time.monotonic() - begin
        self.assertLess(seconds, END)
        if status is not None:
            self.assertEqual(got, status)
        return seconds

    def test_while_ranks_compute(self):
        for ranks in (1, 2):
            with Service(ranks, "--threads", "1") as s:
                _, thread = self.long_attend(s)
                print(f"{ranks} ranks, a long attend: ended after {self.ends(s):.1f} s")
                thread.join(10)

    def test_with_a_stopped_rank(self):
        with Service(3) as s:
            c = s.create(heads=1, dim=4)
            k = rows(1, 10, 1, 4)
            s.append(c, k=k, v=k)
            victim = ranks_of(s)[-1]
            os.kill(victim, signal.SIGSTOP)

            def ask():
                try:
                    s.attend(c, k)
                except (OSError, EOFError, ValueError):
                    pass

            thread = threading.Thread(target=ask, daemon=True)
            thread.start()
            time.sleep(0.5)
            print(f"a stopped rank: ended after {self.ends(s):.1f} s")
            thread.join(10)
            wait_until(lambda: self.state(victim) in ("gone", "Z"))

    def state(self, pid):
        """Z where nobody has asked for its end yet. One that was killed may take a moment to leave its memory."""
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                return file.read().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return "gone"

    @unittest.skipUnless(os.path.exists(CLOCK), "tests/clock.c is not built")
    def test_clock_set_back(self):
        with Service(1, env={"LD_PRELOAD": CLOCK}) as s:
            s.ask("GET", "/v1/contexts")
            time.sleep(0.5)
            self.assertLess(self.ends_idle(s, s.pid), 5)

    def ends_idle(self, s, process, number=signal.SIGTERM):
        begin = time.monotonic()
        os.kill(process, number)
        self.assertEqual(s.job.wait(60), 0, s.said())
        return time.monotonic() - begin

    def test_idle(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Service(3) as s:
                self.assertLess(self.ends_idle(s, s.pid, number), 5)

    def test_signals_to_the_launcher(self):
        """As the manual says: USR1 ends the job as if rank 0 had got it; TERM and INT with time to do so."""
        if shutil.which("ompi_info") is None:
            self.skipTest("this is not Open MPI")
        before = os.environ.get("MPIEXEC_FLAGS", "")
        self.addCleanup(os.environ.__setitem__, "MPIEXEC_FLAGS", before)
        os.environ["MPIEXEC_FLAGS"] = before + " --mca odls_base_sigkill_timeout 4"
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            with Service(2, "--data", "FOLDER/data") as s:
                c = s.create(heads=1, dim=4)
                k = rows(1, 2000, 1, 4)
                body = tensors.safetensors(k=k, v=k)
                link = s.begin_append(c, len(body))
                link.send(body[:1000])
                wait_until(lambda: s.metric("precis_active_requests") == 2)
                begin = time.monotonic()
                os.kill(s.job.pid, number)
                wait_until(lambda: s.ask("GET", "/healthz").status == 503)
                link.send(body[1000:])
                self.assertEqual(link.getresponse().status, 200)
                link.close()
                status = s.job.wait(60)
                self.assertLess(time.monotonic() - begin, END)
                self.assertIn("all is done", s.said())
                if number == signal.SIGUSR1:
                    self.assertEqual(status, 0)

    def test_reload(self):
        """HUP: the token of the file counts from then on; a file without one changes nothing."""
        with Service(2) as s:
            path, old = os.path.join(s.folder, "token"), s.token
            for text, good in (("x" * 40, 1), ("short", 0)):
                with open(path, "w", encoding="ascii") as file:
                    file.write(text + "\n")
                os.kill(s.pid, signal.SIGHUP)
                wait_until(lambda n=good: s.said().count("reload") == 2 - n)
                s.token = "x" * 40
                self.assertEqual(s.ask("GET", "/v1/contexts").status, 200)
                s.token = old
                self.assertEqual(s.ask("GET", "/v1/contexts").status, 401)
