"""A ReFrame 4 test of Precis: reframe -C jobs/reframe/settings.py -c jobs/reframe/precis.py -r

Attends to generated queries, keys and values, and wants every error within its promise.
Edit valid_systems and references for your machine. $PRECIS is the program and
$PRECIS_JOBS the folder jobs/ of the source.
"""
# SPDX-License-Identifier: BSD-3-Clause
import os

import reframe as rfm
import reframe.utility.sanity as sn
from reframe.core.builtins import (parameter, performance_function, run_before, sanity_function,
                                   variable)

JOBS = os.environ.get("PRECIS_JOBS", os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("PRECIS", os.path.join(os.path.dirname(JOBS), "build", "precis"))


@rfm.simple_test
class PrecisAttention(rfm.RunOnlyRegressionTest):
    descr = "softmax attention, exact and by summaries"
    valid_systems = ["*"]
    valid_prog_environs = ["*"]
    ranks = parameter([1, 2, 4])
    tol = parameter(["0", "1e-2"])
    tokens = variable(str, value="16k")
    executable = PROGRAM
    # What your machine reaches: {"cluster:partition": {"rate": (value, -0.1, None, "1/s")}}.
    reference = {"*": {"rate": (0, None, None, "1/s"), "total": (0, None, None, "s")}}

    @run_before("run")
    def compose(self):
        self.num_tasks = self.ranks
        self.executable_opts = ["run", "--input", "in.safetensors", "--tol", self.tol, "--verify",
                                "64", "--quiet", "--json", "report.json"]
        self.prerun_cmds = [f"{PROGRAM} gen --tokens {self.tokens} --heads 4 --dim 16 --kind gauss "
                            "--spread 0.15 --quiet -o in.safetensors"]
        self.postrun_cmds = [f"{os.path.join(JOBS, 'report')} --key-value report.json"]

    @sanity_function
    def promises_hold(self):
        error = sn.extractsingle(r"precis\.measured\.max_error=(\S+)", self.stdout, 1, float)
        promise = sn.extractsingle(r"precis\.promise\.error=(\S+)", self.stdout, 1, float)
        ranks = sn.extractsingle(r"precis\.machine\.ranks=(\d+)", self.stdout, 1, int)
        return sn.all([sn.assert_le(error, promise), sn.assert_eq(ranks, self.ranks)])

    @performance_function("1/s")
    def rate(self):
        return sn.extractsingle(r"precis\.rates\.tokens_per_second=(\S+)", self.stdout, 1, float)

    @performance_function("s")
    def total(self):
        return sn.extractsingle(r"precis\.seconds\.total=(\S+) s", self.stdout, 1, float)
