package axprocess

import "testing"

// TestAllocations holds each operation to what its documentation says that it
// allocates: the handles that it returns, and nothing else.
func TestAllocations(t *testing.T) {
	table := NewTable()
	initial := must(table.NewInit(1).Build())
	fork := func() *Process { return must(initial.Fork(NextPID).Build()) }
	end := func(p *Process) {
		ok(t, p.Exit())
		ok(t, p.Free())
	}
	threaded := must(initial.Fork(NextPID).Leader(nil).Build())
	moving, a, b := fork(), must(fork().CreateGroup()), must(fork().CreateGroup())
	parent := fork()
	for range 1000 {
		must(parent.Fork(NextPID).Build())
	}
	for _, op := range []struct {
		name string
		want float64
		do   func()
	}{
		{"fork, exit, free", 1, func() { end(fork()) }},
		{"the same with a leader", 2, func() {
			p := must(initial.Fork(NextPID).Leader(nil).Build())
			must(p.Thread().Exit(0))
			end(p)
		}},
		{"the same with a session", 3, func() {
			p := fork()
			_, _, err := p.CreateSession()
			ok(t, err)
			end(p)
		}},
		{"the same with a group", 2, func() {
			p := fork()
			must(p.CreateGroup())
			end(p)
		}},
		{"move to another group", 0, func() {
			ok(t, moving.MoveToGroup(a))
			a, b = b, a
		}},
		{"thread start and exit", 1, func() { must(must(threaded.NewThread(NextPID).Build()).Exit(0)) }},
		{"look-up", 0, func() { table.Process(parent.PID()) }},
		{"parent and group", 0, func() { parent.Parent(); parent.Group() }},
		{"children", 1, func() { parent.Children() }},
	} {
		if got := testing.AllocsPerRun(1000, op.do); got != op.want {
			t.Errorf("%s: %v allocations, want %v", op.name, got, op.want)
		}
	}
	ok(t, table.Check())
}
