#!/bin/bash
# Records the logs of this directory: capture.sh [CASE…] (all of them if none is
# named). Each becomes CASE.log.zst; what a case is about is its name, and how
# strace was asked differs from case to case, so that all its forms are there.
set -u
here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-$here}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit
gcc -O1 -w -o cases "$here/src/cases.c" -lpthread || exit
export PATH=/usr/bin:/bin:/usr/local/go/bin HOME=$work LC_ALL=C PS1='$ ' GOFLAGS=-buildvcs=false

# the calls that make process life, where a whole log would be too long
life=%process,%signal,getpid,getppid,gettid,getpgrp,getpgid,setpgid,setsid,getsid,prctl,unshare,setns,close,set_tid_address,setuid,setresuid,pidfd_open

trace() { # name, strace's options up to --, the command
	local name=$1
	shift
	timeout 120 strace -f -o "$work/$name.log" "$@" >/dev/null 2>&1 </dev/null
	keep "$name"
}
keep() {
	if [ -s "$work/$1.log" ]; then
		zstd -q -19 -f "$work/$1.log" -o "$out/$1.log.zst" && echo "$1: $(wc -l <"$work/$1.log") lines"
	else
		echo "$1: nothing was recorded" >&2
	fi
}
terminal() { # name, strace's options and the command; the keys are standard input
	local name=$1
	shift
	timeout 120 python3 "$here/src/terminal.py" strace -f -o "$work/$name.log" "$@" >/dev/null 2>&1
	keep "$name"
}

