# test_watch.py - what the service says of itself: its log, names of requests, whether it is ready, and which rank is missing
#
# SPDX-License-Identifier: BSD-3-Clause
import json
import os
import signal
import time

import tensors
from service import Case, Service, ranks_of, wait_until

ROWS = tensors.gauss(1, 30, 1, 4)


class Log(Case):
    def lines(self, s, event):
        found = [json.loads(line) for line in s.said().splitlines() if line.startswith("{")]
        return [line for line in found if line["event"] == event]

    def test_requests(self):
        with Service(1, "--log", "json", "--data", "FOLDER/data") as s:
            c = s.create(heads=1, dim=4)
            body = tensors.safetensors(k=ROWS, v=ROWS)
            answer = s.ask("POST", f"/v1/contexts/{c}/append?x=1", body, X_Request_Id="mine-1")
            self.assertEqual((answer.status, answer.headers["x-request-id"]), (400, "mine-1"))
            answer = s.ask("POST", f"/v1/contexts/{c}/append", body, X_Request_Id="bad name; \u00e4")
            self.assertRegex(answer.headers["x-request-id"], "^[0-9a-f]{16}$")
            s.ask("GET", "/healthz")
            s.ask("GET", "/v1/contexts", Authorization="Bearer wrong")
            wait_until(lambda: len(self.lines(s, "request")) == 4)
            # Each is said when its connection has done with it, not always in the order of the requests.
            done, made, refused, stranger = sorted(self.lines(s, "request"), key=lambda line: line["status"])
            self.assertEqual((made["method"], made["path"], made["status"], made["token"]), ("POST", "/v1/contexts", 201, "default"))
            self.assertEqual((refused["id"], refused["status"]), ("mine-1", 400))
            self.assertIn("not known", refused["message"])
            self.assertEqual((done["id"], done["bytes_in"], done["context"]), (answer.headers["x-request-id"], len(body), c))
            self.assertGreater(done["bytes_out"], 10)
            self.assertGreater(done["ms"], 0)
            self.assertEqual((stranger["status"], stranger["token"]), (401, "-"))
            link = s.begin_append(c, 1000)
            link.send(b"x")
            wait_until(lambda: s.metric("precis_active_requests") == 2)
            link.close()
            wait_until(lambda: len(self.lines(s, "cut")) == 1)
            os.rename(os.path.join(s.folder, "data", "segments"), os.path.join(s.folder, "data", "away"))
            self.assertEqual(s.append(c, k=ROWS, v=ROWS).status, 500)
            os.rename(os.path.join(s.folder, "data", "away"), os.path.join(s.folder, "data", "segments"))
            wait_until(lambda: self.lines(s, "request")[-1]["level"] == "warning")
            self.assertIn("cannot be written", self.lines(s, "request")[-1]["message"])
            s.stop()
            s.start()
            s.stop()
            said = s.said()
            self.assertEqual(len(self.lines(s, "load")), 1)
            self.assertEqual([x["message"] for x in self.lines(s, "stop")][-1], "all is done")
            self.assertNotIn(s.token, said)

    def test_forms(self):
        with Service(1, "--log", "none") as s:
            s.create(heads=1, dim=1)
            s.stop()
            self.assertEqual(s.said(), "")
        with Service(1, "--log-level", "warning") as s:
            s.create(heads=1, dim=1)
            s.stop()
            self.assertEqual(s.said(), "")
        with Service(1, "--log-level", "debug") as s:
            s.ask("GET", "/healthz", X_Request_Id="look")
            s.ask("GET", "/nowhere%0aprecis:%20x\x01".replace("\x01", "%01"))
            s.stop()
            self.assertRegex(s.said(), r"(?m)^precis: \S+Z debug request id=look method=GET path=/healthz status=200 ms=\S+ .* token=\S+$")
            for line in s.said().splitlines():
                self.assertRegex(line, r"^precis: 2\d\d\d-\d\d-\d\dT[0-9:.]+Z (info|debug|warning) \w+[: ]")


