package supervise

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"axprocess"
)

// This file is about following by ptrace(2): the kernel attaches every child and
// thread of what is traced, and stops it for a moment at each event.
//
// Invariants:
//   - one thread traces, all the time; it is no thread that anybody else's
//     children belong to, so that its waits can't take them;
//   - each stop is answered, whatever it is: nothing stays stopped because of us;
//   - the tracees are seized, without EXITKILL unless asked for: when the tracer
//     dies they go on;
//   - a process's end is looked at before it is consumed: till then its number is
//     its own.

type tracer struct {
	k       *keeper
	tracees map[int]int    // thread to process; 0: stopped at birth, its process isn't known
	dead    map[int]status // ends of what nobody had announced
	options int
	doubt   atomic.Bool
	done    chan struct{}

	privileged bool // what is traced keeps the rights that programs give
}

// status is an end that was seen.
type status struct {
	cause axprocess.WaitCause
	code  int32
	at    time.Time
}

const traceOptions = unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC

func (t *tracer) complete() bool { return !t.doubt.Load() }
func (t *tracer) lost() int      { return 0 }

// follows says whether pid is a tracee: all about it comes as events.
func (t *tracer) follows(pid int) bool {
	tid := readStatus(pid, "TracerPid:")
	return tid > 0 && unix.Access("/proc/self/task/"+strconv.Itoa(tid), unix.F_OK) == nil
}

// stop leaves the rest to the end of this process: a tracer can't let go of what
// runs without stopping it first, and what it does not let go of it goes on
// serving.
func (t *tracer) stop() {}

// start runs the tracing thread, which starts the command.
func (t *tracer) start(k *keeper, l *launch) error {
	t.k, t.tracees, t.dead, t.done = k, map[int]int{}, map[int]status{}, make(chan struct{})
	t.options, t.privileged = traceOptions, mayTraceAny()
	if l.die {
		t.options |= unix.PTRACE_O_EXITKILL
	}
	result := make(chan error, 1)
	go onOwnThread(func() {
		defer close(t.done)
		pid, err := t.launch(l)
		if err == nil {
			comm, args := k.first(pid)
			t.warnOf(pid, comm, args)
			t.resume(pid, 0)
		}
		result <- err
		if err == nil {
			if k.alone {
				quietStops()
			}
			t.loop()
		}
	})
	return <-result
}

// quietStops spares this process the signals that say that a child or tracee has
// stopped, each of which wakes another thread: waits hear of it without (SA_NOCLDSTOP
// of sigaction(2)). It is for those who have no other children.
func quietStops() {
	const flags, noStops = 1, 1 // in struct sigaction of 64-bit machines
	var action [4]uint64
	if _, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), 0, uintptr(unsafe.Pointer(&action)), 8, 0, 0); e != 0 {
		return
	}
	action[flags] |= noStops
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
}

// onOwnThread calls do on a thread that has no children and is not the main one,
// to which orphans come. The thread ends with do.
func onOwnThread(do func()) {
	runtime.LockOSThread()
	tid := unix.Gettid()
	text, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(tid) + "/children")
	if tid != os.Getpid() && (err != nil || len(text) == 0) {
		do()
		return
	}
	// This thread is kept until another has been found, lest it is the same.
	found := make(chan struct{})
	go onOwnThread(func() {
		close(found)
		do()
	})
	<-found
	runtime.UnlockOSThread()
}

// launch starts the command as a tracee that stops after its exec, lets go of it
// while it is stopped, and seizes it: only a seized tracee can be left in a group
// stop (PTRACE_LISTEN).
func (t *tracer) launch(l *launch) (int, error) {
	l.attr.Sys.Ptrace = true
	pid, err := syscall.ForkExec(l.path, l.argv, &l.attr)
	l.attr.Sys.Ptrace = false
	if err != nil {
		if err == syscall.EPERM && !isExecRefusal(l) {
			return 0, &errUnfollowable{Ptrace, err}
		}
		return 0, err
	}
	if err := t.seizeHeld(pid); err != nil {
		killHeld(pid)
		return 0, &errUnfollowable{Ptrace, err}
	}
	t.tracees[pid] = pid
	return pid, nil
}

// isExecRefusal says whether EPERM is the file's: a trial of access tells.
func isExecRefusal(l *launch) bool { return unix.Access(l.path, unix.X_OK) != nil }

