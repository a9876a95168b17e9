// Package host reads a Linux host's processes, from /proc or from a saved one,
// into a table.
//
// What is read changes while it is read: processes end, change parents, groups
// and sessions, and their numbers are taken by others. A process is its number
// and the time it started. What contradicts the rest is read again; what still
// does, or can't be read, is left out, and the Snapshot says so.
package host

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"axprocess"
)

// Root is where /proc is.
const Root = "/proc"

// Options say what to read. The zero value reads the live host, without what
// costs more.
type Options struct {
	Root    string // of a saved /proc; "": Root
	Threads bool   // names and states of threads too: one file for each
	Users   bool   // user ids and the numbers in nested pid namespaces: one file for each process
	Untold  bool   // of the live host, also what /proc doesn't tell (ReadUntold): who is a subreaper
}

// Snapshot is a host's processes as they were found.
type Snapshot struct {
	Table *axprocess.Table // the data of each process is an *Info, of each thread a *ThreadInfo, of each terminal a TTY
	At    time.Time        // when; of a saved /proc, when it was saved, if it says so
	Boot  time.Time        // when the host started; zero if it isn't said
	Host  string           // its name; "" if it isn't said
	Left  []Omission       // what had to be left out, ascending
	// Untold is why what /proc doesn't tell is missing: nil if it was asked for
	// and read. Without it no process is entered as a subreaper.
	Untold error
	root   string // of the /proc that was read
}

// Omission is something about a process that the table lacks.
type Omission struct {
	PID    axprocess.PID
	Reason string
}

// Info is what a table does not know about a process.
type Info struct {
	Comm       string
	Args       []string            // none: a kernel thread, or a zombie
	State      State               // of its leader, or of the oldest live thread if the leader has exited
	Started    time.Duration       // since boot, in steps of 10 ms: with the number, who it is
	Threads    int                 // live ones
	TTY        TTY                 // its controlling terminal, or 0
	Foreground axprocess.PID       // the terminal's foreground group; 0: none, -1: as the kernel says it
	Kernel     bool                // a thread of the kernel
	Cause      axprocess.WaitCause // how a zombie ended
	Code       int32               // its exit code or signal
	UID        int                 // the effective one; -1 unless Options.Users
	Numbers    []uint64            // its numbers from this pid namespace inwards; nil unless Options.Users
}

// ThreadInfo is what a table does not know about a thread.
type ThreadInfo struct {
	Comm    string // "" unless Options.Threads, or for the leader
	State   State  // 0 likewise
	Started time.Duration
}

// Of returns what was read of p; nil if p is not from a Snapshot.
func Of(p *axprocess.Process) *Info {
	info, _ := axprocess.DataOf[*Info](p)
	return info
}

// OfThread returns what was read of h; nil if h is not from a Snapshot.
func OfThread(h *axprocess.Thread) *ThreadInfo {
	info, _ := axprocess.DataOf[*ThreadInfo](h)
	return info
}

// Start returns when p was started, by the host's clock; zero if the host does
// not say when it booted.
func (s *Snapshot) Start(p *axprocess.Process) time.Time {
	info := Of(p)
	if info == nil || s.Boot.IsZero() {
		return time.Time{}
	}
	return s.Boot.Add(info.Started)
}

// Age returns how long ago p was started; 0 if the host does not say when it
// booted.
func (s *Snapshot) Age(p *axprocess.Process) time.Duration {
	start := s.Start(p)
	if start.IsZero() {
		return 0
	}
	return max(0, s.At.Sub(start))
}

// Read reads a host's processes. It fails if there are none to be read; whatever
// else goes wrong is in Snapshot.Left. It reads one to three files a process, on
// as many goroutines as there are processors.
func Read(opts Options) (*Snapshot, error) {
	if opts.Root == "" {
		opts.Root = Root
	}
	src, err := openProc(opts)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Untold: src.readUntold(), root: opts.Root}
	s.readClock(opts.Root)
	if name, err := os.ReadFile(filepath.Join(opts.Root, "sys/kernel/hostname")); err == nil {
		s.Host = string(bytes.TrimSpace(name))
	}
	s.Table, s.Left, err = settle(src)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", opts.Root, err)
	}
	return s, nil
}

// readClock sets At and Boot. The live host's clock is the machine's own, since
// a boot time in whole seconds is not good enough; a saved one's is in its files.
func (s *Snapshot) readClock(root string) {
	s.At = time.Now()
	text, err := os.ReadFile(filepath.Join(root, "uptime"))
	if err != nil {
		return
	}
	up, ok := parseUptime(text)
	if !ok {
		return
	}
	s.Boot = s.At.Add(-up)
	if root == Root {
		return
	}
	if text, err := os.ReadFile(filepath.Join(root, "stat")); err == nil {
		if boot, ok := parseBootTime(text); ok {
			s.Boot, s.At = boot, boot.Add(up)
		}
	}
}
