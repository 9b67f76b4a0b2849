# test_data.py - with --data nothing that was acknowledged is lost, whatever is killed, at any number of ranks
#
# SPDX-License-Identifier: BSD-3-Clause
#
# PRECIS_KILL_ROUNDS (default 6) jobs are killed at random moments while they append; PRECIS_KILL_SEED takes other moments.
import glob
import http.client
import json
import os
import random
import signal
import time

import tensors
from service import RANKS, SANITIZED, Case, Service, ranks_of


class Data(Case):
    def start(self, ranks, *options):
        s = Service(ranks, "--data", "FOLDER/data", *options)
        self.addCleanup(s.__exit__)
        return s

    def restart(self, s, ranks):
        self.assertEqual(s.stop(), 0)
        s.ranks = ranks
        s.start()

    def test_limit_at_a_restart(self):
        """What is kept and does not fit is refused as a whole, and is there for who has more memory."""
        k = tensors.gauss(1, 2000, 2, 8)
        s = self.start(2)
        one = s.create(heads=2, dim=8)
        s.append(one, k=k, v=k)
        self.assertEqual(s.stop(), 0)
        s.options += ["--memory-limit", "50k"]
        with self.assertRaisesRegex(RuntimeError, "contexts that were kept take [0-9]+ bytes.* --memory-limit is 50000"):
            s.start()
        self.assertNotEqual(s.job.returncode, 0)
        s.options = s.options[:-2]
        s.start()
        self.assertEqual(s.ask("GET", f"/v1/contexts/{one}").json["tokens"], 2000)

    def test_restart_with_other_ranks(self):
        k, v, q = tensors.gauss(1, 700, 2, 5), tensors.gauss(2, 700, 2, 3), tensors.gauss(3, 6, 4, 5)
        bias = tensors.gauss(4, 700)
        s = self.start(2)
        one = s.create(name="one \u00e9", heads=4, kv_heads=2, dim=5, value_dim=3, causal=True, tol=0.01)
        two = s.create(heads=4, kv_heads=2, dim=5, value_dim=3, scale=0.3)
        gone = s.create(heads=1, dim=1)
        at = 0
        for end in (1, 2, 100, 700):
            p = {"k": tensors.part(k, at, end), "v": tensors.part(v, at, end)}
            s.append(one, **p)
            s.append(two, bias=tensors.part(bias, at, end), **p)
            at = end
        s.append(gone, k=tensors.gauss(1, 5, 1, 1), v=tensors.gauss(1, 5, 1, 1))
        s.ask("DELETE", f"/v1/contexts/{gone}")
        before = s.ask("GET", "/v1/contexts").json["contexts"]
        for ranks in (3, 1, 4):
            self.restart(s, ranks)
            now = s.ask("GET", "/v1/contexts").json["contexts"]
            self.assertEqual([c["id"] for c in now], [one, two])
            for a, b in zip(before, now):
                for name in ("name", "heads", "kv_heads", "dim", "value_dim", "causal", "scale", "tol", "tokens", "bytes",
                             "created"):
                    self.assertEqual(a[name], b[name])
                self.assertLessEqual(max(b["rank_tokens"]) - min(b["rank_tokens"]), 1)
            self.close_to(s.attend(one, q), q, k, v, causal=True)
            self.close_to(s.attend(two, q), q, k, v, bias=bias, scale=0.3)
        files = glob.glob(os.path.join(s.folder, "data", "segments", "*"))
        self.assertFalse([f for f in files if gone in f], "segments of a deleted context remain")
        with open(files[0], "rb") as file:
            self.assertIn("k", tensors.read_safetensors(file.read()))

    def test_the_same_request_again(self):
        s = self.start(2)
        spec = json.dumps({"heads": 1, "dim": 2})
        made = [s.ask("POST", "/v1/contexts", spec, Idempotency_Key="make").json["id"] for _ in range(2)]
        self.assertEqual(made[0], made[1])
        body = tensors.safetensors(k=tensors.gauss(1, 10, 1, 2), v=tensors.gauss(2, 10, 1, 2))
        path = f"/v1/contexts/{made[0]}/append"
        for turn in range(3):
            for key in ("a", "b"):
                answer = s.ask("POST", path, body, Idempotency_Key=key)
                self.assertEqual(answer.json, {"appended": 10, "tokens": 10 if key == "a" else 20})
            self.restart(s, turn + 1)
        self.assertEqual(s.ask("POST", path, body).json["tokens"], 30)
        for key in ("", "x" * 129, "a b"):
            self.refused(s.ask("POST", path, body, Idempotency_Key=key), 400, "Idempotency-Key")
        self.assertEqual(s.ask("POST", "/v1/contexts", spec, Idempotency_Key="make").json["id"], made[0])
        self.refused(s.ask("POST", path, body[:-3], Idempotency_Key="c"), 400, "body")
        self.assertEqual(s.ask("POST", path, body, Idempotency_Key="c").json["tokens"], 40)

    def test_another_request_with_the_same_key(self):
        """422, also after a restart, and nothing is done; forks take keys, too; keys of one token are nothing to another."""
        s = self.start(2)
        spec, other = (json.dumps({"heads": 1, "dim": d}) for d in (2, 3))
        c = s.ask("POST", "/v1/contexts", spec, Idempotency_Key="make").json["id"]
        k, v = tensors.gauss(1, 10, 1, 2), tensors.gauss(2, 10, 1, 2)
        path, bodies = f"/v1/contexts/{c}/append", (tensors.safetensors(k=k, v=v), tensors.safetensors(k=v, v=k))
        self.assertEqual(s.ask("POST", path, bodies[0], Idempotency_Key="a").status, 200)
        forks = [s.ask("POST", f"/v1/contexts/{c}/fork", Idempotency_Key="f") for _ in range(2)]
        self.assertEqual([f.status for f in forks], [201, 201])
        child = forks[0].json["id"]
        self.assertEqual(forks[1].json["id"], child)
        for turn in range(2):
            self.refused(s.ask("POST", "/v1/contexts", other, Idempotency_Key="make"), 422, "Idempotency-Key")
            self.refused(s.ask("POST", path, bodies[1], Idempotency_Key="a"), 422, "Idempotency-Key")
            self.refused(s.ask("POST", f"/v1/contexts/{child}/fork", Idempotency_Key="f"), 422, "Idempotency-Key")
            self.refused(s.ask("POST", f"/v1/contexts/{c}/fork", Idempotency_Key="make"), 422, "Idempotency-Key")
            self.refused(s.ask("POST", "/v1/contexts", spec, Idempotency_Key="f"), 422, "Idempotency-Key")
            self.assertEqual(s.ask("POST", path, bodies[0], Idempotency_Key="a").json, {"appended": 10, "tokens": 10})
            self.assertEqual(s.ask("POST", f"/v1/contexts/{c}/fork", Idempotency_Key="f").json["id"], child)
            self.assertEqual(len(s.ask("GET", "/v1/contexts").json["contexts"]), 2)
            self.restart(s, turn + 1)
        file = os.path.join(s.folder, "token")
        with open(file, "a", encoding="ascii") as f:
            f.write("b" * 20 + " bert\n")
        self.restart(s, 2)
        s.token = "b" * 20
        self.assertNotEqual(s.ask("POST", "/v1/contexts", other, Idempotency_Key="make").json["id"], c)

    def test_one_job_at_a_time(self):
        s = self.start(1)
        with self.assertRaisesRegex(RuntimeError, "another job serves it"):
            Service(1, "--data", os.path.join(s.folder, "data"))

    def test_damage_is_found(self):
        s = self.start(1)
        c = s.create(heads=1, dim=2)
        k = tensors.gauss(1, 3, 1, 2)
        for _ in range(3):
            s.append(c, k=k, v=k)
        s.stop()
        data = os.path.join(s.folder, "data")
        manifest = os.path.join(data, "contexts", c + ".manifest")
        with open(manifest, "rb") as file:
            good = file.read()
        last = good[:-1].rindex(b"\n") + 1
        for cut in (last + 1, last + 20, len(good) - 1):  # was being written when the job ended
            with open(manifest, "wb") as file:
                file.write(good[:cut])
            s.start()
            self.assertEqual(s.ask("GET", f"/v1/contexts/{c}").json["tokens"], 6)
            self.assertEqual(s.append(c, k=k, v=k).json["tokens"], 9)
            s.stop()
        segments = sorted(glob.glob(os.path.join(data, "segments", "*")))
        self.assertEqual(len(segments), 3, "what was not acknowledged is left behind")
        with open(manifest, "rb") as file:
            good = file.read()
        for bad, words in ((good[:30] + b"?" + good[31:], "no manifest"), (good[:last - 5] + b"?" + good[last - 4:], "no manifest"),
                           (b"", "no manifest")):
            with open(manifest, "wb") as file:
                file.write(bad)
            with self.assertRaisesRegex(RuntimeError, words):
                s.start()
        with open(manifest, "wb") as file:
            file.write(good)
        os.truncate(segments[1], os.path.getsize(segments[1]) - 4)
        with self.assertRaisesRegex(RuntimeError, "its sum is not"):
            s.start()
        os.remove(segments[1])
        with self.assertRaisesRegex(RuntimeError, "cannot be read"):
            s.start()

    def test_a_full_disk(self):
        """An append that cannot be written is not there, and the next one is as it should be."""
        s = self.start(2)
        c = s.create(heads=1, dim=2)
        k = tensors.gauss(1, 4, 1, 2)
        self.assertEqual(s.append(c, k=k, v=k).status, 200)
        folder = os.path.join(s.folder, "data", "segments")
        os.rename(folder, folder + ".away")
        answer = s.append(c, k=k, v=k)
        self.assertEqual(answer.status, 500)
        self.assertIn("cannot be written", answer.error["message"])
        os.rename(folder + ".away", folder)
        self.assertEqual(s.append(c, k=k, v=k).json["tokens"], 8)
        both = tensors.join(k, k)
        self.close_to(s.attend(c, k), k, both, both)


