package replay

import (
	"errors"
	"fmt"
	"io"
	"time"

	"axprocess"
	"axprocess/trace/journal"
)

// This file is about our own records. Their events are the table's own; what is
// checked is that each follows from those before, and that what they lead to keeps
// every invariant.

// journalPlay replays one journal.
type journalPlay struct {
	rep     *Report
	start   time.Time
	command []string // what was run: the first process, until it is named itself
	replica *axprocess.Replica
	lives   map[uint64]*Life
	parents map[uint64]uint64
	line    int64
	at      time.Duration
}

// Journal replays a journal of axp record. name is for the report; of the options
// only Progress counts. Errors are of reading and of the format.
func Journal(name string, r io.Reader, opt Options) (*Report, error) {
	in, err := journal.NewReader(r)
	if err != nil {
		return nil, err
	}
	j := &journalPlay{rep: newReport(name), start: in.Head.Start, command: in.Head.Command, lives: map[uint64]*Life{}, parents: map[uint64]uint64{}}
	j.rep.Timed = true
	var end *journal.End
	for {
		e, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if j.line = int64(e.Line); j.line&(1<<14-1) == 0 && opt.Progress != nil {
			opt.Progress(j.line)
		}
		if e.End != nil {
			end = e.End
		}
		if !j.entry(e) {
			break
		}
	}
	j.rep.Lines = j.line
	j.finish(in.Cut(), end)
	return j.rep, nil
}

// entry plays one entry, and says whether there can be more.
func (j *journalPlay) entry(e *journal.Entry) bool {
	switch {
	case e.Snapshot != nil:
		j.check("snapshot", e.Snapshot)
		j.replica = axprocess.NewReplica(e.Snapshot)
		for i := range e.Snapshot.Processes {
			p := &e.Snapshot.Processes[i]
			if j.born(p.ID, p.PID, 0, p.PGID, 0); p.PID == e.Snapshot.Init && j.lives[p.ID].Args == nil {
				j.lives[p.ID].Args = []string{"axp", "record"}
			}
		}
	case e.Missed != nil:
		j.rep.note("line %d: events %d to %d were not kept; a new snapshot follows", j.line, e.Missed.From, e.Missed.To)
	case e.Name != nil:
		j.named(e.Name)
	case e.Event != nil:
		return j.event(e.Event)
	}
	return true
}

// check asks every invariant of a table that is made from a snapshot.
func (j *journalPlay) check(what string, s *axprocess.Snapshot) {
	t, err := s.Table()
	if err == nil {
		err = t.Check()
	}
	if err != nil {
		j.rep.disagree(what, Mismatch{Line: j.line, Call: what, Want: "a table that keeps its invariants", Got: err.Error(), Rule: "Table.Check"})
		return
	}
	j.rep.count(what, agrees, "")
}

// event applies one event.
func (j *journalPlay) event(e *axprocess.Event) bool {
	j.rep.Records++
	if !e.At.IsZero() && !j.start.IsZero() {
		j.at = max(j.at, e.At.Sub(j.start))
	}
	kind := e.Kind.String()
	if j.replica == nil {
		j.rep.disagree(kind, Mismatch{Line: j.line, Call: e.String(), Want: "a snapshot first", Got: "none", Rule: "docs/replay.md"})
		return false
	}
	if err := j.replica.Apply(*e); err != nil {
		j.rep.disagree(kind, Mismatch{Line: j.line, Call: e.String(), Want: "an event that follows from those before", Got: err.Error(),
			Rule: "a snapshot and the events after it are the table"})
		return false
	}
	j.rep.count(kind, agrees, "")
	j.live(e)
	return true
}

