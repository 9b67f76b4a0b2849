"""Figures of a study, drawn by gnuplot: each function returns a script, draw() makes pictures."""
import json
import math
import subprocess

# Okabe and Ito's colours, which colour-blind readers tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
PHASE_COLOURS = {"survey": "#AAAAAA", "plan": "#666666", "summarise": "#56B4E9",
                 "apply": "#0072B2", "exact": "#009E73", "wait": "#D55E00", "other": "#DDDDDD"}
MOST = len(COLOURS)  # curves in one figure

STYLE = """set encoding utf8
set border 3 lc rgb '#555555'
set tics nomirror out scale .5 textcolor rgb '#333333'
set grid lc rgb '#E4E4E4' lt 1 lw 1
set key top left reverse Left samplen 1.5 spacing 1.15 textcolor rgb '#222222'
set style fill transparent solid .18 noborder
"""


def draw(script, path, size=(430, 340)):
    """Renders a script to a .svg file, or to a .png file of twice as many pixels."""
    if path.endswith(".svg"):
        kind = f"svg dynamic enhanced size {size[0]},{size[1]}"
    else:
        kind = f"pngcairo enhanced size {2 * size[0]},{2 * size[1]} fontscale 2 linewidth 2 pointscale 2"
    head = f"set terminal {kind} background rgb 'white' font 'Helvetica,13'\nset output '{path}'\n"
    done = subprocess.run(["gnuplot"], input=head + STYLE + script, text=True,
                          capture_output=True, check=False)
    if done.returncode != 0 or "error" in done.stderr.lower():
        said = done.stderr.strip() or (f"ended by signal {-done.returncode}" if done.returncode < 0 else
                                       f"exit status {done.returncode}")
        raise OSError(f"gnuplot: {said}")


def block(name, lines):
    return f"${name} << END\n" + "\n".join(lines) + "\nEND\n"


def plain(text):
    """Without what gnuplot's enhanced text takes for mark-up, and what would end a text or a line."""
    text = "".join(" " if ord(sign) < 32 else sign for sign in str(text))
    text = text.replace("\\", "∖").replace('"', "”").replace("`", "’")
    for sign in "_^{}@&~":
        text = text.replace(sign, "\\\\" + sign)
    return text.replace("'", "’")


def number(text):
    """None where it is none: "exact"."""
    try:
        return float(text)
    except ValueError:
        return None


def bands(curves, quantity):
    """Bands, lines, then filled points for what is sound and hollow ones for the oversubscribed."""
    data, plots, marks = "", [], []
    for index, curve in enumerate(curves[:MOST]):
        colour = COLOURS[index]
        rows = [(p.ranks, quantity(p), int(p.oversubscribed)) for p in curve.points]
        data += block(f"c{index}", [f"{r} {b.median:.6g} {b.low:.6g} {b.high:.6g} {o}"
                                    for r, b, o in rows])
        plots.append(f"$c{index} using 1:3:4 with filledcurves fc rgb '{colour}' notitle")
        marks.append(f"$c{index} using 1:2 with lines lw 2 lc rgb '{colour}' "
                     f"title '{plain(curve.label)}'")
        marks.append(f"$c{index} using 1:($5==0?$2:1/0) with points pt 7 ps .8 lc rgb '{colour}' "
                     "notitle")
        marks.append(f"$c{index} using 1:($5==1?$2:1/0) with points pt 6 ps .9 lw 1.5 "
                     f"lc rgb '{colour}' notitle")
    return data, plots + marks


