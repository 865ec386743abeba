#!/bin/bash
# Prints the ten largest source files and how many lines are over 100 columns; fails when a file is
# over 800 lines.  A file that long does two things, and is to be split.
cd -- "$(dirname -- "$0")/.." || exit 1
export LC_ALL=C.UTF-8          # columns, not bytes

sources () {
  printf '%s\0' CMakeLists.txt perigee .ci/run
  find runtime bindings include lua experiments tests -type f \
       \( -name '*.[ch]' -o -name '*.def' -o -name '*.lua' -o -name '*.sh' -o -name '*.py' \
          -o -name CMakeLists.txt \) -print0
}

rows=$(sources | xargs -0 wc -l | awk '$2 != "total"' | sort -rn -k 1,1)
wide=$(sources | xargs -0 cat | grep -cE '^.{101}')

echo "the ten largest of $(wc -l <<< "$rows") source files:"
head -n 10 <<< "$rows" | awk '{ printf "%6d lines  %s\n", $1, $2 }'
echo "$wide lines are over 100 columns"
awk '$1 > 800 { print $2 ": " $1 " lines, more than 800"; bad = 1 } END { exit bad }' <<< "$rows"
