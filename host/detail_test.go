package host

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"axprocess"
)

// TestDetailOfAProcess: what a real shell ignores, handles and blocks, and what it
// sleeps in.
func TestDetailOfAProcess(t *testing.T) {
	cmd := play(t, exec.Command("sh", "-c", "trap '' HUP; trap 'exit 0' TERM; echo ready; read line"))
	pid := axprocess.PID(cmd.Process.Pid)
	s := until(t, "the shell reads", func(s *Snapshot) bool {
		p := s.Table.Process(pid)
		if p == nil {
			return false
		}
		doing := s.Doing(p)
		return len(doing) == 1 && doing[0].Call == "read" && doing[0].TID == pid
	})
	d, err := s.Detail(s.Table.Process(pid))
	if err != nil {
		t.Fatal(err)
	}
	if !d.Ignored.Has(axprocess.SIGHUP) || !d.Caught.Has(axprocess.SIGTERM) || d.Caught.Has(axprocess.SIGHUP) ||
		d.Blocked != 0 || d.Tracer != 0 || d.UID != uint32(os.Getuid()) || d.EUID != uint32(os.Geteuid()) {
		t.Errorf("%+v", d)
	}
}

// TestDetailOfAnother: a process that has ended is not mistaken for one that has its
// number, and what a saved /proc lacks is said.
func TestDetailOfAnother(t *testing.T) {
	root := saved(t, map[string]string{"1/stat": line(1, 0, 1, 1, "S", 1, 10), "uptime": "100.00 100.00\n"})
	s, err := Read(Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	p := s.Table.Process(1)
	if _, err := s.Detail(p); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "status") {
		t.Errorf("without a status file: %v", err)
	}
	if err := os.WriteFile(root+"/1/stat", []byte(line(1, 0, 1, 1, "S", 1, 11)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Detail(p); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a later process: %v", err)
	}
	if doing := s.Doing(p); doing != nil {
		t.Errorf("a later process does %+v", doing)
	}
}

// TestParseSyscall: the forms of /proc/PID/syscall.
func TestParseSyscall(t *testing.T) {
	const args = " 0x2a 0x0 0x0 0x0 0x0 0x0 0x1 0x2"
	for _, test := range []struct {
		text, call string
		args       int
		running    bool
	}{
		{"running\n", "", 0, true},
		{"-1 0x7ffc 0x7f12\n", "", 0, false},
		{strconv.Itoa(unix.SYS_WAIT4) + args, "wait4", 6, false},
		{"999" + args, "call 999", 6, false},
		{"", "", 0, false},
		{"999 0x2a", "", 0, false},
		{"999 no 0x0 0x0 0x0 0x0 0x0 0x0 0x0", "", 0, false},
	} {
		call, args, running := parseSyscall(test.text)
		if call != test.call || len(args) != test.args || running != test.running {
			t.Errorf("%q: %q %v %t", test.text, call, args, running)
		}
	}
}

// FuzzDetail: no status or syscall file makes the parsers panic.
func FuzzDetail(f *testing.F) {
	f.Add("TracerPid:\t7\nUid:\t0\t1\t2\t3\nSigPnd:\t0\nShdPnd:\t0\nSigBlk:\t1\nSigIgn:\t2\nSigCgt:\tff\n")
	f.Add("61 0x2a 0x0 0x0 0x0 0x0 0x0 0x1 0x2")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseDetail(text); (d == nil) == (err == nil) {
			t.Errorf("%+v and %v", d, err)
		}
		if call, args, running := parseSyscall(text); running && call != "" || call != "" && len(args) != 6 {
			t.Errorf("%q %v %t", call, args, running)
		}
	})
}