def limits(curves):
    """Grey over what oversubscription and a dotted line where a further node begins."""
    points = sorted({(p.ranks, p.oversubscribed, int(p.first["nodes"]))
                     for curve in curves for p in curve.points})
    script = ""
    sound = max((r for r, over, _ in points if not over), default=0)
    over = min((r for r, o, _ in points if o), default=0)
    if over and sound and sound < over:
        edge = math.sqrt(sound * over)
        script += (f"set object 1 rectangle from {edge:.4g},graph 0 to graph 1,graph 1 behind "
                   "fc rgb '#F1F1F1' fs solid 1 noborder\n"
                   f"set label 1 'more ranks than cores' at graph .985,graph .035 right font ',11' "
                   "textcolor rgb '#777777'\n")
    for index, (before, after) in enumerate(zip(points, points[1:])):
        if before[2] < after[2]:
            edge = math.sqrt(before[0] * after[0])
            script += (f"set arrow {10 + index} from {edge:.4g},graph 0 to {edge:.4g},graph 1 nohead "
                       f"dt 3 lc rgb '#999999'\nset label {10 + index} '{after[2]} nodes' at "
                       f"{edge:.4g},graph .97 left offset .5,0 font ',11' textcolor rgb '#777777'\n")
    return script


def rank_axis(curves):
    ranks = sorted({p.ranks for curve in curves for p in curve.points})
    ticks = ", ".join(str(r) for r in ranks)
    low, high = ranks[0] / 1.12, ranks[-1] * 1.12
    return f"set logscale x 2\nset xrange [{low:.4g}:{high:.4g}]\nset xtics ({ticks})\nset xlabel 'ranks'\n"


def speedup(curves):
    data, plots = bands(curves, lambda p: p.speedup)
    high = max(max(p.ranks, p.speedup.high) for curve in curves[:MOST] for p in curve.points)
    low = min(min(p.speedup.low for p in curve.points) for curve in curves[:MOST])
    return (data + rank_axis(curves) + limits(curves) +
            f"set logscale y 2\nset yrange [{min(.8, low / 1.1):.4g}:{high * 1.3:.4g}]\n"
            "set ylabel 'speed-up'\nset format y '%g×'\n"
            "plot x with lines lw 1.5 dt 2 lc rgb '#999999' title 'ideal', " + ", ".join(plots) + "\n")


def efficiency(curves):
    data, plots = bands(curves, lambda p: p.efficiency)
    high = max(max(p.efficiency.high for p in curve.points) for curve in curves[:MOST])
    return (data + rank_axis(curves) + limits(curves) +
            f"set yrange [0:{max(1.25, min(high, 2) * 1.05):.4g}]\nset ylabel 'efficiency'\n"
            "set format y '%g'\nset key off\n"
            "plot 1 with lines lw 1.5 dt 2 lc rgb '#999999' notitle, " + ", ".join(plots) + "\n")


def moved(curves):
    """Bytes against ranks: points measured, lines predicted. One rank moves none."""
    data, plots, seen = "", [], []
    for index, curve in enumerate(curves[:MOST]):
        rows = [(p.ranks, p.value("predicted_bytes"),
                 (p.value("network_bytes") or 0) + (p.value("node_bytes") or 0))
                for p in curve.points]
        rows = [row for row in rows if row[2] > 0]
        if not rows:
            continue
        seen += [row[2] / 1e6 for row in rows]
        data += block(f"m{index}", [f"{r} {w or 'NaN'} {m}" for r, w, m in rows])
        plots.append(f"$m{index} using 1:($2/1e6) with lines lw 2 lc rgb '{COLOURS[index]}' notitle")
        plots.append(f"$m{index} using 1:($3/1e6) with points pt 7 ps .8 lc rgb '{COLOURS[index]}' "
                     "notitle")
    if not plots:
        return None
    return (data + rank_axis(curves) + "set logscale y\nset ylabel 'MB moved, all ranks together'\n"
            f"set format y '%g'\nset yrange [{min(seen) / 1.5:.4g}:{max(seen) * 4:.4g}]\n"
            "plot " + ", ".join(plots) + ", NaN with lines lw 2 lc rgb '#444444' title 'predicted', "
            "NaN with points pt 7 ps .8 lc rgb '#444444' title 'moved'\n")


def bar_label(curve, point):
    many = "*" if point.oversubscribed else ""
    return f"{curve.label}, {point.ranks} rank{'s' if point.ranks > 1 else ''}{many}"


