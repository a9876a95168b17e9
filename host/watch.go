package host

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"axprocess"
)

// This file is about what happens on the live host as it happens: the kernel's
// process connector (kernel drivers/connector/cn_proc.c).
//
// Invariants:
//   - what the kernel could not deliver is counted, and the count is exact: each
//     processor numbers what it sends;
//   - the numbers are those of the initial pid namespace, so elsewhere Watch
//     refuses.

// ChangeKind is what happened.
type ChangeKind uint8

// The kinds.
const (
	Forked        ChangeKind = iota + 1 // a process was started, by Parent
	ThreadStarted                       // TID was started in PID
	Execed                              // PID executed a program
	Renamed                             // thread TID of PID calls itself Comm
	SessionMade                         // PID made a session
	Exited                              // thread TID of PID ended; if TID is PID, its leader
	DumpedCore                          // PID is leaving a core
	Lost                                // Missed changes could not be delivered; 0: some, and how many is told later
)

var changeWords = [...]string{"", "forked", "thread-started", "exec", "renamed", "session", "exited", "core", "lost"}

// String returns the kind's word, as JSON outputs have it.
func (k ChangeKind) String() string {
	if int(k) < len(changeWords) {
		return changeWords[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Change is one thing that happened on the host.
type Change struct {
	Kind   ChangeKind
	At     time.Duration // since boot
	PID    axprocess.PID
	TID    axprocess.PID
	Parent axprocess.PID // of Forked, who forked; of Exited, whose child it was
	Comm   string        // of Renamed
	Status uint32        // of Exited: wait(2)'s encoding
	Missed uint32        // of Lost; 0: it is told by the next of Lost
}

// Watcher delivers changes from Watch until Close. Not for concurrent use.
type Watcher struct {
	socket *os.File
	next   map[uint32]uint32 // by processor: the number that comes next
	queued []Change
	buf    [4096]byte
}

// ErrNoWatch says that this process may not follow the host: no privilege, or a
// namespace of its own.
var ErrNoWatch = errors.New("the host's events can't be followed from here")

// watchBuffer is how much the kernel may keep for us, in bytes: a second of a
// host that forks 10,000 times a second.
const watchBuffer = 8 << 20

// Watch begins to deliver what happens on the host. It needs the initial
// namespaces, and before Linux 6.6 CAP_NET_ADMIN; else the error wraps ErrNoWatch.
func Watch() (*Watcher, error) {
	if err := inInitialNamespace(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoWatch, err)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_CONNECTOR)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoWatch, os.NewSyscallError("socket", err))
	}
	w := &Watcher{socket: os.NewFile(uintptr(fd), "process connector"), next: map[uint32]uint32{}}
	if err := w.subscribe(fd); err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("%w: %w", ErrNoWatch, err)
	}
	return w, nil
}

// The connector's messages (kernel include/uapi/linux/connector.h, cn_proc.h).
const (
	connectorProcess = 1 // CN_IDX_PROC, CN_VAL_PROC
	listen           = 1 // PROC_CN_MCAST_LISTEN
	headLen          = unix.SizeofNlMsghdr + 20
	eventLen         = 16 // what, processor, time; then what depends
	whatNone         = 0  // the answer to a subscription
	whatFork         = 0x1
	whatExec         = 0x2
	whatSID          = 0x80
	whatComm         = 0x200
	whatCore         = 0x40000000
	whatExit         = 0x80000000
)

func (w *Watcher) subscribe(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, watchBuffer); err != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, watchBuffer) // what we may; less is said as Lost
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: connectorProcess}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	var b [headLen + 4]byte
	e := binary.NativeEndian
	e.PutUint32(b[0:], uint32(len(b)))
	e.PutUint16(b[4:], unix.NLMSG_DONE)
	e.PutUint32(b[16:], connectorProcess)
	e.PutUint32(b[20:], connectorProcess)
	e.PutUint16(b[32:], 4)
	e.PutUint32(b[headLen:], listen)
	_, err := w.socket.Write(b[:])
	return err
}

