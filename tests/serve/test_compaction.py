# test_compaction.py - many small segments become few, forks go on sharing them, and nothing acknowledged is lost meanwhile
#
# SPDX-License-Identifier: BSD-3-Clause
#
# PRECIS_KILL_ROUNDS (default 6) jobs are killed at random moments while they append, fork and merge; PRECIS_KILL_SEED takes other
# moments. PRECIS_COMPACTION_APPENDS (default 700) tokens are appended one by one to one context.
import http.client
import json
import os
import random
import signal
import threading
import time

import tensors
from service import RANKS, SANITIZED, Case, Service, ranks_of, wait_until

APPENDS = int(os.environ.get("PRECIS_COMPACTION_APPENDS", 150 if SANITIZED else 700))
HEADS, DIM = 2, 80


class Files(Case):
    def start(self, ranks, *options):
        s = Service(ranks, "--data", "FOLDER/data", *options)
        self.addCleanup(s.__exit__)
        self.data = os.path.join(s.folder, "data")
        return s

    def names(self, folder="segments"):
        return os.listdir(os.path.join(self.data, folder))

    def bytes(self):
        return sum(os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(self.data) for name in names)

    def settle(self, most):
        wait_until(lambda: len(self.names()) <= most, 30)
        time.sleep(0.3)


