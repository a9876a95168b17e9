package supervise

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// This file is about the texts of /proc that a supervisor reads all the time:
// a process's stat line, its name and its arguments.

// stat is what a stat line says (proc_pid_stat(5)).
type stat struct {
	comm       string
	state      byte
	ppid       int
	pgid, sid  int
	threads    int
	start      uint64 // clock ticks since boot: with the number, who it is
	exitStatus uint32 // a zombie's, as wait(2) has it, for those who may see it
}

// dead says whether the process has ended.
func (s *stat) dead() bool { return s.state == 'Z' && s.threads <= 1 || s.state == 'X' }

// The fields of a stat line after the name, counted from the state.
const (
	fieldPPID    = 4 - 3
	fieldPGID    = 5 - 3
	fieldSID     = 6 - 3
	fieldThreads = 20 - 3
	fieldStart   = 22 - 3
	fieldStatus  = 52 - 3
)

// parseStat reads a stat line; the name may contain anything.
func parseStat(line []byte) (s stat, ok bool) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return s, false
	}
	s.comm = string(line[open+1 : end])
	n := 0
	for field := range bytes.FieldsSeq(line[end+1:]) {
		if n == 0 {
			s.state = field[0]
		} else if to := s.field(n); to != nil {
			v, err := strconv.Atoi(string(field))
			if err != nil {
				return s, false
			}
			*to = v
		} else if n == fieldStart || n == fieldStatus {
			v, err := strconv.ParseUint(string(field), 10, 64)
			if err != nil {
				return s, false
			}
			if n == fieldStart {
				s.start = v
			} else {
				s.exitStatus = uint32(v)
			}
		}
		n++
	}
	return s, n > fieldStart && s.ppid >= 0 && s.pgid >= -1 && s.sid >= -1
}

func (s *stat) field(n int) *int {
	switch n {
	case fieldPPID:
		return &s.ppid
	case fieldPGID:
		return &s.pgid
	case fieldSID:
		return &s.sid
	case fieldThreads:
		return &s.threads
	}
	return nil
}

// readStat reads the stat line of a process or thread; false if there is none.
func readStat(pid int) (stat, bool) {
	var buf [1024]byte // a stat line has at most 52 numbers and a name of 15 bytes, escaped or not
	n := readProc(buf[:], pid, "/stat")
	if n <= 0 {
		return stat{}, false
	}
	return parseStat(buf[:n])
}

// readProc reads the beginning of a process's file with as few system calls as
// can be: it is done for each event.
func readProc(to []byte, pid int, name string) int {
	var path [32]byte
	text := append(strconv.AppendInt(append(path[:0], "/proc/"...), int64(pid), 10), name...)
	fd, err := unix.Open(string(text), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, to)
	if err != nil {
		return 0
	}
	return n
}

// readComm returns a process's name, or "": for less than its stat line costs.
func readComm(pid int) string {
	var buf [64]byte
	return string(bytes.TrimSuffix(buf[:readProc(buf[:], pid, "/comm")], []byte{'\n'}))
}

// readStatus returns a number of a process's or thread's status file; 0 if there
// is none.
func readStatus(pid int, key string) int {
	var buf [4096]byte
	text := buf[:readProc(buf[:], pid, "/status")]
	_, rest, _ := bytes.Cut(text, []byte("\n"+key))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, _ := strconv.Atoi(string(bytes.TrimSpace(line)))
	return n
}

// readArgs returns a process's arguments, or none.
func readArgs(pid int) []string {
	var buf [4096]byte
	n := readProc(buf[:], pid, "/cmdline")
	if n < len(buf) {
		return splitArgs(buf[:n])
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return nil
	}
	return splitArgs(text)
}

// splitArgs takes arguments apart, each of which ends with a zero byte. Bytes
// that are no UTF-8 stay as they are.
func splitArgs(text []byte) []string {
	text = bytes.TrimSuffix(text, []byte{0})
	if len(text) == 0 {
		return nil
	}
	var args []string
	for arg := range bytes.SplitSeq(text, []byte{0}) {
		args = append(args, string(arg))
	}
	return args
}

// allPIDs lists the numbers in /proc.
func allPIDs() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// started is when a process started, by its stat line; at most at.
func started(st *stat, at time.Time) time.Time {
	var up unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
		return at
	}
	age := time.Duration(up.Nano()) - time.Duration(st.start)*tick
	if age < 0 {
		age = 0
	}
	return at.Add(-age)
}

// tick is the unit of a stat line's times (USER_HZ is 100 everywhere).
const tick = 10 * time.Millisecond
