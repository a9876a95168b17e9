package axprocess

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"syscall"
	"testing"
)

// This file is about bad input: the extremes of each argument of what plays a
// system call, with the errno that the kernel gives; and that a refusal changes
// nothing.

const (
	lowest  = PID(math.MinInt32)
	highest = PID(math.MaxInt32)
)

// TestBadInput: 0 for a call that is accepted.
func TestBadInput(t *testing.T) {
	table := NewTable()
	init := build(t, table.NewInit(1).Leader(nil))
	p := build(t, init.Fork(100).Leader(nil))
	h := p.Thread()
	second, err := p.NewThread(101).Build()
	ok(t, err)
	build(t, p.Fork(200).Leader(nil)) // a child that has not changed
	execed := build(t, p.Fork(201))
	ok(t, execed.Exec())
	elsewhere := build(t, p.Fork(202))
	_, err = elsewhere.Setsid()
	ok(t, err)
	ctx := context.Background()

	check := func(want syscall.Errno, err error, call string, args ...any) {
		t.Helper()
		var got *Error
		if want == 0 && err == nil || errors.As(err, &got) && got.Err == want {
			return
		}
		t.Errorf("%s: got %v, want %v", fmt.Sprintf(call, args...), err, want)
	}
	before := table.Snapshot()

	// wait4(2): each option bit alone, then each kind of number.
	accepted := map[WaitOptions]bool{WNOHANG: true, WUNTRACED: true, WCONTINUED: true, WNOTHREAD: true, WALL: true}
	for bit := range 32 {
		opts := WaitOptions(1) << bit
		want := syscall.EINVAL
		switch {
		case accepted[opts]:
			want = 0
		case opts == WCLONE:
			want = syscall.ECHILD // no child has another exit signal
		}
		_, err := h.Wait4(ctx, WaitAny, opts|WNOHANG)
		check(want, err, "wait4(-1, %#x)", uint32(opts|WNOHANG))
	}
	for pid, want := range map[PID]syscall.Errno{
		lowest: syscall.ESRCH, lowest + 1: syscall.ECHILD, -2: syscall.ECHILD, -1: 0, 0: 0,
		1: syscall.ECHILD, 100: syscall.ECHILD, 101: syscall.ECHILD, 200: 0, 4_194_304: syscall.ECHILD, highest: syscall.ECHILD,
	} {
		_, err := h.Wait4(ctx, pid, WNOHANG)
		check(want, err, "wait4(%d, WNOHANG)", pid)
	}
	_, err = h.Wait4(ctx, lowest, 1<<10)
	check(syscall.EINVAL, err, "wait4: options come first")

	// waitid(2).
	accepted = map[WaitOptions]bool{WNOHANG: true, WSTOPPED: true, WEXITED: true, WCONTINUED: true, WNOWAIT: true, WNOTHREAD: true, WALL: true}
	for bit := range 32 {
		opts := WaitOptions(1) << bit
		want := syscall.EINVAL
		switch {
		case accepted[opts]:
			want = 0
		case opts == WCLONE:
			want = syscall.ECHILD
		}
		_, err := h.Waitid(ctx, P_ALL, 0, opts|WEXITED|WNOHANG)
		check(want, err, "waitid(P_ALL, %#x)", uint32(opts|WEXITED|WNOHANG))
	}
	for _, opts := range []WaitOptions{0, WNOHANG, WNOWAIT, WALL, WNOTHREAD | WNOHANG} {
		_, err := h.Waitid(ctx, P_ALL, 0, opts)
		check(syscall.EINVAL, err, "waitid(P_ALL, %#x)", uint32(opts))
	}
	for _, c := range []struct {
		idtype IDType
		id     PID
		want   syscall.Errno
	}{
		{-1, 0, syscall.EINVAL}, {4, 0, syscall.EINVAL}, {math.MinInt32, 0, syscall.EINVAL}, {math.MaxInt32, 0, syscall.EINVAL},
		{P_ALL, lowest, 0}, {P_ALL, highest, 0},
		{P_PID, lowest, syscall.EINVAL}, {P_PID, -1, syscall.EINVAL}, {P_PID, 0, syscall.EINVAL}, {P_PID, 1, syscall.ECHILD},
		{P_PID, 200, 0}, {P_PID, highest, syscall.ECHILD},
		{P_PGID, lowest, syscall.EINVAL}, {P_PGID, -1, syscall.EINVAL}, {P_PGID, 0, 0}, {P_PGID, 1, 0}, {P_PGID, highest, syscall.ECHILD},
		{P_PIDFD, lowest, syscall.EINVAL}, {P_PIDFD, -1, syscall.EINVAL}, {P_PIDFD, highest, syscall.EBADF}, {P_PIDFD, 200, 0},
	} {
		_, err := h.Waitid(ctx, c.idtype, c.id, WEXITED|WNOHANG)
		check(c.want, err, "waitid(%d, %d)", c.idtype, c.id)
	}

	// kill(2) and its kin; signal 0 changes nothing.
	for pid, want := range map[PID]syscall.Errno{
		lowest: syscall.ESRCH, lowest + 1: syscall.ESRCH, -100: syscall.ESRCH, -1: 0, 0: 0, 101: 0, 200: 0, 4_194_304: syscall.ESRCH, highest: syscall.ESRCH,
	} {
		_, err := p.Kill(pid, 0)
		check(want, err, "kill(%d, 0)", pid)
	}
	for _, sig := range []Signal{math.MinInt32, -1, 65, math.MaxInt32} {
		for pid, want := range map[PID]syscall.Errno{200: syscall.EINVAL, 0: syscall.EINVAL, -1: syscall.EINVAL, highest: syscall.ESRCH, -100: syscall.ESRCH} {
			_, err := p.Kill(pid, sig)
			check(want, err, "kill(%d, %d)", pid, sig)
		}
		_, err := p.Tkill(200, sig)
		check(syscall.EINVAL, err, "tkill(200, %d)", sig)
		_, err = p.Sigqueue(200, sig, 0)
		check(syscall.EINVAL, err, "sigqueue(200, %d)", sig)
		_, err = p.Raise(sig)
		check(syscall.EINVAL, err, "raise(%d)", sig)
		check(syscall.EINVAL, p.GroupKill(sig, false), "group kill by %d", sig)
		check(syscall.EINVAL, p.SetParentDeathSignal(sig), "prctl(PR_SET_PDEATHSIG, %d)", sig)
		check(syscall.EINVAL, second.SetParentDeathSignal(sig), "prctl(PR_SET_PDEATHSIG, %d)", sig)
		_, err = p.SetAction(sig, SignalAction{})
		check(syscall.EINVAL, err, "sigaction(%d)", sig)
		_, err = p.Action(sig)
		check(syscall.EINVAL, err, "sigaction(%d, NULL)", sig)
		_, err = p.Fork(NextPID).ExitSignal(sig).Build()
		check(syscall.EINVAL, err, "clone with exit signal %d", sig)
	}
	for _, sig := range []Signal{0, SIGKILL, SIGSTOP} {
		_, err = p.SetAction(sig, SignalAction{Disposition: Ignore})
		check(syscall.EINVAL, err, "sigaction(%d)", sig)
	}
	check(syscall.EINVAL, p.GroupKill(0, false), "group kill by 0")
	for _, c := range []struct {
		tgid, tid PID
		want      syscall.Errno
	}{
		{lowest, 101, syscall.EINVAL}, {-1, 101, syscall.EINVAL}, {0, 101, syscall.EINVAL},
		{100, lowest, syscall.EINVAL}, {100, -1, syscall.EINVAL}, {100, 0, syscall.EINVAL},
		{100, 101, 0}, {100, 100, 0}, {200, 101, syscall.ESRCH}, {100, highest, syscall.ESRCH}, {highest, 101, syscall.ESRCH},
	} {
		_, err := p.Tgkill(c.tgid, c.tid, 0)
		check(c.want, err, "tgkill(%d, %d, 0)", c.tgid, c.tid)
	}
	for tid, want := range map[PID]syscall.Errno{lowest: syscall.EINVAL, -1: syscall.EINVAL, 0: syscall.EINVAL, 101: 0, highest: syscall.ESRCH} {
		_, err := p.Tkill(tid, 0)
		check(want, err, "tkill(%d, 0)", tid)
	}

	// setpgid(2), getpgid(2), getsid(2).
	for _, c := range []struct {
		pid, pgid PID
		want      syscall.Errno
	}{
		{0, lowest, syscall.EINVAL}, {0, -1, syscall.EINVAL}, {200, -1, syscall.EINVAL}, {highest, -1, syscall.EINVAL},
		{lowest, 0, syscall.EINVAL}, {-1, 0, syscall.EINVAL}, {lowest, 1, syscall.ESRCH}, {-1, 1, syscall.ESRCH},
		{highest, 0, syscall.ESRCH}, {highest, highest, syscall.ESRCH}, {1, 0, syscall.ESRCH},
		{101, 0, syscall.EINVAL}, {201, 0, syscall.EACCES}, {202, 0, syscall.EPERM},
		{0, highest, syscall.EPERM}, {0, 202, syscall.EPERM}, {200, 201, syscall.EPERM}, {0, 1, 0}, {200, 1, 0},
	} {
		check(c.want, p.Setpgid(c.pid, c.pgid), "setpgid(%d, %d)", c.pid, c.pgid)
	}
	for pid, want := range map[PID]syscall.Errno{lowest: syscall.ESRCH, -1: syscall.ESRCH, 0: 0, 101: 0, 202: 0, highest: syscall.ESRCH} {
		_, err := p.Getpgid(pid)
		check(want, err, "getpgid(%d)", pid)
		_, err = p.Getsid(pid)
		check(want, err, "getsid(%d)", pid)
	}

	// Numbers for what is to be born, as clone3(2)'s set_tid.
	for n, want := range map[PID]syscall.Errno{
		lowest: syscall.EINVAL, -1: syscall.EINVAL, 1: syscall.EEXIST, 101: syscall.EEXIST, 202: syscall.EEXIST, 4_194_304: syscall.EINVAL, highest: syscall.EINVAL,
	} {
		_, err := p.Fork(n).Build()
		check(want, err, "fork as %d", n)
		_, err = p.NewThread(n).Build()
		check(want, err, "thread as %d", n)
	}
	_, err = init.Fork(NextPID).CloneParent().Build()
	check(syscall.EINVAL, err, "CLONE_PARENT by the init")

	// By handle.
	_, err = p.WaitProcess(ctx, nil, WNOHANG)
	check(syscall.EINVAL, err, "wait for no process")
	_, err = p.WaitProcess(ctx, init, WNOHANG)
	check(syscall.ECHILD, err, "wait for the init")
	_, err = p.KillProcess(nil, 0)
	check(syscall.EINVAL, err, "kill no process")
	_, err = p.KillGroup(nil, 0)
	check(syscall.EINVAL, err, "kill no group")

	if after := table.Snapshot(); !reflect.DeepEqual(before, after) {
		t.Errorf("what was refused or changes nothing has changed something:\n%+v\n%+v", before, after)
	}
	checked(t, table)
}