class Compaction(Files):
    def append_singly(self, s, c, rows, keys=False):
        link = s.connect()
        for i in range(rows.shape[0]):
            more = {"Idempotency_Key": f"k{i}"} if keys else {}
            one = tensors.part(rows, i, i + 1)
            answer = s.ask("POST", f"/v1/contexts/{c}/append", tensors.safetensors(k=one, v=one), connection=link, **more)
            self.assertEqual(answer.status, 200, answer.body)
        link.close()

    def test_many_appends(self):
        """Few files, little more bytes than data, a quick start, and what was promised of keys, at one rank and at three."""
        rows, q = tensors.gauss(1, APPENDS, HEADS, DIM), tensors.gauss(2, 1, HEADS, DIM)
        for ranks in (1, 3) if 3 in RANKS else (1,):
            with self.subTest(ranks=ranks):
                s = self.start(ranks)
                c = s.create(heads=HEADS, dim=DIM)
                self.append_singly(s, c, rows, keys=True)
                self.settle(90)
                self.assertLess(self.bytes(), 1.34 * APPENDS * HEADS * DIM * 8 + 150 * APPENDS)
                self.assertEqual(s.stop(), 0)
                begun = time.monotonic()
                s.start()
                took = time.monotonic() - begun
                self.close_to(s.attend(c, q), q, rows, rows)
                one = tensors.part(rows, 7, 8)
                again = s.ask("POST", f"/v1/contexts/{c}/append", tensors.safetensors(k=one, v=one), Idempotency_Key="k7")
                self.assertEqual(again.json, {"appended": 1, "tokens": 8})
                self.assertNotIn("WARN", s.said().upper())
                print(f"{APPENDS} appends at {ranks} ranks: {len(self.names())} segments, {self.bytes()} bytes, "
                      f"started in {took:.2f} s")

    def test_bias_and_pieces(self):
        """Segments with a bias and without, of several tokens on several ranks, are one afterwards."""
        s = self.start(2)
        c = s.create(heads=1, dim=3)
        k, bias = tensors.gauss(3, 300, 1, 3), tensors.gauss(4, 300)
        for at in range(0, 300, 3):
            piece = tensors.part(k, at, at + 3)
            more = {"bias": tensors.part(bias, at, at + 3)} if at >= 120 else {}
            self.assertEqual(s.append(c, k=piece, v=piece, **more).status, 200)
        self.settle(100)
        bias.values[:120] = tensors.gauss(0, 120, spread=0).values
        for ranks in (2, 1):
            s.stop()
            s.ranks = ranks
            s.start()
            self.close_to(s.attend(c, k), k, k, k, bias=bias)

    def memory(self, s):
        return sum(s.metric(f'precis_rank_bytes{{rank="{r}"}}') for r in range(s.ranks))

    def test_forks_share_what_was_merged(self):
        s = self.start(2)
        rows, q = tensors.gauss(5, 260, 1, 256), tensors.gauss(6, 3, 1, 256)
        c = s.create(heads=1, dim=256)
        self.append_singly(s, c, tensors.part(rows, 0, 130))
        self.settle(80)
        child = s.ask("POST", f"/v1/contexts/{c}/fork").json["id"]
        self.append_singly(s, c, tensors.part(rows, 130, 195))
        self.append_singly(s, child, tensors.part(rows, 195, 260))
        self.settle(140)
        one = tensors.part(rows, 0, 195)
        two = tensors.join(tensors.part(rows, 0, 130), tensors.part(rows, 195, 260))
        before = self.memory(s)
        s.stop()
        s.start()
        self.assertLess(self.memory(s), 1.2 * before, "what was shared is there twice")
        self.close_to(s.attend(c, q), q, one, one)
        self.close_to(s.attend(child, q), q, two, two)
        s.ask("DELETE", f"/v1/contexts/{c}")
        s.stop()
        s.start()
        self.close_to(s.attend(child, q), q, two, two)
        s.ask("DELETE", f"/v1/contexts/{child}")
        self.assertEqual((self.names(), self.names("contexts")), ([], []))

    def test_thirty_forks(self):
        s = self.start(1)
        c = s.create(heads=1, dim=4)
        self.append_singly(s, c, tensors.gauss(6, 200, 1, 4))
        self.settle(80)
        link, begun = s.connect(), time.monotonic()
        for _ in range(30):
            link.request("POST", f"/v1/contexts/{c}/fork", headers=s.headers())
            answer = link.getresponse()
            answer.read()
            self.assertEqual(answer.status, 201)
        took = time.monotonic() - begun
        link.close()
        sizes = [os.path.getsize(os.path.join(self.data, "contexts", name)) for name in self.names("contexts")]
        self.assertLess(sorted(sizes)[15], 12000, "a fork's manifest holds all its parent went through")
        print(f"30 forks in {took:.3f} s")

    def test_what_a_manifest_set_aside_may_name_stays(self):
        s = self.start(1)
        rows = tensors.gauss(7, 120, 1, 4)
        c = s.create(heads=1, dim=4)
        self.append_singly(s, c, tensors.part(rows, 0, 50))
        child = s.ask("POST", f"/v1/contexts/{c}/fork").json["id"]
        s.stop()
        manifest = os.path.join(self.data, "contexts", child + ".manifest")
        os.rename(manifest, manifest + ".bad")
        s.start()
        self.append_singly(s, c, tensors.part(rows, 50, 120))
        time.sleep(0.5)
        self.assertEqual(len(self.names()), 120, "what is in two manifests, of which one is not known, was merged")
        s.stop()
        s.start()
        s.stop()
        os.rename(manifest + ".bad", manifest)
        s.start()
        old = tensors.part(rows, 0, 50)
        self.close_to(s.attend(child, old), old, old, old)
        self.close_to(s.attend(c, old), old, rows, rows)

    def test_what_was_merged_for_a_context_that_is_gone(self):
        """A merged segment is named after a context that may be deleted before the others that have it."""
        s = self.start(1)
        rows = tensors.gauss(10, 75, 1, 4)
        c = s.create(heads=1, dim=4)
        self.append_singly(s, c, tensors.part(rows, 0, 60))
        child = s.ask("POST", f"/v1/contexts/{c}/fork").json["id"]
        self.append_singly(s, child, tensors.part(rows, 60, 75))
        wait_until(lambda: any(name.startswith(child + "-0-") for name in self.names()))
        self.settle(20)
        s.ask("DELETE", f"/v1/contexts/{child}")
        old = tensors.part(rows, 0, 60)
        s.stop()
        s.start()
        self.close_to(s.attend(c, old), old, old, old)
        s.ask("DELETE", f"/v1/contexts/{c}")
        self.assertEqual((self.names(), self.names("contexts")), ([], []))

    def test_damage_gets_no_new_sum(self):
        s = self.start(1)
        c = s.create(heads=1, dim=4)
        self.append_singly(s, c, tensors.gauss(8, 40, 1, 4))
        path = os.path.join(self.data, "segments", self.names()[3])
        with open(path, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last[0] ^ 1]))
        self.append_singly(s, c, tensors.gauss(9, 40, 1, 4))
        wait_until(lambda: "is damaged" in s.said())
        self.assertEqual(len(self.names()), 80, "segments were merged with a damaged one")


