package axprocess

import (
	"errors"
	"syscall"
	"testing"
)

// TestHoldFor: a hold that is entered after the birth is as one of the birth, and
// what can't hold any more is refused.
func TestHoldFor(t *testing.T) {
	table := NewTable()
	must := func(p *Process, err error) *Process {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	init := must(table.NewInit(1).Build())
	p := must(init.Fork(2).Leader(nil).Build())
	second, err := p.NewThread(3).Build()
	if err != nil {
		t.Fatal(err)
	}
	first := table.Thread(2)
	child, other, execed := must(p.Fork(4).Build()), must(p.Fork(5).Build()), must(p.Fork(6).Build())
	if err := execed.Exec(); err != nil {
		t.Fatal(err)
	}
	ended, freed := must(p.Fork(7).Build()), must(p.Fork(8).Build())
	for _, q := range []*Process{ended, freed} {
		if err := q.Exit(); err != nil {
			t.Fatal(err)
		}
	}
	if err := freed.Free(); err != nil {
		t.Fatal(err)
	}
	gone, err := p.NewThread(9).Build()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Exit(0); err != nil {
		t.Fatal(err)
	}
	elsewhere := must(NewTable().NewInit(4).Build())

	if err := second.HoldFor(child); err != nil || second.VforkChild() != child || table.Check() != nil {
		t.Fatalf("%v, %v, %v", err, second.VforkChild(), table.Check())
	}
	for _, c := range []struct {
		what  string
		h     *Thread
		p     *Process
		errno syscall.Errno
	}{
		{"a thread that is held", second, other, syscall.EBUSY},
		{"a child that holds another", first, child, syscall.EBUSY},
		{"no child", second, init, syscall.EINVAL},
		{"nothing", second, nil, syscall.EINVAL},
		{"a process of another table", second, elsewhere, syscall.EINVAL},
		{"one that has exec'd", first, execed, syscall.EINVAL},
		{"one that has ended", first, ended, syscall.ESRCH},
		{"one that is freed", first, freed, syscall.ESRCH},
		{"a thread that has exited", gone, other, syscall.ESRCH},
	} {
		if err := c.h.HoldFor(c.p); !errors.Is(err, c.errno) || table.Check() != nil {
			t.Errorf("%s: %v, want %v; %v", c.what, err, c.errno, table.Check())
		}
	}
	if second.VforkChild() != child || first.VforkChild() != nil {
		t.Error("a refusal changed a hold")
	}
	if err := child.Exec(); err != nil || second.VforkChild() != nil || table.Check() != nil {
		t.Errorf("after its exec: %v, %v, %v", err, second.VforkChild(), table.Check())
	}
	if err := second.HoldFor(other); err != nil {
		t.Fatal(err)
	}
	if err := p.GroupKill(SIGKILL, false); err != nil || table.Check() != nil {
		t.Errorf("its end: %v, %v", err, table.Check())
	}
	if err := first.HoldFor(child); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("by who exits: %v", err)
	}
}