def phases(curves, names, most=26):
    """Shares of the time of an attend, one bar a point, with its seconds. Phases are the largest of
    any rank, so their sum may exceed the whole; the bar is then their sum."""
    bars = [(curve, point) for curve in curves for point in curve.points][:most]
    rows, labels = [], ""
    for index, (curve, point) in enumerate(reversed(bars)):
        parts = [max(0, point.value(f"seconds_{name}") or 0) for name in names]
        other = max(0, point.seconds.median - sum(parts))
        whole = sum(parts) + other or 1
        shares = [100 * part / whole for part in (*parts, other)]
        edges = [sum(shares[:i]) for i in range(len(shares) + 1)]
        rows.append(f"{index} " + " ".join(f"{edge:.4g}" for edge in edges) +
                    f' "{plain(bar_label(curve, point))}"')
        labels += (f"set label {index + 1} '{point.seconds.median:.3g} s' at graph 1.01,first {index} "
                   "left font ',11' textcolor rgb '#444444'\n")
    count, columns = len(rows), (*names, "other")
    plots = []
    for index, name in enumerate(columns):
        left, right = index + 2, index + 3
        plots.append(f"$p using {left}:1:{left}:{right}:($1-.36):($1+.36):yticlabels({len(columns) + 3})"
                     f" with boxxyerror fc rgb '{PHASE_COLOURS[name]}' fs solid 1 noborder "
                     f"title '{name}'")
    return (block("p", rows) + labels + f"set xrange [0:100]\nset yrange [-.6:{count - .4}]\nset rmargin 9\n"
            "set key outside top center horizontal maxrows 1 noreverse Right samplen .8\n"
            "unset grid\nset border 1\nset ytics scale 0 font ',11'\n"
            "set xlabel 'share of the time, %'\nplot " + ", ".join(plots) + "\n",
            (900, 90 + 22 * count))


def projection_panel(scaling, curves, projected):
    """Seconds against ranks: points measured, lines planned, squares simulated."""
    data, plots = "", []
    for index, curve in enumerate(curves[:MOST]):
        found = projected["curves"].get(json.dumps(curve.identity()))
        if not found:
            continue
        colour, name = COLOURS[index], f"{scaling.replace('-', '')}{index}"
        found = sorted(found, key=lambda p: p["ranks"])
        data += block(name + "p", [f"{p['ranks']} {p['planned_seconds']:.6g} {p.get('simulated_seconds', 'NaN')}"
                                   for p in found])
        data += block(name + "m", [f"{p.ranks} {p.seconds.median:.6g} {int(p.oversubscribed)}"
                                   for p in curve.points])
        plots += [f"${name}p using 1:2 with lines lw 2 lc rgb '{colour}' title '{plain(curve.label)}'",
                  f"${name}p using 1:3 with points pt 4 ps 1.1 lw 1.5 lc rgb '{colour}' notitle",
                  f"${name}m using 1:($3==0?$2:1/0) with points pt 7 ps .9 lc rgb '{colour}' notitle",
                  f"${name}m using 1:($3==1?$2:1/0) with points pt 6 ps .9 lw 1.5 lc rgb '{colour}' notitle"]
    return data, plots


def projection(curves, projected):
    """A panel for each scaling."""
    panels = []
    for scaling in dict.fromkeys(curve.scaling for curve in curves):
        data, plots = projection_panel(scaling, [c for c in curves if c.scaling == scaling], projected) \
            if projected else ("", [])
        if plots:
            panels.append((scaling, data, plots))
    if not panels:
        return None, None
    script = "".join(data for _, data, _ in panels)
    script += (f"set multiplot layout 1,{len(panels)}\nset logscale xy\nset xlabel 'ranks'\n"
               "set format y '10^{%L}'\nset ylabel 'seconds'\nset yrange [*:*]\n"
               "set key bmargin center horizontal maxcols 2 font ',11'\n")
    for scaling, _, plots in panels:
        script += (f"set title '{plain(scaling)}' font ',12'\nplot " + ", ".join(plots)
                   + ", NaN with points pt 7 ps .9 lc rgb '#444444' title 'measured', NaN with lines lw 2 "
                   "lc rgb '#444444' title 'planned', NaN with points pt 4 ps 1.1 lw 1.5 lc rgb '#444444' "
                   "title 'simulated'\n")
    return script + "unset multiplot\n", (360 * len(panels) + 20, 440)


