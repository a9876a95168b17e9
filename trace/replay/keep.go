package replay

import (
	"time"

	"axprocess"
)

// This file is about keeping the world that a log leads to, for those who want to
// ask about a moment of it.

// Kept is the world of a log at a moment.
type Kept struct {
	World   *axprocess.Snapshot             // nothing is pending or blocked in it: signals are not followed
	Events  []axprocess.Event               // what led to it; times are those of the log since Epoch
	Comms   map[uint64]string               // names by unique id
	Numbers map[axprocess.PID]axprocess.PID // the log's numbers that others go by in World: one was given again before its exit line
	At      time.Duration                   // the moment, since the first line
	Timed   bool                            // the log has time stamps
}

// Epoch is when a log's first line is, in Kept.
var Epoch = time.Unix(0, 0).UTC()

// keptEvents is more than one line of a log leads to.
const keptEvents = 1 << 16

// keeper follows the table.
type keeper struct {
	reader *axprocess.Reader
	events []axprocess.Event
	buf    [64]axprocess.Event
	at     time.Duration
}

// options are those of a table that is kept.
func (k *keeper) options(rep *Report) []axprocess.Option {
	return []axprocess.Option{axprocess.WithEvents(keptEvents), axprocess.WithClock(func() time.Time {
		if !rep.Timed {
			return time.Time{}
		}
		return Epoch.Add(k.at)
	})}
}

// follow takes what has happened.
func (k *keeper) follow() error {
	for {
		n, err := k.reader.TryRead(k.buf[:])
		if err != nil || n == 0 {
			return err
		}
		for i := range k.buf[:n] {
			switch e := &k.buf[i]; e.Kind {
			case axprocess.EventChanged, axprocess.EventThreadChanged:
			default:
				k.events = append(k.events, *e)
			}
		}
	}
}

// keep says what the world is now.
func (e *engine) keep() *Kept {
	k := &Kept{World: e.t.Snapshot(), Events: e.keeper.events, Comms: map[uint64]string{},
		Numbers: map[axprocess.PID]axprocess.PID{}, At: e.keeper.at, Timed: e.rep.Timed}
	for num, p := range e.byTable {
		if p.p.State() == axprocess.Freed {
			continue
		}
		if p.life != nil {
			k.Comms[p.p.ID()] = p.life.Comm()
		}
		if logged := axprocess.PID(p.tid); logged > 0 && logged != num {
			k.Numbers[logged] = num
		}
	}
	for i := range k.World.Processes {
		m := &k.World.Processes[i]
		m.Pending, m.Queue, m.Self.Mask, m.Self.Pending, m.Self.Queue = 0, nil, 0, 0, nil
		for j := range m.Threads {
			m.Threads[j].Mask, m.Threads[j].Pending, m.Threads[j].Queue, m.Threads[j].Woken = 0, 0, nil, false
		}
	}
	return k
}
