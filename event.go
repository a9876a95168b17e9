package axprocess

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// This file is about what an event says. eventlog.go keeps events and gives them
// to readers, hooks.go makes them, replica.go applies them.
//
// Invariants: an event holds numbers, unique ids and values, never a live
// pointer; what it points to is never changed. The JSON form of an event is its
// fields' tags; a field that is zero is left out (docs/events.md).

// EventKind says what an event is about.
type EventKind uint8

// The kinds. Beside each, the fields that it has besides Seq, At and Kind.
const (
	EventForked          EventKind = iota + 1 // PID, ID, Parent, ParentID, Owner, Init, Forker, ForkerID, PGID, SID, Chosen, Home, Asked; Attributes if not those of a plain fork
	EventImported                             // PID, ID, Init, Process
	EventThreadStarted                        // PID, ID, TID, ThreadID, Chosen; ThreadAttributes if there are any
	EventThreadExited                         // PID, ID, TID, ThreadID, Code: the process's exit code as it now is
	EventRenumbered                           // PID, ID, TID, ThreadID, From: exec gave thread From the leader's number
	EventExeced                               // PID, ID
	EventSessionMade                          // SID, SessionID
	EventSessionEnded                         // SID, SessionID
	EventGroupMade                            // PGID, GroupID, SID, Founder
	EventGroupEnded                           // PGID, GroupID, SID
	EventMoved                                // PID, ID, From (the old group), PGID, SID
	EventStopped                              // PID, ID, Signal
	EventContinued                            // PID, ID
	EventReported                             // PID, ID: a wait was told of the stop or continue
	EventExiting                              // PID, ID, Code; Cause if it is a namespace's init, which is Exited when it is alone there
	EventExited                               // PID, ID, Cause, Code
	EventReparented                           // PID, ID, From, FromID, Parent, ParentID, Owner, Reason
	EventPassedOn                             // PID, ID, Parent, ParentID, Owner, Reason: to another thread of the same parent, last in line
	EventOwned                                // PID, ID, Parent, ParentID, Owner, Reason: likewise, its place unchanged
	EventOrphaned                             // PGID, GroupID, SID, Reason
	EventSignalled                            // PID, ID, Signal, Action, Reason
	EventChanged                              // PID, ID, Attributes, Reason
	EventThreadChanged                        // PID, ID, TID, ThreadID, ThreadAttributes, Reason
	EventFreed                                // PID, ID, Reason
	EventTerminal                             // SID, SessionID, Terminal, Reason
	EventVacated                              // PGID: nothing goes by this number any more, and a foreground meant it
	EventTerminalMade                         // ID: of the terminal
	EventNamespaceMade                        // ID: of the namespace; ParentID: of the one above, 0 for the table's own
	EventNamespaceClosed                      // ID, Reason
	EventNumbersSpent                         // PID, Chosen, Namespace, Numbers, Asked, Reason: a refused birth used them up
)

var eventKinds = [...]string{"", "forked", "imported", "thread-started", "thread-exited", "renumbered", "execed",
	"session-made", "session-ended", "group-made", "group-ended", "moved", "stopped", "continued", "reported",
	"exiting", "exited", "reparented", "passed-on", "owned", "orphaned", "signalled", "changed", "thread-changed", "freed", "terminal", "vacated",
	"terminal-made", "namespace-made", "namespace-closed", "numbers-spent"}

// String returns the kind's name, as in the JSON form.
func (k EventKind) String() string {
	if int(k) < len(eventKinds) && k > 0 {
		return eventKinds[k]
	}
	return "event kind " + strconv.Itoa(int(k))
}

// MarshalText returns the kind's name.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText takes a kind's name; any other text is an error.
func (k *EventKind) UnmarshalText(text []byte) error {
	return named(k, "event kind", eventKinds[:], text)
}

