#!/bin/sh
# A small build that leaves processes behind, in the three ways there are:
#
#   a daemon    a compile server that took a session of its own (setsid)
#   a zombie    a worker whose parent lives on and never waits for it
#   an orphan   a watcher whose parent, a subshell, has ended
#
# Try:   go run ./cmd/axp run -- sh examples/leaky.sh
#
# Nothing of it lives longer than five minutes, whoever runs it.
set -eu

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# The daemon: its parent is this script, until the script ends.
setsid sleep 301 </dev/null >/dev/null 2>&1 &

# The zombie: the shell below becomes a sleep, which never waits; only then its
# child ends, with 3.
sh -c 'sh -c "until grep -q sleep /proc/\$PPID/comm; do :; done; exit 3" & exec sleep 302' </dev/null >/dev/null 2>&1 &

# The orphan: the subshell is gone as soon as it has started it.
(sleep 303 </dev/null >/dev/null 2>&1 &)

# The build: two objects at once, then a program of them.
cat >"$dir/main.c" <<'EOF'
const char *greeting(void);
int puts(const char *);
int main(void) { return puts(greeting()) < 0; }
EOF
cat >"$dir/greeting.c" <<'EOF'
const char *greeting(void) { return "built"; }
EOF
if command -v cc >/dev/null; then
	cc -c -o "$dir/main.o" "$dir/main.c" &
	first=$!
	cc -c -o "$dir/greeting.o" "$dir/greeting.c"
	wait "$first"
	cc -o "$dir/greet" "$dir/main.o" "$dir/greeting.o"
	"$dir/greet"
else
	cat "$dir"/*.c | sort | wc -l >/dev/null
	echo "built (without a compiler)"
fi
