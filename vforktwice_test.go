package axprocess

import (
	"errors"
	"syscall"
	"testing"
)

// TestVforkTwice: who is held by a vfork child can't vfork again, or the first
// child would hold what no longer knows it.
func TestVforkTwice(t *testing.T) {
	for name, leader := range map[string]bool{"a thread": true, "a process without threads": false} {
		table := NewTable()
		init, err := table.NewInit(1).Build()
		if err != nil {
			t.Fatal(err)
		}
		b := init.Fork(2)
		if leader {
			b = b.Leader(nil)
		}
		p, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		first, err := p.Fork(3).Vfork().Build()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Fork(4).Vfork().Build(); !errors.Is(err, syscall.EBUSY) || table.Process(4) != nil {
			t.Errorf("%s: a second vfork: %v", name, err)
		}
		if err := p.GroupKill(SIGKILL, false); err != nil || table.Check() != nil {
			t.Errorf("%s: its end: %v, %v", name, err, table.Check())
		}
		if err := first.Exec(); err != nil || table.Check() != nil {
			t.Errorf("%s: the first child's exec: %v, %v", name, err, table.Check())
		}
	}
}
