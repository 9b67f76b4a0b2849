"""Medians with confidence bands, and the points and curves of a table."""
from dataclasses import dataclass, field
from math import comb
from statistics import median

COVERAGE = .9  # that bands have at least, where there are enough repeats
CURVE = ("series", "scaling", "base_tokens", "heads", "kv_heads", "dim", "tol", "move_asked")


@dataclass
class Band:
    """low and high are order statistics: they enclose the true median with this probability,
    whatever the distribution of times."""
    median: float
    low: float
    high: float
    coverage: float
    count: int


def band(values):
    """The narrowest symmetric pair of order statistics that covers enough; else all there are."""
    values, count = sorted(values), len(values)
    best = 1
    for rank in range(1, count // 2 + 1):
        if 1 - 2 * sum(comb(count, i) for i in range(rank)) / 2 ** count >= COVERAGE:
            best = rank
    coverage = max(0, 1 - 2 * sum(comb(count, i) for i in range(best)) / 2 ** count)
    return Band(median(values), values[best - 1], values[count - best], coverage, count)


@dataclass
class Point:
    """All runs of a curve at one number of ranks."""
    ranks: int
    rows: list
    seconds: Band
    speedup: Band = None
    efficiency: Band = None
    flags: list = field(default_factory=list)

    def value(self, column):
        """Median of a column; None where runs do not report it."""
        found = [float(row[column]) for row in self.rows if row[column] != ""]
        return median(found) if found else None

    def largest(self, column):
        return max((float(row[column]) for row in self.rows if row[column] != ""), default=None)

    @property
    def first(self):
        return self.rows[0]

    @property
    def work(self):
        """What time is proportional to: pairs of queries and keys, or tokens with summaries."""
        tokens = float(self.first["tokens"])
        return tokens if self.first["move"] == "summaries" else tokens * tokens

    @property
    def oversubscribed(self):
        return "oversubscribed" in self.flags


@dataclass
class Curve:
    key: dict
    points: list
    label: str = ""

    @property
    def scaling(self):
        return self.key["scaling"]

    def identity(self):
        """As description.Point.curve() has it."""
        numbers = [int(self.key[name]) for name in ("base_tokens", "heads", "kv_heads", "dim")]
        return [self.key["series"], *numbers, self.key["tol"], self.key["move_asked"]]


def ratio(over, under, factor):
    """factor over / under; the band takes both at their worse ends, so it is on the wide side."""
    return Band(factor * over.median / under.median, factor * over.low / under.high,
                factor * over.high / under.low, min(over.coverage, under.coverage),
                min(over.count, under.count))


def compare(curve):
    """Speed-up and efficiency against the fewest ranks of the curve, for equal work."""
    base = curve.points[0]
    for point in curve.points:
        work = point.work / base.work if point.first["move"] == base.first["move"] else \
            float(point.first["tokens"]) ** 2 / float(base.first["tokens"]) ** 2
        if point is base:
            one = point.seconds
            point.efficiency = Band(1, one.low / one.median, one.high / one.median, one.coverage,
                                    one.count)
        else:
            point.efficiency = ratio(base.seconds, point.seconds, work * base.ranks / point.ranks)
        e = point.efficiency
        point.speedup = Band(*(x * point.ranks for x in (e.median, e.low, e.high)), e.coverage,
                             e.count)


def name_curves(curves):
    """Labels of what differs between curves of one figure."""
    words = {"base_tokens": "{:,} tokens", "heads": "{} heads", "kv_heads": "{} kv heads",
             "dim": "d={}", "tol": "tol {}", "move_asked": "{}", "series": "{}"}
    differing = [key for key in words if key != "series" and
                 len({curve.key[key] for curve in curves}) > 1]
    for curve in curves:
        parts = []
        for key in differing:
            value = curve.key[key]
            value = int(value) if key == "base_tokens" else value
            parts.append("exact" if (key, value) == ("tol", "exact") else words[key].format(value))
        used = list(dict.fromkeys(p.first["move"] for p in curve.points))
        if curve.key["move_asked"] == "auto" or "move_asked" not in differing:
            parts = [part for part in parts if part != "auto"] + ["/".join(used)]
        curve.label = ", ".join(parts)


def curves(rows):
    """The curves of all runs that are done."""
    found = {}
    for row in rows:
        if row["status"] == "done":
            key = tuple(row[name] for name in CURVE)
            found.setdefault(key, {}).setdefault(int(row["ranks"]), []).append(row)
    made = []
    for key, by_ranks in found.items():
        points = [Point(ranks, inside, band([float(row["seconds_attend"]) for row in inside]),
                        flags=inside[0]["flags"].split())
                  for ranks, inside in sorted(by_ranks.items())]
        curve = Curve(dict(zip(CURVE, key)), points)
        compare(curve)
        made.append(curve)
    for scaling in {curve.scaling for curve in made}:
        name_curves([curve for curve in made if curve.scaling == scaling])
    return made
