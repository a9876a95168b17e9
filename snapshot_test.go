package axprocess

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"
)

// populated makes a table of n processes with leader threads: sessions of a
// thousand, groups of ten, each process a child of its session's leader.
func populated(tb testing.TB, n int, opts ...Option) *Table {
	tb.Helper()
	table := NewTable(opts...)
	init := must(table.NewInit(NextPID).Leader(nil).Build())
	var shell *Process
	for i := 1; i < n; i++ {
		if shell == nil || i%1000 == 0 {
			shell = must(init.Fork(NextPID).Leader(nil).Build())
			must(shell.Setsid())
			continue
		}
		p := must(shell.Fork(NextPID).Leader(nil).Build())
		if i%10 == 0 {
			must(p.CreateGroup())
		}
	}
	return table
}

// TestSnapshotSays: a snapshot has what the table's own methods say.
func TestSnapshotSays(t *testing.T) {
	table := populated(t, 3000)
	must(table.Init().Kill(7, SIGSTOP))
	must(table.Init().Kill(8, SIGTERM))
	snap := table.Snapshot()
	if len(snap.Processes) != table.Len() || snap.Init != 1 || snap.MaxPID != table.MaxPID() {
		t.Fatalf("%d processes, init %d, maximum %d", len(snap.Processes), snap.Init, snap.MaxPID)
	}
	for i, p := range table.Processes() {
		m := snap.Processes[i]
		if m.PID != p.PID() || m.ID != p.ID() || m.PGID != p.Group().PGID() || m.State != p.State() || m.Stopped != p.Stopped() {
			t.Fatalf("%+v is not process %d", m, p.PID())
		}
		if parent := p.Parent(); parent != nil && m.Parent != parent.PID() {
			t.Fatalf("process %d: parent %d, want %d", m.PID, m.Parent, parent.PID())
		}
	}
	for i, v := range table.Sessions() {
		groups := v.ProcessGroups()
		if snap.Sessions[i].SID != v.SID() || !slices.Equal(snap.Sessions[i].Groups, numbersOf(groups, (*ProcessGroup).PGID)) {
			t.Fatalf("%+v is not session %d", snap.Sessions[i], v.SID())
		}
		for _, g := range groups {
			at := slices.IndexFunc(snap.Groups, func(m GroupImage) bool { return m.PGID == g.PGID() })
			if !slices.Equal(snap.Groups[at].Members, numbersOf(g.Processes(), (*Process).PID)) {
				t.Fatalf("%+v is not group %d", snap.Groups[at], g.PGID())
			}
		}
	}
}

func numbersOf[T any](all []T, number func(T) PID) []PID {
	var to []PID
	for _, one := range all {
		to = append(to, number(one))
	}
	return to
}

// BenchmarkSnapshotLock says how long a snapshot holds the lock, a process:
// lock-ns/process is the share of others' waiting, ns/op all of it.
func BenchmarkSnapshotLock(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("processes=%d", n), func(b *testing.B) {
			table := populated(b, n)
			s := &table.guarded
			var held time.Duration
			for b.Loop() {
				c := newCut(s.room())
				began := time.Now()
				s := table.enter()
				c.fill(s)
				s.leave()
				held += time.Since(began)
			}
			b.ReportMetric(float64(held.Nanoseconds())/float64(b.N)/float64(n), "lock-ns/process")
		})
	}
}

// BenchmarkSnapshot is all of a snapshot, and of what is done with one, while
// somebody forks and waits.
func BenchmarkSnapshot(b *testing.B) {
	const n = 200_000
	table := populated(b, n)
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		init := table.Init()
		for {
			select {
			case <-stop:
				return
			default:
			}
			p := must(init.Fork(NextPID).Build())
			if err := p.Exit(); err != nil {
				panic(err)
			}
			if err := p.Free(); err != nil {
				panic(err)
			}
		}
	})
	for name, do := range map[string]func(){
		"snapshot": func() { table.Snapshot() },
		"clone":    func() { must(table.Clone()) },
		"save": func() {
			if err := table.Save(io.Discard); err != nil {
				b.Fatal(err)
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				do()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/process")
		})
	}
	close(stop)
	writer.Wait()
}