class Worker(threading.Thread):
    """Appends to a context and to forks of it, makes forks and deletes them, until the service is gone."""

    def __init__(self, s, contexts, seed, first):
        super().__init__()
        self.s, self.contexts, self.rng, self.next = s, contexts, random.Random(seed), first
        self.doubt = None  # what was asked for and not answered

    def ask(self, method, path, body=None):
        self.link.request(method, path, body=body, headers=self.s.headers())
        answer = self.link.getresponse()
        text = answer.read()
        assert answer.status in (200, 201), text
        return text

    def step(self):
        name, chance = self.rng.choice(list(self.contexts)), self.rng.random()
        if chance < 0.03 and len(self.contexts) < 4:
            self.doubt = ("fork", name)
            child = json.loads(self.ask("POST", f"/v1/contexts/{name}/fork"))["id"]
            self.contexts[child] = list(self.contexts[name])
        elif chance < 0.05 and len(self.contexts) > 1:
            self.doubt = ("delete", name)
            self.ask("DELETE", f"/v1/contexts/{name}")
            del self.contexts[name]
        else:
            self.doubt, row = ("append", name, self.next), Kill.row(self.next)
            self.ask("POST", f"/v1/contexts/{name}/append", tensors.safetensors(k=row, v=row))
            self.contexts[name].append(self.next)
            self.next += 1
        self.doubt = None

    def run(self):
        self.link = self.s.connect()
        try:
            while True:
                self.step()
        except (OSError, http.client.HTTPException):
            pass
        finally:
            self.link.close()


class Kill(Files):
    @staticmethod
    def row(number):
        return tensors.gauss(number, 1, 1, 2)

    def check(self, s, workers):
        """All that was answered is there, and nothing else but what might have been."""
        there = {c["id"]: c for c in s.ask("GET", "/v1/contexts").json["contexts"]}
        q = tensors.gauss(1, 1, 1, 2)
        for w in workers:
            doubt = w.doubt or ("",)
            for name in list(w.contexts):
                if doubt == ("delete", name) and name not in there:
                    del w.contexts[name]
                    continue
                if doubt[0] == "append" and doubt[1] == name and there[name]["tokens"] == len(w.contexts[name]) + 1:
                    w.contexts[name].append(doubt[2])
                self.assertEqual(there.pop(name)["tokens"], len(w.contexts[name]))
                if w.contexts[name]:
                    rows = tensors.join(*map(self.row, w.contexts[name]))
                    self.close_to(s.attend(name, q), q, rows, rows)
            if doubt[0] == "append":
                w.next += 1
        for name, c in there.items():
            self.assertIn(("fork", c["parent"]), [w.doubt for w in workers])
            s.ask("DELETE", f"/v1/contexts/{name}")

    def work_and_kill(self, s, lives, rng):
        workers = [Worker(s, contexts, rng.random(), first) for contexts, first in lives]
        for w in workers:
            w.start()
        time.sleep(rng.uniform(0.1, 1.5))
        os.kill(rng.choice(ranks_of(s)), signal.SIGKILL)
        for w in workers:
            w.join()
        s.job.wait(30)
        s.stop()
        return workers

    def begin(self, s, first):
        """A context that is merged soon."""
        c = s.create(heads=1, dim=2)
        for i in range(64):
            self.assertEqual(s.append(c, k=self.row(first + i), v=self.row(first + i)).status, 200)
        return {c: [first + i for i in range(64)]}, first + 64

    def test_kill(self):
        seed = int(os.environ.get("PRECIS_KILL_SEED", os.getpid()))
        rounds = int(os.environ.get("PRECIS_KILL_ROUNDS", 2 if SANITIZED else 6))
        rng = random.Random(seed)
        s = self.start(2)
        lives, merged = None, set()
        for turn in range(rounds):
            if turn % 20 == 0:
                for contexts, _ in lives or ():
                    for name in contexts:
                        s.ask("DELETE", f"/v1/contexts/{name}")
                self.assertEqual((self.names(), self.names("contexts")), ([], []), "something stays of what was deleted")
                lives = [self.begin(s, 1000000 * i) for i in range(2)]
            with self.subTest(seed=seed, turn=turn):
                workers = self.work_and_kill(s, lives, rng)
                merged.update(name for name in self.names() if "-0-" in name)
                s.ranks = rng.choice([r for r in (1, 2, 3, 5) if r in RANKS])
                s.start()
                self.check(s, workers)
                lives = [(w.contexts, w.next) for w in workers]
        print(f"killed {rounds} times with merges and forks, seed {seed}: {len(merged)} merged segments were seen, all is there")
        if rounds >= 6 and not SANITIZED:
            self.assertTrue(merged, "nothing was merged")
