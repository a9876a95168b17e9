package axprocess

import (
	"context"
	"testing"
	"testing/synctest"
)

// The blocked wait of a stopped process takes nothing until it continues.
func TestStoppedProcessesWaitTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := NewTable()
		init, err := table.NewInit(1).Leader(nil).Build()
		ok(t, err)
		a, err := init.Fork(NextPID).Leader(nil).Build()
		ok(t, err)
		b, err := a.Fork(NextPID).Build()
		ok(t, err)
		done := make(chan WaitResult, 1)
		go func() {
			r, err := a.Wait(context.Background(), WaitAny, 0)
			if err != nil {
				t.Error(err)
			}
			done <- r
		}()
		synctest.Wait()
		_, err = init.Kill(a.PID(), SIGSTOP)
		ok(t, err)
		ok(t, b.Exit())
		synctest.Wait()
		ok(t, table.Check())
		if len(done) > 0 || !b.IsZombie() {
			t.Fatal("a stopped process has taken an end")
		}
		_, err = init.Kill(a.PID(), SIGCONT)
		ok(t, err)
		if r := <-done; r.Process != b || r.Cause != Exited {
			t.Errorf("the wait returned %+v", r)
		}
		ok(t, table.Check())
	})
}

// Nobody is woken for the stop of a child that is adopted; the next wake finds it.
func TestAdoptedStopIsFoundLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := NewTable()
		init, err := table.NewInit(1).Leader(nil).Build()
		ok(t, err)
		x, err := init.Fork(NextPID).Build()
		ok(t, err)
		a, err := x.Fork(NextPID).Build()
		ok(t, err)
		b, err := a.Fork(NextPID).Build()
		ok(t, err)
		_, err = init.Kill(b.PID(), SIGSTOP)
		ok(t, err)
		done := make(chan WaitResult, 1)
		go func() {
			r, err := init.Wait(context.Background(), WaitAny, WEXITED|WSTOPPED)
			if err != nil {
				t.Error(err)
			}
			done <- r
		}()
		synctest.Wait()
		ok(t, a.Exit())
		c, err := init.Fork(NextPID).Build()
		ok(t, err)
		synctest.Wait()
		ok(t, table.Check())
		if len(done) > 0 {
			t.Fatalf("the adoption has woken the wait: %+v", <-done)
		}
		ok(t, c.Exit())
		if r := <-done; r.Process != b || r.Cause != Stopped {
			t.Errorf("the wait returned %+v, not the stop of the adopted child, which comes before the other's end", r)
		}
		if !c.IsZombie() {
			t.Error("an end is lost")
		}
		ok(t, table.Check())
	})
}
