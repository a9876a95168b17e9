package main

import (
	"bytes"
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

	"golang.org/x/sys/unix"
)

// This file is about axp run as an ordinary user: what works without any set-up,
// and what tracing takes from programs, of which it warns.

// ordinary is a user without privileges, with a folder of its own that holds axp.
type ordinary struct {
	dir  string
	cred *syscall.Credential // nil: who runs the tests is one
}

// nobody is the user that owns nothing.
const nobody = 65534

func newOrdinary(t *testing.T) *ordinary {
	t.Helper()
	dir, err := os.MkdirTemp("", "axp-user") // not below t.TempDir, which others can't enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	u := &ordinary{dir: dir}
	if os.Geteuid() == 0 {
		u.cred = &syscall.Credential{Uid: nobody, Gid: nobody}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	u.install(t, axp(t).Path, "axp", 0o755)
	return u
}

// install copies a program into the folder. It is root's.
func (u *ordinary) install(t *testing.T, from, name string, mode os.FileMode) string {
	t.Helper()
	path, err := exec.LookPath(from)
	if err != nil {
		t.Skipf("not run: needs %s", from)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	to := filepath.Join(u.dir, name)
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, in)
	if cerr := out.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	if err := os.Chmod(to, mode); err != nil {
		t.Fatal(err)
	}
	return to
}

// command returns a command that this user runs in the folder.
func (u *ordinary) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "AXP_TEST_ROLE=axp", "DIR="+u.dir, "HOME="+u.dir)
	cmd.Dir = u.dir
	if u.cred != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: u.cred}
	}
	return cmd
}

func (u *ordinary) axp(args ...string) *exec.Cmd {
	return u.command(filepath.Join(u.dir, "axp"), args...)
}

// said runs a command and returns what it says.
func said(cmd *exec.Cmd) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		return "", err.Error(), -1
	}
	return strings.TrimSpace(out.String()), errs.String(), cmd.ProcessState.ExitCode()
}

// TestRunOrdinary: an ordinary user needs no set-up; what only root can do is
// refused before the command is started.
func TestRunOrdinary(t *testing.T) {
	for _, way := range []string{"auto", "ptrace", "proc"} {
		t.Run(way, func(t *testing.T) {
			u := newOrdinary(t)
			cmd := u.axp("run", "--follow", way, "--report", "report.json", "--", "sh", "-c",
				`(setsid sh -c 'echo $$ >one; exec sleep 1111' &); sh -c 'echo $$ >two; exec sleep 1112' &
				until grep -q sleep /proc/$(cat one)/comm && grep -q sleep /proc/$(cat two)/comm; do :; done 2>/dev/null
				test $(id -u) != 0 && exit 3`)
			r, code, stderr := runReport(t, cmd, u.dir+"/report.json")
			if code != 3 || len(r.Leaks) != 2 || r.Complete != (way != "proc") || !strings.Contains(stderr, "sleep 1111") || !strings.Contains(stderr, "sleep 1112") {
				t.Errorf("exit code %d, leaks %v, complete %v, %s", code, r.Leaks, r.Complete, stderr)
			}
			for i := range r.Processes {
				if p := &r.Processes[i]; p.End == nil {
					t.Errorf("still there: %+v", p)
				}
			}
		})
	}
	t.Run("ebpf", func(t *testing.T) {
		u := newOrdinary(t)
		_, stderr, code := said(u.axp("run", "--follow", "ebpf", "--", "touch", "started"))
		if code != 2 || !strings.HasPrefix(stderr, "axp: run: can't follow by ebpf: ") || strings.Count(stderr, "\n") != 1 || there(u.dir+"/started") {
			t.Errorf("exit code %d, %s", code, stderr)
		}
	})
}

