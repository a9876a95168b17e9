package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// This file is about what axp run has to bear, each a test with real processes.

// axp returns a command that is axp with these arguments.
func axp(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "AXP_TEST_ROLE=axp", "AXP="+self)
	return cmd
}

// ran is a report as a reader of the JSON has it.
type ran struct {
	Exit      *int
	Complete  bool
	Lost      *int
	Leaks     []int
	Processes []struct {
		PID, ID, PPID, PGID, SID int
		StartedBy                *int `json:"started_by"`
		Comm                     string
		Args                     []string
		Exit                     *int
		Signal                   string
		End                      *time.Time
		ReapedBy                 *int `json:"reaped_by"`
		Unseen, Unkillable       string
		Inferred                 []string
		Reparented               []struct{ From, To int }
	}
}

// runTo runs a command under axp to its end.
func runTo(t *testing.T, flags []string, command ...string) (r ran, code int, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	cmd := axp(t, append(append([]string{"run", "--report", file}, flags...), append([]string{"--"}, command...)...)...)
	return runReport(t, cmd, file)
}

func runReport(t *testing.T, cmd *exec.Cmd, file string) (r ran, code int, stderr string) {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	err := cmd.Run()
	text, rerr := os.ReadFile(file)
	if rerr != nil {
		t.Fatalf("%v; %v; %s", rerr, err, errs.String())
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return r, cmd.ProcessState.ExitCode(), errs.String()
}

// patience is how long something may take on a machine that is busy.
var patience = time.Minute

// eventually waits for a condition, a minute at most.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}

func there(file string) bool { _, err := os.Stat(file); return err == nil }

func create(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// faults compiles testdata/faults.c.
func faults(t *testing.T) string {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("not run: needs gcc, which ./setup installs")
	}
	program := filepath.Join(t.TempDir(), "faults")
	if out, err := exec.Command(gcc, "-O1", "-pthread", "-o", program, "testdata/faults.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// TestRunKilled: when axp is killed, nothing stays stopped: the command goes on,
// forks and ends, or ends with axp if that was asked for.
func TestRunKilled(t *testing.T) {
	for _, way := range []string{"ptrace", "proc"} {
		for _, die := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, die %v", way, die), func(t *testing.T) {
				dir := t.TempDir()
				flags := []string{"run", "--follow", way, "--die-with-axp=" + strconv.FormatBool(die), "--", "sh", "-c",
					"echo $$ >pid; mv pid ready; while ! test -e go; do /bin/true; done; : >done"}
				cmd := axp(t, flags...)
				cmd.Dir = dir
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				eventually(t, "the command runs", func() bool { return there(dir + "/ready") })
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
				if !die {
					create(t, dir+"/go")
					eventually(t, "the command has ended by itself", func() bool { return there(dir + "/done") })
					return
				}
				text, err := os.ReadFile(dir + "/ready")
				if err != nil {
					t.Fatal(err)
				}
				stat := "/proc/" + strings.TrimSpace(string(text)) + "/stat"
				eventually(t, "the command is gone", func() bool {
					line, err := os.ReadFile(stat)
					return err != nil || bytes.Contains(line, []byte(") Z ")) || !bytes.Contains(line, []byte("(sh)"))
				})
				create(t, dir+"/go")
				if there(dir + "/done") {
					t.Error("the command went on")
				}
			})
		}
	}
}

// TestRunUnderAxp: axp works below itself, whatever the outer one does.
func TestRunUnderAxp(t *testing.T) {
	for _, way := range []string{"auto", "ptrace", "proc"} {
		t.Run(way, func(t *testing.T) {
			inner := filepath.Join(t.TempDir(), "inner.json")
			r, code, stderr := runTo(t, []string{"--follow", way}, "sh", "-c", `"$AXP" run --report "$0" -- sh -c "sleep 1061 & exit 6"`, inner)
			if code != 6 || len(r.Leaks) != 0 || !strings.Contains(stderr, "sleep 1061") {
				t.Errorf("exit code %d, leaks %v, %s", code, r.Leaks, stderr)
			}
		})
	}
}

