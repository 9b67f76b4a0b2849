#!/bin/sh
# study.sh - studies: what is interrupted is taken up, what fails is told, and the page stands alone
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck disable=SC2086
here=$(dirname "$0")
top=$(cd "${top_srcdir-$here/..}" && pwd)
pace=$(sh "$top/tests/pace")
PRECIS=${PRECIS-${top_builddir-.}/precis}
PRECIS=$(cd "$(dirname "$PRECIS")" && pwd)/precis
export PRECIS OMP_WAIT_POLICY=passive
if ! command -v python3 >/dev/null; then
  echo "skipped: python3 was not found, which studies are made with"
  exit 77
fi
if [ -z "${MPIEXEC-}" ] || [ -n "${ASAN_OPTIONS-}" ] || ! command -v mpirun >/dev/null; then
  echo "skipped: no mpirun, or with sanitizers, where times mean nothing"
  exit 77
fi
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0

complain()
{
  echo "study.sh: FAILED: $*" >&2
  sed 's/^/    /' out err >&2
  failures=$((failures + 1))
}

# ends STATUS COMMAND...: must end so; leaves out and err.
ends()
{
  expected=$1
  shift
  status=0
  timeout -k 5 "$((${TEST_TIMEOUT-60} * pace))" "$@" </dev/null >out 2>err || status=$?
  [ "$status" -eq "$expected" ] || complain "exit status $status, not $expected: $*"
}

# says TEXT: in what it printed.
says()
{
  grep -qe "$1" out err || complain "nothing says '$1'"
}

study="python3 $top/jobs/study"
report="python3 $top/jobs/report"

echo "study.sh: statistics and points"
PYTHONDONTWRITEBYTECODE=1 python3 - "$top/jobs" >out 2>err <<'END' || complain "statistics"
import sys
sys.path.insert(0, sys.argv[1])
from scaling import curves, description, table

def equal(found, expected):
    if found != expected:
        sys.exit(f"{found!r} is not {expected!r}")

# Of five times, the median of all lies between the extremes but for 2 / 2^5; of nine, between the
# second and the eighth but for 2 (1 + 9) / 2^9.
five, nine, one = (curves.band(range(n)) for n in (5, 9, 1))
equal((five.median, five.low, five.high, five.coverage), (2, 0, 4, .9375))
equal((nine.median, nine.low, nine.high, nine.coverage), (4, 1, 7, 1 - 20 / 512))
equal((one.median, one.low, one.high, one.coverage), (0, 0, 0, 0))
equal([description.total_tokens("strong", 100, p) for p in (1, 3)], [100, 100])
equal([description.total_tokens("weak-tokens", 100, p) for p in (1, 3)], [100, 300])
# n^2 / P stays 10,000 within rounding, and P divides n.
equal([description.total_tokens("weak-work", 100, p) for p in (1, 2, 4, 9)], [100, 142, 200, 297])
equal(description.size("1.5Ki"), 1536)
equal(list(table.lines({"seconds": {"total": .25}, "moves": [{"move": "tiles"}], "a_bytes": 3,
                        "causal": True, "rates": {"tokens_per_second": 2, "gflops": 1}})),
      ["precis.seconds.total=0.25 s", "precis.moves.0.move=tiles", "precis.a_bytes=3 B",
       "precis.causal=yes", "precis.rates.tokens_per_second=2 1/s", "precis.rates.gflops=1 GFLOP/s"])
row = {"series": "s", "scaling": "strong", "base_tokens": "8", "heads": "1", "kv_heads": "1",
       "dim": "1", "tol": "exact", "move_asked": "auto", "status": "done", "tokens": "8",
       "move": "tiles", "flags": ""}
strong, = curves.curves([{**row, "ranks": str(p), "seconds_attend": str(s)}
                         for p, s in ((1, 4), (2, 2.5), (2, 2), (2, 1.6))])
