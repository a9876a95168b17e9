package supervise

import (
	"fmt"
	"syscall"
)

// This file is about the ways to follow a command's descendants, and who chooses.

// Follow is a way to learn of a command's descendants.
type Follow uint8

// The ways. What each can't see: docs/axp-run.md.
const (
	Auto   Follow = iota // ptrace where it can be had, else /proc
	Ptrace               // tracing: no privilege, but no debugger and no set-user-id below
	EBPF                 // programs in the kernel: needs root, and the first pid namespace
	Proc                 // subreaping and looks at /proc: misses what lives shortly
)

var followNames = [...]string{"auto", "ptrace", "ebpf", "proc"}

// String returns the way's name, as ParseFollow takes it.
func (f Follow) String() string {
	if int(f) < len(followNames) {
		return followNames[f]
	}
	return fmt.Sprintf("follow %d", uint8(f))
}

// ParseFollow returns the way of a name.
func ParseFollow(name string) (Follow, error) {
	for f, n := range followNames {
		if n == name {
			return Follow(f), nil
		}
	}
	return 0, fmt.Errorf("%q is no way to follow: auto, ptrace, ebpf, proc", name)
}

// follower is one way to follow.
type follower interface {
	// start starts the command so that none of its descendants can be missed, and
	// enters it into the keeper; from then on the follower tells the keeper what
	// happens. An errUnfollowable means that another way may be tried; others are
	// the command's own. Nothing is left behind on an error.
	start(k *keeper, l *launch) error
	// lost is how many events are known to be missing; < 0: it can't be known.
	lost() int
	// complete says whether nothing can have been missed so far.
	complete() bool
	// follows says whether it tells of pid by itself, now or soon.
	follows(pid int) bool
	// stop ends the following; what is followed goes on.
	stop()
}

// launch is what is to be started.
type launch struct {
	path string
	argv []string
	attr syscall.ProcAttr
	die  bool // the command and its descendants end with us
}

// errUnfollowable says that a way can't be gone here.
type errUnfollowable struct {
	way Follow
	err error
}

func (e *errUnfollowable) Error() string {
	return fmt.Sprintf("can't follow by %s: %v", e.way, e.err)
}

func (e *errUnfollowable) Unwrap() error { return e.err }

// followers are the ways to try, in order. Auto's order: docs/rationale.md.
func followers(f Follow) []follower {
	switch f {
	case Ptrace:
		return []follower{&tracer{}}
	case EBPF:
		return []follower{&bpf{}}
	case Proc:
		return []follower{&looker{}}
	}
	return []follower{&tracer{}, &looker{}}
}