// live notes what an event means for the tree over time.
func (j *journalPlay) live(e *axprocess.Event) {
	l := j.lives[e.ID]
	switch e.Kind {
	case axprocess.EventForked:
		by := e.ParentID
		if e.ForkerID != 0 {
			by = e.ForkerID
		}
		j.born(e.ID, e.PID, by, e.PGID, e.SID)
		j.parents[e.ID] = e.ParentID
	case axprocess.EventImported:
		if e.Process != nil {
			j.born(e.ID, e.PID, 0, e.Process.PGID, 0)
		}
	case axprocess.EventThreadStarted:
		j.rep.Threads++
		if l != nil && e.TID != e.PID {
			l.Threads = append(l.Threads, ThreadLife{TID: e.TID, Start: j.at})
		}
	case axprocess.EventThreadExited:
		if l != nil {
			for i := range l.Threads {
				if l.Threads[i].TID == e.TID && l.Threads[i].End == 0 {
					l.Threads[i].End = j.at
				}
			}
		}
	case axprocess.EventExeced:
		if l != nil {
			l.Execs = append(l.Execs, Exec{At: j.at, Args: l.Args})
		}
	case axprocess.EventMoved:
		if l != nil {
			l.PGID, l.SID = e.PGID, e.SID
		}
	case axprocess.EventReparented:
		j.parents[e.ID] = e.ParentID
		if l != nil {
			l.PPID = e.Parent
		}
	case axprocess.EventExited:
		if l != nil {
			l.Ended, l.End, l.EndLine, l.Exit = true, j.at, j.line, e.Code
			if e.Cause != axprocess.Exited {
				l.Signal, l.Core, l.Exit = axprocess.Signal(e.Code), e.Cause == axprocess.Dumped, -1
			}
		}
	case axprocess.EventFreed:
		if l != nil {
			l.Reaped, l.ReapedAt, l.ReapedLine = true, j.at, j.line
			if by := j.lives[j.parents[e.ID]]; by != nil {
				l.ReapedBy = by.ID
			}
		}
		delete(j.parents, e.ID)
	}
}

func (j *journalPlay) born(id uint64, pid axprocess.PID, by uint64, pgid, sid axprocess.PID) {
	if j.lives[id] != nil || len(j.rep.Lives) >= maxLives {
		return
	}
	l := &Life{ID: id, PID: pid, PGID: pgid, SID: sid, Start: j.at, StartLine: j.line, Exit: -1}
	if starter := j.lives[by]; starter != nil {
		l.StartedBy, l.PPID, l.Args = by, starter.PID, starter.Args
	}
	if starter := j.lives[by]; starter != nil && starter.StartedBy == 0 && j.command != nil {
		l.Args, j.command = j.command, nil // it may have ended before anybody could ask
	}
	j.lives[id] = l
	j.rep.Lives = append(j.rep.Lives, l)
	j.rep.Processes++
}

func (j *journalPlay) named(n *journal.Name) {
	l := j.lives[n.ID]
	if l == nil {
		return
	}
	l.Args = n.Args
	if k := len(l.Execs); k > 0 && l.Execs[k-1].At == j.at {
		l.Execs[k-1].Args = n.Args
	}
}

func (j *journalPlay) finish(cut error, end *journal.End) {
	j.rep.Duration = j.at
	if j.replica != nil && j.rep.Mismatched == 0 {
		j.check("the table at the end", j.replica.Snapshot())
	}
	if cut != nil {
		j.rep.note("the journal is cut: %v", cut)
	}
	switch {
	case end == nil:
		j.rep.note("the journal has no end: who wrote it was ended")
	case end.Lost < 0:
		j.rep.note("whether events are missing can't be known")
	case end.Lost > 0:
		j.rep.note("%d events are missing", end.Lost)
	}
	if end != nil && cut == nil && j.rep.Mismatched == 0 && end.Events != uint64(j.rep.Records) {
		j.rep.disagree("end", Mismatch{Line: j.line, Call: "the end", Want: fmt.Sprintf("%d events", end.Events),
			Got: fmt.Sprintf("%d events", j.rep.Records), Rule: "the last line counts them"})
	}
}