MOVE_COLOURS = {"tiles": "#009E73", "heads": "#E69F00", "queries": "#CC79A7",
                "summaries": "#0072B2"}


def intensity(point):
    """(flops for each byte, whether bytes are those planned): else the least there can be."""
    row, words = point.first, point.value("predicted_words")
    width = int(row["dim"]) + int(row["value_dim"])
    least = float(row["tokens"]) * width * (int(row["heads"]) + int(row["kv_heads"]))
    flops = point.value("gflops") * 1e9 * point.seconds.median
    return flops / (4 * (words or least)), bool(words)


def roofline(curves, gflops, bandwidth):
    """Flops of a core against flops for each byte, a colour for each move."""
    data, plots = "", []
    points = [p for curve in curves for p in curve.points if p.value("gflops")]
    for move, colour in MOVE_COLOURS.items():
        rows = [f"{intensity(p)[0]:.5g} {p.value('gflops') / p.ranks / int(p.first['threads']):.5g} "
                f"{int(p.oversubscribed)}" for p in points if p.first["move"] == move]
        if not rows:
            continue
        data += block(move, rows)
        plots += [f"${move} using 1:($3==0?$2:1/0) with points pt 7 ps .9 lc rgb '{colour}' "
                  f"title '{move}'",
                  f"${move} using 1:($3==1?$2:1/0) with points pt 6 ps .9 lw 1.5 "
                  f"lc rgb '{colour}' notitle"]
    slope, low, high = bandwidth / 1e9, .5, max(intensity(p)[0] for p in points)
    roofs = (f"peak={gflops:.5g}\nslope={slope:.5g}\nroof(x)=(slope*x<peak?slope*x:peak)\n"
             f"set logscale xy\nset xrange [{low}:{high * 3:.4g}]\nset yrange [*:peak*2]\n"
             "set samples 400\nset format x '%g'\nset format y '%g'\nset key bottom left\n"
             "set xlabel 'flops for each byte that fast memory takes in'\n"
             "set ylabel 'GFLOP/s of one core'\n"
             f"set label 2 'sgemm, {gflops:.0f} GFLOP/s' at graph .98,first peak*1.25 right "
             "font ',11' textcolor rgb '#555555'\n"
             f"set label 3 'memory, {slope:.0f} GB/s' at {low * 1.6},first {slope * low * 1.6:.4g} left "
             "offset 1,-.3 font ',11' textcolor rgb '#555555'\n")
    return data + roofs + "plot roof(x) with lines lw 2 lc rgb '#333333' notitle, " + \
        ", ".join(plots) + "\n", any(intensity(p)[1] for p in points)


def errors(curves, most=16):
    """Measured, promised, tolerated: the worst of each curve."""
    rows, tols = [], []
    for curve in curves[:most]:
        promise = max(p.largest("promise_error") or 0 for p in curve.points)
        seen = [p.largest("max_error") for p in curve.points]
        seen = max((s for s in seen if s is not None), default=None)
        if promise:
            rows.append((f"{curve.scaling}: {curve.label}", promise, seen))
            tols.append(number(curve.key["tol"]))
    if not rows:
        return None, None
    count = len(rows)
    lines = [f'{count - 1 - i} {promise:.4g} {seen or "NaN"} {tol or "NaN"} "{plain(label)}"'
             for i, ((label, promise, seen), tol) in enumerate(zip(rows, tols))]
    return (block("e", lines) + "set logscale x\nset format x '10^{%L}'\nset border 1\n"
            f"set yrange [-.6:{count - .4}]\nset ytics scale 0 font ',11'\n"
            "set xrange [*:*] noextend\nset offsets graph .05,graph .05,0,0\n"
            "set xlabel 'error, in units of the values’ range'\n"
            "set key outside top center horizontal noreverse Right samplen 1\n"
            "plot $e using 3:1:($2-$3):(0) with vectors nohead lw 3 lc rgb '#CFE3F1' notitle, "
            "$e using 3:1:yticlabels(5) with points pt 7 ps 1 lc rgb '#0072B2' title 'measured', "
            "$e using 2:1 with points pt 9 ps 1.2 lc rgb '#D55E00' title 'promised', "
            "$e using 4:1 with points pt 1 ps 1.6 lw 2 lc rgb '#222222' title 'tolerated'\n",
            (900, 110 + 24 * count))


