# test_jobs.py - what jobs/ and the manual have for who runs a service
#
# SPDX-License-Identifier: BSD-3-Clause
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import tensors
from service import Case, Service, wait_until

JOBS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "jobs")
ROWS = tensors.gauss(1, 30, 1, 4)


class Jobs(Case):
    def test_board(self):
        """The board for Grafana asks for what there is."""
        with open(os.path.join(JOBS, "grafana", "precis.json"), encoding="utf-8") as file:
            board = json.load(file)
        with Service(1) as s:
            known = set(re.findall(r"^(precis_\w+)", s.ask("GET", "/metrics").body.decode(), re.M))
        asked = set()
        for panel in board["panels"]:
            for target in panel["targets"]:
                asked |= set(re.findall(r"precis_\w+", target["expr"]))
        self.assertGreater(len(asked), 15)
        # Of what has labels there may be no sample yet.
        head = {name for name in asked if name not in known}
        self.assertLessEqual(head, {"precis_requests_total", "precis_request_seconds_bucket", "precis_context_tokens"})

    def test_backup(self):
        """As precis-serve(7) has it, while appends go on."""
        with Service(2, "--data", "FOLDER/data") as s:
            c = s.create(heads=1, dim=4)
            s.append(c, k=ROWS, v=ROWS)
            backup = os.path.join(s.folder, "backup")
            os.mkdir(backup)
            for part in ("version", "contexts", "segments"):
                subprocess.run(["cp", "-a", os.path.join(s.folder, "data", part), backup], check=True)
                s.append(c, k=ROWS, v=ROWS)
            done = subprocess.run([os.environ["PRECIS"], "data", "check", backup], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @staticmethod
    def start(folder, restarts):
        """The script as in a Slurm job, whose scontrol says no."""
        for name, text in (("scontrol", f'echo "$@" >>{folder}/asked; exit 1'), ("anyhow", "shift; exec \"$@\"")):
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write("#!/bin/sh\n" + text + "\n")
            os.chmod(os.path.join(folder, name), 0o755)
        env = {**os.environ, "PATH": folder + ":" + os.environ["PATH"], "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "serve",
               "SLURM_JOB_NODELIST": "n1", "SLURM_JOB_NUM_NODES": "1", "SLURM_NTASKS": "1", "SLURM_CPUS_PER_TASK": "1",
               "SLURM_SUBMIT_DIR": folder, "SLURM_RESTART_COUNT": str(restarts), "PRECIS_HOME": os.path.join(JOBS, ".."),
               "LAUNCHER": "anyhow", "PORT": "0", "DIR": os.path.join(folder, "mine"), "OMPI_MCA_ess_singleton_isolated": "1"}
        log = open(os.path.join(folder, "log"), "a+", encoding="utf-8")
        job = subprocess.Popen(["bash", os.path.join(JOBS, "slurm", "serve.sbatch")], env=env, stdin=subprocess.DEVNULL,
                               stdout=log, stderr=subprocess.STDOUT)

        def said():
            log.seek(0)
            return re.findall(r"precis: serving at (\S+),", log.read())
        wait_until(lambda: len(said()) > restarts, 30)
        return job, said()[-1], log

    def remote(self, folder, url, *args):
        done = subprocess.run([os.environ["PRECIS"], "remote", *args, "--url", url, "--token-file", os.path.join(folder, "mine", "token")],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_slurm(self):
        """It stops at USR1, wants to be queued again, and goes on with the same contexts and token."""
        folder = tempfile.mkdtemp(prefix="precis-jobs-")
        try:
            for restarts in (0, 1):
                job, url, log = self.start(folder, restarts)
                if restarts == 0:
                    made = self.remote(folder, url, "create", "--heads", "1", "--dim", "4")["id"]
                found = [c["id"] for c in self.remote(folder, url, "list")["contexts"]]
                self.assertEqual(found, [made])
                time.sleep(0.2)
                job.send_signal(signal.SIGUSR1)
                self.assertEqual(job.wait(30), 75)
                log.seek(0)
                text = log.read()
                log.close()
                with open(os.path.join(folder, "asked"), encoding="ascii") as file:
                    self.assertEqual(file.read(), "requeue 7\n" * (restarts + 1))
                self.assertIn("ssh -N -L", text)
        finally:
            shutil.rmtree(folder)