// TestRunWarns: a program that would give rights runs without them below a
// tracer, and is named; --follow=proc, which the warning names, leaves them.
func TestRunWarns(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not run: needs root, to make programs that give rights")
	}
	for _, c := range []struct {
		name   string
		from   string
		mode   os.FileMode
		caps   bool
		args   string
		says   string
		unread bool // its file can't be read by who executes it
	}{
		{name: "set-user-id", from: "id", mode: os.ModeSetuid | 0o755, args: "-u", says: "is set-user-id"},
		{name: "set-group-id", from: "id", mode: os.ModeSetgid | 0o755, args: "-g", says: "is set-group-id"},
		{name: "file capabilities", from: "grep", mode: 0o755, caps: true, args: "CapEff /proc/self/status", says: "has file capabilities"},
		{name: "set-user-id, not readable", from: "id", mode: os.ModeSetuid | 0o711, args: "-u", says: "is set-user-id", unread: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newOrdinary(t)
			giver := u.install(t, c.from, "giver", c.mode)
			if c.caps {
				giveCapability(t, giver)
			}
			without, _, _ := said(u.command(c.from, strings.Fields(c.args)...))
			with, complaint, _ := said(u.command(giver, strings.Fields(c.args)...))
			if with == without || with == "" {
				t.Skipf("not run: needs a file system and a kernel that let a program give rights (%s, %s)", with, complaint)
			}
			// As the command itself, what can't be read can't be traced at all: auto
			// takes another way.
			if !c.unread {
				out, stderr, code := said(u.axp(append([]string{"run", "--", giver}, strings.Fields(c.args)...)...))
				warned(t, "the command", stderr, c.says)
				if code != 0 || out != without {
					t.Errorf("the command: exit code %d, %q, without its rights %q", code, out, without)
				}
			}
			below := []string{"--", "sh", "-c", "$DIR/giver " + c.args + "; exit 4"}
			out, stderr, code := said(u.axp(append([]string{"run", "--follow=ptrace"}, below...)...))
			warned(t, "a descendant", stderr, c.says)
			if code != 4 || out != without {
				t.Errorf("a descendant: exit code %d, %q, without its rights %q", code, out, without)
			}
			if out, stderr, code := said(u.axp(append([]string{"run", "--follow=proc"}, below...)...)); code != 4 || out != with || stderr != "" {
				t.Errorf("by proc: exit code %d, %q, with its rights %q; %s", code, out, with, stderr)
			}
		})
	}
	t.Run("root's tracees keep their rights", func(t *testing.T) {
		u := newOrdinary(t)
		u.install(t, "id", "giver", os.ModeSetuid|0o755)
		as := "--reuid=" + strconv.Itoa(nobody)
		cmd := axp(t, "run", "--follow=ptrace", "--", "setpriv", as, "--clear-groups", u.dir+"/giver", "-u")
		if out, stderr, code := said(cmd); code != 0 || out != "0" || stderr != "" {
			t.Errorf("exit code %d, %q, %s", code, out, stderr)
		}
	})
}

// warned checks that there is one warning, which names the program and the way
// out.
func warned(t *testing.T, who, stderr, says string) {
	t.Helper()
	if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "axp: giver (") || !strings.Contains(stderr, says) || !strings.Contains(stderr, "--follow=proc") {
		t.Errorf("%s: not warned that it %s: %q", who, says, stderr)
	}
}

// giveCapability lets a file give CAP_NET_RAW, as ping has it.
func giveCapability(t *testing.T, file string) {
	t.Helper()
	var caps [20]byte // struct vfs_cap_data: revision 2 and "effective", then permitted and inheritable, twice
	caps[0], caps[3] = 1, 2
	caps[4+unix.CAP_NET_RAW/8] = 1 << (unix.CAP_NET_RAW % 8)
	if err := unix.Setxattr(file, "security.capability", caps[:], 0); err != nil {
		t.Skipf("not run: needs file capabilities: %v", err)
	}
}