equal((strong.points[1].speedup.median, strong.points[1].speedup.high), (2, 2.5))
equal(strong.points[1].efficiency.median, 1)
# Twice the tokens on twice the ranks: exact attention may take twice as long.
weak, = curves.curves([{**row, "scaling": "weak-tokens", "tokens": str(8 * p), "ranks": str(p),
                        "seconds_attend": str(p)} for p in (1, 2)])
equal(weak.points[1].efficiency.median, 1)
END

echo "study.sh: mistakes in a description"
printf '[study]\nrepeat = 3\n[a]\nranks = 1\n' >bad.ini
ends 2 $study bad.ini
says "'repeat' is unknown"
printf '[a]\nranks = 1\ntol = loose\n' >bad.ini
ends 2 $study bad.ini
says "neither 'exact' nor a number"
printf '[study]\nrepeats = 3\n' >bad.ini
ends 2 $study bad.ini
says "no series"
ends 2 $study none.ini
says "none.ini"

echo "study.sh: interrupted, taken up, one point failing"
cat >small.ini <<'END'
[study]
title = A <small> study
repeats = 3
warmups = 0
roofs = no
regime = --ranks 8
[strong]
ranks = 1 2
tokens = 601
heads = 1
dims = 8
tol = exact 1e-2
[fails]
ranks = 1
tokens = 300
heads = 1
dims = 8
tol = 1e-12
moves = summaries
END
# interrupt NAME: a study of small.ini, once a file of such a name is there.
interrupt()
{
  $study small.ini >out 2>err &
  pid=$!
  while [ -z "$(find small -name "$1" 2>/dev/null)" ] && kill -0 $pid 2>/dev/null; do
    sleep 0.1
  done
  kill -USR1 $pid
  status=0
  wait $pid || status=$?
  [ "$status" -eq 75 ] || complain "a study interrupted at $1 ends with $status"
  says "takes up from here"
}

interrupt 'regime*.part'
[ -z "$(find small -name '*part*' -o -name '*.txt')" ] || complain "left behind: $(find small -name '*part*')"
sed -i '/^regime/d' small.ini
interrupt 'strong*.json'
kept=$(find small/raw -name '*.json' | head -n 1)
before=$(cat "$kept"; ls -l "$kept")
ends 1 $study small.ini
says "runs are kept from before"
says "1 points failed"
[ "$before" = "$(cat "$kept"; ls -l "$kept")" ] || complain "a finished run was run again"
[ "$(grep -c ',done,' small/table.csv)" -eq 12 ] || complain "not 12 rows are done"
[ "$(grep -c '^fails,.*,failed 3,' small/table.csv)" -eq 3 ] || complain "failures are not in the table"
grep -q '^strong,strong,2,.*uneven-tokens' small/table.csv || complain "601 tokens on two ranks are not marked"
[ -z "$(find small -name '*part*' -o -name '*.txt')" ] || complain "left behind: $(find small -name '*part*')"
rm small/raw/fails*.failed
sed '/^\[fails\]/,$d; s/^roofs.*/&\nproject = 1 64\nsimulate = 4 64/' small.ini >good.ini
ends 0 $study good.ini --out small
says "12 of 12 runs"
[ "$(grep -c '"ranks": 64' small/projection.json)" -eq 2 ] || complain "not both curves are projected"
grep -q '"ranks": 1,' small/projection.json || complain "no prediction for what was measured"
sed 's/^project =.*/&\nproject_ranks_per_node = 32/' good.ini >other.ini
ends 0 $study other.ini --out small
grep -q '"ranks_per_node": 32' small/projection.json || complain "another cluster, and the old projection"
[ "$(grep -c '"ranks": 64' small/projection.json)" -eq 2 ] || complain "not both curves are projected anew"
if command -v smpirun >/dev/null; then
  grep -q '"simulated_seconds": [0-9.e-]*[1-9]' small/projection.json || complain "nothing was simulated"
