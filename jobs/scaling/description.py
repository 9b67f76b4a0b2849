"""Reads the description of a study and lists the points to be measured.

A description is an INI file. [study] holds what counts for all; every other section is a series:
lists of shapes, tolerances and moves, each combination of which is measured at each number of ranks.
"""
import configparser
import re
import zlib
from dataclasses import asdict, dataclass

SCALINGS = {
    "strong": "the same tokens, whatever the ranks",
    "weak-tokens": "the same tokens for each rank; exact work for each rank grows with the ranks",
    "weak-work": "the same work for each rank: tokens grow with the square root of the ranks",
}
MOVES = ("auto", "tiles", "heads", "queries", "summaries")
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
STUDY = {"title": "", "machine": "", "repeats": "5", "warmups": "1", "threads": "1",
         "timeout": "600", "ranks_per_node": "0", "shared_cores": "0", "roofs": "yes", "regime": "",
         "project": "", "simulate": "", "project_ranks_per_node": "128", "project_network": "12.5e9 1e-6"}
SERIES = {"scaling": "strong", "ranks": "1 2 4", "tokens": "16k", "heads": "4", "kv_heads": "",
          "dims": "64", "tol": "exact", "moves": "auto", "kind": "gauss", "spread": "0.15",
          "seed": "0", "causal": "no", "verify": "64"}


class Mistake(Exception):
    """Something in the description that its author has to put right."""


@dataclass(frozen=True)
class Point:
    """One run, but for its repetitions. tokens are those of all ranks together."""
    series: str
    scaling: str
    ranks: int
    base_tokens: int
    tokens: int
    heads: int
    kv_heads: int
    dim: int
    tol: str
    move: str
    kind: str
    spread: str
    seed: int
    causal: bool
    verify: int
    threads: int

    def key(self):
        """Names its files; two points that differ in anything differ in it."""
        mark = zlib.crc32(repr(sorted(asdict(self).items())).encode())
        return (f"{self.series}-r{self.ranks}-n{self.tokens}-h{self.heads}-d{self.dim}"
                f"-{self.tol}-{self.move}-{mark:08x}")

    def curve(self):
        """What points share that make one line of a figure: all but ranks and tokens."""
        return (self.series, self.base_tokens, self.heads, self.kv_heads, self.dim, self.tol,
                self.move)

    def input_key(self):
        return (f"{self.kind}-n{self.tokens}-h{self.heads}-g{self.kv_heads}-d{self.dim}"
                f"-s{self.spread}-{self.seed}")


@dataclass
class Study:
    title: str
    machine: str
    repeats: int
    warmups: int
    threads: int
    timeout: float
    ranks_per_node: int
    shared_cores: int  # that all nodes have together, where they are emulated on one machine; 0: they are not
    roofs: bool  # measure what sgemm and copying reach
    regime: str  # options of precis plan --sweep; empty: no map
    project: list  # ranks for which precis plan predicts, and of these
    simulate: list  # those that SimGrid simulates
    project_ranks_per_node: int
    project_network: tuple  # bytes a second of a node, seconds of a message
    points: list


def size(text):
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?(?:e[0-9]+)?)(k|M|G|Ki|Mi|Gi|)", text)
    if not match:
        raise Mistake(f"'{text}' is no size: digits, then k, M, G, Ki, Mi, Gi or nothing")
    return int(float(match[1]) * UNITS[match[2]])


def tolerance(text):
    """As words in names of files, so that 1e-2 and 0.01 are one point."""
    try:
        return "exact" if text == "exact" or float(text) == 0 else f"{float(text):g}"
    except ValueError:
        raise Mistake(f"tol: '{text}' is neither 'exact' nor a number") from None


def total_tokens(scaling, base, ranks):
    """Tokens of all ranks. Same work: n^2 / P is constant, n rounded so that P divides it."""
    if scaling == "strong":
        return base
    if scaling == "weak-tokens":
        return base * ranks
    return max(1, round(base * ranks ** .5 / ranks)) * ranks


def series_points(name, section, threads):
    words = {key: section[key].split() for key in SERIES}
    one = {key: section[key].strip() for key in SERIES}
    if one["scaling"] not in SCALINGS:
        raise Mistake(f"scaling is '{one['scaling']}', not one of {', '.join(SCALINGS)}")
    for move in words["moves"]:
        if move not in MOVES:
            raise Mistake(f"moves: '{move}' is not one of {', '.join(MOVES)}")
    combinations = [(base, heads, dim, tol, move, ranks)
                    for base in map(size, words["tokens"])
                    for heads in map(size, words["heads"])
                    for dim in map(size, words["dims"])
                    for tol in map(tolerance, words["tol"])
                    for move in words["moves"]
                    for ranks in sorted(set(map(size, words["ranks"])))]
    for base, heads, dim, tol, move, ranks in combinations:
        if (tol, move) == ("exact", "summaries"):
            continue  # no summary is exact
        yield Point(series=name, scaling=one["scaling"], ranks=ranks, base_tokens=base,
                    tokens=total_tokens(one["scaling"], base, ranks), heads=heads,
                    kv_heads=size(one["kv_heads"]) if one["kv_heads"] else heads, dim=dim, tol=tol,
                    move=move, kind=one["kind"], spread=one["spread"], seed=size(one["seed"]),
                    causal=section.getboolean("causal"), verify=size(one["verify"]),
                    threads=threads)


def ranks_of(section, key):
    return sorted(set(map(size, section[key].split())))


def network(text):
    words = text.split()
    if len(words) != 2 or any(not float(word) > 0 for word in words):
        raise Mistake(f"project_network: '{text}' is not bytes a second and seconds, both above 0")
    return float(words[0]), float(words[1])


def check_section(name, section, known):
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise Mistake(f"[{name}]: letters, digits, '-', '_' and '.' only, as files are named so")
    for key in section:
        if key not in known:
            raise Mistake(f"[{name}]: '{key}' is unknown; known are {', '.join(known)}")


def read(path):
    """The study that a file describes; raises Mistake."""
    parser = configparser.ConfigParser(inline_comment_prefixes=("#",), interpolation=None)
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
        for name in parser.sections():
            defaults = STUDY if name == "study" else SERIES
            check_section(name, parser[name], defaults)
            parser.read_dict({name: {**defaults, **parser[name]}})
        if "study" not in parser:
            parser.read_dict({"study": STUDY})
        common = parser["study"]
        points = [point for name in parser.sections() if name != "study"
                  for point in series_points(name, parser[name], size(common["threads"]))]
        if not points:
            raise Mistake("no series: add a section with ranks, tokens, heads, dims")
        return Study(title=common["title"], machine=common["machine"],
                     repeats=max(1, size(common["repeats"])), warmups=size(common["warmups"]),
                     threads=size(common["threads"]), timeout=float(common["timeout"]),
                     ranks_per_node=size(common["ranks_per_node"]),
                     shared_cores=size(common["shared_cores"]),
                     roofs=common.getboolean("roofs"), regime=common["regime"],
                     project=ranks_of(common, "project"), simulate=ranks_of(common, "simulate"),
                     project_ranks_per_node=max(1, size(common["project_ranks_per_node"])),
                     project_network=network(common["project_network"]), points=points)
    except (OSError, configparser.Error, UnicodeDecodeError, ValueError) as error:
        raise Mistake(str(error).replace("\n", " ")) from None
