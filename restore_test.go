package axprocess

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// randomTable makes a table with a random history.
func randomTable(pick func(int) int, steps int, opts ...Option) *history {
	h := &history{table: NewTable(append([]Option{WithMaxPID(1000)}, opts...)...), pick: pick}
	h.begin()
	for range steps {
		h.step()
	}
	return h
}

// TestCloneGoesOnAlike: a clone, and a table saved and restored, equal the original
// and pass Check; and the same operations on all three have the same outcome, so
// nothing that decides about the future is missing.
func TestCloneGoesOnAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		original := randomTable(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }, 60, WithLineage(2))
		clone := must(original.table.Clone())
		var file bytes.Buffer
		if err := original.table.Save(&file); err != nil {
			t.Fatal(err)
		}
		restored, err := Restore(&file)
		if err != nil {
			t.Fatalf("%v\n%s", err, file.String())
		}
		seed := rapid.Uint64().Draw(t, "seed")
		want := original.table.Snapshot()
		for step := range 40 {
			for name, table := range map[string]*Table{"clone": clone, "restored": restored} {
				if diff := sameSnapshot(table.Snapshot(), want); diff != "" {
					t.Fatalf("step %d: the %s table differs: %s", step, name, diff)
				}
				if err := table.Check(); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			for _, table := range []*Table{original.table, clone, restored} {
				(&history{table: table, pick: rand.New(rand.NewPCG(seed, uint64(step))).IntN}).step()
			}
			want = original.table.Snapshot()
		}
	})
}

// TestCloneIsApart: what happens to a clone leaves the original alone, and data are
// shared.
func TestCloneIsApart(t *testing.T) {
	h := randomTable(rand.New(rand.NewPCG(1, 2)).IntN, 200)
	before := h.table.Snapshot()
	clone := must(h.table.Clone())
	for _, p := range clone.Processes() {
		if p.Data() != h.table.Process(p.PID()).Data() || p.ID() != h.table.Process(p.PID()).ID() {
			t.Errorf("process %d of the clone has other data or another id", p.PID())
		}
		for i, thread := range p.Threads() {
			if thread.Data() != h.table.Process(p.PID()).Threads()[i].Data() {
				t.Errorf("thread %d of the clone has other data", thread.TID())
			}
		}
	}
	other := history{table: clone, pick: rand.New(rand.NewPCG(3, 4)).IntN}
	for range 200 {
		other.step()
	}
	if diff := sameSnapshot(h.table.Snapshot(), before); diff != "" {
		t.Errorf("the original has changed: %s", diff)
	}
}

// TestSnapshotConsistentUnderLoad: each snapshot taken while others write can be
// made a table, which passes Check.
func TestSnapshotConsistentUnderLoad(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 40
	}
	table := NewTable()
	(&history{table: table, pick: rand.N[int]}).begin()
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for range 3 {
		writers.Go(func() {
			h := history{table: table, pick: rand.N[int]}
			for {
				select {
				case <-stop:
					return
				default:
					h.step()
				}
			}
		})
	}
	defer writers.Wait()
	defer close(stop)
	for range rounds {
		if _, err := table.Snapshot().Table(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRestoreOptions: options hold for a restored table, and wrong ones are told.
func TestRestoreOptions(t *testing.T) {
	table := NewTable(WithMaxPID(50))
	init := must(table.NewInit(40).Build())
	if _, err := table.Clone(WithMaxPID(30)); err == nil || !strings.Contains(err.Error(), "session 40") {
		t.Errorf("numbers above the maximum: %v", err)
	}
	if _, err := table.Clone(WithLock(nil)); !errors.As(err, new(*Error)) {
		t.Errorf("WithLock(nil): %v", err)
	}
	if n := must(table.Clone(WithMaxPID(60))).MaxPID(); n != 60 {
		t.Errorf("MaxPID %d", n)
	}
	if n := must(table.Clone()).MaxPID(); n != 50 {
		t.Errorf("MaxPID %d without the option", n)
	}
	must(init.Fork(NextPID).Build())
	if p := must(must(table.Clone()).Init().Fork(NextPID).Build()); p.PID() != 2 {
		t.Errorf("the number after the clone's cursor is %d", p.PID())
	}
}

// TestCloneNumbersEventsOn: the events of a clone begin after the last one before
// the cut, and a reader that wants earlier ones is told that it missed them.
func TestCloneNumbersEventsOn(t *testing.T) {
	h := randomTable(rand.New(rand.NewPCG(5, 6)).IntN, 300, WithEvents(1000))
	snap := h.table.Snapshot()
	clone := must(snap.Table(WithEvents(1000)))
	early, reader := must(clone.EventsAfter(snap.Seq-3)), must(clone.EventsAfter(snap.Seq))
	other := history{table: clone, pick: rand.New(rand.NewPCG(7, 8)).IntN}
	for range 50 {
		other.step()
	}
	replica := NewReplica(snap)
	then := clone.Snapshot()
	if err := follow(replica, reader, then.Seq); err != nil {
		t.Fatal(err)
	}
	if diff := sameSnapshot(replica.Snapshot(), then); diff != "" {
		t.Errorf("the replica differs: %s", diff)
	}
	_, err := early.TryRead(make([]Event, 1))
	var missed *MissedError
	if !errors.As(err, &missed) || missed.First != snap.Seq-2 || missed.Last != snap.Seq {
		t.Errorf("a reader from before the clone got %v", err)
	}
}
