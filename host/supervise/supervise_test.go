package supervise

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"axprocess"
)

// The test binary plays the processes that are followed: roles, by name.
var roles = map[string]func(args []string){}

func TestMain(m *testing.M) {
	if role := os.Getenv("SUPERVISE_ROLE"); role != "" {
		roles[role](os.Args[1:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// play returns a command that plays a role.
func play(role string, args ...string) *Cmd {
	c := Command("/proc/self/exe", args...)
	c.Env = append(os.Environ(), "SUPERVISE_ROLE="+role)
	c.Alone = true
	return c
}

// ways are the ways to follow that can be gone here.
func ways(t *testing.T) []Follow {
	t.Helper()
	var can []Follow
	for _, f := range []Follow{Ptrace, EBPF, Proc} {
		c := Command("true")
		c.Follow = f
		if err := c.Start(); err != nil {
			t.Logf("not run: by %v: %v", f, err)
			continue
		}
		if _, err := c.Wait(); err != nil {
			t.Fatal(err)
		}
		can = append(can, f)
	}
	return can
}

// byEach runs a test by each way.
func byEach(t *testing.T, do func(*testing.T, Follow)) {
	for _, f := range ways(t) {
		t.Run(f.String(), func(t *testing.T) { do(t, f) })
	}
}

// run runs a command to its end, and checks the table.
func run(t *testing.T, c *Cmd) *Report {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return wait(t, c)
}

func wait(t *testing.T, c *Cmd) *Report {
	t.Helper()
	rep, err := c.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Table().Check(); err != nil {
		t.Fatal(err)
	}
	return rep
}

// exists says whether a process is alive.
func exists(p *Process) bool {
	st, ok := readStat(int(p.PID))
	return ok && !st.dead() && strings.HasPrefix(p.Comm, st.comm)
}

func script(f Follow, text string) *Cmd {
	c := Command("sh", "-c", text)
	c.Follow = f
	c.Alone = true // so that an orphan whose parent was not seen is adopted
	return c
}

// TestDescendants: each detaching trick leaves a descendant that is found, named
// and ended.
func TestDescendants(t *testing.T) {
	byEach(t, func(t *testing.T, f Follow) {
		for name, text := range map[string]string{
			"background":         `$LEAF &`,
			"setsid":             `setsid $LEAF &`,
			"double fork":        `($LEAF &)`,
			"nohup":              `nohup $LEAF >/dev/null 2>&1 &`,
			"daemon of a daemon": `(setsid sh -c 'setsid $LEAF &' &)`,
			"own group":          `set -m; $LEAF &`,
		} {
			t.Run(name, func(t *testing.T) {
				c := script(f, text+"\nuntil test -e $READY; do :; done")
				withLeaf(t, c)
				rep := run(t, c)
				leaks := rep.Leaks()
				if rep.Cause != axprocess.Exited || rep.Code != 0 || len(leaks) != 1 {
					t.Fatalf("%v %d, leaks %+v", rep.Cause, rep.Code, leaks)
				}
				p := leaks[0]
				if len(p.Args) != 2 || p.Alive() || exists(&p) || p.Cause != axprocess.Killed || p.Code != int32(axprocess.SIGTERM) {
					t.Errorf("left: %+v", p)
				}
				if rep.Complete != (f != Proc) {
					for _, p := range rep.Processes {
						t.Logf("%d %s: %s %+v", p.PID, p.Comm, p.Unseen, p)
					}
					t.Errorf("complete: %v", rep.Complete)
				}
			})
		}
	})
}

// withLeaf gives a script $LEAF, a command that makes the file $READY and stays.
func withLeaf(t *testing.T, c *Cmd) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ready := filepath.Join(t.TempDir(), "ready")
	c.Env = append(os.Environ(), "LEAF=env SUPERVISE_ROLE=leaf "+self+" "+ready, "READY="+ready)
}

func init() {
	roles["leaf"] = func(args []string) {
		signal.Reset(syscall.SIGHUP)
		if err := os.WriteFile(args[0], nil, 0o644); err != nil {
			os.Exit(1)
		}
		time.Sleep(time.Hour)
	}
}

// TestMany: under ptrace each of many short lives is in the report, with its exit
// code; /proc doesn't claim to have seen them.
func TestMany(t *testing.T) {
	n := 10000
	if testing.Short() {
		n = 1000
	}
	byEach(t, func(t *testing.T, f Follow) {
		rep := run(t, script(f, fmt.Sprintf("i=0; while [ $i -lt %d ]; do (exit $((i%%7))); i=$((i+1)); done", n)))
		if f == Proc {
			if rep.Complete || rep.Lost >= 0 {
				t.Errorf("complete %v, lost %d", rep.Complete, rep.Lost)
			}
			return
		}
		if !rep.Complete || rep.Lost != 0 || len(rep.Processes) != n+1 {
			t.Fatalf("complete %v, lost %d, %d processes", rep.Complete, rep.Lost, len(rep.Processes))
		}
		for i := range rep.Processes[1:] {
			p := &rep.Processes[i+1]
			if p.StartedBy != 1 || p.Cause != axprocess.Exited || p.Code != int32(i%7) || p.ReapedBy != rep.Processes[0].PID || len(p.Reparented) > 0 {
				t.Fatalf("number %d: %+v", i, p)
			}
		}
	})
}

// TestBesideExec: plain os/exec children in the same program keep their exit
// codes, and are not followed.
func TestBesideExec(t *testing.T) {
	byEach(t, func(t *testing.T, f Follow) {
		c := script(f, "i=0; while [ $i -lt 200 ]; do (sleep 0.001 &) ; i=$((i+1)); done")
		c.Alone = false
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			err := exec.Command("sh", "-c", "exit "+strconv.Itoa(i)).Run()
			if code := exitCode(err); code != i {
				t.Fatalf("number %d: %v", i, err)
			}
		}
		rep := wait(t, c)
		for i := range rep.Processes {
			if p := &rep.Processes[i]; strings.Contains(p.Command(), "exit ") {
				t.Errorf("a plain child is in the report: %+v", p)
			}
		}
	})
}

func exitCode(err error) int {
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

// TestForkBomb: what forks while it is killed, and ignores SIGTERM, is ended.
func TestForkBomb(t *testing.T) {
	limit := 2000
	if testing.Short() {
		limit = 300
	}
	byEach(t, func(t *testing.T, f Follow) {
		c := play("bomb", strconv.Itoa(limit))
		c.Follow, c.Grace = f, 50*time.Millisecond
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		c.Stdout = w
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
		c.Stop()
		wait(t, c)
		// All that were born held the pipe: its end shows that all are gone.
		if _, err := new(bytes.Buffer).ReadFrom(r); err != nil {
			t.Fatal(err)
		}
	})
}

func init() {
	roles["bomb"] = func(args []string) {
		signal.Ignore(syscall.SIGTERM)
		n, _ := strconv.Atoi(args[0])
		for range 2 {
			if n /= 2; n > 0 {
				c := exec.Command("/proc/self/exe", strconv.Itoa(n))
				c.Stdout = os.Stdout
				_ = c.Start()
			}
		}
		time.Sleep(time.Hour)
	}
}

// TestStopped: a stopped process is ended like others.
func TestStopped(t *testing.T) {
	byEach(t, func(t *testing.T, f Follow) {
		c := script(f, `$LEAF & until test -e $READY; do :; done; kill -STOP $!; while kill -0 $! && ! grep -q 'State:.T\|State:.t' /proc/$!/status; do :; done`)
		withLeaf(t, c)
		rep := run(t, c)
		for _, p := range rep.Leaks() {
			if p.Alive() || exists(&p) {
				t.Errorf("a stopped process is still there: %+v", p)
			}
		}
		if len(rep.Leaks()) != 1 {
			t.Errorf("leaks: %+v", rep.Leaks())
		}
	})
}

// TestThreadsExec: the threads of a program are seen, an exec ends them, and the
// process goes on under its number.
func TestThreadsExec(t *testing.T) {
	byEach(t, func(t *testing.T, f Follow) {
		c := play("threadexec")
		c.Follow = f
		var out bytes.Buffer
		c.Stdout = &out
		rep := run(t, c)
		p := rep.Process(1)
		if rep.Code != 6 || out.String() != "executed\n" {
			t.Fatalf("exit %d, %q", rep.Code, out.String())
		}
		if f != Proc && (len(p.Execs) != 2 || len(p.Threads) < 1 || p.Comm != "sh") {
			t.Errorf("execs %+v, threads %d, comm %q", p.Execs, len(p.Threads), p.Comm)
		}
	})
}

func init() {
	roles["threadexec"] = func([]string) {
		go onOwnThread(func() {
			_ = syscall.Exec("/bin/sh", []string{"sh", "-c", "echo executed; exit 6"}, os.Environ())
			os.Exit(2)
		})
		time.Sleep(time.Hour)
	}
}

// TestAwait: with Await the run goes on until what is left has ended, and it is
// told whom it waits for.
func TestAwait(t *testing.T) {
	defer func(old time.Duration) { waitTold = old }(waitTold)
	waitTold = 10 * time.Millisecond
	byEach(t, func(t *testing.T, f Follow) {
		gate := filepath.Join(t.TempDir(), "go")
		c := script(f, `sh -c 'until test -e $GO; do sleep 0.01; done; exit 5' & :`)
		c.Env = append(os.Environ(), "GO="+gate)
		c.Leaks = Await
		told := 0
		c.OnWait = func(held []Process) {
			if told++; told > 1 {
				return
			}
			if !strings.Contains(held[0].Command(), "until test") || !held[0].Left || c.Ended().IsZero() {
				t.Errorf("held by %+v since %v", held, c.Ended())
			}
			if err := os.WriteFile(gate, nil, 0o644); err != nil {
				t.Error(err)
			}
		}
		rep := run(t, c)
		if told == 0 || len(rep.Leaks()) == 0 || rep.Leaks()[0].Alive() || rep.Leaks()[0].Cause == axprocess.Killed {
			t.Errorf("told %d times, left: %+v", told, rep.Leaks())
		}
	})
}