case_bash_jobs() {
	terminal bash-jobs -ttt -T bash --norc --noprofile -i <<-'EOF'
		sleep 0.1 | cat &
		jobs
		sleep 30
		^Z
		bg
		jobs -l
		fg
		^C
		(sleep 20 | sleep 20)
		^Z
		kill %1
		wait
		sleep 0.05 & sleep 0.06 & wait
		exec true
	EOF
}
case_dash_jobs() {
	terminal dash-jobs -tt dash -i <<-'EOF'
		set -m
		sleep 0.1 | cat &
		jobs
		sleep 30
		^Z
		bg
		fg
		^C
		sleep 20 &
		kill %1
		wait
		exit
	EOF
}
case_pipelines() { trace pipelines -ttt bash "$here/src/pipelines.sh"; }
case_dash() { trace dash-script -Y -y dash -c 'seq 3 | sort | cat; x=$(echo a; exit 3); (exit 4) & wait $!; trap "echo t" TERM; (kill $$) ; sleep 0.01 & kill $!; wait; set -m; sleep 0.01 & wait'; }
case_make() {
	for i in $(seq 12); do printf 'int f%d(void){return %d;}\n' "$i" "$i" >"f$i.c"; done
	printf 'all: $(patsubst %%.c,%%.o,$(wildcard f*.c))\n\t@ar rc x.a $^\n%%.o: %%.c\n\t@gcc -c -o $@ $<\n' >Makefile
	trace make -tt -e trace=$life make -j4
}
case_git() {
	git init -q r && (cd r && for i in 1 2 3; do echo $i >f && git add f && git -c user.name=a -c user.email=a@b commit -qm $i; done)
	trace git-clone -r -e trace=$life git clone -q --no-local r c
}
case_go() {
	mkdir g && printf 'package main\nfunc main() { println(1) }\n' >g/m.go && printf 'module g\n' >g/go.mod
	(cd g && go build -o ../gx .)
	echo '// again' >>g/m.go
	trace go-build -ttt -e trace=$life sh -c 'cd g && go build -o ../gx . && ../gx'
}
case_python() {
	for m in fork spawn forkserver; do trace "python-$m" -ttt -e trace=$life /usr/bin/python3 "$here/src/multi.py" $m; done
}
case_tmux() {
	trace tmux -tt -e trace=$life sh -c "tmux -f /dev/null -S $work/s new -d -x 80 -y 24 'sh -c \"sleep 0.1; echo a | cat; sleep 0.2\"'; sleep 0.1; tmux -S $work/s split-window 'exit 3'; sleep 0.2; tmux -S $work/s kill-server"
}
case_node() { command -v node >/dev/null && trace node -ttt -e trace=$life "$(readlink -f "$(command -v node)")" "$here/src/spawn.js"; }
case_perl() { trace perl -t perl "$here/src/life.pl"; }
case_threads() { trace threads -ttt -T ./cases threads; }
case_threadexec() { trace threadexec -tt ./cases threadexec; }
case_spawns() { trace spawns -r ./cases spawns; }
case_subreaper() { trace subreaper -ttt ./cases subreaper; }
case_daemons() { trace daemons -t ./cases daemons; }
case_setpgids() { trace setpgids -e trace=$life ./cases setpgids; }
case_signals() { trace signals -Y ./cases signals; }
case_stops() { trace stops -yy -tt ./cases stops; }
case_waits() { trace waits -ttt ./cases waits; }
case_autoreap() { trace autoreap ./cases autoreap; }
case_pidns() {
	local inner='sleep 0.02 & (sleep 0.01; exit 3) & wait; kill -0 1; setsid sh -c "exit 5"; (sleep 0.03 &) ; unshare -fp sh -c "true & wait; exit 7"; kill -0 $$; sleep 5 & exit 2'
	trace pidns -ttt unshare -fp sh -c "$inner"
	trace pidns-decoded --decode-pids=pidns unshare -fp sh -c "$inner"
	trace pidns-python -e trace=$life unshare -fp /usr/bin/python3 "$here/src/multi.py" fork
}
case_stderr() { # what goes to a terminal: messages between the lines, numbers only if there are several
	timeout 60 strace -f -r sh -c 'true & (exit 3); wait; sleep 0.01 | cat; echo a program speaks >&2; true | true | true' >/dev/null 2>"$work/stderr.log" </dev/null
	keep stderr
	timeout 60 strace -f -tt -q sh -c '(true; true) | cat; x=$(true)' >/dev/null 2>"$work/stderr-quiet.log" </dev/null
	keep stderr-quiet
}
case_parts() { # -ff: a file a thread; kept as one archive
	local c
	for c in threads:-T subreaper threadexec:-T; do
		mkdir -p ff
		timeout 60 strace -ff -ttt $(case $c in *:-T) echo -T ;; esac) -o "ff/${c%%:*}" ./cases "${c%%:*}" >/dev/null 2>&1
	done
	(cd ff && for f in *; do echo "-- $f --" && cat "$f"; done) >"$work/parts.txtar"
	zstd -q -19 -f "$work/parts.txtar" -o "$out/parts.txtar.zst"
}
case_alone() { timeout 60 strace -o "$work/alone.log" ./cases waits >/dev/null 2>&1; keep alone; } # without -f
case_attach() {
	bash -c 'sleep 0.3 & while [ ! -e stop ]; do true | cat; (exit 3); sleep 0.01; done; wait; exit 4' &
	local p=$!
	sleep 0.1
	timeout 60 strace -f -ttt -o "$work/attach.log" -p $p >/dev/null 2>&1 &
	local s=$!
	sleep 0.6
	touch stop
	wait $p
	wait $s
	keep attach
}
case_python_threads() { trace python-threads -ttt -e trace=$life /usr/bin/python3 "$here/src/threads.py"; }
case_xargs() { trace xargs -tt -e trace=$life bash -c 'seq 60 | xargs -n1 -P8 sh -c "exit \$((\$0 % 2))"'; }
case_timeout() { trace timeout -tt sh -c 'timeout -k 0.1 0.1 sh -c "trap : TERM; sleep 1; sleep 1"; timeout -s KILL 0.05 sleep 3; timeout 1 true'; }
case_setsid() { trace setsid -e trace=$life sh -c 'nohup sleep 0.05 >/dev/null & setsid -w sh -c "exit 3"; setsid -f sleep 0.02; sleep 0.1'; }
case_setpriv() { trace setpriv -e trace=$life sh -c 'setpriv --reuid 65534 sh -c "kill -0 1; kill -0 \$PPID; kill -TERM \$\$"; su nobody -s /bin/sh -c "true & wait"'; }
case_quiet() { trace quiet -qq sh -c 'true & wait; (exit 3); false | true'; }
case_nosignals() { trace nosignals -e signal=none sh -c 'sleep 5 & kill $!; wait; (exit 3)'; }
case_nsenter() { trace nsenter -e trace=$life sh -c 'unshare -fp sleep 0.3 & sleep 0.1; c=$(pgrep -P $! sleep); nsenter -t $c -p sh -c "true & wait; exit 4"; wait'; }
case_nested() { trace nested unshare -fp unshare -fp sh -c 'true & wait; setsid sh -c "exit 3"; unshare -fp sh -c "exit 2"'; }
case_chromium() { command -v chromium >/dev/null && trace chromium -ttt -e trace=$life chromium --headless --no-sandbox --disable-gpu --dump-dom about:blank; }
case_attach_threads() {
	printf 'import threading, subprocess, time\nend = time.time() + 1.2\ndef w(i):\n while time.time() < end: subprocess.run(["/bin/sh", "-c", "exit %%d" %% i]); time.sleep(0.02)\nts = [threading.Thread(target=w, args=(i,)) for i in range(4)]\n[t.start() for t in ts]; [t.join() for t in ts]\n' >w.py
	/usr/bin/python3 w.py &
	local p=$!
	sleep 0.4
	timeout 60 strace -f -ttt -e trace=$life -o "$work/attach-threads.log" -p $p >/dev/null 2>&1
	wait $p
	keep attach-threads
}
case_attach_two() {
	bash -c 'sleep 0.4; for i in 1 2 3; do (exit $i); sleep 0.02 & wait; done' &
	local a=$!
	sh -c 'sleep 0.4; for i in 1 2 3; do sleep 0.02; (exit 2) & wait; done' &
	local b=$!
	sleep 0.2
	timeout 60 strace -f -e trace=$life -o "$work/attach-two.log" -p $a -p $b >/dev/null 2>&1
	wait $a $b
	keep attach-two
}
case_chaos() {
	for i in 1 2 3 4; do
		timeout 60 unshare -fp --kill-child strace -f -tt -o "$work/chaos-$i.log" ./cases chaos $((i * 7)) >/dev/null 2>&1
		keep chaos-$i
	done
}

if [ $# = 0 ]; then
	set -- $(declare -F | sed -n 's/^declare -f case_//p')
fi
for c in "$@"; do
	"case_${c//-/_}"
done