def short(count):
    return next(f"{count / unit:g}{sign}" for unit, sign in ((1e6, "M"), (1e3, "k"), (1, ""))
                if count >= unit or unit == 1)


def regime_panel(name, points, shares, spreads, top, last_row, first_column):
    """One dimension and tolerance: gains as colours, some of them as numbers."""
    cells = [(shares.index(p["tokens_per_rank"]), spreads.index(p["spread"]), p["gain"])
             for p in points]
    data = block(name, [f"{x} {y} {math.log10(gain) if gain > 1 else 0:.3g}"
                        for x, y, gain in cells])
    told = [f'{x} {y} "{gain:.0f}×" {0xffffff if math.log(gain) > .4 * math.log(top) else 0x222222}'
            if gain >= 10 else f'{x} {y} "{gain:.2g}×" {0x222222}'
            for x, y, gain in cells if gain > 1 and x % 4 == len(shares) % 4 and y % 2 == 0]
    # Outside of the panel: gnuplot 5.4 crashes where all labels are NaN.
    data += block(name + "n", told or ['-9 -9 "" 0'])
    columns = ", ".join(f"'{short(s)}' {i}" for i, s in enumerate(shares) if i % 2 == 0)
    rows = ", ".join(f"'{spread:g}' {i}" for i, spread in enumerate(spreads) if i % 2 == 0)
    return (data + f"set title 'd = {points[0]['dim']}, tol {points[0]['tol']:g}' "
            "offset 0,-.7 font ',12'\n"
            f"set xrange [-.5:{len(shares) - .5}]\nset yrange [-.5:{len(spreads) - .5}]\n"
            + (f"set xtics ({columns}) scale 0 font ',10'\nset xlabel 'tokens of a rank' font ',11'\n"
               if last_row else "unset xtics\nunset xlabel\n")
            + (f"set ytics ({rows}) scale 0 font ',10'\nset ylabel 'deviation of scores' font ',11'\n"
               if first_column else "unset ytics\nunset ylabel\n")
            + f"plot ${name} using 1:2:3 with image pixels, ${name}n using 1:2:3:4 with labels "
            "font ',9' textcolor rgb variable\n")


def regime(sweep):
    """precis plan --sweep: for each tolerance and dimension, what summaries gain over exact."""
    points = sweep["points"]
    dims, tols = sorted({p["dim"] for p in points}), sorted({p["tol"] for p in points}, reverse=True)
    spreads = sorted({p["spread"] for p in points})
    shares = sorted({p["tokens_per_rank"] for p in points})
    top = max([p["gain"] for p in points] + [10])
    script = ("set palette defined (0 '#EDEDED', .001 '#DCEBF5', .5 '#56B4E9', 1 '#003F6B')\n"
              f"set cbrange [0:{math.log10(top):.3g}]\nunset colorbox\nunset key\nunset grid\n"
              f"set multiplot layout {len(tols)},{len(dims)} margins .075,.99,.1,.94 "
              "spacing .015,.07\n")
    for t, tol in enumerate(tols):
        for d, dim in enumerate(dims):
            panel = [p for p in points if p["dim"] == dim and p["tol"] == tol]
            if panel:
                script += regime_panel(f"g{t}x{d}", panel, shares, spreads, top,
                                       t == len(tols) - 1, d == 0)
    return script + "unset multiplot\n", (250 * len(dims) + 60, 190 * len(tols) + 70)