// named finds a name's place in a list, which is its value. The empty name is
// none.
func named[T ~uint8](to *T, what string, names []string, text []byte) error {
	for i, name := range names {
		if name != "" && name == string(text) {
			*to = T(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no %s", text, what)
}

// Event is one change of a table.
type Event struct {
	Seq  uint64    `json:"seq"`          // 1, 2, …: the order of the lock
	At   time.Time `json:"at,omitzero"`  // when; not set without WithClock, never before the event before
	Kind EventKind `json:"kind"`         // decides which of the fields below are set
	PID  PID       `json:"pid,omitzero"` // whom it is about
	ID   uint64    `json:"id,omitzero"`  // its unique id

	TID      PID    `json:"tid,omitzero"` // which of its threads
	ThreadID uint64 `json:"thread_id,omitzero"`

	Parent   PID    `json:"parent,omitzero"` // whose child it now is
	ParentID uint64 `json:"parent_id,omitzero"`
	Forker   PID    `json:"forker,omitzero"` // who forked it, where that is not the parent (CLONE_PARENT)
	ForkerID uint64 `json:"forker_id,omitzero"`
	Owner    PID    `json:"owner,omitzero"` // the thread of the parent that it belongs to, unless that is the leader
	From     PID    `json:"from,omitzero"`  // the parent, the group or the number that it had
	FromID   uint64 `json:"from_id,omitzero"`

	PGID      PID    `json:"pgid,omitzero"`
	GroupID   uint64 `json:"group_id,omitzero"`
	SID       PID    `json:"sid,omitzero"`
	SessionID uint64 `json:"session_id,omitzero"`
	Founder   uint64 `json:"founder,omitzero"` // unique id of the process that the group is named after
	Init      bool   `json:"init,omitzero"`    // it is the table's init

	Signal Signal    `json:"signal,omitzero"`
	Action Action    `json:"action,omitzero"`
	Cause  WaitCause `json:"cause,omitzero"`
	Code   int32     `json:"code,omitzero"`
	Chosen bool      `json:"chosen,omitzero"` // the number was asked for as NextPID
	Asked  []int     `json:"asked,omitempty"` // the levels at which another number was asked for
	Home             // where a new process, or with Numbers alone a new thread, has which numbers
	Reason string    `json:"reason,omitzero"`

	Attributes       *Attributes       `json:"attributes,omitzero"`
	ThreadAttributes *ThreadAttributes `json:"thread_attributes,omitzero"`
	Process          *ProcessImage     `json:"process,omitzero"`
	Terminal         *TerminalImage    `json:"terminal,omitzero"`
}

// String returns the event in words, without its number and time: "reparented
// 812 from 800 to 1: parent exited, no subreaper above".
func (e Event) String() string {
	var b strings.Builder
	e.describe(&b)
	if e.Reason != "" {
		b.WriteString(": ")
		b.WriteString(e.Reason)
	}
	return b.String()
}

func (e *Event) describe(b *strings.Builder) {
	say := func(format string, args ...any) { fmt.Fprintf(b, format, args...) }
	switch e.Kind {
	case EventForked:
		if e.Parent == 0 {
			say("init %d began", e.PID)
			return
		}
		say("forked %d from %d, group %d, session %d", e.PID, e.Parent, e.PGID, e.SID)
	case EventImported:
		say("imported %d", e.PID)
	case EventThreadStarted:
		say("thread %d of %d started", e.TID, e.PID)
	case EventThreadExited:
		say("thread %d of %d exited", e.TID, e.PID)
	case EventRenumbered:
		say("thread %d of %d took the leader's number", e.From, e.PID)
	case EventExeced:
		say("exec by %d", e.PID)
	case EventSessionMade:
		say("session %d made", e.SID)
	case EventSessionEnded:
		say("session %d ended", e.SID)
	case EventGroupMade:
		say("group %d made in session %d", e.PGID, e.SID)
	case EventGroupEnded:
		say("group %d of session %d ended", e.PGID, e.SID)
	case EventMoved:
		say("moved %d from group %d to %d, session %d", e.PID, e.From, e.PGID, e.SID)
	case EventStopped:
		say("stopped %d by %s", e.PID, e.Signal)
	case EventContinued:
		say("continued %d", e.PID)
	case EventReported:
		say("the stop or continue of %d was waited for", e.PID)
	case EventExiting:
		say("exit of %d began with code %d", e.PID, e.Code)
	case EventExited:
		e.describeEnd(b)
	case EventReparented:
		say("reparented %d from %d to %d", e.PID, e.From, e.Parent)
	case EventPassedOn, EventOwned:
		say("passed %d on to thread %d of %d", e.PID, max(e.Owner, PID(0)), e.Parent)
	case EventOrphaned:
		say("orphaned group %d of session %d", e.PGID, e.SID)
	case EventSignalled:
		say("%s to %d, %s", e.Signal, e.PID, e.Action)
	case EventChanged:
		say("changed %d", e.PID)
	case EventThreadChanged:
		say("changed thread %d of %d", e.TID, e.PID)
	case EventFreed:
		say("freed %d", e.PID)
	case EventNamespaceMade:
		say("namespace %d made", e.ID)
	case EventNamespaceClosed:
		say("namespace %d closed", e.ID)
	case EventNumbersSpent:
		say("numbers %v of namespace %d spent", e.Numbers, e.Namespace)
	case EventTerminalMade:
		b.WriteString("terminal made")
	case EventTerminal:
		e.describeTerminal(b)
	case EventVacated:
		say("nothing goes by %d any more", e.PGID)
	default:
		b.WriteString(e.Kind.String())
	}
}

func (e *Event) describeEnd(b *strings.Builder) {
	if e.Cause == Exited {
		fmt.Fprintf(b, "exited %d with code %d", e.PID, e.Code)
		return
	}
	fmt.Fprintf(b, "exited %d, %s by %s", e.PID, e.Cause, Signal(e.Code))
}

func (e *Event) describeTerminal(b *strings.Builder) {
	if e.Terminal == nil || e.Terminal.Terminal == 0 {
		fmt.Fprintf(b, "session %d has no terminal", e.SID)
		return
	}
	fmt.Fprintf(b, "session %d has a terminal, group %d in its foreground", e.SID, e.Terminal.Foreground)
}
