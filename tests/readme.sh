#!/bin/bash
# readme.sh - what README and the manual tell a reader to paste does what they say
#
# SPDX-License-Identifier: BSD-3-Clause
#
# Every block that begins with ```sh is run whole, in the order of the text, in a folder where build/ and jobs/ are those of this
# tree. Blocks that begin with ```console need root, a network or a cluster, and are listed. A ```c block with a main() is compiled and
# run on two ranks. Links to files have to lead somewhere, and lines of README fit 100 columns.

[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"
top_srcdir=${top_srcdir-$(cd "$(dirname "$0")/.." && pwd)} top_builddir=${top_builddir-$PWD/build}
[ -n "${MPIEXEC-}" ] || { echo "skipped: there is no mpiexec"; exit 77; }
command -v curl >/dev/null || { echo "skipped: there is no curl, which blocks of the manual call"; exit 77; }
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
failed=0
fail() { echo "FAILED: $*"; failed=1; }

# As in a checkout after jobs/demo: only what is in it can be called.
mkdir "$scratch/build" "$scratch/bin"
ln -s "$top_builddir/precis" "$scratch/build/precis"
ln -s "$top_srcdir/jobs" "$scratch/jobs"
printf '#!/bin/sh\nexec %s %s "$@"\n' "$MPIEXEC" "${MPIEXEC_FLAGS-}" >"$scratch/bin/mpirun"
chmod +x "$scratch/bin/mpirun"
export PATH=$scratch/bin:$PATH OMP_NUM_THREADS=1
# The manual's port may be taken here.
port=$((20000 + $$ % 20000))

# blocks FILE: number and language of each block, its lines in files beside.
blocks()
{
  awk -v folder="$scratch" '
    /^```/ && inside { inside = 0; close(file); next }
    /^```/ { n++; inside = 1; language = substr($0, 4); file = folder "/block." n; printf "" > file; print n, language, NR; next }
    inside { print > file }' "$1"
}

run_block()
{
  sed -i "s/8470/$port/g" "$scratch/block.$1"
  (cd "$scratch" && timeout -k 5 240 bash -e -o pipefail "block.$1" </dev/null >said 2>&1)
}

# Against the library of this tree, by the compiler that made it.
compile()
{
  # shellcheck disable=SC2046,SC2086
  (cd "$top_builddir" && cp "$scratch/block.$1" "$scratch/program.c" &&
    ./libtool --quiet --tag=CC --mode=link ${CC-cc} ${SANITIZE_CFLAGS-} -o "$scratch/program" -I"$top_srcdir/src" ${MPI_CFLAGS-} \
      "$scratch/program.c" libprecis.la ${MPI_LIBS-}) >"$scratch/said" 2>&1 &&
    (cd "$scratch" && timeout -k 5 60 mpirun -n 2 ./program </dev/null >said 2>&1)
}

cd "$top_srcdir" || exit 1
for page in README.md src/manual/*.md; do
  while read -r number language line; do
    case $language in
      sh) run_block "$number" ;;
      c)
        grep -q 'int main' "$scratch/block.$number" || { echo "$page:$line: part of a program"; continue; }
        compile "$number"
        ;;
      console) echo "$page:$line: not run here: $(head -1 "$scratch/block.$number")"; continue ;;
      '') continue ;;
      *) fail "$page:$line: blocks of '$language' are not known"; continue ;;
    esac
    status=$?
    echo "$page:$line: exit status $status"
    [ $status = 0 ] || { fail "$page:$line"; cat "$scratch/block.$number" "$scratch/said"; }
  done < <(blocks "$page")
  for link in $(grep -o '](\([^)#]*\))' "$page" | sed 's/](\(.*\))/\1/' | grep -v '^https\?:'); do
    [ -e "$(dirname "$page")/$link" ] || fail "$page: there is no $link"
  done
done
long=$(awk 'length > 100 { print FILENAME ":" FNR }' README.md)
[ -z "$long" ] || fail "longer than 100 columns: $long"
[ $failed = 0 ] && echo "passed: what can be pasted was"
exit $failed
