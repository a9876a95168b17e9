package axprocess

import (
	"fmt"
	"iter"
	"math/bits"
	"strconv"
	"strings"
	"syscall"
)

// This file is about signals as values: their names, sets of them, and what comes
// with one. What they do is in the files beside it: disposition.go (what a process
// wants done), pending.go (what waits, for whom), kill.go (who is sent one),
// permission.go (by whom), deliver.go (what it does), take.go (how the embedder
// gets those that have a handler or a waiter).

// Signal is a signal's number, as Linux numbers them on x86-64 and arm64.
type Signal int32

// The standard signals.
const (
	SIGHUP Signal = iota + 1
	SIGINT
	SIGQUIT
	SIGILL
	SIGTRAP
	SIGABRT
	SIGBUS
	SIGFPE
	SIGKILL
	SIGUSR1
	SIGSEGV
	SIGUSR2
	SIGPIPE
	SIGALRM
	SIGTERM
	SIGSTKFLT
	SIGCHLD
	SIGCONT
	SIGSTOP
	SIGTSTP
	SIGTTIN
	SIGTTOU
	SIGURG
	SIGXCPU
	SIGXFSZ
	SIGVTALRM
	SIGPROF
	SIGWINCH
	SIGIO
	SIGPWR
	SIGSYS
	SIGRTMIN        // the kernel's first real-time signal; C libraries keep one or two for themselves
	SIGRTMAX Signal = 64
)

var signalNames = [...]string{"0", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS",
	"SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT",
	"SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ",
	"SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS"}

// String returns the signal's name, "SIGRTMIN+n" for a real-time one.
func (sig Signal) String() string {
	switch {
	case sig >= 0 && int(sig) < len(signalNames):
		return signalNames[sig]
	case sig == SIGRTMIN:
		return "SIGRTMIN"
	case sig > SIGRTMIN && sig <= SIGRTMAX:
		return fmt.Sprintf("SIGRTMIN+%d", sig-SIGRTMIN)
	}
	return fmt.Sprintf("signal %d", int32(sig))
}

// ParseSignal reads a signal as a person types it: "HUP", "sighup", "RTMIN+3", "1"; 0
// too, which kill(2) takes. EINVAL for anything else. O(signals) for a name.
func ParseSignal(text string) (Signal, error) {
	name := "SIG" + strings.TrimPrefix(strings.ToUpper(text), "SIG")
	for sig := Signal(0); sig <= SIGRTMAX; sig++ {
		if name == sig.String() || text == strconv.Itoa(int(sig)) {
			return sig, nil
		}
	}
	return 0, refuse("parse signal", 0, syscall.EINVAL, "%q is not a signal (a name, or 0 to %d)", text, SIGRTMAX)
}

// SignalSet is a set of signals: bit n-1 is signal n, as in the kernel's sigset_t.
type SignalSet uint64

// SignalsOf returns the set of these signals; numbers that are none are left out.
func SignalsOf(sigs ...Signal) SignalSet {
	var set SignalSet
	for _, sig := range sigs {
		if sig > 0 && sig <= SIGRTMAX {
			set |= sig.set()
		}
	}
	return set
}

// Has says whether sig is in the set.
func (set SignalSet) Has(sig Signal) bool {
	return sig > 0 && sig <= SIGRTMAX && set&sig.set() != 0
}

// All yields the signals of the set, ascending.
func (set SignalSet) All() iter.Seq[Signal] {
	return func(yield func(Signal) bool) {
		for ; set != 0; set &= set - 1 {
			if !yield(Signal(bits.TrailingZeros64(uint64(set)) + 1)) {
				return
			}
		}
	}
}

// set is of one signal, which has been validated.
func (sig Signal) set() SignalSet { return 1 << (uint32(sig-1) % 64) }

const (
	defaultStop   = SignalSet(1<<(SIGSTOP-1) | 1<<(SIGTSTP-1) | 1<<(SIGTTIN-1) | 1<<(SIGTTOU-1))
	defaultIgnore = SignalSet(1<<(SIGCHLD-1) | 1<<(SIGCONT-1) | 1<<(SIGURG-1) | 1<<(SIGWINCH-1))
	defaultCore   = SignalSet(1<<(SIGQUIT-1) | 1<<(SIGILL-1) | 1<<(SIGTRAP-1) | 1<<(SIGABRT-1) | 1<<(SIGBUS-1) |
		1<<(SIGFPE-1) | 1<<(SIGSEGV-1) | 1<<(SIGXCPU-1) | 1<<(SIGXFSZ-1) | 1<<(SIGSYS-1))
	unblockable = SignalSet(1<<(SIGKILL-1) | 1<<(SIGSTOP-1))
	synchronous = SignalSet(1<<(SIGSEGV-1) | 1<<(SIGBUS-1) | 1<<(SIGILL-1) | 1<<(SIGTRAP-1) | 1<<(SIGFPE-1) | 1<<(SIGSYS-1))
	standard    = SignalSet(1<<(SIGRTMIN-1) - 1)
)

// first returns the signal of a set that is acted on first: those that the
// thread's own instruction caused, then the lowest number (kernel: next_signal).
func (set SignalSet) first() Signal {
	if set&synchronous != 0 {
		set &= synchronous
	}
	return Signal(bits.TrailingZeros64(uint64(set)) + 1)
}

// SigCode says where a signal comes from. Linux's names and values.
type SigCode int32

// The codes of sigaction(2) that the model itself gives.
const (
	SI_USER       SigCode = 0    // kill
	SI_KERNEL     SigCode = 0x80 // the model, or the embedder as the kernel
	SI_QUEUE      SigCode = -1   // sigqueue
	SI_TKILL      SigCode = -6   // tkill, tgkill
	CLD_EXITED    SigCode = 1
	CLD_KILLED    SigCode = 2
	CLD_DUMPED    SigCode = 3
	CLD_STOPPED   SigCode = 5
	CLD_CONTINUED SigCode = 6
)

// SigInfo is what comes with a signal (siginfo_t).
type SigInfo struct {
	Signal Signal  `json:"signal"`
	Code   SigCode `json:"code,omitzero"`
	PID    PID     `json:"pid,omitzero"`    // the child, as the receiver sees it; of a kill the sender's number in its own namespace; 0: nobody that it can see
	UID    uint32  `json:"uid,omitzero"`    // its real user
	Status int32   `json:"status,omitzero"` // with a CLD code: the exit code or the signal
	Value  uint64  `json:"value,omitzero"`  // with SI_QUEUE
}
