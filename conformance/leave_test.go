package conformance

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// leaveVariable tells the test binary to be the driver that is killed: whether its
// world is in a pid namespace.
const leaveVariable = "AXPROCESS_CONFORMANCE_LEAVE"

// TestNobodyIsLeftBehind kills a driver in the middle of a story, with a process
// that is stopped and one that blocks, and waits until all of its world is gone.
func TestNobodyIsLeftBehind(t *testing.T) {
	if inside := os.Getenv(leaveVariable); inside != "" {
		driveAndHang(t, inside == "true")
		return
	}
	program(t).Close() // says if there is no compiler
	for _, inside := range []bool{false, true} {
		if inside && os.Getuid() != 0 {
			t.Log("not run: a world in a pid namespace needs root")
			continue
		}
		cmd := exec.Command(os.Args[0], "-test.run", "^TestNobodyIsLeftBehind$")
		cmd.Env = append(os.Environ(), leaveVariable+"="+strconv.FormatBool(inside), "TMPDIR="+t.TempDir())
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		text := make([]byte, 4096)
		n, err := out.Read(text)
		if err != nil {
			t.Fatalf("the driver said nothing: %v", err)
		}
		var fds []int
		for word := range strings.FieldsSeq(strings.TrimPrefix(string(text[:n]), "world:")) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				t.Fatalf("the driver said %q", text[:n])
			}
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				t.Fatal(err)
			}
			fds = append(fds, fd)
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		if len(fds) != 4 {
			t.Errorf("the world has %d processes, not 4", len(fds))
		}
		for _, fd := range fds {
			poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			ready := 0
			for end := time.Now().Add(Patience); ready == 0 && time.Now().Before(end); {
				ready, _ = unix.Poll(poll, 1000)
			}
			if ready < 1 {
				t.Errorf("a process of the world (inside: %v) is left", inside)
			}
			unix.Close(fd)
		}
	}
}

// driveAndHang is the driver: it says who its world is, and goes no further.
func driveAndHang(t *testing.T, inside bool) {
	live, err := NewLive(program(t), inside)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"init fork a", "a fork b", "a fork c"} {
		s, err := Parse("", line)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := live.Do(s.Steps[0], Answers); err != nil || out.Text != s.Steps[0].Args[0] {
			t.Fatal(out, err)
		}
	}
	for _, step := range []struct {
		line   string
		expect Kind
	}{{"a kill b SIGSTOP", Answers}, {"a wait4 c", Blocks}} {
		s, err := Parse("", step.line)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := live.Do(s.Steps[0], step.expect); err != nil {
			t.Fatal(err)
		}
	}
	text := "world:"
	for _, p := range live.processes {
		text += " " + strconv.Itoa(p.pid)
	}
	if _, err := os.Stdout.WriteString(text); err != nil {
		t.Fatal(err)
	}
	select {}
}