class Killed(Case):
    DIM = 3

    def rows(self, index):
        count = random.Random(index).choice([1, 1, 2, 7, 40, 300])
        return tensors.gauss(2 * index, count, 1, self.DIM), tensors.gauss(2 * index + 1, count, 1, self.DIM)

    def append_until_killed(self, s, c, appended, rng):
        """Appends in order, each with its key; returns how many were acknowledged."""
        victims = ranks_of(s)
        if rng.random() < 0.5:
            victims = [rng.choice(victims)]
        end = time.monotonic() + rng.random() * 0.6
        killed = False
        while True:
            if not killed and time.monotonic() > end:
                killed = True
                pid = os.fork()
                if pid == 0:  # in the middle of what follows
                    time.sleep(rng.random() * 0.02)
                    for victim in victims:
                        os.kill(victim, signal.SIGKILL)
                    os._exit(0)
            k, v = self.rows(appended)
            try:
                answer = s.ask("POST", f"/v1/contexts/{c}/append", tensors.safetensors(k=k, v=v),
                               Idempotency_Key=str(appended))
            except (OSError, http.client.HTTPException):
                if killed:
                    os.waitpid(pid, 0)
                    return appended
                raise
            self.assertEqual(answer.status, 200, answer.body)
            appended += 1

    def check(self, s, c, appended):
        """All that was acknowledged is there, in order, and at most one append more."""
        pieces = [self.rows(i) for i in range(appended + 1)]
        tokens = s.ask("GET", f"/v1/contexts/{c}").json["tokens"]
        counts = [sum(k.shape[0] for k, _ in pieces[:n]) for n in (appended, appended + 1)]
        self.assertIn(tokens, counts)
        there = appended + (tokens == counts[1])
        k, v = tensors.join(*[p[0] for p in pieces[:there]]), tensors.join(*[p[1] for p in pieces[:there]])
        q = tensors.gauss(0, 1, 1, self.DIM)
        self.close_to(s.attend(c, q), q, k, v)
        answer = s.ask("POST", f"/v1/contexts/{c}/append", tensors.safetensors(k=pieces[-1][0], v=pieces[-1][1]),
                       Idempotency_Key=str(appended))
        self.assertEqual(answer.json, {"appended": pieces[-1][0].shape[0], "tokens": counts[1]})
        return appended + 1

    def test_kill(self):
        seed = int(os.environ.get("PRECIS_KILL_SEED", os.getpid()))
        rounds = int(os.environ.get("PRECIS_KILL_ROUNDS", 2 if SANITIZED else 6))
        rng = random.Random(seed)
        s = Service(2, "--data", "FOLDER/data")
        self.addCleanup(s.__exit__)
        for turn in range(rounds):
            if turn % 50 == 0:
                c, appended = s.create(heads=1, dim=self.DIM), 1
                first = self.rows(0)
                s.append(c, k=first[0], v=first[1])
            with self.subTest(seed=seed, turn=turn):
                appended = self.append_until_killed(s, c, appended, rng)
                s.job.wait(30)
                s.stop()
                s.ranks = rng.choice(RANKS[:5])
                s.start()
                appended = self.check(s, c, appended)
        print(f"killed {rounds} times, seed {seed}: {appended} appends of the last context are all there")
