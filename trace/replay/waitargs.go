package replay

import (
	"axprocess"
	"axprocess/trace/strace"
)

// This file is about a wait's arguments and result, as strace writes them.

// waiting is a wait, read.
type waiting struct {
	c      *call
	p      *proc
	opts   axprocess.WaitOptions
	waitid bool
	idtype axprocess.IDType
	pid    axprocess.PID // as Wait4 and Waitid take it
	n      int64         // as the log has it
	byFd   *proc
	isFd   bool

	// What the log says.
	child    int64 // 0: nobody
	outside  int32
	cause    axprocess.WaitCause // 0: not told
	code     int32
	nothing  bool // WNOHANG, and nobody was ready
	blocking bool
}

var waitFlags = map[string]axprocess.WaitOptions{"WNOHANG": axprocess.WNOHANG, "WUNTRACED": axprocess.WUNTRACED,
	"WSTOPPED": axprocess.WSTOPPED, "WEXITED": axprocess.WEXITED, "WCONTINUED": axprocess.WCONTINUED,
	"WNOWAIT": axprocess.WNOWAIT, "__WNOTHREAD": axprocess.WNOTHREAD, "__WALL": axprocess.WALL, "__WCLONE": axprocess.WCLONE}

func readOptions(text []byte) (opts axprocess.WaitOptions, ok bool) {
	ok = strace.Flags(text, func(name string) {
		if o, known := waitFlags[name]; known {
			opts |= o
		} else if n, isInt := strace.Int([]byte(name)); isInt {
			opts |= axprocess.WaitOptions(uint32(n))
		} else {
			opts |= 0x10 // one that doesn't exist
		}
	})
	return opts, ok
}

// readWait reads a wait's arguments and result.
func (e *engine) readWait(c *call) (w waiting, ok bool) {
	w = waiting{c: c, p: c.thread.proc, waitid: c.op == strace.Waitid}
	args := strace.Split([]byte(c.args), nil)
	if !w.waitid {
		if len(args) < 3 {
			return w, false
		}
		if w.n, w.pid, ok = e.killTarget(w.p.ns, args[0]); !ok {
			return w, false
		}
		if w.opts, ok = readOptions(args[2]); !ok {
			return w, false
		}
		w.child, w.outside = c.result.Value, c.result.Outer
		w.nothing = c.result.Known && w.child == 0
		if w.child > 0 {
			w.cause, w.code, _ = strace.Status(args[1])
		}
	} else {
		if len(args) < 4 {
			return w, false
		}
		if w.opts, ok = readOptions(args[3]); !ok || !e.readID(&w, args) {
			return w, false
		}
		w.child = 0
		if c.result.Known && c.result.Value == 0 {
			info := args[2]
			if len(info) > 1 && info[0] == '{' {
				w.child, w.outside, w.cause, w.code, _ = strace.Siginfo(info[1 : len(info)-1])
			}
			w.nothing = w.child == 0
		}
	}
	w.blocking = w.opts&axprocess.WNOHANG == 0
	return w, true
}

func (e *engine) readID(w *waiting, args [][]byte) (ok bool) {
	switch string(args[0]) {
	case "P_ALL":
		w.idtype = axprocess.P_ALL
		return true
	case "P_PID":
		w.idtype = axprocess.P_PID
		w.n, w.pid, ok = e.argument(w.p.ns, args[1], asProcess)
	case "P_PGID":
		w.idtype = axprocess.P_PGID
		w.n, w.pid, ok = e.argument(w.p.ns, args[1], asGroup)
	case "P_PIDFD":
		w.idtype, w.isFd = axprocess.P_PIDFD, true
		w.n, ok = strace.Int(args[1])
		w.byFd = w.p.pidfd(args[1])
	default:
		n, isInt := strace.Int(args[0])
		w.idtype, ok = axprocess.IDType(n), isInt
	}
	return ok
}
