package explain

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"axprocess"
)

// This file is about cases from a record: a snapshot, and the events after it up to
// the moment that is asked about.
//
// Invariant: what happened after that moment is not in the case.

// Record collects what a record tells, in its order, and makes a case of it.
type Record struct {
	until   time.Time // zero: the end
	over    bool
	replica *axprocess.Replica
	history []axprocess.Event
	comms   map[uint64]string // by unique id
	lost    int
}

// NewRecord begins a record that is asked about the moment until, or about its end
// if that is zero.
func NewRecord(until time.Time) *Record {
	return &Record{until: until, comms: map[uint64]string{}}
}

// Snapshot takes a snapshot, with which a record begins; a later one stands for
// events that were lost.
func (r *Record) Snapshot(s *axprocess.Snapshot) {
	if r.over || !r.until.IsZero() && s.At.After(r.until) {
		r.over = r.replica != nil
		return
	}
	if r.replica != nil {
		r.lost++
	}
	r.replica = axprocess.NewReplica(s)
}

// Event takes what comes next, and says whether more is wanted. It fails if the
// event does not follow from what came before (*axprocess.ReplicaError).
func (r *Record) Event(e axprocess.Event) (more bool, err error) {
	if r.over || !r.until.IsZero() && e.At.After(r.until) {
		r.over = true
		return false, nil
	}
	if r.replica == nil {
		return false, errors.New("the record has an event before its first snapshot")
	}
	if err := r.replica.Apply(e); err != nil {
		return false, err
	}
	r.history = append(r.history, e)
	return true, nil
}

// Name takes what a process executes; id is its unique id.
func (r *Record) Name(id uint64, args []string) {
	if !r.over && len(args) > 0 {
		r.comms[id] = filepath.Base(args[0])
	}
}

// Case makes the case. The table's processes have the record's unique ids.
func (r *Record) Case() (*Case, error) {
	if r.replica == nil {
		return nil, errors.New("the record has no snapshot")
	}
	table, err := r.replica.Snapshot().Table()
	if err != nil {
		return nil, err
	}
	c := &Case{Table: table, At: r.until, History: r.history}
	if c.At.IsZero() {
		c.At = r.replica.At()
	}
	started := map[uint64]time.Time{}
	for _, e := range r.history {
		if e.Kind == axprocess.EventForked {
			started[e.ID] = e.At
		}
	}
	c.About = func(p *axprocess.Process) About {
		return About{Comm: r.comms[p.ID()], Started: started[p.ID()]}
	}
	c.assume("record", "a record has what was seen of its processes: signals that they handle, ignore or block, and who is a child subreaper, only where that was followed")
	if r.lost > 0 {
		c.assume("lost", "%d times events were lost, and the record went on with a new snapshot", r.lost)
	}
	return c, nil
}

// gone says what became of a process that is not there any more, "" if the history
// does not have it.
func (c *Case) gone(pid axprocess.PID) string {
	for i := len(c.History) - 1; i >= 0; i-- {
		e := &c.History[i]
		if e.Kind != axprocess.EventFreed || e.PID != pid {
			continue
		}
		says := e.String()
		if !e.At.IsZero() {
			says += ", " + c.when(e.At)
		}
		return fmt.Sprintf(": %s", says)
	}
	return ""
}
