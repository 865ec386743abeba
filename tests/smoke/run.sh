#!/bin/bash
# run.sh BINARY EXPERIMENT FOLDER [key=value...]: a short run of one experiment, once with one
# thread and once with two.  Both end with a finished run file, the files are the same to the last
# bit, and the same command again repeats nothing.  Judges no claim.
binary=$1 experiment=$2 folder=$3
shift 3
rm -rf -- "$folder"
mkdir -p -- "$folder" || exit 1

fail () { printf 'smoke: %s: %s\n' "$experiment" "$*" >&2; exit 1; }

# Run with $1 threads into a folder of its own; sets `file` to the run file.
run () {
  local threads=$1 found
  shift
  "$binary" run "$experiment" "$@" --threads "$threads" --results "$folder/$threads" < /dev/null ||
    fail "exit code $? with $threads threads"
  mapfile -t found <<< "$(find "$folder/$threads" -name '*.h5')"
  [[ ${#found[@]} == 1 && -f ${found[0]} ]] ||
    fail "${#found[@]} run files instead of one: ${found[*]}"
  file=${found[0]}
}

run 1 "$@"
first=$file
run 2 "$@"
"$binary" diff "$first" "$file" || fail "one thread and two give different files"

cp -- "$file" "$folder/before"
run 2 "$@"
cmp -- "$folder/before" "$file" || fail "a finished run was run again"
