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
kernels='^src/(exact/tile_gemm|summary/gemm_kernel|base/blas|measure/sgemm|sgemm)\.c$'
complain "BLAS is for kernels" \
  "$(sources src mpi topology | grep -vE "$kernels" | code | grep -E 'cblas_[a-z]+|openblas_[a-z]+|<cblas')"

# Lower rooms know nothing of higher ones: topology, src, mpi, src/cli, from below.
complain "topology/ includes a higher room" \
  "$(sources topology | code | grep -E '#[ \t]*include[ \t]*"(src|mpi|tests)/')"
complain "src/ includes a higher room" \
  "$(sources src | grep -v '^src/cli/' | code | grep -E '#[ \t]*include[ \t]*"(src/cli|mpi|tests)/')"
complain "mpi/ includes a higher room" \
  "$(sources mpi | code | grep -E '#[ \t]*include[ \t]*"(src/cli|tests)/')"
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
