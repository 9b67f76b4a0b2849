"""Runs points of a study, keeps what is finished, and runs again what is not."""
import glob
import json
import os
import signal
import socket
import subprocess
import sys
import time

JOBS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INTERRUPTED = 75  # exit status of what can be resumed
MINE = f"{socket.gethostname()}-{os.getpid()}.part"


class Stopped(Exception):
    """A signal asked for an end; what is finished is kept."""


class Runner:
    """Starts programs one at a time; signals go on to the one that runs."""

    def __init__(self, folder, program):
        self.folder = folder
        self.program = program
        self.child = None
        self.stopping = None
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.on_signal)
        for name in ("raw", "inputs"):
            os.makedirs(os.path.join(folder, name), exist_ok=True)

    def on_signal(self, number, _frame):
        self.stopping = number
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(number)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def aside(self, *names):
        """A path of this process alone: on a node that only seems dead, a job that was started
        again elsewhere may still be at work."""
        return self.path(*names) + "." + MINE

    def call(self, command, limit, errors, environment=None):
        """Exit status of a command; what it prints goes to the file errors."""
        if self.stopping:
            raise Stopped
        with open(errors, "w", encoding="utf-8") as file:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file,
                                          stderr=file, env={**os.environ, **(environment or {})})
            if self.stopping:  # between the test above and the start
                self.child.send_signal(self.stopping)
            status = self.wait(limit)
        self.child = None
        if self.stopping and status != 0:
            raise Stopped
        return status

    def wait(self, limit):
        end = time.monotonic() + limit
        while True:
            try:
                return self.child.wait(timeout=.5)
            except subprocess.TimeoutExpired:
                late = time.monotonic() - end
                if late > 10:
                    self.child.kill()
                elif late > 0:
                    self.child.terminate()

    def launch(self, ranks, arguments, limit, errors, **environment):
        command = [os.path.join(JOBS, "launch"), str(ranks), self.program, *arguments]
        return self.call(command, limit, errors, environment)


def remove(*paths):
    """Files that a launch may have left, with what a program was writing when a signal ended it:
    its own part of a file is that file's name and more."""
    for path in paths:
        for leftover in glob.glob(glob.escape(path) + "*"):
            os.remove(leftover)


def report_path(point, repeat):
    return f"{point.key()}.{repeat}.json"


def failure_path(point):
    """Why the last run of a point failed, all repeats together: they would fail alike."""
    return f"{point.key()}.failed"


def last_line(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [line.strip() for line in file if line.strip()]
    own = [line for line in lines if line.startswith("precis: ")]
    return (own or lines or ["no message"])[-1]


def make_input(runner, study, point):
    """The file of queries, keys and values; whole or not there."""
    path = runner.path("inputs", point.input_key() + ".safetensors")
    if os.path.exists(path):
        return path
    part = runner.aside("inputs", "x") + ".safetensors"
    arguments = ["gen", "--tokens", str(point.tokens), "--heads", str(point.heads), "--kv-heads",
                 str(point.kv_heads), "--dim", str(point.dim), "--kind", point.kind, "--spread",
                 point.spread, "--seed", str(point.seed), "--quiet", "-o", part]
    errors = runner.aside("inputs", "errors")
    status = runner.launch(1, arguments, study.timeout, errors)
    why = last_line(errors)
    os.remove(errors)
    if status != 0:
        raise OSError(f"{point.input_key()}: {why}")
    os.rename(part, path)
    return path


def run_arguments(study, point, path, report):
    arguments = ["run", "--input", path, "--threads", str(point.threads), "--timeout",
                 f"{study.timeout:g}", "--quiet", "--json", report]
    arguments += ["--exact"] if point.tol == "exact" else ["--tol", point.tol]
    if point.move != "auto":
        arguments += ["--move", point.move]
    if point.causal:
        arguments += ["--causal"]
    if point.verify:
        arguments += ["--verify", str(point.verify)]
    return arguments


def save(path, text):
    """A file that is there whole or not at all."""
    part = f"{path}.{MINE}"
    with open(part, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(part, path)


def load(path):
    """What a JSON file holds; {} where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError:
        return {}


def run_once(runner, study, point, repeat, bindings):
    """One run. Repeat 0 is a warm-up: its report is dropped. True if it worked."""
    name = report_path(point, repeat)
    report, part = runner.path("raw", name), runner.aside("raw", name)
    errors = runner.aside("raw", name + ".txt")
    path = make_input(runner, study, point)
    extra = {"THREADS": str(point.threads), "BINDINGS": "yes" if bindings else "no"}
    if study.ranks_per_node and "SLURM_JOB_ID" in os.environ:
        extra["PER_NODE"] = str(study.ranks_per_node)
    try:
        status = runner.launch(point.ranks, run_arguments(study, point, path, part),
                               study.timeout + 30, errors, **extra)
        if bindings:
            with open(errors, encoding="utf-8", errors="replace") as file:
                sys.stdout.write("".join(line for line in file
                                         if "bound to" in line or "cpu-bind" in line))
        if status == INTERRUPTED:
            raise Stopped
        failure = runner.path("raw", failure_path(point))
        if status == 0 and repeat > 0:
            os.replace(part, report)
        if status != 0:
            save(failure, json.dumps({"status": status, "why": last_line(errors)}) + "\n")
        elif os.path.exists(failure):
            os.remove(failure)
        return status == 0
    finally:
        remove(part, errors)


def missing(runner, study, points):
    """For each point what of it is to be run, once for every repeat."""
    wanted = ((point, repeat) for repeat in range(1, study.repeats + 1) for point in points)
    return [(point, repeat) for point, repeat in wanted
            if not os.path.exists(runner.path("raw", report_path(point, repeat)))]


def run_all(runner, study, points, say):
    """Warm-ups first; then repeats, each through all points, so that a disturbance of the machine
    spoils one repeat of many points and not all repeats of one. Returns how many failed."""
    todo = missing(runner, study, points)
    total = study.repeats * len(points)
    if len(todo) < total:
        say(f"{total - len(todo)} of {total} runs are kept from before")
    broken, seen = set(), set()
    for point in dict.fromkeys(point for point, _ in todo):
        for _ in range(study.warmups):
            if point.key() not in broken:
                if not run_once(runner, study, point, 0, point.ranks not in seen):
                    broken.add(point.key())
                seen.add(point.ranks)
    for count, (point, repeat) in enumerate(todo, 1):
        if point.key() in broken:
            continue
        good = run_once(runner, study, point, repeat, False)
        say(f"{count} of {len(todo)}: {point.series} ranks={point.ranks} tokens={point.tokens} "
            f"d={point.dim} tol={point.tol} {point.move} repeat {repeat}"
            + ("" if good else ": FAILED"))
        if not good:
            broken.add(point.key())
    return len(broken)
