package host

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"axprocess"
)

// shifting is a host that changes while it is read: a table on which random
// operations happen between two looks, and between the two halves of one look.
type shifting struct {
	mu      sync.Mutex
	rng     *rand.Rand
	table   *axprocess.Table
	changes int // that are still to come
}

func newShifting(t *testing.T, seed uint64, changes int) *shifting {
	s := &shifting{rng: rand.New(rand.NewPCG(seed, 0)), table: axprocess.NewTable(axprocess.WithMaxPID(40))}
	if _, err := s.table.NewInit(1).Leader(nil).Build(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		s.change()
	}
	s.changes = changes
	return s
}

// change does one random thing that processes do; refusals are part of it.
func (s *shifting) change() {
	all := s.table.Processes()
	p := all[s.rng.IntN(len(all))]
	switch s.rng.IntN(8) {
	case 0, 1:
		_, _ = p.Fork(axprocess.NextPID).Leader(nil).Build()
	case 2:
		_, _ = p.NewThread(axprocess.NextPID).Build()
	case 3:
		_, _ = p.Setsid()
	case 4:
		_ = p.Setpgid(0, all[s.rng.IntN(len(all))].PID())
	case 5:
		_ = p.Setpgid(0, 0)
	case 6:
		if p.PID() != 1 {
			_ = p.GroupKill(axprocess.SIGKILL, false)
		}
	case 7:
		_ = p.Free()
	}
}

func (s *shifting) maybeChange() {
	for s.changes > 0 && s.rng.IntN(3) != 0 {
		s.changes--
		s.change()
	}
}

func (s *shifting) pids() ([]axprocess.PID, error) {
	var pids []axprocess.PID
	for _, p := range s.table.Processes() {
		pids = append(pids, p.PID())
	}
	return pids, nil
}

func (s *shifting) process(pid axprocess.PID) (found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maybeChange()
	p := s.table.Process(pid)
	if p == nil {
		return found{}, errEnded
	}
	f := found{info: &Info{Started: time.Duration(p.ID()), State: Sleeping, TTY: TTY(s.rng.IntN(4)), Foreground: axprocess.PID(s.rng.IntN(42) - 1)}}
	f.record = axprocess.ProcessRecord{PID: pid, PGID: p.Group().PGID(), SID: p.Session().SID(), Zombie: p.IsZombie(), Data: f.info}
	if parent := p.Parent(); parent != nil {
		f.record.PPID = parent.PID()
	}
	s.maybeChange()
	if s.table.Process(pid) != p {
		return found{}, errEnded
	}
	threads := p.Threads()
	if f.record.Zombie = len(threads) == 0; f.record.Zombie {
		return f, nil
	}
	for _, h := range threads {
		f.record.Threads = append(f.record.Threads, axprocess.ThreadRecord{TID: h.TID(), Data: &ThreadInfo{}})
	}
	f.record.LeaderExited = threads[0].TID() != pid
	return f, nil
}

