package slab

import (
	"testing"

	"pgregory.net/rapid"
)

// TestAgainstMap allocates and frees beside a Go map of what each row holds.
func TestAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Slab[uint64]
		twin := map[Index]uint64{}
		var order []Index
		stamp := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"alloc": func(t *rapid.T) {
				for range rapid.IntRange(1, 3*chunkLen/2).Draw(t, "n") {
					i, row := s.Alloc()
					if i == 0 || *row != 0 {
						t.Fatalf("Alloc gave index %d holding %d", i, *row)
					}
					if _, taken := twin[i]; taken {
						t.Fatalf("Alloc gave row %d twice", i)
					}
					stamp++
					*row, twin[i] = stamp, stamp
					order = append(order, i)
				}
			},
			"free": func(t *rapid.T) {
				if len(order) == 0 {
					t.Skip("nothing to free")
				}
				from := rapid.IntRange(0, len(order)-1).Draw(t, "from")
				to := rapid.IntRange(from, len(order)).Draw(t, "to")
				for _, i := range order[from:to] {
					s.Free(i)
					delete(twin, i)
				}
				order = append(order[:from:from], order[to:]...)
			},
			"": func(t *rapid.T) {
				if s.Len() != len(twin) {
					t.Fatalf("Len %d, want %d", s.Len(), len(twin))
				}
				for i, want := range twin {
					if got := *s.At(i); got != want {
						t.Fatalf("row %d holds %d, want %d", i, got, want)
					}
				}
				empty := 0
				for number, c := range s.chunks {
					if s.rows[number] != nil && c.used() == 0 {
						empty++
					}
				}
				if empty > 1 {
					t.Fatalf("%d empty chunks are kept", empty)
				}
			},
		})
	})
}

// TestEdgeChurnAllocatesNothing fills a chunk and then takes and gives one more.
func TestEdgeChurnAllocatesNothing(t *testing.T) {
	var s Slab[uint64]
	for range chunkLen - 1 {
		s.Alloc()
	}
	i, _ := s.Alloc()
	s.Free(i)
	if got := testing.AllocsPerRun(1000, func() {
		i, _ := s.Alloc()
		s.Free(i)
	}); got != 0 {
		t.Errorf("a churn at a chunk's edge allocates %v times", got)
	}
}
