#!/bin/sh
# rooms.sh - the rules of the house that a compiler does not enforce: who may call what, and what is exported
#
# SPDX-License-Identifier: BSD-3-Clause

here=$(dirname "$0")
cd "${top_srcdir-$here/..}" || exit 1
builddir=${top_builddir-.}
nm=${NM-nm}
failed=0

# complain TEXT LINES: nothing, where there are no lines.
complain()
{
  [ -n "$2" ] || return 0
  printf '%s:\n%s\n' "$1" "$2"
  failed=1
}

# Prints FILE:LINE:TEXT of the C sources on standard input, without comments and without the insides of strings
# other than file names to include.
code()
{
  # shellcheck disable=SC2016
  xargs awk '
    FNR == 1 { inside = 0 }
    {
      line = $0
      if (line !~ /^[ \t]*#[ \t]*include/)
        gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
      text = ""
      while (line != "") {
        if (inside) {
          end = index(line, "*/")
          line = end ? substr(line, end + 2) : ""
          inside = !end
        } else {
          start = match(line, /\/\*|\/\//)
          text = text (start ? substr(line, 1, start - 1) : line)
          inside = start && substr(line, start, 2) == "/*"
          line = inside ? substr(line, start + 2) : ""
        }
      }
      print FILENAME ":" FNR ":" text
    }'
}

sources()
{
  find "$@" -name '*.[ch]' | sort
}

# The public header names a communicator; it is the one place below mpi/ that does.
complain "MPI is for mpi/, the command line and tests" \
  "$(sources src topology | grep -v -e '^src/cli/' -e '^src/precis\.h$' | code | grep -E 'MPI_[A-Z]|<mpi\.h>')"
complain "hwloc is for topology/" \
  "$(sources src mpi tests | code | grep -E '[^a-z_]hwloc_|HWLOC_|<hwloc')"
# In kernels, in the one file that sets threads, and in the yardstick that kernels are measured with.
kernels='^src/(exact/tile_gemm|summary/gemm_kernel|base/blas|measure/sgemm)\.c$'
complain "BLAS is for kernels" \
  "$(sources src mpi topology | grep -vE "$kernels" | code | grep -E 'cblas_[a-z]+|openblas_[a-z]+|<cblas')"

# Which room may include which, the lowest first: no arrow runs up. A room may include itself and the public headers.
rooms='
topology:
src/base:
src/layout:
src/tokens: src/base
src/exact: src/base src/tokens
src/summary: src/base src/tokens
src/proof: src/base src/summary
src/rows: src/base src/tokens src/exact src/summary src/proof
src/schedule: src/base src/layout src/exact src/summary
src/model: src/base src/layout src/tokens src/exact src/summary src/proof src/rows src/schedule
src/plan: src/base src/summary src/proof src/schedule src/model
src/files: src/base
src/oracle: src/base
src/measure: src/base src/tokens src/exact src/summary src/proof src/rows src/model
src/paper: src/base src/layout src/exact src/summary src/schedule src/model src/plan src/oracle
src/client: src/base src/files
mpi/world: topology src/base src/layout src/schedule
mpi/sequence: src/base src/layout src/tokens src/rows mpi/world
mpi/rows: src/base src/layout src/tokens src/rows mpi/world
mpi/moves: src/base src/layout src/tokens src/exact src/rows src/schedule mpi/world mpi/rows
mpi/summaries: src/base src/layout src/tokens src/summary src/proof src/rows src/schedule src/plan mpi/sequence mpi/moves
mpi/handle: src/base src/tokens src/exact src/model mpi/world mpi/sequence mpi/summaries
mpi/plan: src/base src/layout src/summary src/schedule src/model src/plan mpi/world mpi/rows mpi/summaries mpi/handle
mpi/call: src/base src/layout src/tokens src/exact src/summary src/model src/plan mpi/world mpi/moves mpi/summaries mpi/handle mpi/plan
mpi/files: src/base src/tokens src/files mpi/world
mpi/measure: src/base src/model src/oracle src/measure mpi/world
mpi/service: src/base src/layout src/files mpi/world mpi/sequence mpi/handle mpi/measure
src/cli: topology src/base src/exact src/summary src/schedule src/model src/files src/oracle src/measure src/paper src/client mpi/world mpi/files mpi/measure mpi/service
'

# Prints INCLUDER INCLUDED of the headers of the house.
includes()
{
  sources src mpi topology | code | sed -n 's/^\([^:]*\):[0-9]*:[ \t]*#[ \t]*include[ \t]*"\([^"]*\/[^"]*\)".*/\1 \2/p'
}

complain "rooms that their row of the table in tests/rooms.sh does not allow to include these" \
  "$(includes | rooms=$rooms awk '
    function room(path) { sub("/[^/]*$", "", path); return path }
    BEGIN {
      count = split(ENVIRON["rooms"], line, "\n")
      for (i = 1; i <= count; i++) {
        words = split(line[i], word, ":? ")
        sub(":$", "", word[1])
        known[word[1]] = i
        for (w = 2; w <= words; w++) {
          if (known[word[w]] == "")
            print "the table itself: " word[1] " names " word[w] ", which is not below it"
          may[word[1], word[w]] = 1
        }
      }
    }
    room($1) != room($2) && room($2) != "src" && !(may[room($1), room($2)] && known[room($1)]) { print $1 ": " $2 }
    room($2) == "src" && $2 !~ /^src\/precis(_client|_more)?\.h$/ { print $1 ": " $2 }')"
complain "files outside of the rooms" \
  "$(find src mpi topology -maxdepth 1 -name '*.[ch]' | grep -vE '^(src/precis(_client|_more)?\.h|topology/.*)$')"
# Headers that include each other, at any distance: whichever cannot be sorted.
complain "a circle of headers" "$(includes | grep '\.h ' | tsort 2>&1 >/dev/null | grep -v 'input contains a loop')"

# Of those that are installed two include the first.
complain "headers are included by room: \"src/...\", \"mpi/...\"" \
  "$(sources src mpi topology tests | grep -v '^src/precis_\(client\|more\)\.h$' | code | grep -E '#[ \t]*include[ \t]*"' |
     grep -vE '"(config\.h|(src|mpi|topology|tests)(/[a-z]+)*/[^"/]+)"')"
complain "no attic: #if 0" \
  "$(sources src mpi topology tests | code | grep -E '#[ \t]*if[ \t]+0')"
complain "a header that is named mpi.h hides MPI's" "$(find src mpi topology tests -name mpi.h)"

# A file that no makefile names is in no release. Tests are named without their .c.
complain "no Makefile.am or *.am lists these" \
  "$(find src mpi topology tests -name '*.[ch]' -o -name '*.sh' | sort | while read -r file; do
    grep -qE "(^|[ \t])(${file}|${file%.c})( |\$)" Makefile.am ./*/*.am ./*/*/*.am || echo "$file"
  done)"

# What programs see of the shared library is what its headers declare, neither more nor less.
library=$builddir/.libs/libprecis.so
if [ -f "$library" ]; then
  declared=$(code <<END | sed -e 's/^[^:]*:[^:]*://' | tr '\n' ' ' | tr ';' '\n' |
src/precis.h
src/precis_client.h
src/precis_more.h
END
    sed -n 's/.*PRECIS_API[ a-z0-9_]*[ *]\(precis_[a-z_]*\)(.*/\1/p' | sort)
  exported=$($nm -D --defined-only "$library" | awk '{ print $NF }' | grep -v '^__odr_asan' | sort)
  if [ "$declared" != "$exported" ]; then
    complain "the headers declare" "$declared"
    complain "but libprecis.so exports" "$exported"
  fi
else
  echo "no shared library here: what it exports was not looked at"
fi

# In the static library all names meet those of the program.
library=$builddir/.libs/libprecis.a
if [ -f "$library" ]; then
  complain "libprecis.a has global names without precis_" \
    "$($nm -g --defined-only "$library" | awk 'NF == 3 { print $3 }' | grep -v -e '^precis_' -e '^__odr_asan')"
fi

exit $failed
