package main

import (
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"axprocess"
	"axprocess/host/supervise"
)

// This file is about signals and the terminal while a command runs.
//
// The command stays in axp's process group, so a pipeline, a script and a shell's
// job control see what they would without axp (docs/rationale.md). Therefore what
// the terminal sends reaches the command by itself.
//
// Invariants:
//   - a signal that is ignored when axp starts is ignored by the command too;
//   - axp stops only after the command has, and continues with it;
//   - the terminal's modes and foreground group are put back.

// forwarded are the signals that axp passes on.
var forwarded = []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM,
	syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGCONT}

// signals takes axp's signals.
type signals struct {
	cmd     *supervise.Cmd
	tty     *terminal
	all     bool // forward to each descendant
	await   bool // the policy is to wait
	caught  chan os.Signal
	done    chan struct{}
	broken  atomic.Bool
	stopped atomic.Bool // the command was stopped
	keyed   atomic.Bool // a ctrl-Z was heard that may stop the command
	late    atomic.Bool // the command was stopped by one that was not heard yet
	asked   bool        // to end the wait
	heard   time.Time   // when a key was that may have ended the command
	once    sync.Once
}

// newSignals catches from now on, and acts after begin.
func newSignals(cmd *supervise.Cmd, tty *terminal, all, await bool) *signals {
	s := &signals{cmd: cmd, tty: tty, all: all, await: await, caught: make(chan os.Signal, 64), done: make(chan struct{})}
	for _, sig := range forwarded {
		if !signal.Ignored(sig) {
			signal.Notify(s.caught, sig)
		}
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a report that nobody reads doesn't end us
	cmd.OnStop = s.onStop
	return s
}

func (s *signals) begin() {
	go func() {
		for {
			select {
			case sig := <-s.caught:
				s.take(sig.(syscall.Signal))
			case <-s.done:
				return
			}
		}
	}()
}

func (s *signals) stop() {
	s.once.Do(func() {
		signal.Stop(s.caught)
		close(s.done)
	})
}

// interrupted says whether a person or a program ended the end.
func (s *signals) interrupted() bool { return s.broken.Load() }

// take acts on one signal.
func (s *signals) take(sig syscall.Signal) {
	fromTerminal := s.tty.inForeground()
	switch sig {
	case syscall.SIGCONT:
		if s.stopped.Load() {
			_ = s.cmd.Signal(sig)
		}
		return
	case syscall.SIGTTIN, syscall.SIGTTOU:
		return
	case syscall.SIGTSTP:
		if s.late.Swap(false) {
			return // we were stopped and continued, in the background perhaps, before we heard of it
		}
		if s.keyed.Store(true); !fromTerminal {
			s.pass(sig)
		}
		return
	}
	if (sig == syscall.SIGINT || sig == syscall.SIGQUIT) && fromTerminal && !s.all {
		if s.cmd.Signal(0) != syscall.ESRCH {
			s.heard = time.Now()
		} else if !s.endedBy() {
			s.hasten(sig)
		}
		return
	}
	if s.pass(sig) == syscall.ESRCH {
		s.hasten(sig)
	}
}

// endedBy says whether what comes from the terminal may be what has just ended the
// command, which got it too: unless something else that was heard may be. So a second
// ctrl-C is one.
func (s *signals) endedBy() bool {
	heard, end := s.heard, s.cmd.Ended()
	s.heard = time.Now()
	if end.IsZero() {
		end = s.heard // the kernel knows of it already
	}
	return time.Since(end) < sameKey && end.Sub(heard) > sameKey
}

// sameKey is how much sooner or later than the command's end what ended it may be
// heard of here.
const sameKey = 2 * time.Second

// pass sends a signal on; ESRCH says that the command has ended.
func (s *signals) pass(sig syscall.Signal) error {
	err := s.cmd.Signal(sig)
	if s.all && err == nil {
		s.cmd.SignalBelow(sig)
	}
	return err
}

// hasten is what a signal means after the command's end: a wait ends, and a
// grace.
func (s *signals) hasten(sig syscall.Signal) {
	if sig != syscall.SIGINT && sig != syscall.SIGTERM && sig != syscall.SIGHUP && sig != syscall.SIGQUIT {
		return
	}
	s.broken.Store(true)
	if s.await && !s.asked {
		s.asked = true
		s.cmd.Stop()
		return
	}
	s.cmd.Hurry()
}

// onStop follows the command into a stop: whoever started axp sees it, and
// continues both.
func (s *signals) onStop(sig axprocess.Signal) {
	s.stopped.Store(sig != 0)
	if sig == 0 || s.tty == nil {
		return
	}
	go func() {
		unheard := sig == axprocess.SIGTSTP && !s.keyed.Swap(false)
		if unheard {
			s.late.Store(true)
		}
		_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
		if unheard {
			time.Sleep(sameKey) // since we were continued
			s.late.Store(false)
		}
	}()
}

// dieOf ends axp by a signal as the command was, but without a core.
func dieOf(sig syscall.Signal) {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	signal.Reset(sig)
	var byDefault [4]uint64 // struct sigaction: SIG_DFL, no flags
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
	_ = unix.Kill(os.Getpid(), sig)
	if os.Getpid() != 1 {
		select {} // it comes
	}
}

// terminal is the controlling terminal as it was found; nil: none is used.
type terminal struct {
	fd    int
	modes *term.State
	group int
}

// findTerminal looks for the controlling terminal among the standard streams.
func findTerminal() *terminal {
	for fd := range 3 {
		group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		if err != nil {
			continue
		}
		modes, err := term.GetState(fd)
		if err != nil {
			continue
		}
		return &terminal{fd: fd, modes: modes, group: group}
	}
	return nil
}

// inForeground says whether axp's group gets what is typed.
func (t *terminal) inForeground() bool {
	if t == nil {
		return false
	}
	group, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// restore puts the terminal back, if axp had it.
func (t *terminal) restore() {
	if t == nil || t.group != unix.Getpgrp() {
		return
	}
	signal.Ignore(syscall.SIGTTOU) // else it would stop us in the background
	_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, t.group)
	_ = term.Restore(t.fd, t.modes)
}