class Ready(Case):
    def test_a_rank_that_hangs(self):
        with Service(4) as s:
            self.assertEqual(s.ask("GET", "/readyz").json["status"], "ready")
            victims = ranks_of(s)[1:]
            with open(f"/proc/{victims[1]}/environ", encoding="utf-8") as file:
                rank = int(dict(v.split("=", 1) for v in file.read().split("\0") if "=" in v)["OMPI_COMM_WORLD_RANK"])
            os.kill(victims[1], signal.SIGSTOP)
            try:  # idle, nobody asks for anything
                wait_until(lambda: s.ask("GET", "/readyz").status == 503)
                time.sleep(1.5)
                answer = s.ask("GET", "/readyz").json
                self.assertEqual(answer["status"], "waiting")
                self.assertRegex(answer["why"], rf"^rank {rank} on {os.uname().nodename} has not answered for [3-9] s$")
                self.assertEqual(s.ask("GET", "/healthz").status, 200)
            finally:
                os.kill(victims[1], signal.SIGCONT)
            wait_until(lambda: s.ask("GET", "/readyz").status == 200)
            c = s.create(heads=1, dim=4)
            s.append(c, k=ROWS, v=ROWS)
            self.close_to(s.attend(c, ROWS), ROWS, ROWS, ROWS)

    def test_while_it_loads(self):
        """It listens before all is loaded: alive, not ready, and says how far it is."""
        with Service(2, "--data", "FOLDER/data") as s:
            k = tensors.Tensor((50000, 1, 32), ROWS.values * (50000 * 32 // 120 + 1))
            k = tensors.part(k, 0, 50000)
            for _ in range(4):
                c = s.create(heads=1, dim=32)
                for _ in range(3):
                    self.assertEqual(s.append(c, k=k, v=k).status, 200)
            s.stop()
            s.listen = s.url.split("//")[1]
            seen = []

            def look():
                try:
                    seen.append((s.ask("GET", "/readyz").json, s.ask("GET", "/healthz").status, s.ask("GET", "/v1/contexts").status))
                except (OSError, ValueError):
                    pass

            import threading
            over = threading.Event()

            def watch():
                while not over.is_set():
                    look()

            thread = threading.Thread(target=watch)
            thread.start()
            s.start()
            over.set()
            thread.join()
            starting = [x for x in seen if x[0]["status"] == "starting" and x[2] == 503]
            self.assertTrue(starting, "it did not listen while it loaded")
            for answer, health, _ in starting:
                self.assertEqual(health, 200)
                self.assertEqual(answer["tokens_to_load"], 600000)
            self.assertLess(starting[0][0]["tokens_loaded"], 600000)
            self.assertEqual(s.ask("GET", "/readyz").json["tokens_loaded"], 600000)


class Metrics(Case):
    def test_all(self):
        """What was done is counted, and says what it is in words."""
        with Service(2, "--data", "FOLDER/data", env={"PRECIS_PIECE_ROWS": "4"}) as s:
            contexts = [s.create(heads=1, dim=4) for _ in range(103)]
            c = contexts[-1]
            s.append(c, k=ROWS, v=ROWS)
            sent = len(s.attend(c, tensors.part(ROWS, 0, 8)).body)
            s.attend(c, tensors.part(ROWS, 0, 1))
            for name, least in (("attend_pieces_total", 3), ("rows_repaired_total", 0), ("queue_seconds_count", 106),
                                ("fsync_seconds_count", 1), ("attend_batch_size_count", 2),
                                ('attend_batch_size_bucket{le="1"}', 2), ("ready", 1),
                                (f'context_tokens{{context="{c}"}}', 30),
                                (f'context_calls_total{{context="{c}",call="append"}}', 1),
                                (f'context_calls_total{{context="{c}",call="attend"}}', 2)):
                self.assertEqual(s.metric("precis_" + name), least, name)
            self.assertGreater(s.metric("precis_fsync_seconds_sum"), 0)
            self.assertGreater(s.metric("precis_received_bytes_total"), 2 * 30 * 16)
            self.assertGreater(s.metric("precis_sent_bytes_total"), sent)
            lines = s.ask("GET", "/metrics").body.decode().splitlines()
            self.assertEqual(sum(line.startswith("precis_context_tokens{") for line in lines), 100)
            self.assertFalse(any(f'"{contexts[0]}"' in line for line in lines))
            self.assertTrue(any(line.startswith('precis_build_info{version="') for line in lines))
            for line in lines:
                if line.startswith("# HELP"):
                    self.assertRegex(line, r"^# HELP precis_\w+ [A-Z][^ ]*( \S+){2,}[^ ]$")
                    self.assertNotRegex(line, r"HELP precis_\w+ (That|In|Of|For|Held|Since) ")
