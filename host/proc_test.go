package host

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"axprocess"
)

// TestMain lets the test binary play the processes that the tests look at.
func TestMain(m *testing.M) {
	if os.Getenv("HOST_TEST_ROLE") == "leaderless" {
		leaderless()
	}
	os.Exit(m.Run())
}

func init() {
	if os.Getenv("HOST_TEST_ROLE") == "leaderless" {
		runtime.LockOSThread() // the main goroutine stays on the leader
	}
}

// leaderless says so, and exits the leader; other threads go on until standard
// input ends.
func leaderless() {
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}()
	fmt.Println("ready")
	_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT, 0, 0, 0)
}

// play starts a command whose first line on standard output says that all is as
// it should be; it ends when its standard input does, and with the test.
func play(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%s: %q, %v", cmd, line, err)
	}
	return cmd
}

// until reads the live host until what is looked for is there: the kernel takes
// a moment between a process's word and its state.
func until(t *testing.T, what string, is func(*Snapshot) bool) *Snapshot {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
		s, err := Read(Options{Threads: true, Users: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Table.Check(); err != nil {
			t.Fatal(err)
		}
		if is(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a minute still not: %s", what)
		}
	}
}

// TestLiveStates: what a letter in /proc hides is told apart on real processes.
func TestLiveStates(t *testing.T) {
	t.Run("leader exited", func(t *testing.T) {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), "HOST_TEST_ROLE=leaderless")
		pid := axprocess.PID(play(t, cmd).Process.Pid)
		s := until(t, "a process whose leader has exited", func(s *Snapshot) bool {
			p := s.Table.Process(pid)
			return p != nil && p.IsLeaderExited()
		})
		p := s.Table.Process(pid)
		info := Of(p)
		if info.State != LeaderExited || p.IsZombie() || len(p.Threads()) == 0 || info.Threads != len(p.Threads()) {
			t.Errorf("state %v, zombie %v, threads %d", info.State, p.IsZombie(), len(p.Threads()))
		}
		if len(info.Args) != 1 || info.UID != os.Geteuid() || s.Age(p) > s.At.Sub(s.Boot) {
			t.Errorf("arguments %q, user %d, age %v", info.Args, info.UID, s.Age(p))
		}
		for _, h := range p.Threads() {
			if OfThread(h).State == Unknown || OfThread(h).Comm == "" {
				t.Errorf("thread %d: %+v", h.TID(), OfThread(h))
			}
		}
	})
	t.Run("zombie", func(t *testing.T) {
		// The shell becomes a cat, which never waits; then its child exits with 3.
		cmd := play(t, exec.Command("sh", "-c", `
			sh -c 'until grep -q cat /proc/$PPID/comm; do :; done; exit 3' &
			echo ready
			exec cat`))
		parent := axprocess.PID(cmd.Process.Pid)
		s := until(t, "a zombie", func(s *Snapshot) bool {
			p := s.Table.Process(parent)
			return p != nil && len(p.Children()) == 1 && p.Children()[0].IsZombie()
		})
		child := s.Table.Process(parent).Children()[0]
		if child.ExitCode() != 3 || Of(child).State != Zombie || Of(child).Threads != 0 {
			t.Errorf("exit code %d, %+v", child.ExitCode(), Of(child))
		}
	})
	t.Run("stopped", func(t *testing.T) {
		cmd := play(t, exec.Command("sh", "-c", "echo ready; exec cat"))
		if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		pid := axprocess.PID(cmd.Process.Pid)
		until(t, "a stopped process", func(s *Snapshot) bool {
			p := s.Table.Process(pid)
			return p != nil && p.Stopped() != 0 && Of(p).State == Stopped
		})
	})
}

