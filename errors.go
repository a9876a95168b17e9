package axprocess

import (
	"fmt"
	"syscall"
)

// This file is about refusals. Invariant: an operation that returns an error has
// left the table exactly as it was.

// Error says which operation was refused, to whom, and by which rule.
// errors.Is(err, syscall.EPERM) and the like hold for the errno inside.
type Error struct {
	Op     string        // the operation: "fork", "setpgid", …
	PID    PID           // the process or thread that asked, or the number in question
	Err    syscall.Errno // the errno that the system call gives
	Reason string        // the rule, in words, with the ids it is about
}

// Error returns "op pid: errno: reason".
func (e *Error) Error() string {
	return fmt.Sprintf("%s %d: %s: %s", e.Op, e.PID, e.Err.Error(), e.Reason)
}

// Unwrap returns the errno.
func (e *Error) Unwrap() error { return e.Err }

// orNil returns e as an error, which is nil if e is.
func (e *Error) orNil() error {
	if e == nil {
		return nil
	}
	return e
}

func refuse(op string, pid PID, errno syscall.Errno, reason string, args ...any) *Error {
	if len(args) > 0 {
		reason = fmt.Sprintf(reason, args...)
	}
	return &Error{Op: op, PID: pid, Err: errno, Reason: reason}
}

const (
	reasonFreed   = "the process has been freed"
	reasonZombie  = "the process has exited"
	reasonExiting = "the process is exiting"
)
