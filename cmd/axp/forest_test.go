package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"axprocess"
	"axprocess/report"
)

// forest is a pid namespace full of sleeping processes (testdata/forest.c).
type forest struct {
	proc string // its /proc, seen from here
	init int    // its init, by the number here
	want map[axprocess.PID]word
}

// word is what a process of a forest says of itself.
type word struct{ ppid, pgid, sid axprocess.PID }

// plant grows sessions × (groups × (members + 1) + 2) processes; they end with
// the test.
func plant(tb testing.TB, sessions, groups, members int) *forest {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("not run: needs root, for a pid namespace")
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		tb.Skip("not run: needs gcc (see ./setup)")
	}
	binary := filepath.Join(tb.TempDir(), "forest")
	if out, err := exec.Command("gcc", "-O1", "-static", "-o", binary, "testdata/forest.c").CombinedOutput(); err != nil {
		tb.Fatalf("gcc: %v\n%s", err, out)
	}
	cmd := exec.Command(binary, strconv.Itoa(sessions), strconv.Itoa(groups), strconv.Itoa(members))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close() // its init ends, and with it all others
		_ = cmd.Wait()
	})
	f := &forest{proc: fmt.Sprintf("/proc/%d/root/proc", cmd.Process.Pid), init: cmd.Process.Pid, want: map[axprocess.PID]word{}}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
		var pid axprocess.PID
		var w word
		if n, err := fmt.Sscan(lines.Text(), &pid, &w.ppid, &w.pgid, &w.sid); n != 4 {
			tb.Fatalf("forest: %q: %v", lines.Text(), err)
		}
		f.want[pid] = w
	}
	if want := sessions * (groups*(members+1) + 2); len(f.want) != want {
		tb.Fatalf("forest: %d of %d processes: %s", len(f.want), want, complaints.String())
	}
	return f
}

// TestTreeOfThousands: a live tree of 5,000 sleeping processes is shown right,
// each process with its parent, group and session, and each zombie as one.
func TestTreeOfThousands(t *testing.T) {
	sessions := 50
	if testing.Short() {
		sessions = 5
	}
	f := plant(t, sessions, 9, 10)
	var out, complaints strings.Builder
	if code := run([]string{"tree", "--json", "--proc", f.proc}, strings.NewReader(""), &out, &complaints); code != 0 {
		t.Fatalf("exit code %d: %s", code, complaints.String())
	}
	var tree struct {
		Processes []struct {
			PID, PPID, PGID, SID axprocess.PID
			State                string
			Zombie               *struct{ Parent, Exit int }
			Threads              []struct{ TID axprocess.PID }
		}
		Sessions []struct{ Groups []struct{ Orphaned bool } }
		Left     []any `json:"left_out"`
	}
	if err := json.Unmarshal([]byte(out.String()), &tree); err != nil {
		t.Fatal(err)
	}
	if len(tree.Processes) != len(f.want)+1 || len(tree.Left) > 0 || len(tree.Sessions) != sessions+1 {
		t.Errorf("%d processes of %d, %d sessions of %d, left out: %v", len(tree.Processes), len(f.want)+1, len(tree.Sessions), sessions+1, tree.Left)
	}
	zombies := 0
	for _, p := range tree.Processes {
		if want := f.want[p.PID]; p.PID != 1 && (want != word{p.PPID, p.PGID, p.SID}) {
			t.Fatalf("process %d: parent %d, group %d, session %d; it says %v", p.PID, p.PPID, p.PGID, p.SID, want)
		}
		if p.Zombie != nil {
			zombies++
			if p.State != "zombie" || len(p.Threads) != 0 || p.Zombie.Exit != 7 || p.Zombie.Parent != int(f.want[p.PID].sid) {
				t.Errorf("zombie %d: %+v, %+v", p.PID, p, p.Zombie)
			}
		} else if len(p.Threads) != 1 || p.Threads[0].TID != p.PID {
			t.Errorf("process %d: threads %v", p.PID, p.Threads)
		}
	}
	if zombies != sessions {
		t.Errorf("%d zombies of %d", zombies, sessions)
	}
	f.checkText(t, sessions)
}

// checkText: the text names each process once, in 80 columns.
func (f *forest) checkText(t *testing.T, zombies int) {
	var out, complaints strings.Builder
	if code := run([]string{"tree", "--proc", f.proc}, strings.NewReader(""), &out, &complaints); code != 0 {
		t.Fatalf("exit code %d: %s", code, complaints.String())
	}
	seen := map[axprocess.PID]int{}
	body, last := out.String(), ""
	if i := strings.LastIndexByte(strings.TrimSuffix(body, "\n"), '\n'); i >= 0 {
		body, last = body[:i+1], body[i+1:]
	}
	for line := range strings.Lines(body) {
		if n := report.Columns(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Fatalf("a line of %d columns: %s", n, line)
		}
		word, _, _ := strings.Cut(strings.TrimLeft(line, " |`-│├└─"), " ")
		if pid, err := parsePID(word); err == nil {
			seen[pid]++
		}
	}
	for pid := range f.want {
		if seen[pid] != 1 {
			t.Fatalf("process %d is shown %d times", pid, seen[pid])
		}
	}
	if want := fmt.Sprintf("%d processes, %d threads, %d zombies\n", len(f.want)+1, len(f.want)+1-zombies, zombies); last != want {
		t.Errorf("the last line is %q, not %q", last, want)
	}
}

// BenchmarkTree shows 10,000 processes, saved and live, and lets ps read the
// live ones.
func BenchmarkTree(b *testing.B) {
	f := plant(b, 100, 9, 10)
	saved := filepath.Join(b.TempDir(), "proc")
	f.want[1] = word{}
	for pid := range f.want {
		dir := filepath.Join(saved, fmt.Sprint(pid))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for _, name := range []string{"stat", "cmdline", "status"} {
			text, err := os.ReadFile(filepath.Join(f.proc, fmt.Sprint(pid), name))
			if err != nil {
				b.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	for name, args := range map[string][]string{
		"axp-saved": {"/proc/self/exe", "tree", "--proc", saved},
		"axp-live":  {"/proc/self/exe", "tree", "--proc", f.proc},
		"ps-live":   {"nsenter", "--pid", "--mount", "--target", strconv.Itoa(f.init), "ps", "-eLf"},
	} {
		b.Run(name, func(b *testing.B) {
			var used time.Duration
			for b.Loop() {
				cmd := exec.Command(args[0], args[1:]...)
				if strings.HasPrefix(name, "axp") {
					cmd.Args[0] = "axp"
					cmd.Env = append(os.Environ(), "AXP_TEST_ROLE=axp")
				}
				out, err := cmd.Output()
				if err != nil {
					b.Fatal(err)
				}
				if n := bytes.Count(out, []byte("\n")); n < len(f.want) {
					b.Fatalf("%d lines for %d processes", n, len(f.want))
				}
				used += cmd.ProcessState.SystemTime() + cmd.ProcessState.UserTime()
			}
			b.ReportMetric(float64(used.Milliseconds())/float64(b.N), "cpu-ms/op") // what other work doesn't disturb
		})
	}
}