// TestUntold: what /proc doesn't tell comes into the table too, where it may be
// read; else the snapshot says why not.
func TestUntold(t *testing.T) {
	s, err := Read(Options{Untold: true})
	if err != nil {
		t.Fatal(err)
	}
	if s.Untold != nil && !errors.Is(s.Untold, ErrUntold) {
		t.Fatal(s.Untold)
	}
	if err := s.Table.Check(); err != nil {
		t.Fatal(err)
	}
	if s, err = Read(Options{}); err != nil || s.Untold == nil {
		t.Errorf("not asked for, and no reason why it is missing: %v", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("not run: needs root, to read what /proc doesn't tell")
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()
	if s, err = Read(Options{Untold: true}); err != nil {
		t.Fatal(err)
	}
	if self := s.Table.Process(axprocess.PID(os.Getpid())); s.Untold == nil && !self.IsSubreaper() {
		t.Error("this test is a subreaper, and the table says no")
	}
}

// TestLiveChurn: a host on which processes come and go all the time is read, and
// the table is sound each time.
func TestLiveChurn(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 15
	}
	play(t, exec.Command("sh", "-c", "echo ready; while :; do (:) & (:); done"))
	for range rounds {
		s, err := Read(Options{Threads: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Table.Check(); err != nil {
			t.Fatal(err)
		}
		self := s.Table.Process(axprocess.PID(os.Getpid()))
		if self == nil || Of(self).State == Unknown || len(self.Threads()) < 2 {
			t.Fatalf("this test itself is not right: %v; left out: %v", self, s.Left)
		}
	}
}

// saved writes a /proc with what Read reads of it.
func saved(tb testing.TB, files map[string]string) string {
	tb.Helper()
	root := tb.TempDir()
	for name, text := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return root
}

// line is a stat line.
func line(pid, ppid, pgid, sid int, state string, threads int, started uint64) string {
	return fmt.Sprintf("%d (p %d) x)) %s %d %d %d 34816 7 4194304 0 0 0 0 1 2 0 0 20 0 %d 0 %d 0 0 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 139\n",
		pid, pid, state, ppid, pgid, sid, threads, started)
}

// TestSaved: a saved /proc gives a table, with its own clock and name; what is
// broken in it is left out and named.
func TestSaved(t *testing.T) {
	root := saved(t, map[string]string{
		"uptime": "500.00 1.0\n", "stat": "cpu 1\nbtime 1700000000\n", "sys/kernel/hostname": "elsewhere\n",
		"1/stat": line(1, 0, 1, 1, "S", 1, 10), "1/cmdline": "init\x00--all\x00",
		"14/stat": line(14, 1, 1, 1, "S", 1, 210), "14/cmdline": "long\x00" + strings.Repeat("x", 5000) + "\x00end\x00", "14/status": "Uid:\t0\t0\t0\t0\n",
		"1/status": "Name:\tinit\nUid:\t0\t1000\t0\t0\nNSpid:\t1\t7\n",
		"7/stat":   line(7, 1, 7, 7, "Z", 3, 100), "7/task/7/stat": line(7, 1, 7, 7, "Z", 3, 100),
		"7/task/9/stat": line(9, 1, 7, 7, "S", 3, 130), "7/task/8/stat": line(8, 1, 7, 7, "t", 3, 120),
		"7/task/8/cmdline": "worker\x00",
		"10/stat":          line(10, 7, 10, 7, "T", 1, 200), "10/cmdline": "",
		"11/stat": line(11, 7, 11, 7, "Z", 1, 300),
		"12/stat": "12 (broken",
		"13/stat": line(13, 1, 1, 1, "S", 5, 200), "13/cmdline": "",
		"self/stat": "no number, no process",
	})
	s, err := Read(Options{Root: root, Threads: true, Users: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Table.Check(); err != nil {
		t.Fatal(err)
	}
	if s.Host != "elsewhere" || s.At.Unix() != 1700000500 || s.Age(s.Table.Process(7)) != 499*time.Second ||
		s.Start(s.Table.Process(7)).Unix() != 1700000001 {
		t.Errorf("host %q at %v", s.Host, s.At)
	}
	one, seven := Of(s.Table.Process(1)), s.Table.Process(7)
	if fmt.Sprint(one.Args) != "[init --all]" || one.UID != 1000 || fmt.Sprint(one.Numbers) != "[1 7]" || one.Comm != "p 1) x)" ||
		one.TTY.String() != "pts/0" || one.Foreground != 7 {
		t.Errorf("process 1: %+v", one)
	}
	if Of(seven).State != LeaderExited || fmt.Sprint(Of(seven).Args) != "[worker]" || len(seven.Threads()) != 2 ||
		seven.Threads()[0].TID() != 8 || OfThread(seven.Threads()[0]).State != Traced {
		t.Errorf("process 7: %+v, threads %v", Of(seven), seven.Threads())
	}
	if long := Of(s.Table.Process(14)).Args; len(long) != 3 || len(long[1]) != 5000 || long[2] != "end" {
		t.Errorf("process 14: %d arguments", len(long))
	}
	if term := seven.Terminal(); term != nil || s.Table.Process(1).Terminal() == nil || s.Table.Process(1).Terminal().Data() != one.TTY ||
		s.Table.Process(1).Terminal().Foreground() != 7 {
		t.Errorf("the one terminal is process 7's %v, or not process 1's %v", term, s.Table.Process(1).Terminal())
	}
	if p := s.Table.Process(10); p.Stopped() != axprocess.SIGSTOP || Of(p).State != Stopped {
		t.Errorf("process 10: %+v", Of(p))
	}
	if p := s.Table.Process(11); !p.IsZombie() || p.ExitCode() != 11 {
		t.Errorf("process 11: %+v, exit code %d", Of(p), p.ExitCode())
	}
	var left []string
	for _, o := range s.Left {
		left = append(left, fmt.Sprintf("%d: %s", o.PID, o.Reason))
	}
	got := strings.Join(left, "\n")
	for _, want := range []string{"7: its user is not in sight", "12: error parsing file", "13: its threads are not in sight"} {
		if !strings.Contains(got, want) {
			t.Errorf("left out:\n%s\nlacks %q", got, want)
		}
	}
}

// TestUnreadable: whom we may not look at is named with what we may not read, in
// words that are the same for all.
func TestUnreadable(t *testing.T) {
	denied := &fs.PathError{Op: "open", Path: "/proc/12/stat", Err: syscall.EPERM}
	if got := gone(denied).Error(); got != "its stat can't be read: operation not permitted" || !errors.Is(gone(denied), syscall.EPERM) {
		t.Errorf("%s", got)
	}
	for _, err := range []error{&fs.PathError{Err: syscall.ENOENT}, &fs.PathError{Err: syscall.ESRCH}} {
		if gone(err) != errEnded {
			t.Errorf("%v is not taken for an end", err)
		}
	}
	if other := errors.New("other"); gone(other) != other {
		t.Error("what is no file's error is changed")
	}
}

func TestReadNowhere(t *testing.T) {
	for _, root := range []string{"/nonexistent", t.TempDir(), "/proc/self/exe"} {
		if s, err := Read(Options{Root: root}); err == nil {
			t.Errorf("%s is read: %v", root, s)
		} else if !strings.Contains(err.Error(), root) {
			t.Errorf("%s: the error does not say where: %v", root, err)
		}
	}
}

// TestDataOfOthers: processes that no host was read for have no Info.
func TestDataOfOthers(t *testing.T) {
	p, err := axprocess.NewTable().NewInit(1).Leader("x").Build()
	if err != nil {
		t.Fatal(err)
	}
	if Of(p) != nil || OfThread(p.Threads()[0]) != nil || (&Snapshot{}).Age(p) != 0 {
		t.Error("there is something about them")
	}
}

// BenchmarkRead reads 10,000 processes of a saved /proc. What to compare it
// with: `ps -eLf` on as many live ones (cmd/axp, BenchmarkTree).
func BenchmarkRead(b *testing.B) {
	const n = 10000
	files := map[string]string{"1/stat": line(1, 0, 1, 1, "S", 1, 10), "1/cmdline": "init\x00"}
	for pid := 2; pid <= n; pid++ {
		dir := fmt.Sprint(pid)
		files[dir+"/stat"] = line(pid, 1+pid/10, 1, 1, "S", 1, uint64(pid))
		files[dir+"/cmdline"] = "sleep\x00infinity\x00"
	}
	root := saved(b, files)
	b.ReportAllocs()
	for b.Loop() {
		s, err := Read(Options{Root: root})
		if err != nil {
			b.Fatal(err)
		}
		if s.Table.Len() != n {
			b.Fatalf("%d processes", s.Table.Len())
		}
	}
}
