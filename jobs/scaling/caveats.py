"""What readers of a study are misled by: found in the table, said in words."""
from scaling.page import markup

NOISE = .15   # half a band, as a share of the median, that is worth a word
SUPER = 1.05  # efficiency above which caches, not ranks, do the work


def plural(count, word):
    return f"{count} {word}" + ("" if count == 1 else "s")


def ranks_of(points):
    return ", ".join(str(ranks) for ranks in sorted({point.ranks for point in points}))


def oversubscribed(points, _curves):
    over = [p for p in points if p.oversubscribed]
    if over:
        cores = over[0].first["cores_per_node"]
        yield (f"More ranks than cores (hollow points, at {ranks_of(over)} ranks on {cores} cores): "
               "ranks take turns there. Such points show what distribution costs, never a speed-up.")


def emulated(points, _curves):
    some = [p for p in points if "shared-cores" in p.flags]
    if some:
        yield (f"Nodes are emulated on one machine, whose {some[0].first['cores_per_node']} cores they share: bytes and "
               "the seconds of links are those of a cluster, seconds of computing are not.")


def imbalance(point):
    """By how much the largest share of tokens is above the mean."""
    tokens = int(point.first["tokens"])
    return -(-tokens // point.ranks) * point.ranks / tokens - 1


def uneven(points, _curves):
    some = [p for p in points if "uneven-tokens" in p.flags]
    if some:
        over = max(map(imbalance, some))
        yield (f"Tokens that ranks do not divide (at {ranks_of(some)} ranks): the largest share is up "
               f"to {100 * over:.2g} % above the mean, and all wait for it.")
    some = [p for p in points if "uneven-heads" in p.flags]
    if some:
        yield (f"Heads that ranks do not divide (move heads, at {ranks_of(some)} ranks): some ranks "
               "have a head more than others, or none.")


def nodes(points, curves):
    steps = set()
    for curve in curves:
        for before, after in zip(curve.points, curve.points[1:]):
            if int(before.first["nodes"]) < int(after.first["nodes"]):
                steps.add((before.ranks, after.ranks, int(before.first["nodes"]),
                           int(after.first["nodes"])))
    for before, after, few, many in sorted(steps):
        yield (f"Between {before} and {after} ranks the job grows from {plural(few, 'node')} to "
               f"{plural(many, 'node')}: what changes there is the network, not the number of ranks.")
    if points and all(int(p.first["nodes"]) == 1 for p in points):
        yield ("All ranks are on one node: bytes went through its memory, and nothing here tells "
               "about a network.")


def superlinear(_points, curves):
    for curve in curves:
        high = [p for p in curve.points[1:] if p.efficiency.low > SUPER and not p.oversubscribed]
        if not high:
            continue
        worst = max(high, key=lambda p: p.efficiency.median)
        row = worst.first
        share = 4 * float(row["tokens"]) / worst.ranks * int(row["kv_heads"]) * \
            (int(row["dim"]) + int(row["value_dim"] or row["dim"]))
        cache = float(row["fast_memory_bytes"] or 0)
        yield (f"{curve.scaling}, {curve.label}: efficiency {worst.efficiency.median:.2f} at "
               f"{worst.ranks} ranks is more than ranks can give. Keys and values of a rank take "
               f"{share / 2**20:.1f} MiB there, its fast memory is {cache / 2**20:.1f} MiB: caches "
               "or a slow baseline explain it.")


def noise(points, _curves):
    wide = [p for p in points if p.seconds.high - p.seconds.low > 2 * NOISE * p.seconds.median]
    if wide:
        worst = max(wide, key=lambda p: (p.seconds.high - p.seconds.low) / p.seconds.median)
        s = worst.seconds
        yield (f"Noise: at {len(wide)} of {len(points)} points the band is wider than "
               f"&plusmn;{100 * NOISE:.0f} %; the widest runs from {s.low:.3g} to {s.high:.3g} s around "
               f"{s.median:.3g} s. Differences within a band mean nothing.")


def repeats(points, _curves):
    few = [p for p in points if p.seconds.count < 5]
    if few:
        least = min(few, key=lambda p: p.seconds.count).seconds
        yield (f"Few repeats: with {least.count}, a band holds the true median with probability "
               f"{least.coverage:.2f} only; five give 0.94.")


def moves(_points, curves):
    changing = {}
    for curve in curves:
        used = [(p.ranks, p.first["move"]) for p in curve.points]
        if len({move for _, move in used}) > 1:
            text = ", ".join(f"{move} at {ranks}" for ranks, move in used)
            changing.setdefault((curve.label, text), []).append(curve.scaling)
    for (label, text), scalings in changing.items():
        yield (f"{', '.join(dict.fromkeys(scalings))}; {label}: the program changes its move on the "
               f"way ({text}), so this curve compares different algorithms.")


def baseline(_points, curves):
    for curve in curves:
        if curve.points[0].ranks > 1:
            yield (f"{curve.scaling}, {curve.label}: measured against {curve.points[0].ranks} ranks, "
                   "not one. What is lost up to there does not show.")


def broken(rows):
    bad = [row for row in rows if row["status"] != "done"]
    if bad:
        yield (f"{plural(len(bad), 'run')} failed and {'is' if len(bad) == 1 else 'are'} missing "
               f"here; the first: {bad[0]['series']} at {bad[0]['ranks']} ranks: "
               + bad[0]['why'])


def agreement(rows):
    done = [row for row in rows if row["status"] == "done"]
    off = [row for row in done if row["predicted_bytes"] and float(row["predicted_bytes"]) !=
           float(row["network_bytes"]) + float(row["node_bytes"])]
    if off:
        yield f"{plural(len(off), 'run')} moved other bytes than predicted: a bug, please report it."
    over = [row for row in done if row["max_error"] and
            float(row["max_error"]) > float(row["promise_error"])]
    if over:
        yield f"{plural(len(over), 'run')} broke the promised error: a bug, please report it."


def busy(facts):
    load, cores = facts.get("load_before"), facts.get("cores")
    if load and cores and load > .25 * cores and not facts.get("slurm"):
        yield markup("<b>The machine was busy with other work</b>: {} of its {} cores when the study "
                     "began. Times, speed-ups and efficiencies here are not those of the program; "
                     "bytes and errors are.", f"{load:.1f}", cores)


def find(rows, curves, facts):
    points = [point for curve in curves for point in curve.points]
    found = [*agreement(rows), *broken(rows), *busy(facts)]
    for check in (emulated, oversubscribed, uneven, nodes, superlinear, moves, baseline, noise, repeats):
        found += check(points, curves)
    return found
