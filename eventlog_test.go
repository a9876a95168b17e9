package axprocess

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// values is a snapshot without what a replica doesn't know.
func values(snap *Snapshot) *Snapshot {
	v := *snap
	v.Processes = append([]ProcessImage(nil), snap.Processes...)
	for i := range v.Processes {
		m := &v.Processes[i]
		m.data = nil
		m.Lineage = append([]AncestorImage(nil), m.Lineage...)
		for j := range m.Lineage {
			m.Lineage[j].data = nil
		}
		m.Threads = append([]ThreadImage(nil), m.Threads...)
		for j := range m.Threads {
			m.Threads[j].data = nil
		}
	}
	v.Sessions = append([]SessionImage(nil), snap.Sessions...)
	for i := range v.Sessions {
		v.Sessions[i].data = nil
	}
	return &v
}

// sameSnapshot says where two snapshots differ, or "".
func sameSnapshot(a, b *Snapshot) string {
	a, b = values(a), values(b)
	a.At, b.At = a.At.UTC(), b.At.UTC()
	if reflect.DeepEqual(a, b) {
		return ""
	}
	for _, part := range [][2]any{{a, b}, {a.Sessions, b.Sessions}, {a.Groups, b.Groups}, {a.Processes, b.Processes}} {
		x, _ := json.MarshalIndent(part[0], "", " ")
		y, _ := json.MarshalIndent(part[1], "", " ")
		if string(x) != string(y) {
			return string(x) + "\nis not\n" + string(y)
		}
	}
	return "the values print alike and differ"
}

// follow applies to a replica what a reader has, up to event n.
func follow(r *Replica, from *Reader, n uint64) error {
	buf := make([]Event, 7)
	for r.Seq() < n {
		got, err := from.Read(context.Background(), buf[:min(uint64(len(buf)), n-r.Seq())])
		if err != nil {
			return err
		}
		for _, e := range buf[:got] {
			if err := r.Apply(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestSnapshotPlusEvents: a snapshot at n, plus the events to m, is the snapshot
// at m, after each operation of a random history.
func TestSnapshotPlusEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(0, 0)
		table := NewTable(WithEvents(4096), WithMaxPID(1000), WithLineage(2), WithClock(func() time.Time {
			now = now.Add(time.Second)
			return now
		}))
		replica := NewReplica(table.Snapshot())
		reader, err := table.EventsAfter(0)
		if err != nil {
			t.Fatal(err)
		}
		h := history{table: table, pick: func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }}
		h.begin()
		t.Repeat(map[string]func(*rapid.T){
			"steps": func(*rapid.T) {
				for range 5 {
					h.step()
				}
			},
			"": func(t *rapid.T) { checkReplica(t, table, replica, reader) },
		})
	})
}

func checkReplica(t *rapid.T, table *Table, replica *Replica, reader *Reader) {
	snap := table.Snapshot()
	if err := follow(replica, reader, snap.Seq); err != nil {
		t.Fatal(err)
	}
	if diff := sameSnapshot(replica.Snapshot(), snap); diff != "" {
		t.Fatalf("the replica at %d differs from the table: %s", snap.Seq, diff)
	}
	if err := table.Check(); err != nil {
		t.Fatal(err)
	}
}

// TestSnapshotPlusEventsConcurrently is the same while others write: snapshots
// are taken at any moment, and a replica that follows passes through each.
func TestSnapshotPlusEventsConcurrently(t *testing.T) {
	steps := 3000
	if testing.Short() {
		steps = 600
	}
	table := NewTable(WithEvents(1<<20), WithLineage(3))
	first := table.Snapshot()
	reader, err := table.EventsAfter(first.Seq)
	if err != nil {
		t.Fatal(err)
	}
	(&history{table: table, pick: rand.N[int]}).begin()
	var writers sync.WaitGroup
	for range 3 {
		writers.Go(func() {
			h := history{table: table, pick: rand.N[int], terms: []*Terminal{table.NewTerminal(nil)}}
			for range steps {
				h.step()
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	replica := NewReplica(first)
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		snap := table.Snapshot()
		if err := follow(replica, reader, snap.Seq); err != nil {
			t.Fatal(err)
		}
		if diff := sameSnapshot(replica.Snapshot(), snap); diff != "" {
			t.Fatalf("the replica at %d differs from the table: %s", snap.Seq, diff)
		}
	}
	if err := table.Check(); err != nil {
		t.Fatal(err)
	}
}

// TestMissedIsExact: a reader that comes too late is told which events it missed,
// and gets all others.
func TestMissedIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 300).Draw(t, "capacity")
		table := NewTable(WithEvents(capacity))
		p, err := table.NewInit(1).Build()
		if err != nil {
			t.Fatal(err)
		}
		reader, err := table.EventsAfter(0)
		if err != nil {
			t.Fatal(err)
		}
		next := uint64(1)
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				for range rapid.IntRange(1, 200).Draw(t, "n") {
					if err := p.AddUsage(Usage{User: 1}); err != nil {
						t.Fatal(err)
					}
				}
			},
			"read": func(t *rapid.T) {
				buf := make([]Event, rapid.IntRange(1, 100).Draw(t, "buffer"))
				n, err := reader.TryRead(buf)
				last := table.Snapshot().Seq
				var missed *MissedError
				if errors.As(err, &missed) {
					if n != 0 || missed.First != next || missed.Last < missed.First || last-missed.Last < uint64(min(int(last), capacity)) {
						t.Fatalf("%d events, and missed %+v; the next is %d, the last %d, %d are kept", n, missed, next, last, capacity)
					}
					next = missed.Last + 1
					return
				}
				if err != nil || n == 0 && next <= last {
					t.Fatalf("%d events and %v, from %d to %d", n, err, next, last)
				}
				for _, e := range buf[:n] {
					if e.Seq != next {
						t.Fatalf("event %d where %d comes next", e.Seq, next)
					}
					next++
				}
			},
		})
	})
}

