package axprocess_test

import (
	"context"
	"fmt"

	"axprocess"
)

// must is for examples, in which nothing is refused.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleTable() {
	table := axprocess.NewTable(axprocess.WithMaxPID(1000))
	init := must(table.NewInit(1).Build())
	must(init.Fork(50).Build())
	fmt.Println(table.Len(), table.Process(50).PID(), table.Process(51) == nil, table.Check())
	// Output: 2 50 true <nil>
}

func ExampleTable_Import() {
	table := axprocess.NewTable()
	err := table.Import(1, []axprocess.ProcessRecord{
		{PID: 7, PPID: 1, PGID: 7, SID: 7, Zombie: true, Code: 3},
		{PID: 1, PGID: 1, SID: 1},
	})
	fmt.Println(err, table.Process(7).Parent().PID(), table.Process(7).ExitCode())
	fmt.Println(table.Import(0, []axprocess.ProcessRecord{{PID: 9, PPID: 8, PGID: 9, SID: 9}}))
	// Output:
	// <nil> 1 3
	// import: 1 contradictions; process 9: its parent 8 does not exist
}

func ExampleProcess() {
	init := must(axprocess.NewTable().NewInit(1).Build())
	parent := must(init.Fork(10).Build())
	child := must(parent.Fork(11).Build())
	fmt.Println(parent.Exit(), parent.State())
	fmt.Println(child.Parent().PID(), len(init.Children()))
	// Output:
	// <nil> zombie
	// 1 2
}

func ExampleProcessBuilder() {
	init := must(axprocess.NewTable().NewInit(1).Build())
	p := must(init.Fork(axprocess.NextPID).Data("httpd").Leader("main").Build())
	name, _ := axprocess.DataOf[string](p)
	fmt.Println(p.PID(), name, p.Thread().Data())
	// Output: 2 httpd main
}

func ExampleThread() {
	init := must(axprocess.NewTable().NewInit(1).Build())
	p := must(init.Fork(10).Leader("main").Build())
	second := must(p.NewThread(axprocess.NextPID).Data("worker").Build())
	last, err := p.Thread().Exit(0)
	fmt.Println(last, err, p.IsLeaderExited(), p.IsZombie())
	last, err = second.Exit(3)
	fmt.Println(last, err, p.Exit(), p.ExitCode())
	// Output:
	// false <nil> true false
	// true <nil> <nil> 3
}

func ExampleProcessGroup() {
	init := must(axprocess.NewTable().NewInit(1).Build())
	shell := must(init.Fork(10).Build())
	must(shell.Setsid())
	job := must(must(shell.Fork(11).Build()).CreateGroup())
	second := must(shell.Fork(12).Build())
	fmt.Println(second.MoveToGroup(job), job.PGID(), len(job.Processes()), job.IsOrphaned())
	killed := must(shell.Killpg(11, axprocess.SIGTERM))
	fmt.Println(len(killed.Reached()), second.IsZombie())
	// Output:
	// <nil> 11 2 false
	// 2 true
}

func ExampleSession() {
	init := must(axprocess.NewTable().NewInit(1).Build())
	daemon := must(init.Fork(10).Build())
	session, group, err := daemon.CreateSession()
	fmt.Println(session.SID(), group.PGID(), err, session.Leader() == daemon)
	_, err = daemon.Setsid()
	fmt.Println(err)
	// Output:
	// 10 10 <nil> true
	// create session 10: operation not permitted: it leads session 10
}

func ExampleTerminal() {
	table := axprocess.NewTable()
	shell := must(must(table.NewInit(1).Build()).Fork(10).Build())
	must(shell.Setsid())
	tty := table.NewTerminal("tty1")
	fmt.Println(shell.SetTerminal(tty, false))
	job := must(shell.Fork(11).Build())
	must(job.CreateGroup())
	fmt.Println(must(job.ReadTerminal(tty)), job.Stopped()) // in the background
	must(shell.SetForeground(tty, 11))
	fmt.Println(must(job.ReadTerminal(tty)), tty.Foreground())
	// Output:
	// <nil>
	// signalled SIGTTIN
	// allowed 11
}

func ExampleNamespace() {
	init := must(axprocess.NewTable().NewInit(1).Build())
	first := must(init.Fork(100).NewNamespace().Build())
	ns := first.Namespace()
	child := must(first.Fork(axprocess.NextPID).Build())
	fmt.Println(first.PID(), first.PIDIn(ns), child.PIDIn(ns), ns.Init() == first)
	must(init.Kill(100, axprocess.SIGKILL)) // all in it end with its init
	fmt.Println(ns.IsClosed(), child.State())
	// Output:
	// 100 1 2 true
	// true freed
}

func ExampleProcess_Wait() {
	ctx := context.Background()
	init := must(axprocess.NewTable().NewInit(1).Build())
	child := must(init.Fork(10).Build())
	fmt.Println(must(init.Wait(ctx, axprocess.WaitAny, axprocess.WNOHANG)).Cause) // still runs
	go func() { _ = child.GroupKill(axprocess.SIGTERM, false) }()
	got := must(init.Wait(ctx, 10, 0)) // blocks
	fmt.Println(got.PID, got.Cause, axprocess.Signal(got.Code), got.Status())
	// Output:
	// nothing
	// 10 killed SIGTERM 15
}

func ExampleSnapshot() {
	table := axprocess.NewTable()
	init := must(table.NewInit(1).Build())
	must(init.Fork(10).Build())
	snap := table.Snapshot()
	copied := must(snap.Table()) // what if 10 ended now?
	fmt.Println(copied.Process(10).Exit(), copied.Process(10).State(), table.Process(10).State())
	// Output: <nil> zombie running
}

func ExampleReplica() {
	table := axprocess.NewTable(axprocess.WithEvents(100))
	init := must(table.NewInit(1).Build())
	replica := axprocess.NewReplica(table.Snapshot())
	events := must(table.EventsAfter(replica.Seq()))
	must(init.Fork(10).Build())
	buf := make([]axprocess.Event, 10)
	n := must(events.Read(context.Background(), buf))
	for _, e := range buf[:n] {
		fmt.Println(e.Kind, replica.Apply(e))
	}
	fmt.Println(len(replica.Snapshot().Processes))
	// Output:
	// forked <nil>
	// 2
}