// TestRunAsInit: pid 1 of a container gets its orphans, and the exit code; inside
// one it is as anywhere.
func TestRunAsInit(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not run: needs root, for a pid namespace")
	}
	for _, way := range []string{"auto", "ptrace", "proc"} {
		for place, start := range map[string][]string{"as init": nil, "inside": {"sh", "-c", `"$@"; exit $?`, "init"}} {
			t.Run(way+" "+place, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "report.json")
				inner := axp(t)
				container := func(args ...string) *exec.Cmd {
					unshare := append([]string{"--pid", "--fork", "--kill-child", "--mount-proc"}, start...)
					cmd := exec.Command("unshare", append(append(unshare, inner.Path, "run", "--follow", way), args...)...)
					cmd.Env = inner.Env
					return cmd
				}
				r, code, stderr := runReport(t, container("--report", file, "--", "sh", "-c",
					"(setsid sleep 1071 &); until grep -q sleep /proc/[0-9]*/comm; do :; done 2>/dev/null; exit 3"), file)
				if code != 3 || len(r.Leaks) != 1 || !strings.Contains(stderr, "sleep 1071") {
					t.Errorf("exit code %d, leaks %v, %s", code, r.Leaks, stderr)
				}
				cmd := container("--", "sh", "-c", "kill -KILL $$")
				if _ = cmd.Run(); cmd.ProcessState.ExitCode() != 137 {
					t.Errorf("a killed command: exit code %d", cmd.ProcessState.ExitCode())
				}
			})
		}
	}
}

// TestRunManyDescendants: more descendants than files that may be open.
func TestRunManyDescendants(t *testing.T) {
	n := 400
	if testing.Short() {
		n = 100
	}
	for _, way := range []string{"ptrace", "proc"} {
		t.Run(way, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "report.json")
			inner := axp(t)
			cmd := exec.Command("sh", "-c", fmt.Sprintf(`ulimit -n 40; exec "$AXP" run --follow %s --report "$0" -- sh -c 'i=0; while [ $i -lt %d ]; do sleep 1081 & i=$((i+1)); done'`, way, n), file)
			cmd.Env = inner.Env
			r, code, stderr := runReport(t, cmd, file)
			if code != 0 || len(r.Leaks) != n {
				t.Errorf("exit code %d, %d leaks, %.500s", code, len(r.Leaks), stderr)
			}
			for i := range r.Processes {
				if p := &r.Processes[i]; p.End == nil {
					t.Fatalf("%d is still there", p.PID)
				}
			}
		})
	}
}

