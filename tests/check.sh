#!/bin/sh
# check.sh - precis check refuses what is no answer: zeros, the mean of the values, a running mean, any constant
#
# SPDX-License-Identifier: BSD-3-Clause
#
# On README's example and its tolerance. A tolerance in units of the range of the values would pass them all.

precis=${PRECIS-${top_builddir-.}/precis}
case $precis in /*) ;; *) precis=$PWD/$precis ;; esac
if [ ! -x "$precis" ]; then
  echo "check.sh: no program $precis: build it first" >&2
  exit 1
fi
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export OMPI_MCA_orte_tmpdir_base="$folder" OMPI_MCA_ess_singleton_isolated="${OMPI_MCA_ess_singleton_isolated-1}"
failures=0
limit=${TEST_TIMEOUT-300}

# must STATUS ARGUMENTS...: runs precis without a launcher, which has to end with STATUS.
must()
{
  expected=$1
  shift
  timeout -k 5 "$limit" "$precis" "$@" </dev/null >out 2>err
  status=$?
  if [ "$status" -ne "$expected" ]; then
    echo "check.sh: FAILED: exit status $status, not $expected: precis $*" >&2
    sed 's/^/    /' out err >&2
    failures=$((failures + 1))
  fi
}

# refuses NAME ARGUMENTS...: check says that NAME is no answer, and how far off it is; so it is against another answer too.
refuses()
{
  answer=$1
  shift
  must 3 check --input sample.safetensors --out "$answer" --rows 64 --tol 1e-2 "$@"
  echo "check.sh: $answer $*: $(sed -n 's/^precis: .*against/against/p' err)"
  must 0 check --input sample.safetensors --out "$answer" --rows 64 "$@"
}

# npy FILE SHAPE: a header of float32; data goes behind it.
npy()
{
  printf '\223NUMPY\001\000v\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': ($2), }" >"$1"
}

tokens=64000 row=512 # 64k tokens, bytes of a row of 4 heads of 32 numbers

# repeated FILE ROW: an array whose rows are all the bytes in ROW.
repeated()
{
  cp "$2" twice
  while [ "$(wc -c <twice)" -lt $((tokens * row)) ]; do
    cat twice twice >more
    mv more twice
  done
  npy "$1" "$tokens, 4, 32"
  head -c $((tokens * row)) twice >>"$1"
}

# without_queries FROM TO: the same input with queries of zeros, whose results are means of the values. Tensors q, k and v
# follow each other behind a header whose length comes first.
without_queries()
{
  header=$(od -A n -t u4 -N 4 "$1" | tr -d ' ')
  { head -c $((8 + header)) "$1"; head -c "$3" /dev/zero; tail -c +$((9 + header + $3)) "$1"; } >"$2"
}

must 0 gen --tokens 64k --heads 4 --dim 32 --kind gauss --spread 0.15 -o sample.safetensors
must 0 gen --tokens 64k --queries 1 --heads 4 --dim 32 --kind gauss --spread 0.15 -o one.safetensors

head -c $row /dev/zero >zero-row
repeated zeros.npy zero-row
without_queries one.safetensors mean.safetensors $row
must 0 run --input mean.safetensors --out mean-row.npy
tail -c $row mean-row.npy >mean-row
repeated mean.npy mean-row
# A row's own answer, in all rows: as good as any constant that outputs come near.
must 0 run --input one.safetensors --out one-row.npy
tail -c $row one-row.npy >one-row
repeated constant.npy one-row

for answer in zeros.npy mean.npy constant.npy; do
  refuses $answer
  refuses $answer --causal
done

# The running mean. Few tokens, as it takes all pairs.
tokens=4000
must 0 gen --tokens 4k --heads 4 --dim 32 --kind gauss --spread 0.15 -o sample.safetensors
without_queries sample.safetensors running.safetensors $((tokens * row))
must 0 run --input running.safetensors --causal --out running.npy
refuses running.npy --causal
refuses running.npy

# The truth passes, also against itself, and is what the others are refused against.
must 0 run --input sample.safetensors --causal --out truth.npy --lse lse.npy
must 0 check --input sample.safetensors --out truth.npy --causal --rows 64 --tol 1e-4
must 0 check --input sample.safetensors --out truth.npy --lse lse.npy --causal --rows 64 --tol 1e-5 --tol-of lse
must 0 check --input sample.safetensors --out truth.npy --causal --rows 64 --tol 1e-6 --tol-of range
must 0 check truth.npy truth.npy --tol 0
must 0 check lse.npy lse.npy --tol 0 --tol-of lse
must 3 check running.npy truth.npy --tol 1e-2
head -c $((tokens * row)) /dev/zero >zero-data
npy zeros.npy "$tokens, 4, 32"
cat zero-data >>zeros.npy
must 3 check zeros.npy truth.npy --tol 1e-2
must 3 check --input sample.safetensors --out truth.npy --rows 64 --tol 1e-2 # with the other mask
must 2 check --input sample.safetensors --out truth.npy --tol-of lse

[ "$failures" -eq 0 ] || exit 1
echo "check.sh: all good"
