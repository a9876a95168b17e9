package report

import (
	"strings"
	"testing"
	"time"
)

// aLife is a shell that ran make in two parts; one compiler was left behind.
func aLife() *Life {
	s := time.Second
	return &Life{
		Command: []string{"sh", "build.sh"}, Duration: 10 * s, Outcome: "exit 0",
		Processes: []LifeProcess{
			{ID: 1, PID: 100, PPID: 1, Comm: "sh", Args: []string{"sh", "build.sh"}, Ended: true, End: 10 * s, Reaped: true, ReapedAt: 10 * s},
			{ID: 2, PID: 101, PPID: 100, StartedBy: 1, Comm: "make", Start: s, Ended: true, End: 6 * s, Exit: 2, Reaped: true, ReapedAt: 7 * s, ReapedBy: 1},
			{ID: 3, PID: 102, PPID: 101, StartedBy: 2, Comm: "cc1", Start: 2 * s, Ended: true, End: 4 * s, Signal: 11, Core: true},
			{ID: 4, PID: 103, PPID: 1, StartedBy: 2, Comm: "ccached", Start: 3 * s, Left: true,
				Threads: []LifeThread{{TID: 104, Comm: "worker", Start: 4 * s}}},
		},
	}
}

func TestLifeCheck(t *testing.T) {
	if err := aLife().Check(); err != nil {
		t.Fatal(err)
	}
	if got := aLife().Length(); got != 10*time.Second {
		t.Errorf("its time axis ends at %v", got)
	}
	for want, spoil := range map[string]func(*Life){
		"is 0 or another's":  func(l *Life) { l.Processes[1].ID = 1 },
		"not in the run":     func(l *Life) { l.Processes[1].StartedBy = 9 },
		"which started it":   func(l *Life) { l.Processes[1].Start = 3 * time.Second },
		"it lives from":      func(l *Life) { l.Processes[1].End = 0 },
		"before its end":     func(l *Life) { l.Processes[1].ReapedAt = 0 },
		"its own ancestor":   func(l *Life) { l.Processes[0].StartedBy, l.Processes[1].Start = 2, 0 },
		"execs are out of":   func(l *Life) { l.Processes[0].Execs = []LifeExec{{At: 2}, {At: 1}} },
		"its id 0 is 0 or a": func(l *Life) { l.Processes[1].ID = 0 },
	} {
		l := aLife()
		spoil(l)
		if err := l.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