func (t *tracer) seizeHeld(pid int) error {
	if err := awaitStop(pid); err != nil {
		return err
	}
	if err := ptrace(unix.PTRACE_DETACH, pid, 0, uintptr(unix.SIGSTOP)); err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	if err := awaitStop(pid); err != nil {
		return err
	}
	if err := ptrace(unix.PTRACE_SEIZE, pid, 0, uintptr(t.options)); err != nil {
		return fmt.Errorf("seize: %w", err)
	}
	// The group stop is shown, then its end, before anybody else is told of stops.
	if err := awaitStop(pid); err != nil {
		return err
	}
	if err := ptrace(unix.PTRACE_LISTEN, pid, 0, 0); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		return err
	}
	if err := awaitStop(pid); err != nil {
		return err
	}
	return nil
}

// killHeld ends a child that was started, and can't be followed.
func killHeld(pid int) {
	_ = unix.Kill(pid, unix.SIGKILL) // our own child, which nobody has reaped
	var ws unix.WaitStatus
	for {
		if n, err := unix.Wait4(pid, &ws, unix.WALL, nil); err != unix.EINTR && (err != nil || n == pid && (ws.Exited() || ws.Signaled())) {
			return
		}
	}
}

func awaitStop(pid int) error {
	var ws unix.WaitStatus
	for {
		n, err := unix.Wait4(pid, &ws, unix.WALL|unix.WUNTRACED, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == pid && ws.Stopped():
			return nil
		default:
			return errors.New("it ended before it could be followed")
		}
	}
}

func ptrace(request, pid int, addr, data uintptr) error {
	if _, _, e := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(pid), addr, data, 0, 0); e != 0 {
		return e
	}
	return nil
}

// loop answers events until nothing is traced. An event is looked at and left: most
// stops are over when the tracee goes on, and an end is consumed when what may have
// changed before it has been read.
func (t *tracer) loop() {
	for {
		pid, code, status, err := peek()
		if err == unix.ECHILD {
			if len(t.dead) > 0 {
				t.doubt.Store(true) // somebody was killed while giving birth
			}
			return
		}
		if err != nil || pid <= 0 {
			continue
		}
		at := t.k.now()
		if code < cldExited || code > cldDumped {
			t.stopped(pid, status, at)
			continue
		}
		if t.tracees[pid] == pid {
			t.beforeEnd(pid)
		}
		var ws unix.WaitStatus
		if n, err := unix.Wait4(pid, &ws, unix.WALL|unix.WNOTHREAD|unix.WNOHANG, nil); err == nil && n == pid && !ws.Stopped() {
			t.end(pid, ws, at)
		}
	}
}

// peek waits for an event and leaves it: whose, its code of sigaction(2), and its
// status: of a stop the signal, and above it what ptrace(2) stopped it for.
func peek() (pid, code, status int, err error) {
	var info unix.Siginfo
	err = unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT|unix.WALL|unix.WNOTHREAD, nil)
	return siPID(&info), int(info.Code), siStatus(&info), err
}

// The ends among the codes of sigaction(2): CLD_EXITED, CLD_KILLED, CLD_DUMPED.
const (
	cldExited = 1
	cldDumped = 3
)

// Where siginfo_t has the process and the status of a SIGCHLD, on 64-bit machines.
const (
	atSiPID    = 16
	atSiStatus = 24
)

func siPID(info *unix.Siginfo) int    { return siField(info, atSiPID) }
func siStatus(info *unix.Siginfo) int { return siField(info, atSiStatus) }

func siField(info *unix.Siginfo, at uintptr) int {
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), at)))
}

// beforeEnd reads what may have changed since the last event: it is over when the
// event is a process's end.
func (t *tracer) beforeEnd(pid int) {
	pgid, err1 := unix.Getpgid(pid)
	sid, err2 := unix.Getsid(pid)
	if err1 != nil || err2 != nil {
		return
	}
	t.k.mu.Lock()
	if r := t.k.live[pid]; r != nil && !r.isDead() {
		t.k.regroup(r, pgid, sid)
	}
	t.k.mu.Unlock()
}

// end notes the end of a thread, or of a process: its leader's end is shown when
// it is the last.
func (t *tracer) end(tid int, ws unix.WaitStatus, at time.Time) {
	pid, known := t.tracees[tid]
	delete(t.tracees, tid)
	cause, code := outcome(ws)
	switch {
	case !known || pid == 0:
		t.dead[tid] = status{cause, code, at}
	case pid != tid:
		t.k.threadEnded(pid, tid, code, at)
	default:
		t.processEnd(pid, cause, code, at)
	}
}

func (t *tracer) processEnd(pid int, cause axprocess.WaitCause, code int32, at time.Time) {
	t.k.ended(pid, cause, code, at)
	t.k.mu.Lock()
	// A child of ours is reaped by its tracer's wait.
	if r := t.k.live[pid]; r != nil && r.model != nil && r.isDead() && r.model.Parent() == t.k.self {
		r.consumed = true
	}
	t.k.mu.Unlock()
	t.k.settle()
}

