package axprocess_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"axprocess"
)

// A daemon leaves its parent, is orphaned, and its end is not lost.
func Example() {
	ctx := context.Background()
	table := axprocess.NewTable()
	init, err := table.NewInit(1).Data("init").Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	shell, _ := init.Fork(100).Data("shell").Build()
	daemon, _ := shell.Fork(axprocess.NextPID).Data("daemon").Build()

	// The daemon makes a session of its own, and its parent ends.
	sid, _ := daemon.Setsid()
	_ = shell.Exit()
	fmt.Printf("daemon %d leads session %d; its parent is %s\n", daemon.PID(), sid, daemon.Parent().Data())

	// The init waits for the shell: the zombie is freed by it.
	ended, _ := init.Wait(ctx, shell.PID(), 0)
	fmt.Printf("shell %s with %d, now %s\n", ended.Cause, ended.Code, shell.State())

	// A signal ends the daemon; nothing is left but the init.
	_, _ = init.Kill(daemon.PID(), axprocess.SIGTERM)
	ended, _ = init.Wait(ctx, axprocess.WaitAny, 0)
	fmt.Printf("%v %s by %s\n", ended.Process.Data(), ended.Cause, axprocess.Signal(ended.Code))

	// What can't be is an error with its errno, and changes nothing.
	_, err = init.Wait(ctx, axprocess.WaitAny, 0)
	fmt.Println(errors.Is(err, syscall.ECHILD), err)
	fmt.Println(table.Len(), table.Check())
	// Output:
	// daemon 2 leads session 2; its parent is init
	// shell exited with 0, now freed
	// daemon killed by SIGTERM
	// true wait 1: no child processes: no child matches any child
	// 1 <nil>
}
