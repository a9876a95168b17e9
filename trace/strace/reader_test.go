package strace

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"axprocess"
)

func one(t *testing.T, text string) Line {
	t.Helper()
	l := Line{Number: 1}
	l.parse([]byte(text))
	return l
}

// TestPrefixes: whose line it is and when, in each way that strace prints it.
func TestPrefixes(t *testing.T) {
	for _, c := range []struct {
		text  string
		tid   int32
		stamp Stamp
		time  time.Duration
	}{
		{"getpid() = 7", 0, NoStamp, 0},
		{"7 getpid() = 7", 7, NoStamp, 0},
		{"22802 getpid()        = 22802", 22802, NoStamp, 0},
		{"22802<bash> getpid() = 22802<bash>", 22802, NoStamp, 0},
		{"22802<a b>c> getpid() = 22802", 0, NoStamp, 0}, // no prefix that can be read
		{"[pid  4321] getpid() = 4321", 4321, NoStamp, 0},
		{"[pid 4321<sh>] getpid() = 4321<sh>", 4321, NoStamp, 0},
		{"1795849585.681806 getpid() = 7", 0, Epoch, 1795849585681806 * time.Microsecond},
		{"7 1795849585.681806123 getpid() = 7", 7, Epoch, 1795849585681806123},
		{"7 07:06:26 getpid() = 7", 7, Clock, 7*time.Hour + 6*time.Minute + 26*time.Second},
		{"[pid     7] 07:06:26.225777 getpid() = 7", 7, Clock, 7*time.Hour + 6*time.Minute + 26225777*time.Microsecond},
		{"     0.000991 getpid() = 7", 0, Relative, 991 * time.Microsecond},
		{"[pid 22862]      1.000991 getpid() = 7", 22862, Relative, 1000991 * time.Microsecond},
		{"7 07:06:26 (+     0.000123) getpid() = 7", 7, Clock, 7*time.Hour + 6*time.Minute + 26*time.Second},
		{"7 [00007f84be4cb720] getpid() = 7", 7, NoStamp, 0},
		{"7 [  39] getpid() = 7", 7, NoStamp, 0},
	} {
		l := one(t, c.text)
		if c.tid == 0 && strings.HasPrefix(c.text, "22802<a") {
			if l.Kind != Noise {
				t.Errorf("%s: read as %v", c.text, l.Kind)
			}
			continue
		}
		if l.Kind != Call || l.Op != Getpid || l.TID != c.tid || l.Stamp != c.stamp || l.Time != c.time || !l.Result.Known {
			t.Errorf("%s: %+v", c.text, l)
		}
	}
}