// TestBadInputOfTheDead: what has exited, and what is freed, can do nothing, and
// each call says so.
func TestBadInputOfTheDead(t *testing.T) {
	_, init, _, child := family(t)
	g, h := child.Group(), build(t, child.Fork(NextPID).Leader(nil)).Thread()
	calls := func(p *Process, h *Thread) map[string]error {
		_, fork := p.Fork(NextPID).Build()
		_, thread := p.NewThread(NextPID).Build()
		_, wait := p.Wait(t.Context(), WaitAny, WNOHANG)
		_, kill := p.Kill(init.PID(), 0)
		_, setsid := p.Setsid()
		_, getpgid := p.Getpgid(0)
		_, getsid := p.Getsid(0)
		_, threadFork := h.Fork(NextPID).Build()
		_, wait4 := h.Wait4(t.Context(), WaitAny, WNOHANG)
		_, waitid := h.Waitid(t.Context(), P_ALL, 0, WEXITED|WNOHANG)
		_, again := h.Exit(0)
		return map[string]error{
			"fork": fork, "new thread": thread, "wait": wait, "kill": kill, "setsid": setsid, "getpgid": getpgid, "getsid": getsid,
			"setpgid": p.Setpgid(0, 0), "subreaper": p.SetChildSubreaper(true), "exec": p.Exec(), "exit": p.Exit(),
			"group exit": p.GroupExit(0), "group kill": p.GroupKill(SIGKILL, false), "pdeathsig": p.SetParentDeathSignal(SIGTERM),
			"thread fork": threadFork, "wait4": wait4, "waitid": waitid, "thread exit": again, "thread exec": h.Exec(),
			"thread pdeathsig": h.SetParentDeathSignal(SIGTERM),
		}
	}
	p := h.Process()
	ok(t, p.GroupKill(SIGKILL, false))
	for name, err := range calls(p, h) {
		if !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s by a zombie: %v", name, err)
		}
	}
	ok(t, p.Free())
	for name, err := range calls(p, h) {
		if !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s by what is freed: %v", name, err)
		}
	}
	refusedAs(t, syscall.ESRCH, p.MoveToGroup(g))
	_, err := p.CreateGroup()
	refusedAs(t, syscall.ESRCH, err)
	refusedAs(t, syscall.ESRCH, p.Free())
	_, err = init.KillProcess(p, 0)
	refusedAs(t, syscall.ESRCH, err)
}
