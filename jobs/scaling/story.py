"""What a study says in a few words: the cards on top of the page, and what figures show."""
SCALINGS = {"strong": ("Strong scaling", "One problem, more and more ranks."),
            "weak-tokens": ("Weak scaling, the same tokens for each rank",
                            "Exact attention is quadratic: P times the tokens are P times the work for "
                            "each rank, so exact runs take P times as long at efficiency 1. Summaries "
                            "are linear, and take as long as before."),
            "weak-work": ("Weak scaling, the same exact work for each rank",
                          "Tokens grow with the square root of the ranks, so exact runs take as long as "
                          "before at efficiency 1; with summaries each rank has less and less to do.")}


def best_speedup(curves):
    """The longest exact run on the most ranks that have cores of their own."""
    sound = [(c, p) for c in curves for p in c.points[1:] if not p.oversubscribed
             and c.scaling == "strong" and p.first["move"] != "summaries"]
    if not sound:
        return None
    curve, point = max(sound, key=lambda cp: (cp[1].ranks, cp[0].points[0].seconds.median))
    e = point.efficiency
    return (f"{point.speedup.median:.2f}×",
            f"as fast on {point.ranks} ranks as on {curve.points[0].ranks}, exact, "
            f"{int(point.first['tokens']):,} tokens: efficiency {e.median:.2f} "
            f"[{e.low:.2f}, {e.high:.2f}]", e.median > .7)


def best_gain(curves):
    """Summaries against exact runs of the same problem on the same ranks."""
    def problem(curve, point):
        return (curve.key["heads"], curve.key["kv_heads"], curve.key["dim"], point.ranks,
                point.first["tokens"], point.first["kind"], point.first["spread"],
                point.first["causal"])
    exact = {}
    for curve in curves:
        for point in curve.points:
            if curve.key["tol"] == "exact" and not point.oversubscribed:
                same = exact.setdefault(problem(curve, point), point)
                if point.seconds.median < same.seconds.median:
                    exact[problem(curve, point)] = point
    pairs = [(exact[problem(c, p)].seconds.median / p.seconds.median, c, p) for c in curves
             for p in c.points if p.first["move"] == "summaries" and problem(c, p) in exact]
    if not pairs:
        return None
    gain, curve, point = max(pairs, key=lambda pair: pair[0])
    return (f"{gain:.3g}×", f"as fast with summaries as exact at tolerance {curve.key['tol']}: "
            f"{int(point.first['tokens']):,} tokens, d = {curve.key['dim']}, "
            f"{point.ranks} rank{'s' if point.ranks > 1 else ''}", gain > 1)


def promises(rows):
    measured = [row for row in rows if row["status"] == "done" and row["max_error"]]
    if not measured:
        return None
    broken = sum(1 for row in measured if float(row["max_error"]) > float(row["promise_error"]))
    worst = max(measured, key=lambda row: float(row["max_error"]))
    return (f"{len(measured) - broken} of {len(measured)}",
            f"runs keep their promise; the largest error measured is {float(worst['max_error']):.1g}, "
            f"promised there {float(worst['promise_error']):.1g}", broken == 0)


def traffic(rows):
    moved = [row for row in rows if row["status"] == "done" and row["predicted_bytes"]
             and int(row["ranks"]) > 1]
    if not moved:
        return None
    right = sum(1 for row in moved if float(row["predicted_bytes"]) ==
                float(row["network_bytes"]) + float(row["node_bytes"]))
    return (f"{right} of {len(moved)}", "runs on several ranks move exactly the bytes predicted",
            right == len(moved))


def cards(rows, curves):
    return [card for card in (best_speedup(curves), best_gain(curves), promises(rows),
                              traffic(rows)) if card]


def projection(curves, projected):
    """What lines and marks of the projection are."""
    cores = max((p.ranks for c in curves for p in c.points if not p.oversubscribed), default=1)
    late = sorted({p["ranks"] for found in projected["curves"].values() for p in found
                   if "simulation" in p})
    words = (f"Only points were measured, here, hollow ones with more ranks than cores. Lines are a model: "
             f"the planner's, for a cluster of nodes with {projected['ranks_per_node']} cores like those of this "
             f"machine and links of {projected['network_bandwidth'] / 1e9:g} GB/s and "
             f"{projected['network_latency'] * 1e6:g} µs. Squares are a simulation: the planned schedules "
             "replayed message by message by SimGrid on a fat tree of such nodes, computing as predicted. "
             f"Nothing to the right of {cores} ranks is evidence of speed.")
    if late:
        words += f" The simulator gave no time, or not in time, at {', '.join(map(str, late))} ranks for some curves."
    return words


def waiting(curves):
    """What is lost, in a sentence: the largest share that waits among sound points."""
    sound = [(p.value("seconds_wait") / p.seconds.median, c, p) for c in curves for p in c.points
             if not p.oversubscribed and p.ranks > 1 and p.value("seconds_wait") is not None]
    if not sound:
        return ""
    share, curve, point = max(sound, key=lambda item: item[0])
    return (f"Where ranks have cores of their own they wait for each other at most "
            f"{100 * min(share, 1):.0f} % of the time ({curve.scaling}, {curve.label}, {point.ranks} ranks).")
