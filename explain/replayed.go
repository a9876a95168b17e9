package explain

import (
	"fmt"
	"time"

	"axprocess"
	"axprocess/trace/replay"
)

// This file is about cases from the replay of a log of strace.

// OfReplay makes a case of what a replay kept.
func OfReplay(k *replay.Kept) (*Case, error) {
	table, err := k.World.Table()
	if err != nil {
		return nil, err
	}
	started := map[uint64]time.Time{}
	for _, e := range k.Events {
		if e.Kind == axprocess.EventForked {
			started[e.ID] = e.At
		}
	}
	c := &Case{Table: table, History: k.Events, Numbers: k.Numbers, Since: replay.Epoch}
	if k.Timed {
		c.At = replay.Epoch.Add(k.At)
	}
	c.About = func(p *axprocess.Process) About {
		return About{Comm: k.Comms[p.ID()], Started: started[p.ID()]}
	}
	c.assume("log", "a log has what strace saw: what processes do on signals is not followed, so the defaults are taken; who lived before its first line is inferred, as axp replay tells, and numbers above %d stand for those that it does not name", 1<<22-1)
	for logged, num := range k.Numbers {
		c.assume("numbers", "process %d of the log goes by %d here: its number was given again before its exit line", logged, num)
	}
	return c, nil
}

// when is a time in words.
func (c *Case) when(t time.Time) string {
	if c.Since.IsZero() {
		return "at " + t.Format(time.RFC3339Nano)
	}
	return fmt.Sprintf("%s after the first line", t.Sub(c.Since))
}

// moment is what the case shows, if it is a time that means something by itself.
func (c *Case) moment() time.Time {
	if c.Since.IsZero() {
		return c.At
	}
	return time.Time{}
}
