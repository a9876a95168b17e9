package supervise

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// This file is about following by programs in the kernel, at fork, exec, exit and
// reaping (bpfprogram.go): root's way, which disturbs nothing. The kernel itself
// keeps the set of processes to follow, so no birth can be missed.
//
// Invariants:
//   - events come in the order in which they happened;
//   - an event that had no room is counted, and then nothing is called complete;
//   - nobody but the waits for our own children by number takes an end.

type bpf struct {
	k        *keeper
	programs []*ebpf.Program
	links    []link.Link
	followed *ebpf.Map // by process number
	events   *ebpf.Map
	dropped  *ebpf.Map
	reader   *ringbuf.Reader
	stopOnce sync.Once
	done     chan struct{}
}

func (b *bpf) complete() bool { return b.lost() == 0 }

func (b *bpf) lost() int {
	var n uint64
	if err := b.dropped.Lookup(uint32(0), &n); err != nil {
		return -1
	}
	return int(n)
}

func (b *bpf) follows(pid int) bool {
	var start uint64
	return b.followed.Lookup(uint32(pid), &start) == nil
}

// stop tells what has happened so far, and ends the following.
func (b *bpf) stop() {
	b.stopOnce.Do(func() {
		b.detach()
		_ = b.reader.Flush()
		<-b.done
	})
}

func (b *bpf) detach() {
	for _, l := range b.links {
		_ = l.Close()
	}
	for _, p := range b.programs {
		_ = p.Close()
	}
}

// initialPIDNamespace is the inode of the first pid namespace, whose numbers the
// kernel's events have (kernel: PROC_PID_INIT_INO).
const initialPIDNamespace = 0xEFFFFFFC

func (b *bpf) start(k *keeper, l *launch) error {
	b.k, b.done = k, make(chan struct{})
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil || st.Ino != initialPIDNamespace {
		return &errUnfollowable{EBPF, errors.New("this is a pid namespace of its own, whose numbers the kernel's events don't have")}
	}
	if err := b.load(); err != nil {
		return &errUnfollowable{EBPF, err}
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // ptrace, and the parent-death signal, are by thread
		pid, err := b.launch(l)
		result <- err
		if err == nil {
			go b.children()
			b.loop(pid)
		}
	}()
	err := <-result
	if err != nil {
		b.detach()
		_ = b.reader.Close()
	}
	return err
}

// launch starts the command so that it stops after its exec, and lets go of it
// when it is among those that are followed.
func (b *bpf) launch(l *launch) (int, error) {
	l.attr.Sys.Ptrace = true
	pid, err := syscall.ForkExec(l.path, l.argv, &l.attr)
	l.attr.Sys.Ptrace = false
	if err != nil {
		if err == syscall.EPERM && !isExecRefusal(l) {
			return 0, &errUnfollowable{EBPF, err}
		}
		return 0, err
	}
	err = awaitStop(pid)
	if err == nil {
		// Its start is not known to the nanosecond; it is our own child, and its
		// number is not another's before we have reaped it.
		err = b.followed.Put(uint32(pid), uint64(0))
	}
	if err != nil {
		killHeld(pid)
		return 0, &errUnfollowable{EBPF, err}
	}
	b.k.first(pid)
	if err := ptrace(unix.PTRACE_DETACH, pid, 0, 0); err != nil {
		killHeld(pid)
		return 0, &errUnfollowable{EBPF, err}
	}
	return pid, nil
}

// children waits for our own children when one has ended, and hears of stops.
func (b *bpf) children() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	b.k.firstStops() // what came before the signal could be heard
	b.k.settle()
	for {
		select {
		case <-ended:
			b.k.firstStops()
			b.k.settle()
		case <-b.done:
			return
		}
	}
}

// loop tells the keeper what happens.
func (b *bpf) loop(int) {
	defer close(b.done)
	var rec ringbuf.Record
	for {
		err := b.reader.ReadInto(&rec)
		if err != nil {
			if errors.Is(err, ringbuf.ErrFlushed) {
				_ = b.reader.Close()
				return
			}
			if errors.Is(err, os.ErrClosed) {
				return
			}
			continue
		}
		if len(rec.RawSample) >= headLen {
			b.tell(rec.RawSample)
		}
	}
}

// tell takes one event apart.
func (b *bpf) tell(raw []byte) {
	u32 := func(at int) int { return int(int32(binary.NativeEndian.Uint32(raw[at:]))) }
	u64 := func(at int) uint64 { return binary.NativeEndian.Uint64(raw[at:]) }
	at := b.k.now()
	var up unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) == nil {
		at = at.Add(-max(0, time.Duration(up.Nano()-int64(u64(atWhen)))))
	}
	pid, tid := u32(atTGID), u32(atTID)
	switch u32(atKind) {
	case eventFork:
		if pid != tid {
			b.k.threadBorn(pid, tid, at)
			return
		}
		b.k.born(birth{pid: pid, forker: u32(atExtra), parent: u32(atParent), vfork: u32(atCode), at: at,
			stat: &stat{ppid: u32(atParent), pgid: u32(atPGID), sid: u32(atSID), start: u64(atStart) / uint64(tick)}})
	case eventExec:
		b.regroup(pid, u32(atPGID), u32(atSID))
		comm := raw[atComm : atComm+commLen]
		if end := bytes.IndexByte(comm, 0); end >= 0 {
			comm = comm[:end]
		}
		b.k.execed(pid, u32(atCode), b.args(pid, raw, u32(atExtra)), string(comm), at)
	case eventExit:
		cause, code := outcome(unix.WaitStatus(u32(atCode)))
		if u32(atExtra) == 0 {
			b.k.threadEnded(pid, tid, code, at)
			return
		}
		b.regroup(pid, u32(atPGID), u32(atSID))
		b.k.ended(pid, cause, code, at)
		b.k.settle()
	case eventFreed:
		b.k.gone(pid, u64(atStart)/uint64(tick), at)
	}
}

func (b *bpf) regroup(pid, pgid, sid int) {
	b.k.mu.Lock()
	defer b.k.mu.Unlock()
	if r := b.k.live[pid]; r != nil && !r.isDead() {
		b.k.regroup(r, pgid, sid)
	}
}

// args are the arguments that came with an exec, or if they were too long those
// of /proc, if the process is still there.
func (b *bpf) args(pid int, raw []byte, n int) []string {
	text := raw[headLen:]
	if n <= len(text) {
		return splitArgs(text[:max(n, 0)])
	}
	if args := readArgs(pid); len(args) > 0 {
		return args
	}
	return strings.Split(string(bytes.TrimRight(text, "\x00")), "\x00")
}
