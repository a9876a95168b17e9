package host

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"axprocess"
)

// TestUntoldOfAProcess has a process become a subreaper and stop waiting for its
// children, and reads that of it.
func TestUntoldOfAProcess(t *testing.T) {
	if _, err := ReadUntold(); err != nil {
		if os.Getuid() == 0 && inInitialNamespace() == nil {
			if _, missing := os.Stat("/sys/kernel/btf/vmlinux"); missing == nil {
				t.Fatal(err)
			}
		}
		t.Skipf("not run: %v", err)
	}
	for _, want := range []Untold{
		{},
		{Subreaper: true},
		{IgnoresSIGCHLD: true},
		{NoChildWait: true},
		{Subreaper: true, NoChildWait: true},
	} {
		t.Run(fmt.Sprintf("%+v", want), func(t *testing.T) {
			pid := startUntold(t, want)
			all, err := ReadUntold()
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range all {
				if u.PID != pid {
					continue
				}
				if start := startTicks(t, pid); u.Start != start {
					t.Errorf("start %d, /proc says %d", u.Start, start)
				}
				u.PID, u.Start = 0, 0
				if u != want {
					t.Errorf("read %+v, it is %+v", u, want)
				}
				return
			}
			t.Fatalf("process %d is not among the %d read", pid, len(all))
		})
	}
}

func TestUntoldRefusesHalfRecords(t *testing.T) {
	if _, err := decodeUntold(make([]byte, untoldLen+1)); err == nil {
		t.Error("25 bytes are taken for records of 24")
	}
}

// startUntold starts a process that is what want says, until the test ends.
func startUntold(t *testing.T, want Untold) axprocess.PID {
	t.Helper()
	const script = `
import ctypes, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
class Action(ctypes.Structure):  # struct sigaction of glibc on 64-bit
    _fields_ = [("handler", ctypes.c_void_p), ("mask", ctypes.c_ulong * 16), ("flags", ctypes.c_int), ("restorer", ctypes.c_void_p)]
if "Subreaper" in sys.argv: assert libc.prctl(36, 1, 0, 0, 0) == 0
if "IgnoresSIGCHLD" in sys.argv: signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if "NoChildWait" in sys.argv:
    a = Action(); a.flags = 2
    assert libc.sigaction(17, ctypes.byref(a), None) == 0
print("ready", flush=True)
sys.stdin.read()
`
	args := []string{"-c", script}
	for name, is := range map[string]bool{"Subreaper": want.Subreaper, "IgnoresSIGCHLD": want.IgnoresSIGCHLD, "NoChildWait": want.NoChildWait} {
		if is {
			args = append(args, name)
		}
	}
	cmd := exec.Command("python3", args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("not run: needs python3: %v", err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the process said %q: %v", line, err)
	}
	return axprocess.PID(cmd.Process.Pid)
}

// startTicks reads a start time from /proc.
func startTicks(t *testing.T, pid axprocess.PID) (ticks uint64) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	after := string(stat)[strings.LastIndexByte(string(stat), ')')+2:]
	if _, err := fmt.Sscan(strings.Fields(after)[19], &ticks); err != nil {
		t.Fatal(err)
	}
	return ticks
}