// TestRunFaults: what programs do that few do.
func TestRunFaults(t *testing.T) {
	program := faults(t)
	for _, way := range []string{"ptrace", "ebpf", "proc"} {
		if way == "ebpf" && !canEBPF(t) {
			continue
		}
		traced := way != "proc"
		t.Run(way+"/vfork", func(t *testing.T) {
			dir := t.TempDir()
			r, code, stderr := runTo(t, []string{"--follow", way}, "sh", "-c", `(sleep 0.1; : >"$1") & "$0" vfork "$1"`, program, dir+"/go")
			if code != 4 || traced && (len(r.Processes) != 5 || !r.Complete) {
				t.Errorf("exit code %d, %d processes, complete %v, %s", code, len(r.Processes), r.Complete, stderr)
			}
		})
		t.Run(way+"/leader exits first", func(t *testing.T) {
			r, code, stderr := runTo(t, []string{"--follow", way}, program, "leader")
			if code != 5 || r.Exit == nil || *r.Exit != 5 || stderr != "" {
				t.Errorf("exit code %d, %+v, %s", code, r, stderr)
			}
		})
		t.Run(way+"/changes of name, group, session and parent", func(t *testing.T) {
			r, code, stderr := runTo(t, []string{"--follow", way}, program, "changes", t.TempDir()+"/ready")
			if code != 0 || len(r.Leaks) != 1 {
				t.Fatalf("exit code %d, leaks %v, %s", code, r.Leaks, stderr)
			}
			p := r.Processes[r.Leaks[0]-1]
			if p.Comm != "the third" || p.End == nil || p.Signal != "SIGTERM" || traced && (p.PGID != p.SID || p.SID == p.PID || !slices.Contains(p.Inferred, "sid") && len(r.Processes) != 4) {
				t.Errorf("%+v, %s", p, stderr)
			}
		})
		t.Run(way+"/a child that tracing can't see", func(t *testing.T) {
			r, code, stderr := runTo(t, []string{"--follow", way, "--grace=1h"}, "sh", "-c", `"$0" untraced; sleep 0.1`, program)
			if code != 0 || len(r.Leaks) != 1 || r.Complete != (way == "ebpf") {
				t.Errorf("exit code %d, leaks %v, complete %v, %s", code, r.Leaks, r.Complete, stderr)
			}
		})
		t.Run(way+"/a child of the forker's parent", func(t *testing.T) {
			r, code, stderr := runTo(t, []string{"--follow", way}, "sh", "-c", `"$0" sibling; sleep 0.1`, program)
			if code != 0 || len(r.Leaks) != 1 {
				t.Fatalf("exit code %d, leaks %v, %s", code, r.Leaks, stderr)
			}
			if p := r.Processes[r.Leaks[0]-1]; traced && (p.StartedBy == nil || *p.StartedBy == 1 || p.Reparented == nil || p.Reparented[0].From != r.Processes[0].PID) {
				t.Errorf("%+v", p)
			}
		})
		t.Run(way+"/a pid that is used again", func(t *testing.T) {
			if way == "ebpf" {
				return // the kernel's events have the numbers of the first namespace only
			}
			if os.Geteuid() != 0 {
				t.Skip("not run: needs root, for a pid namespace")
			}
			file := filepath.Join(t.TempDir(), "report.json")
			inner := axp(t)
			cmd := exec.Command("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", inner.Path, "run", "--follow", way, "--report", file, "--", program, "reuse")
			cmd.Env = inner.Env
			r, code, stderr := runReport(t, cmd, file)
			if code == 77 {
				t.Skip("not run: needs /proc/sys/kernel/ns_last_pid")
			}
			if code != 0 || traced && len(r.Processes) != 6 {
				t.Fatalf("exit code %d, %d processes, %s", code, len(r.Processes), stderr)
			}
			for i := range r.Processes[1:] {
				p := &r.Processes[i+1]
				if traced && (p.PID != r.Processes[1].PID || p.Exit == nil || *p.Exit != 10+i || p.ID != i+2) {
					t.Errorf("number %d: %+v", i, p)
				}
			}
		})
	}
}

// canEBPF says whether programs can be loaded here.
func canEBPF(t *testing.T) bool {
	t.Helper()
	out, err := axp(t, "run", "--follow", "ebpf", "--", "true").CombinedOutput()
	if err != nil {
		t.Logf("not run by ebpf: %s", out)
	}
	return err == nil
}

// TestRunPipe: what goes through the streams is untouched, however much.
func TestRunPipe(t *testing.T) {
	n := int64(500 << 20)
	if testing.Short() {
		n = 50 << 20
	}
	cmd := axp(t, "run", "--", "cat")
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
	go func() {
		_, _ = io.CopyN(in, zeros{}, n)
		_ = in.Close()
	}()
	got, err := io.Copy(io.Discard, out)
	if werr := cmd.Wait(); err != nil || werr != nil || got != n {
		t.Errorf("%d of %d bytes, %v, %v", got, n, err, werr)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestRunArguments: arguments that aren't UTF-8 are kept, or left out if asked.
func TestRunArguments(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.json")
	cmd := axp(t, "run", "--report", file, "--", "true", "a\xffb", "secret")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(text, []byte(`"args":["true","a\udcffb","secret"]`)) {
		t.Errorf("%v: %s", err, text)
	}
	if out, err := axp(t, "run", "--no-args", "--report", file, "--", "sh", "-c", "true secret; true").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if text, err = os.ReadFile(file); err != nil || bytes.Contains(text, []byte("secret")) {
		t.Errorf("%v: %s", err, text)
	}
}

// TestRunSignals: a signal sent to axp reaches the command; with --forward=all
// all of its descendants.
func TestRunSignals(t *testing.T) {
	for _, way := range []string{"ptrace", "proc"} {
		for _, all := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, all %v", way, all), func(t *testing.T) {
				dir := t.TempDir()
				forward := "cmd"
				if all {
					forward = "all"
				}
				cmd := axp(t, "run", "--follow", way, "--forward", forward, "--", "sh", "-c",
					`sh -c 'trap ": >below" USR1; : >ready2; while ! test -e go; do sleep 0.01; done' &
					trap ": >got" USR1; : >ready1; while ! test -e go; do sleep 0.01; done; wait; exit 8`)
				cmd.Dir = dir
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				eventually(t, "both are ready", func() bool { return there(dir+"/ready1") && there(dir+"/ready2") })
				if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
					t.Fatal(err)
				}
				eventually(t, "the command has it", func() bool { return there(dir + "/got") })
				if all {
					eventually(t, "the descendant has it", func() bool { return there(dir + "/below") })
				}
				create(t, dir+"/go")
				if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 8 {
					t.Errorf("%v", cmd.ProcessState)
				}
				if !all && there(dir+"/below") {
					t.Error("a descendant got it too")
				}
			})
		}
	}
}