fi
[ ! -e small/inputs ] || complain "inputs are left behind"

echo "study.sh: one report as lines"
ends 0 $report --key-value "$kept"
says '^precis.seconds.total=[0-9.e-]* s$'
says '^precis.promise.error=[0-9.e-]* of range$'
says '^precis.moved.node_bytes=[0-9]* B$'

echo "study.sh: files for other tools"
for file in reframe/precis.py reframe/settings.py spack/packages/precis/package.py; do
  ends 0 python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$top/jobs/$file"
done
for luac in luac5.4 luac5.3 luac; do
  if command -v $luac >/dev/null; then
    ends 0 $luac -p "$top/jobs/lmod/precis/0.2.0.lua"
    break
  fi
done

if command -v gnuplot >/dev/null; then
  echo "study.sh: a regime map in which nothing wins"
  PYTHONDONTWRITEBYTECODE=1 python3 - "$top/jobs" >out 2>err <<'END' || complain "no map where no summary wins"
import sys
sys.path.insert(0, sys.argv[1])
from scaling import figures
points = [{"dim": d, "tol": 0.1, "spread": s, "tokens_per_rank": n, "gain": 0.5}
          for d in (3, 8) for s in (0.1, 0.2, 0.3) for n in (100, 1000, 10000)]
script, size = figures.regime({"points": points})
figures.draw(script, "none.png", size)
END
  echo "study.sh: the page"
  ends 0 $report small/table.csv --pictures pictures
  says "report.html"
  [ -s pictures/strong-speedup.png ] || complain "no picture is left"
  grep -q 'A &lt;small&gt; study' small/report.html || complain "the title is not that of the study"
  grep -q 'h2>Projection' small/report.html || complain "no projection on the page"
  grep -q 'Tokens that ranks do not divide' small/report.html || complain "no word of uneven tokens"
  ! grep -oE '(src|href)="(https?:)?//' small/report.html >out || complain "the page refers to others"
  # Each text column of a table, and each text of a machine, with a script in it that must stay text, for gnuplot, too.
  mkdir -p poisoned
  python3 - small poisoned <<'END' || complain "the table could not be spoilt"
import csv, json, sys
bad = "<script>alert(1)</script>'\"`touch poisoned/gnuplot`\n\\system 'touch poisoned/gnuplot'\n&lt;"
rows = list(csv.DictReader(open(sys.argv[1] + "/table.csv", newline="")))
done = [row for row in rows if row["status"] == "done"]
names = ("series", "scaling", "kind", "spread", "tol", "move_asked", "why", "move", "flags", "precis", "report", "status")
more = [dict(done[i % len(done)], **{name: bad + name}) for name in names for i in range(2)]
more.append(dict(done[0], status=bad, why=bad, series=bad))
with open(sys.argv[2] + "/table.csv", "w", newline="") as file:
    table = csv.DictWriter(file, rows[0].keys())
    table.writeheader()
    table.writerows(rows + more)
facts = json.load(open(sys.argv[1] + "/machine.json"))
def spoil(value):
    return bad if isinstance(value, str) else [spoil(x) for x in value] if isinstance(value, list) else value
json.dump({key: spoil(value) for key, value in facts.items()}, open(sys.argv[2] + "/machine.json", "w"))
END
  ends 0 $report poisoned/table.csv
  ! grep -q '<script' poisoned/report.html || complain "a text of the table is a script on the page"
  grep -q '&lt;script&gt;alert(1)&lt;/script&gt;' poisoned/report.html || complain "the script is not there as text"
  [ ! -e poisoned/gnuplot ] || complain "a text of the table was run by gnuplot"
else
  echo "study.sh: no page: gnuplot was not found"
fi

if [ "$failures" -gt 0 ]; then
  echo "study.sh: $failures checks failed" >&2
  exit 1
fi
echo "study.sh: all good"