// TestRunStrace: a tool that traces can't work below a tracer, which is said; the
// way that the warning names lets it.
func TestRunStrace(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("not run: needs strace, which ./setup installs")
	}
	u := newOrdinary(t)
	for _, text := range []string{"exec strace -f -o log sh -c 'true; exit 5'", "strace -f -o log sh -c 'true; exit 5'; exit $?"} {
		_, stderr, code := said(u.axp("run", "--follow=ptrace", "--", "sh", "-c", text))
		if code == 5 || !strings.Contains(stderr, "axp: strace (") || !strings.Contains(stderr, "--follow=proc") {
			t.Errorf("%s: not warned: exit code %d, %s", text, code, stderr)
		}
	}
	if _, stderr, _ := said(u.axp("run", "--", "strace", "-o", "log", "true")); !strings.HasPrefix(stderr, "axp: strace (") {
		t.Errorf("the command itself: not warned: %s", stderr)
	}
	ways := map[string]*exec.Cmd{"proc": u.axp("run", "--follow=proc", "--", "strace", "-f", "-o", u.dir+"/proc", "sh", "-c", "(exit 6); exit 5")}
	if canEBPF(t) {
		ways["ebpf"] = axp(t, "run", "--follow=ebpf", "--", "strace", "-f", "-o", u.dir+"/ebpf", "sh", "-c", "(exit 6); exit 5")
	}
	for way, cmd := range ways {
		_, stderr, code := said(cmd)
		log, err := os.ReadFile(u.dir + "/" + way)
		if code != 5 || strings.Contains(stderr, "can't trace") || err != nil || !bytes.Contains(log, []byte("execve(")) || !bytes.Contains(log, []byte("exited with 6")) || !bytes.Contains(log, []byte("exited with 5")) {
			t.Errorf("%s: exit code %d, %s, %v, log %.2000s", way, code, stderr, err, log)
		}
	}
}

// TestRunUnkillable: what may not be signalled is said to be so, holds nothing
// up, and what may be is ended all the same.
func TestRunUnkillable(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not run: needs root, to make a program that becomes another user")
	}
	program := faults(t)
	for _, c := range []struct {
		name, text string
		limit      time.Duration
		code       int
	}{
		{"left behind", `sleep 1121 & $DIR/other root ready >/dev/null 2>&1 & until test -e ready; do :; done`, 0, 0},
		{"a daemon", `sleep 1121 & (setsid $DIR/other root ready >/dev/null 2>&1 &); until test -e ready; do :; done; exit 3`, 0, 3},
		{"the command itself", `exec $DIR/other root ready >/dev/null 2>&1`, patience / 256, 124},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newOrdinary(t)
			other := u.install(t, program, "other", os.ModeSetuid|0o755)
			if out, _, _ := said(u.command(u.install(t, "id", "id", os.ModeSetuid|0o755), "-u")); out != "0" {
				t.Skip("not run: needs a file system and a kernel with set-user-id")
			}
			var r ran
			var code int
			var stderr string
			// The time may be up before the program is root: then it gets more.
			for limit := c.limit; !there(u.dir + "/ready"); limit *= 2 {
				if limit > patience {
					t.Fatalf("never root: exit code %d, %s", code, stderr)
				}
				r, code, stderr = runReport(t, u.axp("run", "--follow=proc", "--grace=100ms", "--timeout", limit.String(), "--report=report.json", "--", "sh", "-c", c.text), u.dir+"/report.json")
			}
			if code != c.code || !strings.Contains(stderr, "still there: it may not be signalled: it runs as another user") {
				t.Errorf("exit code %d, %s", code, stderr)
			}
			found := 0
			for i := range r.Processes {
				switch p := &r.Processes[i]; {
				case p.End != nil:
				case p.Comm == "other":
					found++
					if p.Unkillable == "" || !slices.Contains(r.Leaks, p.ID) {
						t.Errorf("not said to be unkillable: %+v, leaks %v", p, r.Leaks)
					}
					if err := endOther(p.PID, other); err != nil {
						t.Error(err)
					}
				default:
					t.Errorf("still there: %+v", p)
				}
			}
			if found != 1 {
				t.Errorf("%d of another user: %+v", found, r.Processes)
			}
		})
	}
}

// endOther ends a process that executes file, and waits for its end.
func endOther(pid int, file string) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe"); err != nil || exe != file {
		return os.ErrProcessDone // it is somebody else's number
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		return err
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return os.ErrDeadlineExceeded
		default:
			return nil
		}
	}
}
