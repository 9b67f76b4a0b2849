#compdef precis
# completion.zsh - completion of precis in zsh, installed as _precis
#
# SPDX-License-Identifier: BSD-3-Clause
#
# The program itself says what there is: "precis help --table [COMMAND]", which starts no MPI.

_precis() {
  local program=$words[1] line
  local -a column rows specs
  if (( CURRENT == 2 )); then
    for line in ${(f)"$($program help --table 2>/dev/null)"}; do
      rows+=("${line%%$'\t'*}:${line#*$'\t'}")
    done
    _describe command rows
    return
  fi
  for line in ${(f)"$($program help --table $words[2] 2>/dev/null)"}; do
    column=("${(@ps:\t:)line}")
    local action='' help=${${column[4]//\[/(}//\]/)}
    case $column[2] in
      FILE*|MACHINE|WHERE) action=_files ;;
      DIR) action='_files -/' ;;
    esac
    [[ -n $column[3] ]] && action="(${column[3]//|/ })"
    if [[ -z $column[1] ]]; then
      specs+=("1:word:$action")
    elif [[ -z $column[2] ]]; then
      specs+=("${column[1]}[$help]")
    else
      specs+=("${column[1]}[$help]:${column[2]}:$action")
    fi
  done
  specs+=('*:file:_files')
  shift words
  (( CURRENT-- ))
  _arguments $specs
}

_precis "$@"
