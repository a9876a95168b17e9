package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// BenchmarkModel is each row among each number of others, for -bench and
// benchstat; cmd/performance has them side by side with what they are compared
// with.
func BenchmarkModel(b *testing.B) {
	for _, others := range Sizes {
		w := newWorld(others)
		for _, row := range Rows() {
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(row.Name, " ", "_"), others), func(b *testing.B) {
				op := row.Ours(w)
				b.ReportAllocs()
				b.ResetTimer()
				op(b.N)
			})
		}
	}
}

func BenchmarkPairs(b *testing.B) {
	for _, p := range Pairs() {
		b.Run(strings.ReplaceAll(p.Name+" against "+p.Against, " ", "_"), func(b *testing.B) {
			op := p.Ours()
			b.ReportAllocs()
			b.ResetTimer()
			op(b.N)
		})
	}
}

// TestTablesAreWhole: each row is in the table with a figure, and after all that
// was measured the model is sound (ModelTable checks). Figures are not judged.
func TestTablesAreWhole(t *testing.T) {
	table := ModelTable(time.Second, []int{0, 50})
	for _, row := range Rows() {
		if n := strings.Count(table, "| "+row.Name+" |"); n != 2 {
			t.Errorf("%q is in the table %d times, want 2:\n%s", row.Name, n, table)
		}
	}
	if !strings.Contains(table, "Bytes a bare process") || strings.Contains(table, "NaN") {
		t.Errorf("the table is not whole:\n%s", table)
	}
	pairs := PairTable(time.Second)
	for _, p := range Pairs() {
		if !strings.Contains(pairs, "| "+p.Name+" |") {
			t.Errorf("%q is not in the table:\n%s", p.Name, pairs)
		}
	}
	if cuts := CutTable(1000); strings.Count(cuts, "\n") != 8 {
		t.Errorf("the table of cuts is not whole:\n%s", cuts)
	}
}
