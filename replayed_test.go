package axprocess

import (
	"context"
	"errors"
	"syscall"
	"testing"
)

// This file is about rules that recorded logs of real programs have shown to be
// broken once.

// TestSetpgidBelowZero: pgid 0 means pid before it is looked at (semantics 4.2).
func TestSetpgidBelowZero(t *testing.T) {
	x := newRing(t)
	for _, c := range []struct {
		pid, pgid PID
		want      syscall.Errno
	}{{-3, 0, syscall.EINVAL}, {0, -1, syscall.EINVAL}, {-3, 100, syscall.ESRCH}} {
		if err := x.p.Setpgid(c.pid, c.pgid); !errors.Is(err, c.want) {
			t.Errorf("setpgid(%d, %d): %v, want %v", c.pid, c.pgid, err, c.want)
		}
	}
}

// TestNoThread: with WNOTHREAD a thread waits for its own children only; one that
// has none is told so, whatever its siblings have (semantics 5.6).
func TestNoThread(t *testing.T) {
	x := newRing(t)
	p := x.build(x.init.Fork(NextPID))
	leader, second, third := p.Thread(), x.thread(p, NextPID), x.thread(p, NextPID)
	child := x.build(leader.Fork(NextPID))
	mine := x.build(second.Fork(NextPID))
	ctx := context.Background()
	if _, err := third.Wait(ctx, WaitAny, WNOTHREAD|WNOHANG); !errors.Is(err, syscall.ECHILD) {
		t.Errorf("a thread without children: %v, want ECHILD", err)
	}
	for _, c := range []struct {
		h    *Thread
		want *Process
	}{{leader, child}, {second, mine}} {
		if got, err := c.h.Wait(ctx, WaitAny, WNOTHREAD|WNOHANG); err != nil || got.Cause != 0 {
			t.Errorf("before the end: %v, %v", got, err)
		}
		x.ok(c.want.GroupKill(SIGKILL, false))
		if got, err := c.h.Wait(ctx, WaitAny, WNOTHREAD|WNOHANG); err != nil || got.Process != c.want {
			t.Errorf("after it: %v, %v", got, err)
		}
	}
}
