package radix

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// TestAgainstMap runs the table beside a Go map.
func TestAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table Table[uint32]
		twin := map[uint32]*uint32{}
		keys := rapid.OneOf(rapid.Uint32Range(0, 600), rapid.Uint32Range(1<<15-3, 1<<15+3), rapid.Uint32Range(0, 1<<22))
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				k := keys.Draw(t, "key")
				v := &k
				table.Set(k, v)
				twin[k] = v
			},
			"clear": func(t *rapid.T) {
				k := keys.Draw(t, "key")
				if len(twin) > 0 && rapid.Bool().Draw(t, "existing") {
					k = slices.Sorted(maps.Keys(twin))[0]
				}
				table.Set(k, nil)
				delete(twin, k)
			},
			"": func(t *rapid.T) {
				if table.Len() != len(twin) {
					t.Fatalf("Len %d, want %d", table.Len(), len(twin))
				}
				got := map[uint32]*uint32{}
				last := int64(-1)
				for k, v := range table.All() {
					if int64(k) <= last {
						t.Fatalf("All yields %d after %d", k, last)
					}
					last = int64(k)
					got[k] = v
				}
				if !maps.Equal(got, twin) {
					t.Fatalf("All yields %v, want %v", got, twin)
				}
				k := keys.Draw(t, "lookup")
				if table.Get(k) != twin[k] {
					t.Fatalf("Get(%d) = %v, want %v", k, table.Get(k), twin[k])
				}
			},
		})
	})
}

// TestEmptiedPagesGo shows that memory follows the keys down.
func TestEmptiedPagesGo(t *testing.T) {
	var table Table[int]
	v := new(int)
	const n = 100_000
	for k := range uint32(n) {
		table.Set(k, v)
	}
	for k := range uint32(n) {
		table.Set(k, nil)
	}
	pages := 0
	for i := range *table.root.Load() {
		nd := (*table.root.Load())[i].Load()
		if nd == nil {
			continue
		}
		for j := range nd.pages {
			if nd.pages[j].Load() != nil {
				pages++
			}
		}
	}
	if pages > 1 {
		t.Fatalf("%d pages are still reachable in an empty table", pages)
	}
}

// TestEdgeChurnAllocatesNothing sets and clears around a page's and a node's edge.
func TestEdgeChurnAllocatesNothing(t *testing.T) {
	var table Table[int]
	v := new(int)
	for _, edge := range []uint32{pageLen, 1 << nodeSpan} {
		table.Set(edge, v)
		table.Set(edge, nil)
		if got := testing.AllocsPerRun(1000, func() {
			table.Set(edge, v)
			table.Set(edge, nil)
		}); got != 0 {
			t.Errorf("a churn at %d allocates %v times", edge, got)
		}
	}
}

// TestGetBesideReuse looks keys up while their pages are emptied and reused for
// other keys: a look-up must never return what another key holds.
func TestGetBesideReuse(t *testing.T) {
	var table Table[uint32]
	var stop atomic.Bool
	var wg sync.WaitGroup
	keys := []uint32{5, pageLen + 5, 9*pageLen + 5, 1<<nodeSpan + 5, 3<<nodeSpan + 5}
	for range 2 {
		wg.Go(func() {
			for !stop.Load() {
				for _, k := range keys {
					if v := table.Get(k); v != nil && *v != k {
						t.Errorf("Get(%d) returned the value of %d", k, *v)
						return
					}
				}
			}
		})
	}
	for round := range 200_000 {
		k := keys[round%len(keys)]
		table.Set(k, &k)
		table.Set(k, nil)
	}
	stop.Store(true)
	wg.Wait()
}
