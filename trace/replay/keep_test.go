package replay

import (
	"maps"
	"slices"
	"testing"
	"time"

	"axprocess"
)

// TestKept: the world of each recorded log, at its end and in its middle, is a
// table that keeps its invariants, and what is kept of it belongs together.
func TestKept(t *testing.T) {
	logs := recorded(t)
	names := slices.Sorted(maps.Keys(logs))
	if testing.Short() {
		names = names[:8]
	}
	for _, name := range names {
		whole, err := play(logs[name], Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, until := range []time.Duration{0, max(whole.Duration/2, 1)} {
			if until > 0 && !whole.Timed {
				continue
			}
			r, err := play(logs[name], Options{Keep: true, Until: until})
			if err != nil {
				t.Fatalf("%s until %s: %v", name, until, err)
			}
			k := r.Kept
			if _, err := k.World.Table(); err != nil {
				t.Errorf("%s until %s: %v", name, until, err)
			}
			if until > 0 && k.At > until || until == 0 && r.Agreed != whole.Agreed {
				t.Errorf("%s until %s: kept at %s; %d agreed, %d without keeping", name, until, k.At, r.Agreed, whole.Agreed)
			}
			checkKept(t, name, k)
		}
	}
}

// checkKept: no event is later than the moment or out of order, and what is freed is
// not in the world.
func checkKept(t *testing.T, name string, k *Kept) {
	t.Helper()
	there := map[uint64]bool{}
	for _, m := range k.World.Processes {
		there[m.ID] = true
	}
	last := uint64(0)
	for _, e := range k.Events {
		if e.Seq <= last || k.Timed && e.At.Sub(Epoch) > k.At {
			t.Fatalf("%s: event %d after %d, at %s of %s", name, e.Seq, last, e.At.Sub(Epoch), k.At)
		}
		last = e.Seq
		if e.Kind == axprocess.EventFreed && there[e.ID] {
			t.Fatalf("%s: %s, and it is in the world", name, e)
		}
	}
}
