# completion.bash - completion of precis in bash
#
# SPDX-License-Identifier: BSD-3-Clause
#
# The program itself says what there is: "precis help --table [COMMAND]", which starts no MPI.

_precis()
{
  local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  local command=${COMP_WORDS[1]} table value words
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W "$("$program" help --table 2>/dev/null | cut -f 1)" -- "$current")
    return
  fi
  table=$("$program" help --table "$command" 2>/dev/null) || return
  # What the option before takes; without one, what the command does.
  value=$(awk -F '\t' -v name="$before" 'name != "" && $1 == name { print $2 }' <<<"$table")
  words=$(awk -F '\t' -v name="$before" 'name != "" && $1 == name { print $3 }' <<<"$table")
  if [ -z "$value" ]; then
    [ "$COMP_CWORD" -gt 2 ] || words=$(awk -F '\t' '$1 == "" { print $3 }' <<<"$table")
    case $current in
      -*) words=$(cut -f 1 <<<"$table") ;;
    esac
  fi
  if [ -n "$words" ]; then
    mapfile -t COMPREPLY < <(compgen -W "${words//|/ }" -- "$current")
  fi
  case $value:$current in
    FILE*:* | MACHINE:* | DIR:* | WHERE:* | :[!-]* | :)
      if [ -z "$words" ]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
      fi ;;
  esac
}
complete -F _precis precis