// TestRunInterrupted: a signal during the grace ends it at once, and the report
// is marked.
func TestRunInterrupted(t *testing.T) {
	dir := t.TempDir()
	cmd := axp(t, "run", "--grace", "10m", "--", "sh", "-c",
		`sh -c 'trap ": >asked" TERM; : >ready; while :; do sleep 0.01; done' & while ! test -e ready; do sleep 0.01; done`)
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the grace has begun", func() bool { return there(dir + "/asked") })
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(errs.String(), "SIGKILL") || !strings.Contains(errs.String(), "interrupted") {
		t.Errorf("%v, %s", err, errs.String())
	}
}

// TestRunBesideInits: what the small inits leave behind, and axp does not
// (docs/axp-run.md has the table).
func TestRunBesideInits(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not run: needs root, for a pid namespace in which what is left is ended")
	}
	for _, c := range []struct {
		name          string
		init          []string
		setsid, plain bool // whether a setsid daemon, a background child is left alive
	}{
		{"tini -s", []string{"tini", "-s", "--"}, true, true},
		{"tini -s -g", []string{"tini", "-s", "-g", "--"}, true, true},
		{"dumb-init", []string{"dumb-init", "--"}, true, false},
		{"axp run", []string{"AXP", "run", "--"}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath(c.init[0]); err != nil && c.init[0] != "AXP" {
				t.Skipf("not run: needs %s, which ./setup installs", c.init[0])
			}
			inner := axp(t)
			if c.init[0] == "AXP" {
				c.init[0] = inner.Path
			}
			dir := t.TempDir()
			// The shell is the namespace's init: what is left ends with it.
			outer := `"$@" sh -c 'setsid sh -c "echo \$\$ >setsid; exec sleep 1091" & sh -c "echo \$\$ >plain; exec sleep 1092" &
				until grep -q sleep /proc/$(cat setsid)/comm && grep -q sleep /proc/$(cat plain)/comm; do :; done 2>/dev/null'
				i=0; while [ $i -lt 600 ] && grep -q sleep $(for f in $GONE; do echo /proc/$(cat $f)/comm; done) /dev/null 2>/dev/null; do sleep 0.05; i=$((i+1)); done
				for f in setsid plain; do read pid <$f; if grep -q sleep /proc/$pid/comm 2>/dev/null; then echo $f; fi; done`
			cmd := exec.Command("unshare", append([]string{"--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", outer, "sh"}, c.init...)...)
			gone := "GONE="
			if !c.setsid {
				gone += "setsid "
			}
			if !c.plain {
				gone += "plain"
			}
			cmd.Env, cmd.Dir = append(inner.Env, gone), dir
			// What is left may hold a pipe: a file can't be held.
			out, err := os.Create(dir + "/out")
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			cmd.Stdout = out
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(dir + "/out")
			if err != nil {
				t.Fatal(err)
			}
			left := strings.Fields(string(text))
			if slices.Contains(left, "setsid") != c.setsid || slices.Contains(left, "plain") != c.plain {
				t.Errorf("left: %v", left)
			}
		})
	}
}
