"""Plans as traces, replayed by SimGrid (smpirun) on a fat tree of nodes."""
import json
import os
import re
import subprocess

LEAF = 32  # nodes under a switch, with half as many links upwards
HOPS = 4   # links between nodes of different switches


def platform(nodes, per_node, rates):
    """Links, cores and memory of a machine file. Hosts have 1 Gf: traces count seconds at that speed."""
    leaves = -(-nodes // LEAF)
    return f"""<?xml version='1.0'?>
<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">
<platform version="4.1">
  <zone id="world" routing="Full">
    <cluster id="machine" prefix="n" suffix="" radical="0-{LEAF * leaves - 1}" speed="1Gf" core="{per_node}"
             bw="{rates['network_bandwidth']:g}Bps" lat="{rates['network_latency'] / HOPS:g}s"
             loopback_bw="{rates['node_bandwidth']:g}Bps" loopback_lat="{rates['node_latency']:g}s"
             topology="FAT_TREE" topo_parameters="2;{LEAF},{leaves};1,{LEAF // 2};1,1"/>
  </zone>
</platform>
"""


def call(command):
    """What a command prints; OSError with its last words if it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        lines = done.stdout.strip().splitlines()
        raise OSError(lines[-1] if lines else f"{command[0]} ends with {done.returncode}")
    return done.stdout


def plan(precis, arguments, path, run=call):
    """The JSON of precis plan, by way of the file `path`."""
    run([precis, "plan", *arguments, "--json", path])
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def replay(made, folder, run=call):
    """Seconds predicted and simulated. made: by plan() with --traces folder. run: as call()."""
    machine, predicted = made["machine"], made["plan"]["predicted"]
    ranks, nodes, parts = machine["ranks"], machine["nodes"], predicted["parts"]
    per_node = -(-ranks // nodes)
    names = {name: os.path.join(folder, name) for name in ("names.txt", "platform.xml", "hosts")}
    with open(names["platform.xml"], "w", encoding="utf-8") as file:
        file.write(platform(nodes, per_node, machine["rates"]))
    with open(names["hosts"], "w", encoding="utf-8") as file:
        file.writelines(f"n{rank // per_node}\n" for rank in range(ranks))
    told = run(["smpirun", "-replay", names["names.txt"], "-np", str(ranks), "-platform", names["platform.xml"],
                "-hostfile", names["hosts"], "--cfg=smpi/host-speed:1Gf",
                "--cfg=maxmin/precision:1e-3"])
    seconds = re.search(r"Simulation time ([0-9.e+-]+)", told)
    if seconds is None:
        raise OSError("smpirun has found no time")
    own = parts["compute"] + parts["passes"]
    return {"move": made["plan"]["moves"][0]["move"], "ranks": ranks, "nodes": nodes,
            "compute_seconds": own, "wait_seconds": parts["wait"], "other_seconds": parts["survey"] + parts["plan"],
            "predicted_seconds": own + parts["wait"], "simulated_seconds": float(seconds[1]),
            "network_bytes": predicted["network_bytes"], "node_bytes": predicted["node_bytes"]}
