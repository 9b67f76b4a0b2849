# usage.sh - sourced first by a script: --help prints the comment that the script begins with, and ends it
#
# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause

case ${1-} in
  -h | --help)
    awk 'NR == 1 { next }
      !/^#/ { exit }
      /SPDX-License-Identifier/ { skipped = 1; next }
      skipped && /^#$/ { skipped = 0; next }
      { sub(/^# ?/, ""); print }' "$0"
    exit 0
    ;;
esac