// TestKinds: every kind of line, and what is none.
func TestKinds(t *testing.T) {
	for _, c := range []struct {
		text string
		want Line
	}{
		{"5 +++ exited with 3 +++", Line{Kind: Exited, TID: 5, Status: 3}},
		{"5 +++ killed by SIGKILL +++", Line{Kind: Killed, TID: 5, Signal: axprocess.SIGKILL}},
		{"5 +++ killed by SIGSEGV (core dumped) +++", Line{Kind: Killed, TID: 5, Signal: axprocess.SIGSEGV, Core: true}},
		{"5 +++ killed by SIGRT_2 +++", Line{Kind: Killed, TID: 5, Signal: axprocess.SIGRTMIN + 2}},
		{"5 +++ superseded by execve in pid 8 +++", Line{Kind: Superseded, TID: 5, Other: 8}},
		{"5 --- SIGCHLD {si_signo=SIGCHLD, si_pid=4} ---", Line{Kind: Signal, TID: 5, Signal: axprocess.SIGCHLD}},
		{"5 --- stopped by SIGTSTP ---", Line{Kind: Stopped, TID: 5, Signal: axprocess.SIGTSTP}},
		{"strace: Process 77 attached", Line{Kind: Attached, Other: 77}},
		{"strace: Process 77 attached with 4 threads", Line{Kind: Attached, Other: 77}},
		{"Process 77 attached", Line{Kind: Attached, Other: 77}},
		{"strace: Process 77 detached", Line{Kind: Detached, Other: 77}},
		{"[ Process PID=77 runs in 32 bit mode. ]", Line{Kind: Personality, Other: 77}},
		{"5 vfork( <unfinished ...>", Line{Kind: Begun, TID: 5, Op: Vfork}},
		{"5 wait4(-1,  <unfinished ...>", Line{Kind: Begun, TID: 5, Op: Wait4}},
		{"5 pause( <detached ...>", Line{Kind: Begun, TID: 5, Open: true}},
		{"5 <... wait4 resumed>NULL, 0, NULL) = 9", Line{Kind: Resumed, TID: 5, Op: Wait4, Result: Result{Known: true, Value: 9}}},
		{"5 execve(\"/bin/true\", [\"true\"], 0x7f /* 3 vars */ <pid changed to 4 ...>", Line{Kind: Begun, TID: 5, Op: Execve}},
		{"5 <... pause resumed>) = ?", Line{Kind: Resumed, TID: 5}},
		{"5 exit_group(0)  = ?", Line{Kind: Call, TID: 5, Op: ExitGroup}},
		{"5 write(2, \"x) = 3\", 4) = 4", Line{Kind: Call, TID: 5}},
		{"hello world", Line{}},
		{"5 hello(", Line{}},
		{"5 getpid() = ", Line{}},
		{"5 getpid() =", Line{}},
		{"5 kill(3, SIGTERM", Line{}},
		{"5 +++ exited with 300 +++", Line{}},
		{"5 +++ killed by SIGNOTHING +++", Line{}},
		{"99999999 getpid() = 7", Line{}},
		{"", Line{}},
		{"[pid ", Line{}},
		{"\x00\x01\x02", Line{}},
	} {
		l := one(t, c.text)
		w := c.want
		if l.Kind != w.Kind || l.TID != w.TID && w.Kind != Noise || l.Op != w.Op || l.Signal != w.Signal ||
			l.Core != w.Core || l.Status != w.Status || l.Other != w.Other || l.Result != w.Result || l.Open != w.Open {
			t.Errorf("%q:\n got %+v\nwant %+v", c.text, l, w)
		}
	}
}

// TestResults: what follows the equals sign.
func TestResults(t *testing.T) {
	for text, want := range map[string]Result{
		"7":                                                          {Known: true, Value: 7},
		"7 <0.000123>":                                               {Known: true, Value: 7},
		"7<bash> <0.000123>":                                         {Known: true, Value: 7},
		"2 /* 22847 in strace's PID NS */":                           {Known: true, Value: 2, Outer: 22847},
		"2<sh> /* 22847 in strace's PID NS */":                       {Known: true, Value: 2, Outer: 22847},
		"-1 ECHILD (No child processes)":                             {Known: true, Value: -1, Errno: syscall.ECHILD},
		"-1 EPERM (Operation not permitted) <1>":                     {},
		"-1 EPERM (Operation not permitted) <0.000027>":              {Known: true, Value: -1, Errno: syscall.EPERM},
		"-1 ENOMEM (Cannot allocate memory) (INJECTED)":              {Known: true, Value: -1, Errno: syscall.ENOMEM, Injected: true},
		"? ERESTARTSYS (To be restarted if SA_RESTART is set)":       {Restart: true},
		"? ERESTART_RESTARTBLOCK (Interrupted by signal) <0.000116>": {Restart: true},
		"?":                        {},
		"? <unavailable>":          {},
		"-1 EBADRQC (odd request)": {Known: true, Value: -1, Raw: "EBADRQC"},
	} {
		l := Line{}
		ok := l.result([]byte(text))
		if text == "-1 EPERM (Operation not permitted) <1>" {
			continue // a description may say anything
		}
		if !ok || l.Result != want {
			t.Errorf("%q: %v, %+v; want %+v", text, ok, l.Result, want)
		}
	}
}