// stopped answers a stop.
func (t *tracer) stopped(tid, status int, at time.Time) {
	sig := syscall.Signal(status & 0xff)
	switch event := status >> 8; event {
	case unix.PTRACE_EVENT_FORK, unix.PTRACE_EVENT_VFORK, unix.PTRACE_EVENT_CLONE:
		t.forked(tid, event, at)
		t.resume(tid, 0)
	case unix.PTRACE_EVENT_EXEC:
		if t.consume(tid) {
			t.execed(tid, at)
			t.resume(tid, 0)
		}
	case unix.PTRACE_EVENT_STOP:
		if t.tracees[tid] == 0 {
			t.announced(tid, at)
		}
		switch sig {
		case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
			if t.tracees[tid] == tid {
				t.k.stops(tid, axprocess.Signal(sig))
			}
			t.leave(tid)
		default:
			if t.tracees[tid] == tid {
				t.k.stops(tid, 0)
			}
			t.resume(tid, 0)
		}
	default:
		t.resume(tid, sig)
	}
}

// leave leaves a tracee in a group stop.
func (t *tracer) leave(tid int) {
	if t.consume(tid) {
		_ = ptrace(unix.PTRACE_LISTEN, tid, 0, 0)
	}
}

// consume takes a stop from what waits show: a listening tracee's would be shown
// again, and one that was executed by another thread than the leader is not let go of
// before (kernel: looks_like_a_spurious_pid). False: it was killed meanwhile.
func (t *tracer) consume(tid int) bool {
	var ws unix.WaitStatus
	n, err := unix.Wait4(tid, &ws, unix.WALL|unix.WNOTHREAD|unix.WNOHANG, nil)
	if err != nil || n != tid {
		return false
	}
	if !ws.Stopped() {
		t.end(tid, ws, t.k.now())
	}
	return ws.Stopped()
}

// resume lets a tracee go on; ESRCH means that it was killed meanwhile, which its
// end will tell.
func (t *tracer) resume(tid int, sig syscall.Signal) {
	_ = ptrace(unix.PTRACE_CONT, tid, 0, uintptr(sig))
}

// forked reads whom a tracee has brought forth.
func (t *tracer) forked(tid, event int, at time.Time) {
	msg, err := unix.PtraceGetEventMsg(tid)
	child := int(msg)
	if err != nil || child <= 0 {
		t.doubt.Store(true)
		return
	}
	pid := t.tracees[tid]
	tgid := child
	if event == unix.PTRACE_EVENT_CLONE {
		if tgid = readStatus(child, "Tgid:"); tgid == 0 {
			tgid = pid // it was killed at birth; what is cloned is a thread as a rule
		}
	}
	if tgid == child {
		b := birth{pid: child, forker: pid, at: at}
		if event == unix.PTRACE_EVENT_VFORK {
			b.vfork = tid
		}
		t.enter(b)
	} else {
		t.k.threadBorn(pid, child, at)
	}
	if end, over := t.dead[child]; over {
		delete(t.dead, child)
		t.tracees[child] = tgid
		t.endAs(child, tgid, end)
		return
	}
	t.tracees[child] = tgid
}

func (t *tracer) endAs(tid, pid int, end status) {
	delete(t.tracees, tid)
	if tid != pid {
		t.k.threadEnded(pid, tid, end.code, end.at)
		return
	}
	t.processEnd(pid, end.cause, end.code, end.at)
}

// announced is a tracee at its first stop whose forker's event has not come yet,
// or never will, if the forker was killed in the middle of it.
func (t *tracer) announced(tid int, at time.Time) {
	pid := readStatus(tid, "Tgid:")
	if pid == 0 {
		return // it was killed: its end comes
	}
	t.tracees[tid] = pid
	delete(t.dead, tid)
	if pid != tid {
		t.k.threadBorn(pid, tid, at)
		return
	}
	t.enter(birth{pid: tid, at: at, guess: true})
}

// enter enters a process that is at its first stop, or just before.
func (t *tracer) enter(b birth) {
	if st, ok := readStat(b.pid); ok {
		b.stat, b.parent = &st, st.ppid
	}
	t.k.born(b)
}

func (t *tracer) execed(pid int, at time.Time) {
	msg, err := unix.PtraceGetEventMsg(pid)
	former := int(msg)
	if err != nil {
		former = pid
	}
	// The other threads are gone, and the one that called has the process's number.
	for tid, of := range t.tracees {
		if of == pid && tid != pid {
			delete(t.tracees, tid)
		}
	}
	t.tracees[pid] = pid
	comm, args := readComm(pid), readArgs(pid)
	t.k.execed(pid, former, args, comm, at)
	t.warnOf(pid, comm, args)
}
