package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"axprocess"
)

// This file is about one process closely: what it does on signals, who traces it,
// and what it waits in. It costs files that a look at the whole host does not read.
//
// Invariant: what is returned is of the process that the snapshot has, not of a
// later one of the same number.

// Detail is what /proc says of a process that is looked at closely.
type Detail struct {
	Ignored, Caught axprocess.SignalSet // dispositions
	Blocked         axprocess.SignalSet // by the leader
	Pending         axprocess.SignalSet // for the process or the leader
	Tracer          axprocess.PID       // 0: nobody
	UID, EUID, SUID uint32
}

// Detail looks at p, a process of the snapshot's table. The error wraps
// fs.ErrNotExist only if p has ended meanwhile. Two files.
func (s *Snapshot) Detail(p *axprocess.Process) (*Detail, error) {
	dir := s.dir(p)
	text, err := os.ReadFile(filepath.Join(dir, "status"))
	if err := s.still(p, dir); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("the status of process %d can't be read: %v", p.PID(), err)
	}
	return parseDetail(string(text))
}

// Live says whether the host is this one, now, and not a saved /proc.
func (s *Snapshot) Live() bool { return s.root == Root }

// dir is the directory of a process.
func (s *Snapshot) dir(p *axprocess.Process) string {
	return filepath.Join(s.root, strconv.Itoa(int(p.PID())))
}

// still says whether the files are of the process that the snapshot has.
func (s *Snapshot) still(p *axprocess.Process, dir string) error {
	line, err := os.ReadFile(filepath.Join(dir, "stat"))
	if more, ok := parseRest(line); err != nil || !ok || more.started != Of(p).Started {
		return fmt.Errorf("process %d: %w", p.PID(), fs.ErrNotExist)
	}
	return nil
}

// parseDetail reads a status file (proc_pid_status(5)).
func parseDetail(text string) (*Detail, error) {
	d := &Detail{}
	var shared axprocess.SignalSet
	sets := map[string]*axprocess.SignalSet{"SigIgn": &d.Ignored, "SigCgt": &d.Caught, "SigBlk": &d.Blocked, "SigPnd": &d.Pending, "ShdPnd": &shared}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		var err error
		switch set := sets[name]; {
		case set != nil:
			var n uint64
			n, err = strconv.ParseUint(value, 16, 64)
			*set = axprocess.SignalSet(n)
			delete(sets, name)
		case name == "TracerPid":
			var n uint64
			n, err = strconv.ParseUint(value, 10, 31)
			d.Tracer = axprocess.PID(n)
		case name == "Uid":
			_, err = fmt.Sscan(value, &d.UID, &d.EUID, &d.SUID)
		}
		if err != nil {
			return nil, fmt.Errorf("its status line makes no sense: %.60q", line)
		}
	}
	if len(sets) > 0 {
		return nil, errors.New("its status file has no signals")
	}
	d.Pending |= shared
	return d, nil
}

// Doing is what a thread sleeps in.
type Doing struct {
	TID     axprocess.PID
	Call    string   // the system call: "wait4", "read", …; "call 123"; "" if it is in none, or can't be known
	Args    []uint64 // of the call
	Wchan   string   // the kernel's function that it sleeps in; "" if it doesn't, or can't be known
	Running bool     // it runs, or is ready to
}

// Doing says what each live thread of p sleeps in, the oldest first. What may not
// be read is left out (ptrace(2) access, or a saved /proc). Two files a thread.
func (s *Snapshot) Doing(p *axprocess.Process) []Doing {
	var all []Doing
	for _, h := range p.Threads() {
		dir := filepath.Join(s.dir(p), "task", strconv.Itoa(int(h.TID())))
		d := Doing{TID: h.TID()}
		call, err := os.ReadFile(filepath.Join(dir, "syscall"))
		if err != nil && h.IsLeader() {
			call, _ = os.ReadFile(filepath.Join(s.dir(p), "syscall"))
		}
		d.Call, d.Args, d.Running = parseSyscall(string(call))
		wchan, err := os.ReadFile(filepath.Join(dir, "wchan"))
		if err != nil && h.IsLeader() {
			wchan, _ = os.ReadFile(filepath.Join(s.dir(p), "wchan"))
		}
		if d.Wchan = string(wchan); d.Wchan == "0" {
			d.Wchan = ""
		}
		all = append(all, d)
	}
	if s.still(p, s.dir(p)) != nil {
		return nil
	}
	return all
}

// parseSyscall reads "61 0x1234 … sp pc", "-1 sp pc" or "running"
// (proc_pid_syscall(5)).
func parseSyscall(text string) (call string, args []uint64, running bool) {
	fields := strings.Fields(text)
	if len(fields) == 1 && fields[0] == "running" {
		return "", nil, true
	}
	if len(fields) < 7 || fields[0] == "-1" {
		return "", nil, false
	}
	n, err := strconv.Atoi(fields[0])
	if err != nil {
		return "", nil, false
	}
	for _, field := range fields[1:7] {
		v, err := strconv.ParseUint(field, 0, 64)
		if err != nil {
			return "", nil, false
		}
		args = append(args, v)
	}
	if call = callNames[n]; call == "" {
		call = "call " + fields[0]
	}
	return call, args, false
}

// callNames are the calls that processes sleep in for long.
var callNames = map[int]string{
	unix.SYS_WAIT4: "wait4", unix.SYS_WAITID: "waitid", unix.SYS_READ: "read", unix.SYS_WRITE: "write",
	unix.SYS_FUTEX: "futex", unix.SYS_PPOLL: "ppoll", unix.SYS_PSELECT6: "pselect6", unix.SYS_EPOLL_PWAIT: "epoll_pwait",
	unix.SYS_NANOSLEEP: "nanosleep", unix.SYS_CLOCK_NANOSLEEP: "clock_nanosleep", unix.SYS_RT_SIGSUSPEND: "rt_sigsuspend",
	unix.SYS_RT_SIGTIMEDWAIT: "rt_sigtimedwait", unix.SYS_ACCEPT: "accept", unix.SYS_ACCEPT4: "accept4",
	unix.SYS_RECVMSG: "recvmsg", unix.SYS_RECVFROM: "recvfrom", unix.SYS_FLOCK: "flock", unix.SYS_FCNTL: "fcntl",
}

func init() {
	if runtime.GOARCH == "amd64" { // calls that later machines don't have
		for n, name := range map[int]string{7: "poll", 23: "select", 34: "pause", 56: "clone", 58: "vfork", 232: "epoll_wait"} {
			callNames[n] = name
		}
	}
}