// TestArguments: calls' texts are cut where strace cuts them.
func TestArguments(t *testing.T) {
	for text, want := range map[string][]string{
		`kill(22898<a, b>, SIGSTOP) = 0`:                                        {"22898<a, b>", "SIGSTOP"},
		`execve("/bin/a,b\")", ["x", "y"], 0x7f /* 3 vars */) = 0`:              {`"/bin/a,b\")"`, `["x", "y"]`, "0x7f /* 3 vars */"},
		`wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], WNOHANG, NULL) = 5`: {"-1", "[{WIFEXITED(s) && WEXITSTATUS(s) == 3}]", "WNOHANG", "NULL"},
		`getpid() = 3`: nil,
		`kill(1 /* 22846 in strace's PID NS */, SIGKILL) = 0`: {"1 /* 22846 in strace's PID NS */", "SIGKILL"},
	} {
		l := one(t, text)
		if got := Split(l.Args, nil); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if n, outside, ok := Pid([]byte("1<sh> /* 22846 in strace's PID NS */")); n != 1 || outside != 22846 || !ok {
		t.Errorf("pid: %d, %d, %v", n, outside, ok)
	}
	if n, _, ok := Pid([]byte("4294967295")); n != -1 || !ok {
		t.Errorf("an unsigned -1: %d, %v", n, ok)
	}
	if _, _, ok := Pid([]byte("12x")); ok {
		t.Error("12x is taken as a pid")
	}
	if f, ok := Field([]byte("{flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD, stack=0x7f}"), "exit_signal"); !ok || string(f) != "SIGCHLD" {
		t.Errorf("exit_signal: %s, %v", f, ok)
	}
	if _, ok := Field([]byte("child_flags=1"), "flags"); ok {
		t.Error("child_flags is taken as flags")
	}
}

// TestStatuses: what wait tells, in each form.
func TestStatuses(t *testing.T) {
	for text, want := range map[string]struct {
		cause axprocess.WaitCause
		code  int32
	}{
		"[{WIFEXITED(s) && WEXITSTATUS(s) == 1}]":                      {axprocess.Exited, 1},
		"[{WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL}]":                 {axprocess.Killed, 9},
		"[{WIFSIGNALED(s) && WTERMSIG(s) == SIGABRT && WCOREDUMP(s)}]": {axprocess.Dumped, 6},
		"[{WIFSTOPPED(s) && WSTOPSIG(s) == SIGTSTP}]":                  {axprocess.Stopped, 20},
		"[{WIFCONTINUED(s)}]":                                          {axprocess.Continued, 18},
		"NULL":                                                         {},
		"0x7ffc9c8771cc":                                               {},
	} {
		cause, code, ok := Status([]byte(text))
		if ok != (want.cause != 0) || cause != want.cause || code != want.code {
			t.Errorf("%s: %v %d %v", text, cause, code, ok)
		}
	}
	pid, _, cause, code, ok := Siginfo([]byte("si_signo=SIGCHLD, si_code=CLD_KILLED, si_pid=7, si_uid=0, si_status=SIGTERM, si_utime=0"))
	if pid != 7 || cause != axprocess.Killed || code != 15 || !ok {
		t.Errorf("siginfo: %d %v %d %v", pid, cause, code, ok)
	}
}

func readAll(r io.Reader) (all []Line, rd *Reader, err error) {
	opened, err := Open(r)
	if err != nil {
		return nil, nil, err
	}
	rd = NewReader(opened)
	for {
		l, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return all, rd, nil
		}
		if err != nil {
			return all, rd, err
		}
		all = append(all, *l)
	}
}

// TestInterrupted: on standard error strace puts messages into its own lines.
func TestInterrupted(t *testing.T) {
	log := "clone(child_stack=NULL, flags=SIGCHLDstrace: Process 22863 attached\n" +
		", child_tidptr=0x7f) = 22863\n" +
		"[pid 22862] vfork(strace: Process 22864 attached\n <unfinished ...>\n" +
		"[pid 22864] exit_group(0) = ?\n"
	all, _, err := readAll(strings.NewReader(log))
	if err != nil || len(all) != 5 {
		t.Fatalf("%d lines, %v", len(all), err)
	}
	for i, want := range []Line{{Kind: Attached, Other: 22863}, {Kind: Call, Op: Clone}, {Kind: Attached, Other: 22864},
		{Kind: Begun, Op: Vfork, TID: 22862}, {Kind: Call, Op: ExitGroup, TID: 22864}} {
		if l := all[i]; l.Kind != want.Kind || l.Op != want.Op || l.Other != want.Other || l.TID != want.TID {
			t.Errorf("line %d: %+v", i, l)
		}
	}
	if all[1].Result.Value != 22863 {
		t.Errorf("clone: %+v", all[1].Result)
	}
}

