#!/bin/sh
# install.sh - "make installcheck": a program outside the tree finds, links and runs what is installed
#
# SPDX-License-Identifier: BSD-3-Clause
#
# Compiles tests/example.c with what pkg-config says, once with the shared and once with the static library, and runs
# it on two ranks.

set -eu
: "${CC:?}" "${PKG_CONFIG:?}" "${bindir:?}" "${libdir:?}" "${top_srcdir:?}" "${MPIEXEC?}"

if [ ! -f "$libdir/pkgconfig/precis.pc" ]; then
  echo "install.sh: no precis.pc in $libdir/pkgconfig: run 'make install' first, without DESTDIR" >&2
  exit 1
fi
export PKG_CONFIG_PATH="$libdir/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
export LD_LIBRARY_PATH="$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# try NAME FLAGS...: compiles, and runs if there is a launcher.
try()
{
  name=$1
  shift
  # shellcheck disable=SC2086
  $CC ${CFLAGS-} -o "$folder/$name" "$top_srcdir/tests/example.c" "$@"
  if [ -z "$MPIEXEC" ]; then
    echo "install.sh: $name library: links (no launcher to run it with)"
    return
  fi
  # shellcheck disable=SC2086
  said=$(timeout -k 5 60 $MPIEXEC ${MPIEXEC_FLAGS-} -n 2 "$folder/$name" </dev/null)
  # Values are 0 on one rank, 1 on the other, and both have the same keys.
  case $said in
    *"mean of the ranks 0.5") echo "install.sh: $name library: $said" ;;
    *) echo "install.sh: $name library: wrong: $said" >&2; exit 1 ;;
  esac
}

# Each header stands alone.
for header in precis.h precis_more.h precis_client.h; do
  # shellcheck disable=SC2046
  printf '#include <%s>\n' "$header" |
    $CC ${CFLAGS-} -Wall -Wextra -Werror -fsyntax-only $("$PKG_CONFIG" --cflags precis) -x c -
done

# shellcheck disable=SC2046
[ ! -f "$libdir/libprecis.so" ] || try shared $("$PKG_CONFIG" --cflags --libs precis)
# The static library with shared libraries below it. Not --static, which asks for what static ones would need.
private=$("$PKG_CONFIG" --print-requires-private precis | sed 's/[ <>=].*//')
# shellcheck disable=SC2046,SC2086
[ ! -f "$libdir/libprecis.a" ] ||
  try static $("$PKG_CONFIG" --cflags --libs precis $private | sed 's/-lprecis/-l:libprecis.a/') ${OPENMP_CFLAGS-} -lm

version=$("$PKG_CONFIG" --modversion precis)
case $("$bindir/precis" --version) in
  *"$version"*) ;;
  *) echo "install.sh: 'precis --version' and precis.pc ($version) do not agree" >&2; exit 1 ;;
esac
