"""What the machine and the program are: for the page, and for the roofs of the roofline."""
import json
import os
import re
import subprocess
import time

from scaling import runs


def cores():
    """Processing units that ranks of one node may use."""
    given = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return int(given) if given.isdigit() else len(os.sched_getaffinity(0))


def output(*command):
    """What a command prints, or '' where there is no such command."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""
    except (OSError, subprocess.TimeoutExpired):
        return ""


def commit():
    top = os.path.dirname(runs.JOBS)
    found = output("git", "-C", top, "rev-parse", "--short", "HEAD")
    changed = found and output("git", "-C", top, "status", "--porcelain", "--untracked-files=no")
    return found + (", changed" if changed else "") if found else "unknown"


def copy_bandwidth(size=256 << 20, repeats=5):
    """Bytes that one core reads and writes in a second when it copies much memory."""
    source, target = bytearray(size), bytearray(size)
    fastest = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        memoryview(target)[:] = source
        fastest = min(fastest, time.perf_counter() - start)
    return 2 * size / fastest


def sgemm_gflops(runner):
    """Of one core, as precis bench kernels measures it; None if it does not."""
    path, errors = runner.aside("bench"), runner.aside("bench.txt")
    arguments = ["bench", "kernels", "--repeats", "3", "--json", path]
    try:
        if runner.launch(1, arguments, 300, errors) != 0:
            return None
        with open(path, encoding="utf-8") as file:
            return json.load(file)["sgemm_gflops"]
    finally:
        runs.remove(path, errors)


def busy_units(seconds=2):
    """Processing units that others keep busy just now; the load average would still tell of what has ended."""
    def ticks():
        with open("/proc/stat", encoding="utf-8") as file:
            numbers = [int(word) for word in file.readline().split()[1:9]]
        return sum(numbers), numbers[3] + numbers[4]  # all, and idle or waiting for disks
    try:
        before = ticks()
        time.sleep(seconds)
        after = ticks()
    except (OSError, ValueError, IndexError):
        return os.getloadavg()[0]
    total = after[0] - before[0]
    return (1 - (after[1] - before[1]) / total) * os.cpu_count() if total > 0 else 0


def regime_map(runner, options):
    """precis plan --sweep, where the program has it: when summaries win, on paper."""
    part, errors = runner.aside("regime"), runner.aside("regime.txt")
    arguments = ["plan", "--sweep", *options.split(), "--json", part]
    try:
        if runner.launch(1, arguments, 300, errors) == 0:
            os.replace(part, runner.path("regime.json"))
    finally:
        runs.remove(part, errors)


def describe(runner, study, command, say):
    """FOLDER/machine.json, once."""
    path = runner.path("machine.json")
    kept = read(runner.folder).get("commit")
    if kept is not None:
        if kept != commit():
            say(f"kept runs are of commit {kept}, this is {commit()}; without the folder, all "
                "are run")
        return
    model = re.search(r"Model name:\s*(.*)", output("lscpu"))
    mpi = output("mpirun", "--version").splitlines()
    found = {"title": study.title,
             "machine": study.machine or (model[1] if model else "unknown"),
             "cores": cores(), "load_before": round(busy_units(), 2),
             "precis": output(runner.program, "--version").splitlines()[0:1], "mpi": mpi[0:1],
             "slurm": output("srun", "--version") if "SLURM_JOB_ID" in os.environ else "",
             "commit": commit(), "command": command, "date": time.strftime("%Y-%m-%d")}
    if study.roofs:
        found.update(sgemm_gflops=sgemm_gflops(runner), copy_bytes_per_second=copy_bandwidth())
    if study.regime:
        regime_map(runner, study.regime)
    runs.save(path, json.dumps(found, indent=1) + "\n")


def read(folder):
    return runs.load(os.path.join(folder, "machine.json"))
