#!/bin/sh
# completion.sh - what bash and zsh offer for a command line of precis
#
# SPDX-License-Identifier: BSD-3-Clause

precis=${PRECIS-${top_builddir-.}/precis}
case $precis in /*) ;; *) precis=$PWD/$precis ;; esac
source=$(cd "${top_srcdir-.}" && pwd)/src/cli
failed=0
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/bin" "$folder/files" && cat >"$folder/bin/precis" <<END
#!/bin/sh
exec "$precis" "\$@"
END
chmod +x "$folder/bin/precis"
PATH="$folder/bin:$PATH"
export PATH
cd "$folder/files" || exit 1
touch in.safetensors
if ! command -v bash >/dev/null; then
  echo "completion.sh: no bash here"
  exit 77
fi

# offers WORDS... = EXPECTED: completion of the last word gives EXPECTED, among others if that ends in "...".
offers()
{
  expected=$(printf '%s' "$*" | sed 's/.* = //')
  # shellcheck disable=SC2016
  got=$(bash -c '
    . "$1/completion.bash"
    shift
    COMP_WORDS=()
    while [ "$1" != = ]; do COMP_WORDS+=("$1"); shift; done
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _precis
    echo "${COMPREPLY[*]}"' bash "$source" "$@")
  case " $got " in
    " $expected ") return ;;
    *" ${expected% ...} "*) [ "$expected" = "${expected% ...}" ] || return ;;
  esac
  echo "completion.sh: '$*' gives '$got'"
  failed=1
}

offers precis r = "run remote"
offers precis run --tol = "--tol --tol-of"
offers precis run --tol-of '' = "outputs range lse"
offers precis run --move s = summaries
offers precis run --guarantee b = bound
offers precis run --input in = in.safetensors
offers precis check in = in.safetensors
offers precis run -o i = in.safetensors
offers precis gen --kind u = unit
offers precis bench '' = "kernels moves attend"
offers precis remote a = "append attend"
offers precis remote create --causal -- = "--heads ..."
offers precis run --degree '' = ""
offers precis data check i = in.safetensors
offers precis fly - = ""

# Each option of help is in the table, and the other way round.
for command in $(precis help --table | cut -f 1); do
  [ "$command" != help ] || continue
  table=$(precis help --table "$command" | cut -f 1 | grep -e '^--' | sort)
  shown=$(precis help "$command" | sed -nE 's/^  (-o, )?(--[a-z-]+).*/\2/p' | sort)
  [ "$table" = "$shown" ] || { echo "completion.sh: help and table of $command differ"; failed=1; }
  precis help "$command" | grep -qE '^  (mpirun -n [0-9]+ )?precis '"$command" || { echo "completion.sh: $command has no example"; failed=1; }
done

if command -v zsh >/dev/null; then
  zsh -n "$source/completion.zsh" || failed=1
else
  echo "completion.sh: no zsh here: its completion was not looked at"
fi
exit $failed
