package report

import (
	"fmt"
	"slices"
	"time"

	"axprocess"
)

// This file is about the life of a run's processes as values: what whoever
// followed or replayed a run fills in, and Timeline and ChromeTrace draw.
//
// Invariants, which Check holds it to:
//   - ids are unique and not 0, and starters are among them and came before;
//   - times are since the run's start, and each process's are in order.

// Life is the processes of one run.
type Life struct {
	Command   []string      // what was run
	Start     time.Time     // of the run; zero: not known
	Duration  time.Duration // the time axis ends here, or at the last end
	Outcome   string        // how the run ended, in words: "exit 0", "killed by SIGTERM"
	Lost      int           // processes or events that are known to be missing; < 0: can't be known
	Processes []LifeProcess // in any order
}

// LifeProcess is one process of a run.
type LifeProcess struct {
	ID        uint64 // unique in the run, not 0; numbers are reused, ids are not
	PID       axprocess.PID
	PPID      axprocess.PID // its parent's number, the last one known
	PGID, SID axprocess.PID // the last ones known; 0: not known
	StartedBy uint64        // ID of the process that forked it; 0: the run's first, or not known
	Comm      string        // the short name
	Args      []string      // of the last exec that is known

	Start  time.Duration
	Ended  bool
	End    time.Duration    // its exit, if it has Ended
	Signal axprocess.Signal // what killed it, or 0
	Core   bool             // and it left a core
	Exit   int32            // its exit code, if nothing killed it; < 0: not known

	Reaped   bool          // somebody waited for it, or nobody had to
	ReapedAt time.Duration // till then it was a zombie, from End on
	ReapedBy uint64        // ID of who waited; 0: nobody had to, somebody outside, or not known
	Left     bool          // it was still there when the run's command had ended

	Execs   []LifeExec   // in order
	Threads []LifeThread // without the leader, in any order
}

// LifeExec is one exec of a process.
type LifeExec struct {
	At   time.Duration
	Args []string
}

// LifeThread is one thread of a process.
type LifeThread struct {
	TID        axprocess.PID
	Comm       string
	Start, End time.Duration // End 0: as long as its process
}

// Length returns where the time axis ends: Duration, or the last time named.
func (l *Life) Length() time.Duration {
	end := l.Duration
	for i := range l.Processes {
		p := &l.Processes[i]
		end = max(end, p.Start, p.End, p.ReapedAt)
	}
	return end
}

// Check returns nil, or what in l contradicts itself.
func (l *Life) Check() error {
	at := make(map[uint64]*LifeProcess, len(l.Processes))
	for i := range l.Processes {
		p := &l.Processes[i]
		if p.ID == 0 || at[p.ID] != nil {
			return fmt.Errorf("process %d: its id %d is 0 or another's", p.PID, p.ID)
		}
		at[p.ID] = p
	}
	for i := range l.Processes {
		p := &l.Processes[i]
		starter := at[p.StartedBy]
		switch {
		case p.StartedBy != 0 && starter == nil:
			return fmt.Errorf("process %d: who started it, id %d, is not in the run", p.PID, p.StartedBy)
		case starter != nil && starter.Start > p.Start, starter == p:
			return fmt.Errorf("process %d: it started before process %d, which started it", p.PID, starter.PID)
		case p.Start < 0, p.Ended && p.End < p.Start:
			return fmt.Errorf("process %d: it lives from %v to %v", p.PID, p.Start, p.End)
		case p.Reaped && (!p.Ended || p.ReapedAt < p.End):
			return fmt.Errorf("process %d: it was waited for at %v, before its end", p.PID, p.ReapedAt)
		case !slices.IsSortedFunc(p.Execs, func(a, b LifeExec) int { return int(a.At - b.At) }):
			return fmt.Errorf("process %d: its execs are out of order", p.PID)
		}
	}
	return l.checkCycles(at)
}

// checkCycles: following starters ends. Equal start times would allow a circle.
func (l *Life) checkCycles(at map[uint64]*LifeProcess) error {
	sound := make(map[uint64]bool, len(at))
	for i := range l.Processes {
		var way []uint64
		for id := l.Processes[i].ID; id != 0 && !sound[id]; id = at[id].StartedBy {
			if way = append(way, id); len(way) > len(at) {
				return fmt.Errorf("process %d: it is its own ancestor", at[id].PID)
			}
		}
		for _, id := range way {
			sound[id] = true
		}
	}
	return nil
}
