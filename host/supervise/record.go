package supervise

import (
	"strings"
	"time"

	"axprocess"
)

// This file is about what is known of one process: Process is the copy that
// callers get, record the keeper's own.

// Process is what is known of one descendant. It is a copy.
type Process struct {
	ID        uint64        // unique in the run, in the order of discovery, from 1
	PID       axprocess.PID // may have been another's before, and be another's now
	PPID      axprocess.PID // its last parent that is known
	StartedBy uint64        // ID of the process that forked it; 0: we did, or it isn't known
	Guessed   bool          // StartedBy was its parent when it was first seen: another may have forked it
	PGID, SID axprocess.PID // the last ones seen

	Comm string
	Args []string // of the last exec that was seen, or of its forker

	Start, End time.Time           // End is zero while it lives
	Cause      axprocess.WaitCause // how it ended: Exited, Killed or Dumped; 0: it lives, or it isn't known
	Code       int32               // its exit code or signal

	ReapedBy      axprocess.PID // who waited for it; 0: nobody yet, nobody had to, or it isn't known
	Reaped        time.Time     // zero: nobody has, or it isn't known when
	ReapInferred  bool          // ReapedBy follows from what else happened, and was not seen
	Neglected     bool          // its parent ended without waiting for it, or still hasn't
	Reparented    []Reparenting // in order
	GroupInferred bool          // a change of group or session was found after it happened

	Left       bool   // it was alive when the command had ended, or could not be ended
	Kept       bool   // and was meant to stay
	Unkillable string // why it could not be ended, or ""
	Unseen     string // why its birth was not seen, or ""

	Execs   []Exec
	Threads []Thread // all but the leader, in the order in which they were seen
}

// Reparenting is a change of parent.
type Reparenting struct {
	At       time.Time
	From, To axprocess.PID
	Why      string
}

// Exec is an execve(2) that succeeded.
type Exec struct {
	At   time.Time
	Args []string
}

// Thread is a thread that doesn't lead its process.
type Thread struct {
	TID        axprocess.PID
	Start, End time.Time // End is zero while it lives, or if it ended with its process
}

// Alive says whether it had not ended when the copy was made.
func (p *Process) Alive() bool { return p.End.IsZero() }

// Command returns its arguments in one line, or its name in brackets.
func (p *Process) Command() string {
	if line := strings.TrimSpace(strings.Join(p.Args, " ")); line != "" {
		return line
	}
	return "[" + p.Comm + "]"
}

// record is a Process as the keeper works on it.
type record struct {
	Process
	model    *axprocess.Process // nil: the table could not take it
	starter  *record
	start    uint64 // its start in clock ticks, as in its stat line; 0: not read
	consumed bool   // a tracer's wait has taken its end from our own children
	threads  map[int]int
	stopped  axprocess.Signal
}

// isDead says whether it has ended, reaped or not.
func (r *record) isDead() bool { return !r.End.IsZero() }

// copy returns what callers may keep.
func (r *record) copy() Process {
	p := r.Process
	p.Args = append([]string(nil), p.Args...)
	p.Execs = append([]Exec(nil), p.Execs...)
	p.Threads = append([]Thread(nil), p.Threads...)
	p.Reparented = append([]Reparenting(nil), p.Reparented...)
	return p
}