// TestReadBlocks: Read blocks until an operation has appended, and until the
// context ends.
func TestReadBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := NewTable(WithEvents(10), WithClock(time.Now))
		p, err := table.NewInit(1).Build()
		if err != nil {
			t.Fatal(err)
		}
		reader, err := table.EventsAfter(table.Snapshot().Seq)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Hour)
			if _, err := p.Fork(2).Build(); err != nil {
				t.Error(err)
			}
		}()
		began := time.Now()
		var buf [4]Event
		n, err := reader.Read(t.Context(), buf[:])
		if n != 1 || err != nil || buf[0].Kind != EventForked || !buf[0].At.Equal(began.Add(time.Hour)) {
			t.Fatalf("%d events %v, %v", n, buf[:n], err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if n, err := reader.Read(ctx, buf[:]); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%d events, %v", n, err)
		}
	})
}

// TestEventsRefused: no reader of a table without events, nor of what has not
// happened; wrong capacities are told by NewInit.
func TestEventsRefused(t *testing.T) {
	if _, err := NewTable().EventsAfter(0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("without events: %v", err)
	}
	if _, err := NewTable(WithEvents(1)).EventsAfter(1); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("after an event to come: %v", err)
	}
	if _, err := NewTable(WithEvents(0)).NewInit(1).Build(); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("capacity 0: %v", err)
	}
}

// TestNobodyReads: a table whose events nobody reads keeps as many as it was told,
// and an operation allocates nothing for them but the next segment.
func TestNobodyReads(t *testing.T) {
	table := NewTable(WithEvents(100))
	p, err := table.NewInit(1).Build()
	if err != nil {
		t.Fatal(err)
	}
	for range 10_000 {
		if err := p.SetChildSubreaper(true); err != nil {
			t.Fatal(err)
		}
		if err := p.SetChildSubreaper(false); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(table.guarded.log.ring); n != 3 {
		t.Errorf("%d segments for a capacity of 100", n)
	}
	if n := cap(table.guarded.log.touched); n > 64 {
		t.Errorf("%d touched are kept", n)
	}
}

// TestEventWords shows what events say, with the example of the documentation.
func TestEventWords(t *testing.T) {
	table := NewTable(WithEvents(1000))
	init := must(table.NewInit(1).Build())
	p := must(init.Fork(800).Build())
	must(p.Fork(812).Build())
	if err := p.Exit(); err != nil {
		t.Fatal(err)
	}
	must(init.Kill(812, SIGSTOP))
	must(init.Kill(812, SIGKILL))
	must(init.Wait(t.Context(), 812, 0))
	reader := must(table.EventsAfter(0))
	buf := make([]Event, 100)
	n := must(reader.TryRead(buf))
	var got []string
	for _, e := range buf[:n] {
		got = append(got, e.String())
	}
	want := []string{
		"session 1 made", "group 1 made in session 1", "init 1 began",
		"forked 800 from 1, group 1, session 1",
		"forked 812 from 800, group 1, session 1",
		"exited 800 with code 0",
		"reparented 812 from 800 to 1: parent exited, no subreaper above",
		"stopped 812 by SIGSTOP", "SIGSTOP to 812, stopped: kill", "changed 812: a signal",
		"exited 812, killed by SIGKILL", "SIGKILL to 812, ended: kill",
		"freed 812: its parent waited for it",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("events\n%q, want\n%q", got, want)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestEventJSON: the JSON form of each event of a random history reads back as
// the same event.
func TestEventJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := NewTable(WithEvents(1<<14), WithMaxPID(1000))
		h := history{table: table, pick: func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }}
		h.begin()
		for range 60 {
			h.step()
		}
		buf := make([]Event, 1<<14)
		n, err := must(table.EventsAfter(0)).TryRead(buf)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range buf[:n] {
			text, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			var back Event
			if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(e, back) {
				t.Fatalf("%s reads back as %+v, %v", text, back, err)
			}
		}
	})
}