// TestSettle: whatever happens while a host is read, the table is sound, and
// whoever was there all the time is in it or named as left out. Once nothing
// changes any more, nobody is left out.
func TestSettle(t *testing.T) {
	rounds := 2000
	if testing.Short() {
		rounds = 400
	}
	for seed := range uint64(rounds) {
		s := newShifting(t, seed, []int{0, 20, 400, 1 << 30}[seed%4])
		before := map[uint64]axprocess.PID{}
		for _, p := range s.table.Processes() {
			before[p.ID()] = p.PID()
		}
		table, left, err := settle(s)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := table.Check(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		omitted := map[axprocess.PID]string{}
		for _, o := range left {
			omitted[o.PID] = o.Reason
		}
		for _, p := range s.table.Processes() {
			if before[p.ID()] == 0 {
				continue
			}
			got := table.Process(p.PID())
			if got == nil && omitted[p.PID()] == "" {
				t.Fatalf("seed %d: process %d was there all the time and is neither in the table nor named", seed, p.PID())
			}
			if got != nil && Of(got).Started > time.Duration(p.ID()) {
				t.Fatalf("seed %d: process %d is another than the one that was there all the time", seed, p.PID())
			}
		}
		if seed%4 == 0 && len(left) > 0 {
			t.Fatalf("seed %d: nothing changed, and %v is left out", seed, left)
		}
	}
}

// fixed is a source that always says the same.
type fixed []axprocess.ProcessRecord

func (s fixed) pids() (pids []axprocess.PID, err error) {
	for _, r := range s {
		pids = append(pids, r.PID)
	}
	return pids, nil
}

func (s fixed) process(pid axprocess.PID) (found, error) {
	for _, r := range s {
		if r.PID == pid {
			info := &Info{Started: time.Duration(pid)}
			r.Data = info
			return found{record: r, info: info}, nil
		}
	}
	return found{}, errEnded
}

// TestSettleForced: contradictions that stay are left out, each with its reason,
// and the rest is entered.
func TestSettleForced(t *testing.T) {
	for name, c := range map[string]struct {
		src  fixed
		in   []axprocess.PID
		left string
	}{
		"a parent that is nowhere": {
			fixed{{PID: 1, PGID: 1, SID: 1}, {PID: 5, PPID: 4, PGID: 1, SID: 1}},
			[]axprocess.PID{1, 5}, "[{4 it ended while the host was read} {5 its parent is not in sight}]"},
		"a parent that is a zombie": {
			fixed{{PID: 1, PGID: 1, SID: 1}, {PID: 4, PPID: 1, PGID: 1, SID: 1, Zombie: true}, {PID: 5, PPID: 4, PGID: 1, SID: 1}},
			[]axprocess.PID{1, 4, 5}, "[{5 its parent is not in sight}]"},
		"a group of two sessions": {
			fixed{{PID: 1, PGID: 1, SID: 1}, {PID: 5, PPID: 1, PGID: 5, SID: 1}, {PID: 6, PPID: 1, PGID: 5, SID: 6}},
			[]axprocess.PID{1, 5}, "[{6 it contradicts others: group 5 is of session 1 and of session 6}]"},
		"a circle": {
			fixed{{PID: 1, PGID: 1, SID: 1}, {PID: 5, PPID: 6, PGID: 1, SID: 1}, {PID: 6, PPID: 5, PGID: 1, SID: 1}},
			[]axprocess.PID{1, 6}, "[{5 it contradicts others: it is its own ancestor} {6 its parent is not in sight}]"},
		"no process 1": {
			fixed{{PID: 7, PPID: 3, PGID: 7, SID: 7}, {PID: 8, PPID: 7, PGID: 7, SID: 7}},
			[]axprocess.PID{7, 8}, "[{3 it ended while the host was read} {7 its parent is not in sight}]"},
		"a session that is also another's group": {
			fixed{{PID: 1, PGID: 1, SID: 1}, {PID: 5, PPID: 1, PGID: 9, SID: 1}, {PID: 6, PPID: 1, PGID: 6, SID: 9}},
			[]axprocess.PID{1}, ""},
	} {
		table, left, err := settle(c.src)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := table.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, pid := range c.in {
			if table.Process(pid) == nil {
				t.Errorf("%s: %d is not in the table", name, pid)
			}
		}
		if got := fmt.Sprint(left); c.left != "" && got != c.left {
			t.Errorf("%s: left out %s, want %s", name, got, c.left)
		}
		if table.Len()+len(left) < len(c.src) {
			t.Errorf("%s: %d in the table, %d left out of %d", name, table.Len(), len(left), len(c.src))
		}
	}
}

func TestSettleNothing(t *testing.T) {
	if _, _, err := settle(fixed{}); err == nil {
		t.Error("an empty host is read")
	}
	var contradicts *axprocess.ImportError
	if _, _, err := settle(fixed{{PID: 5, PGID: 5, SID: 5, Zombie: true}}); !errors.As(err, &contradicts) {
		t.Errorf("a host that is one zombie: %v", err)
	}
}
