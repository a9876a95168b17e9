package axprocess

import (
	"slices"
	"testing"
)

// TestExecKeepsEarlierChildren: children forked before a process had its first
// thread stay its children when that thread, which is no leader, calls exec; and
// they stay in the order of birth, zombies among them.
func TestExecKeepsEarlierChildren(t *testing.T) {
	table := NewTable()
	init := must(table.NewInit(1).Build())
	p := must(init.Fork(2).Build())
	must(p.Fork(10).Build())
	h := must(p.NewThread(3).Build())
	must(h.Fork(11).Build())
	must(p.Fork(12).Build())
	for _, pid := range []PID{10, 11} {
		if err := table.Process(pid).Exit(); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Exec(); err != nil {
		t.Fatal(err)
	}
	if err := table.Check(); err != nil {
		t.Fatal(err)
	}
	var got []PID
	for _, child := range p.Children() {
		got = append(got, child.PID())
	}
	if !slices.Equal(got, []PID{10, 11, 12}) {
		t.Errorf("children %v after exec", got)
	}
	for _, want := range []PID{10, 11} {
		if got := must(p.Wait(t.Context(), WaitAny, WNOHANG)); got.PID != want {
			t.Errorf("wait returned %d, want %d", got.PID, want)
		}
	}
}