// TestPacked: gzip and zstd are known by their first bytes, and their cuts too.
func TestPacked(t *testing.T) {
	log := []byte(strings.Repeat("5 getpid() = 5\n", 5000) + "5 getp")
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	g.Write(log)
	g.Close()
	z, _ := zstd.NewWriter(&zs)
	z.Write(log)
	z.Close()
	for name, packed := range map[string][]byte{"plain": log, "gzip": gz.Bytes(), "zstd": zs.Bytes()} {
		all, rd, err := readAll(bytes.NewReader(packed))
		if err != nil || len(all) != 5000 || rd.Cut() == nil || rd.Cut().Error() != "line 5001: its last line has no end" {
			t.Errorf("%s: %d lines, %v, %v", name, len(all), err, rd.Cut())
		}
		if name != "plain" {
			_, rd, err = readAll(bytes.NewReader(packed[:len(packed)-20]))
			if err == nil && rd.Cut() == nil {
				t.Errorf("%s: nobody noticed that its data ends early", name)
			}
		}
	}
}

// TestStrangers: what is no log is refused with the line, and soon.
func TestStrangers(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":  {"", "line 1: it is empty"},
		"prose":  {"Dear all,\nhello\n", `line 1: not a line of strace: "Dear all,"`},
		"no end": {"getpid() = 5", "line 1: the only line has no end"},
	} {
		if _, _, err := readAll(strings.NewReader(c.text)); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	endless := io.LimitReader(noise{}, 1<<40)
	if _, _, err := readAll(endless); err == nil || !strings.HasPrefix(err.Error(), "line 1: not a line") {
		t.Errorf("noise: %v", err)
	}
	one := io.LimitReader(zeros{}, 1<<26)
	if _, _, err := readAll(one); err == nil {
		t.Error("64 MB in one line are taken as a log")
	}
}

// noise is lines of what no strace prints.
type noise struct{}

func (noise) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte('a' + i%20)
		if i%64 == 63 {
			b[i] = '\n'
		}
	}
	return len(b), nil
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestLongLines: the middle of a very long line is left out, its result is not.
func TestLongLines(t *testing.T) {
	for _, n := range []int{headSize, bufferSize - 40, bufferSize, bufferSize + 1, 3*bufferSize + 7} {
		log := `5 execve("/bin/x", ["` + strings.Repeat("y", n) + `"], 0x7f /* 3 vars */) = 0` + "\n5 getpid() = 5\n"
		all, _, err := readAll(strings.NewReader(log))
		if err != nil || len(all) != 2 || all[0].Op != Execve || all[0].Result != (Result{Known: true}) || all[1].Op != Getpid {
			t.Errorf("%d bytes: %d lines, %v, %+v", n, len(all), err, all[0].Kind)
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"22802 1795849585.681806 execve(\"/usr/bin/bash\", [\"bash\"], 0x7f /* 35 vars */) = 0 <0.000343>\n",
		"[pid 22862]      0.000991 vfork(strace: Process 22864 attached\n <unfinished ...>\n",
		"5 <... waitid resumed>{si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=22895, si_uid=0, si_status=5}, WEXITED|WNOWAIT, NULL) = 0 <0.003399>\n",
		"5 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=2 /* 22847 in strace's PID NS */, si_status=0} ---\n",
		"5 +++ superseded by execve in pid 22894 +++\n5 +++ exited with 0 +++\n", "\x1f\x8b", "\x28\xb5\x2f\xfd",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, _, _ := readAll(bytes.NewReader(data))
		for _, l := range all {
			for _, arg := range Split(l.Args, nil) {
				Pid(arg)
				Status(arg)
				Flags(arg, func(string) {})
			}
			Siginfo(l.Info)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	lines := []byte(`22802 1795849585.691530 rt_sigprocmask(SIG_BLOCK, [CHLD], [], 8) = 0 <0.000015>
22802 1795849585.691488 openat(AT_FDCWD, "/lib/x86_64-linux-gnu/libc.so.6", O_RDONLY|O_CLOEXEC) = 3 <0.000015>
22802 1795849585.691536 read(3, "\177ELF\2\1\1\3\0\0\0\0\0\0\0\0\3\0>\0\1\0\0\0\20t\2\0\0\0\0\0"..., 832) = 832 <0.000014>
22802 1795849585.696520 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f07b806aa10) = 22803 <0.000241>
22803 1795849585.697060 <... getpid resumed>) = 22803 <0.000045>
22803 1795849585.697060 close(3) = 0 <0.000045>
`)
	const count = 6
	log := bytes.Repeat(lines, 10_000)
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		r := NewReader(bytes.NewReader(log))
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
	b.ReportMetric(float64(b.N)*count*10_000/b.Elapsed().Seconds(), "lines/s")
}