// Close ends the watch.
func (w *Watcher) Close() error { return w.socket.Close() }

// Next returns the next change. It blocks until there is one, or until ctx's
// error.
func (w *Watcher) Next(ctx context.Context) (Change, error) {
	stop := context.AfterFunc(ctx, func() { _ = w.socket.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for len(w.queued) == 0 {
		n, err := w.socket.Read(w.buf[:])
		switch {
		case ctx.Err() != nil:
			return Change{}, ctx.Err()
		case errors.Is(err, unix.ENOBUFS):
			return Change{Kind: Lost}, nil // the next message's number tells how many are missing
		case err != nil:
			return Change{}, err
		}
		w.take(w.buf[:n])
	}
	c := w.queued[0]
	w.queued = w.queued[1:]
	return c, nil
}

// take queues what a message says, and before it what its number shows to be
// missing.
func (w *Watcher) take(message []byte) {
	c, from, ok := parseChange(message)
	if !ok {
		return
	}
	if want, known := w.next[from.processor]; known && from.number != want {
		w.queued = append(w.queued, Change{Kind: Lost, At: c.At, Missed: from.number - want})
	}
	w.next[from.processor] = from.number + 1
	if c.Kind != 0 {
		w.queued = append(w.queued, c)
	}
}

// origin is which processor sent a message, and as the how manieth.
type origin struct{ processor, number uint32 }

// parseChange reads a message of the connector; Kind is 0 for what is not of
// interest. Not ok: it isn't one, or an answer to somebody's subscription.
func parseChange(b []byte) (c Change, from origin, ok bool) {
	e := binary.NativeEndian
	if len(b) < headLen+eventLen || e.Uint32(b[16:]) != connectorProcess || e.Uint32(b[20:]) != connectorProcess {
		return c, from, false
	}
	from.number = e.Uint32(b[24:])
	b = b[headLen:]
	what := e.Uint32(b)
	from.processor = e.Uint32(b[4:])
	c.At = time.Duration(e.Uint64(b[8:]) &^ (1 << 63))
	if what == whatNone {
		return c, from, false
	}
	b = b[eventLen:]
	pid := func(i int) axprocess.PID {
		if len(b) < 4*i+4 {
			ok = false
			return 0
		}
		return axprocess.PID(e.Uint32(b[4*i:]))
	}
	ok = true
	switch what {
	case whatFork: // parent's thread and process, child's thread and process
		c.Kind, c.Parent, c.TID, c.PID = Forked, pid(1), pid(2), pid(3)
		if c.TID != c.PID {
			c.Kind = ThreadStarted
		}
	case whatExec:
		c.Kind, c.TID, c.PID = Execed, pid(0), pid(1)
	case whatSID:
		c.Kind, c.TID, c.PID = SessionMade, pid(0), pid(1)
	case whatCore:
		c.Kind, c.TID, c.PID = DumpedCore, pid(0), pid(1)
	case whatComm:
		c.Kind, c.TID, c.PID = Renamed, pid(0), pid(1)
		if ok {
			name, _, _ := bytes.Cut(b[8:min(len(b), 24)], []byte{0})
			c.Comm = string(name)
		}
	case whatExit:
		c.Kind, c.TID, c.PID, c.Status, c.Parent = Exited, pid(0), pid(1), uint32(pid(2)), pid(5)
	}
	return c, from, ok
}

// Args returns the arguments of a live process of this host; none if it has
// ended, or is a thread of the kernel.
func Args(pid axprocess.PID) []string {
	text, err := os.ReadFile(fmt.Sprintf("%s/%d/cmdline", Root, pid))
	if err != nil {
		return nil
	}
	return splitArgs(text)
}

// Comm returns the name of a process of this host, "" if there is none any more.
func Comm(pid axprocess.PID) string {
	text, err := os.ReadFile(fmt.Sprintf("%s/%d/comm", Root, pid))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(text), "\n")
}
