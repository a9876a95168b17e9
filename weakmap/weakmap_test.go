package weakmap

import (
	"maps"
	"runtime"
	"sync"
	"testing"
	"weak"

	"pgregory.net/rapid"
)

// thing has a pointer in it: the collector frees small pointer-free objects in
// batches, so one of those can outlive its last reference.
type thing struct {
	n    int
	self *thing
}

func newThing(n int) *thing {
	t := &thing{n: n}
	t.self = t
	return t
}

func TestZeroMapIsEmpty(t *testing.T) {
	var m Map[int, thing]
	if m.Len() != 0 || m.Upgrade(1) != nil || m.Remove(1) != nil || m.Insert(1, nil) != nil {
		t.Error("the zero map has something")
	}
	for range m.Values() {
		t.Error("the zero map yields something")
	}
}

func TestAValueIsKeptByOthersOnly(t *testing.T) {
	var m Map[string, thing]
	held, dropped := newThing(1), newThing(2)
	m.Insert("held", held)
	m.Insert("dropped", dropped)
	if m.Upgrade("dropped") != dropped || m.Len() != 2 {
		t.Fatal("a held value is not in the map")
	}
	seen := weak.Make(dropped)
	dropped = nil
	runtime.GC()
	if seen.Value() != nil || m.Upgrade("dropped") != nil || m.Len() != 1 {
		t.Error("the map kept its value alive, or shows it dead")
	}
	for key, v := range m.Values() {
		if key != "held" || v != held {
			t.Errorf("the map yields %s", key)
		}
	}
	runtime.KeepAlive(held)
}

func TestInsertReplacesAndRemoveReturns(t *testing.T) {
	var m Map[int, thing]
	a, b := newThing(1), newThing(2)
	if m.Insert(1, a) != nil || m.Insert(1, b) != a || m.Upgrade(1) != b || m.Len() != 1 {
		t.Error("Insert does not replace")
	}
	if m.Remove(1) != b || m.Remove(1) != nil || m.Len() != 0 {
		t.Error("Remove does not return what it removes")
	}
	m.Insert(1, a)
	if m.Insert(1, nil) != a || m.Len() != 0 {
		t.Error("a nil value does not remove the entry")
	}
	runtime.KeepAlive(a)
}

func TestValuesAscendAndStop(t *testing.T) {
	var m Map[int, thing]
	var keep []*thing
	for _, n := range []int{5, 3, 9, 1} {
		keep = append(keep, newThing(n))
		m.Insert(n, keep[len(keep)-1])
	}
	var got []int
	for key := range m.Values() {
		if got = append(got, key); key == 5 {
			break
		}
	}
	if len(got) != 3 || got[0] != 1 || got[1] != 3 || got[2] != 5 {
		t.Errorf("yielded %v, want 1 3 5", got)
	}
	runtime.KeepAlive(keep)
}

// TestDeadEntriesAreSwept: with a few living values, ten thousand dead ones don't
// stay.
func TestDeadEntriesAreSwept(t *testing.T) {
	var m Map[int, thing]
	var keep []*thing
	for n := range 10_000 {
		v := newThing(n)
		if n%1000 == 0 {
			keep = append(keep, v)
		}
		m.Insert(n, v)
		if n%500 == 499 {
			runtime.GC()
		}
	}
	runtime.GC()
	for n := range 2 * minSweep {
		m.Insert(-1-n, keep[0])
	}
	if n := len(m.entries); n > 1200 {
		t.Errorf("%d entries for %d living values", n, m.Len())
	}
	if m.Len() != len(keep)+2*minSweep {
		t.Errorf("%d values live, want %d", m.Len(), len(keep)+2*minSweep)
	}
	runtime.KeepAlive(keep)
}

// TestAgreesWithAMap: with values that are all held, it is a map.
func TestAgreesWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Map[int, thing]
		want := map[int]*thing{}
		key := rapid.IntRange(0, 40)
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				k, v := key.Draw(t, "key"), newThing(0)
				if got := m.Insert(k, v); got != want[k] {
					t.Fatalf("Insert(%d) replaced %p, want %p", k, got, want[k])
				}
				want[k] = v
			},
			"remove": func(t *rapid.T) {
				k := key.Draw(t, "key")
				if got := m.Remove(k); got != want[k] {
					t.Fatalf("Remove(%d) returned %p, want %p", k, got, want[k])
				}
				delete(want, k)
			},
			"": func(t *rapid.T) {
				if got := maps.Collect(m.Values()); !maps.Equal(got, want) || m.Len() != len(want) {
					t.Fatalf("values are %v, want %v", got, want)
				}
			},
		})
	})
}

func TestConcurrentUse(t *testing.T) {
	var m Map[int, thing]
	var done sync.WaitGroup
	for g := range 8 {
		done.Go(func() {
			for n := range 500 {
				k := (g*7 + n) % 64
				v := newThing(k)
				m.Insert(k, v)
				if u := m.Upgrade(k); u != nil && u.n != k {
					t.Errorf("key %d has value %d", k, u.n)
				}
				if n%50 == 0 {
					for k, u := range m.Values() {
						if u.n != k {
							t.Errorf("key %d yields value %d", k, u.n)
						}
					}
				}
				if n%3 == 0 {
					m.Remove(k)
				}
				runtime.KeepAlive(v)
			}
		})
	}
	done.Wait()
}

func BenchmarkInsert(b *testing.B) {
	var m Map[int, thing]
	v := newThing(0)
	for n := range b.N {
		m.Insert(n&0xffff, v)
	}
}
