#!/bin/bash
# The launcher on a tree of one C file, with an apt-get that only pretends: what it installs, when
# it builds, what it says when it cannot.  Touches nothing outside a temporary folder.
launcher=$(cd -- "$(dirname -- "$0")/.." && pwd)/perigee
work=$(mktemp -d) || exit 1
trap 'rm -rf -- "$work"' EXIT
cd -- "$work" || exit 1
export LC_ALL=C.UTF-8
passed=0 failed=0

check () {  # check NAME COMMAND...: the command succeeds
  local name=$1
  shift
  if "$@"; then ((passed++)); else ((failed++)); echo "not ok: $name"; fi
}
says () { [[ $output == *"$1"* ]]; }
silent_about () { [[ $output != *"$1"* ]]; }
equals () { [[ $1 == "$2" ]]; }
launch () { output=$(PATH=$work/bin "$@" 2>&1 < /dev/null); code=$?; }

# A tree as the launcher knows it; the binary prints its arguments.
mkdir -p tree/{runtime/op,bindings,include/perigee} bin
cp -- "$launcher" tree/
cat > tree/CMakeLists.txt << 'END'
cmake_minimum_required(VERSION 3.25)
project(stub LANGUAGES C)
option(PERI_TESTS "" ON)
add_executable(perigee bindings/main.c)
add_custom_target(perigee_h5 DEPENDS perigee)
add_custom_target(bench_limits DEPENDS perigee)
END
cat > tree/bindings/main.c << 'END'
#include <stdio.h>
int main (int argc, char **argv) {
  for (int i = 0; i < argc; i++) printf("<%s>", i == 0 ? "ran" : argv[i]);
  return argc > 1 && argv[1][0] == '7' ? 7 : 0;
}
END

# The launcher sees only these commands.  Without dpkg-query it misses no library.
for command in bash cat cut cc gcc as ld ar ranlib nm strip objdump env flock git grep mkdir mv rm \
               ninja nproc paste pkg-config readlink sed tail tee uname; do
  path=$(command -v "$command") && ln -s "$path" "bin/$command"
done
cmake=$(command -v cmake)

cat > bin/apt-get << 'END'
#!/bin/bash
echo "E: Unable to fetch some archives"
exit 100
END
chmod +x bin/apt-get
if ((EUID == 0)); then
  launch tree/perigee a
  check "no network: exit code 1" equals $code 1
  check "no network: says which package and why" says "cmake                configures the build"
  check "no network: says apt's reason" says "Unable to fetch some archives"
  check "no network: gives the command" says "apt-get install --no-install-recommends cmake"
  check "no network: names nothing that is there" silent_about ninja-build

  printf '#!/bin/bash\n[[ $* != *" install "* ]] || %q -s %q %q\n' \
         "$(command -v ln)" "$cmake" "$work/bin/cmake" > bin/apt-get
  launch tree/perigee a "b c"
  check "installs, builds and runs" says "<ran><a><b c>"
else
  launch tree/perigee a
  check "no rights: exit code 1" equals $code 1
  check "no rights: gives the command" says "apt-get install --no-install-recommends cmake"
  ln -s "$cmake" bin/cmake
  launch tree/perigee a "b c"
  check "builds and runs" says "<ran><a><b c>"
fi
check "exit code 0" equals $code 0

launch tree/perigee 7
check "the command's exit code is the launcher's" equals $code 7
check "nothing is said when all is built" equals "$output" "<ran><7>"
ln -s "$work/tree/perigee" link
launch ./link x
check "works through a link" equals "$output" "<ran><x>"
(cd / && launch "$work/tree/perigee" x && equals "$output" "<ran><x>")
check "works from any folder" equals $? 0

sed -i 's/<%s>/{%s}/' tree/bindings/main.c
launch tree/perigee x
check "a newer source is built" says "{ran}{x}"
sed -i 's/return/retrun/' tree/bindings/main.c
launch tree/perigee x
check "a source that does not compile: exit code 1" equals $code 1
check "a source that does not compile: the compiler's line" says "main.c:4"
check "a source that does not compile: nothing runs" silent_about "{ran}"
sed -i 's/retrun/return/' tree/bindings/main.c

mv tree moved
launch moved/perigee x
check "a folder that was moved is built again" says "configuring"
check "and runs" says "{ran}{x}"

sed -i 's/{%s}/[%s]/' moved/bindings/main.c
for number in 1 2; do
  (launch moved/perigee "$number"; echo "$output" > "output.$number") &
done
wait
for number in 1 2; do
  check "two at once, number $number" grep -qF "[ran][$number]" "output.$number"
done
check "two at once: one builds" equals "$(cat output.1 output.2 | grep -c 'built in')" 1

echo "$passed passed, $failed failed"
((failed == 0))
