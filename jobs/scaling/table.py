"""Reports of precis run as rows of a table, one row a run, and as key=value lines."""
import csv
import io
import json
import os

from scaling import runs

PHASES = ("survey", "plan", "summarise", "apply", "exact", "wait")
COLUMNS = (
    "series", "scaling", "ranks", "nodes", "threads", "cores_per_node", "tokens", "base_tokens",
    "queries", "heads", "kv_heads", "dim", "value_dim", "kind", "spread", "causal", "tol",
    "move_asked", "repeat", "status", "why", "move", "degree", "features", "seconds_attend",
    *(f"seconds_{phase}" for phase in PHASES), "seconds_read", "seconds_write", "seconds_total",
    "predicted_seconds", "network_bytes", "node_bytes", "repair_bytes", "messages",
    "predicted_bytes", "predicted_words", "promise_error", "estimate", "rows_recomputed",
    "measured_rows", "max_error", "gflops", "tokens_per_second", "peak_bytes",
    "fast_memory_bytes", "flags", "precis", "report")
# How numbers of a report are measured, by the last word of their key.
UNITS = {"bytes": "B", "gflops": "GFLOP/s", "words": "words", "tokens_per_second": "1/s",
         "seconds": "s", "error": "of range"}


def point_flags(point, cores, nodes, shared):
    """What a reader of this point alone is misled by. cores: of a node, or, shared, of all."""
    flags = []
    together = point.ranks if shared else -(-point.ranks // max(nodes, 1))
    if cores and together * point.threads > cores:
        flags.append("oversubscribed")
    if shared:
        flags.append("shared-cores")
    if point.tokens % point.ranks:
        flags.append("uneven-tokens")
    if point.move == "heads" and point.heads % point.ranks:
        flags.append("uneven-heads")
    if nodes > 1:
        flags.append("several-nodes")
    return flags


def known(point):
    return {"series": point.series, "scaling": point.scaling, "ranks": point.ranks,
            "threads": point.threads, "tokens": point.tokens, "base_tokens": point.base_tokens,
            "heads": point.heads, "kv_heads": point.kv_heads, "dim": point.dim,
            "kind": point.kind, "spread": point.spread, "causal": int(point.causal),
            "tol": point.tol, "move_asked": point.move}


def reported(report):
    """Columns that a report fills; those that it lacks stay empty."""
    plan, moved = report.get("plan", {}), report.get("moved", {})
    first, predicted = (plan.get("moves") or [{}])[0], plan.get("predicted", {})
    promise, measured = report.get("promise", {}), report.get("measured", {})
    problem, machine = report.get("problem", {}), report.get("machine", {})
    rates, seconds = report.get("rates", {}), report.get("seconds", {})
    speed = rates.get("tokens_per_second")
    row = {"nodes": machine.get("nodes"), "queries": problem.get("queries"),
           "value_dim": problem.get("value_dim"), "move": first.get("move"),
           "degree": first.get("degree"), "features": first.get("features"),
           "seconds_attend": problem["queries"] / speed if speed else None,
           "predicted_seconds": predicted.get("seconds"),
           "predicted_words": predicted.get("fast_memory_words"),
           "promise_error": promise.get("error"), "rows_recomputed": promise.get("rows_recomputed"),
           "estimate": int(promise.get("estimate", False)), "measured_rows": measured.get("rows"),
           "max_error": measured.get("max_error"), "peak_bytes": report.get("peak_bytes"),
           "fast_memory_bytes": machine.get("fast_memory_bytes"),
           "precis": report.get("precis"), **rates,
           **{key: moved.get(key) for key in ("network_bytes", "node_bytes", "repair_bytes",
                                              "messages")},
           **{f"seconds_{key}": value for key, value in seconds.items()}}
    if "network_bytes" in predicted and "node_bytes" in predicted:
        row["predicted_bytes"] = predicted["network_bytes"] + predicted["node_bytes"]
    return row


def row_of(folder, point, repeat, cores, shared):
    """A row, or None if this run is still to come."""
    name = runs.report_path(point, repeat)
    path = os.path.join(folder, "raw", name)
    row = {**known(point), "repeat": repeat, "cores_per_node": cores}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            row.update(reported(json.load(file)), status="done", report=f"raw/{name}")
        row["flags"] = " ".join(point_flags(point, cores, int(row["nodes"]), shared))
        return row
    failure = os.path.join(folder, "raw", runs.failure_path(point))
    if os.path.exists(failure):
        with open(failure, encoding="utf-8") as file:
            failed = json.load(file)
        return {**row, "status": f"failed {failed['status']}", "why": failed["why"],
                "flags": " ".join(point_flags(point, cores, 1, shared))}
    return None


def text(value):
    if value is None:
        return ""
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def write(folder, study, cores):
    """FOLDER/table.csv; returns how many of its runs are done and how many there are to be."""
    rows = [row_of(folder, point, repeat, study.shared_cores or cores, study.shared_cores > 0)
            for point in study.points for repeat in range(1, study.repeats + 1)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([text(row.get(column)) for column in COLUMNS] for row in rows if row)
    runs.save(os.path.join(folder, "table.csv"), buffer.getvalue())
    return sum(1 for row in rows if row and row["status"] == "done"), len(rows)


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def unit(keys):
    if keys[0] == "seconds":
        return "s"
    ends = (name for ending, name in UNITS.items() if keys[-1].endswith(ending))
    return "1/s" if keys[-1] == "tokens_per_second" else next(ends, "")


def lines(value, keys=("precis",)):
    """key=value lines with units, one a number or text: precis.seconds.total=0.25 s"""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from lines(inner, keys + (key,))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from lines(inner, keys + (str(index),))
    else:
        if isinstance(value, bool):
            value = "yes" if value else "no"
        number = isinstance(value, (int, float))
        tail = unit(keys[1:]) if number and len(keys) > 1 else ""
        yield f"{'.'.join(keys)}={value if isinstance(value, str) else f'{value:.9g}'} {tail}".rstrip()
