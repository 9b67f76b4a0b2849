"""Submits a study to Slurm: one job prepares, one a number of ranks measures, the last makes the
table. Measuring jobs wait for each other, so that they do not disturb each other."""
import os
import shlex
import subprocess

from scaling import runs
from scaling.description import Mistake

SCRIPT = os.path.join(runs.JOBS, "slurm", "points.sbatch")


def sbatch(name, ranks, per_node, threads, after, arguments, environment):
    nodes = -(-ranks // per_node) if per_node else 1
    command = ["sbatch", "--parsable", f"--job-name={name}", f"--nodes={nodes}",
               f"--ntasks={ranks}", f"--ntasks-per-node={min(ranks, per_node or ranks)}",
               f"--cpus-per-task={threads}"]
    if after:
        command.append(f"--dependency={after}")
    command += [SCRIPT, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={**os.environ, **environment}, check=False)
    if done.returncode != 0:
        raise Mistake(f"{shlex.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip().split(";")[0]


def submit(runner, study, file, say):
    """The ids of the jobs, the last of which is done when the table is."""
    environment = {"PRECIS_HOME": os.path.dirname(runs.JOBS), "PRECIS": runner.program}
    common = [file, "--out", runner.folder]
    waiting = sorted({point.ranks for point, _ in runs.missing(runner, study, study.points)})

    def one(name, ranks, after, *arguments):
        job = sbatch(name, ranks, study.ranks_per_node, study.threads, after,
                     [*common, *arguments], environment)
        say(f"job {job}: {name}" + (f", after {after}" if after else ""))
        return job

    jobs = [one("precis-prepare", 1, "", "--prepare")]
    for ranks in waiting:
        after = f"afterok:{jobs[0]}" + (f",afterany:{jobs[-1]}" if len(jobs) > 1 else "")
        jobs.append(one(f"precis-{ranks}-ranks", ranks, after, "--ranks", str(ranks)))
    jobs.append(one("precis-table", 1, f"afterany:{jobs[-1]}", "--table"))
    return jobs
