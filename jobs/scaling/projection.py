"""Beyond the ranks at hand: the planner's model, and its schedules in a simulator.

The model is that of precis plan with what precis topo --calibrate measures here, on a cluster whose
nodes and links the study describes. All of it goes to projection.json, beside the table."""
import json
import os
import re
import shutil
import tempfile

from scaling import description, machine, runs, simulate


def calibrate(runner, study):
    """machine.rates: measured on all cores, with links of the cluster that the study describes."""
    path = runner.path("machine.rates")
    if os.path.exists(path):
        return path
    part, errors = runner.aside("rates"), runner.aside("rates.txt")
    try:
        ranks = max(1, machine.cores() // study.threads)
        arguments = ["topo", "--calibrate", "-o", part, "--threads", str(study.threads)]
        if runner.launch(ranks, arguments, study.timeout, errors) != 0:
            raise OSError(runs.last_line(errors))
        with open(part, encoding="utf-8") as file:
            text = file.read()
        bandwidth, latency = study.project_network
        for key, value in (("network_latency", latency), ("network_bandwidth", bandwidth),
                           ("network_stream", bandwidth)):
            text = re.sub(rf"(?m)^({key} *= *)[^ ]+", rf"\g<1>{value:g}", text)
        runs.save(path, text)
    finally:
        runs.remove(part, errors)
    return path


def arguments_of(point, ranks, study, rates):
    tokens = description.total_tokens(point.scaling, point.base_tokens, ranks)
    options = ["--ranks", ranks, "--ranks-per-node", min(ranks, study.project_ranks_per_node),
               "--tokens", tokens, "--heads", point.heads, "--kv-heads", point.kv_heads, "--dim", point.dim,
               "--spread", point.spread, "--machine", rates, "--move", point.move]
    options += [] if point.tol == "exact" else ["--tol", point.tol]
    options += ["--causal"] if point.causal else []
    return [str(option) for option in options]


def listener(runner, study, errors):
    """A way to run commands that passes signals on and gives up in time."""
    def run(command):
        status = runner.call(command, study.timeout, errors)
        with open(errors, encoding="utf-8", errors="replace") as file:
            told = file.read()
        if status != 0:
            raise OSError(runs.last_line(errors))
        return told
    return run


def one(runner, study, point, ranks, rates):
    """What is known of a curve at a number of ranks."""
    errors = runner.aside("projection.txt")
    run = listener(runner, study, errors)
    with tempfile.TemporaryDirectory() as folder:
        try:
            replayed = ranks in study.simulate and shutil.which("smpirun")
            options = arguments_of(point, ranks, study, rates) + (["--traces", folder] if replayed else [])
            made = simulate.plan(runner.program, options, os.path.join(folder, "plan.json"), run)
            found = {"ranks": ranks, "move": made["plan"]["moves"][0]["move"],
                     "planned_seconds": made["plan"]["predicted"]["seconds"]}
            if replayed:
                found.update(simulated(made, folder, run))
            return found
        finally:
            runs.remove(errors)


def simulated(made, folder, run):
    """Survey and planning are as predicted. A simulation that fails or takes too long is told of."""
    try:
        replay = simulate.replay(made, folder, run)
        return {"simulated_seconds": replay["simulated_seconds"] + replay["other_seconds"]}
    except OSError as error:
        return {"simulation": str(error)}


def make(runner, study, say):
    """projection.json; where it is there and of the same cluster, only what it lacks."""
    path = runner.path("projection.json")
    if not study.project:
        return
    cluster = {"ranks_per_node": study.project_ranks_per_node, "simulate": study.simulate,
               "network_bandwidth": study.project_network[0], "network_latency": study.project_network[1]}
    known = read(runner.folder)
    if any(known.get(key) != value for key, value in cluster.items()):
        known = {}
        runs.remove(runner.path("machine.rates"))
    rates = calibrate(runner, study)
    kept = known.get("curves", {})
    curves = {}
    for point in study.points:
        curves.setdefault(json.dumps(point.curve()), []).append(point)
    for count, (key, points) in enumerate(curves.items(), 1):
        done = kept.setdefault(key, [])
        for ranks in sorted({point.ranks for point in points} | set(study.project)):
            if all(found["ranks"] != ranks for found in done):
                done.append(one(runner, study, points[0], ranks, rates))
                runs.save(path, json.dumps({**cluster, "curves": kept}, indent=1) + "\n")
        say(f"projected {count} of {len(curves)}: {points[0].series}")


def read(folder):
    return runs.load(os.path.join(folder, "projection.json"))
