package axprocess

import "time"

// This file is about what snapshots and events say of processes, threads, groups
// and sessions: values by number and unique id.
//
// Invariant: an image is never changed once it has been given out, and refers to
// nothing of the table but the data that the embedder gave.

// ProcessImage is a process at one moment.
type ProcessImage struct {
	PID        PID           `json:"pid"`
	ID         uint64        `json:"id"`
	Parent     PID           `json:"parent,omitzero"` // 0: none, or outside
	Owner      PID           `json:"owner,omitzero"`  // the thread of the parent that it belongs to, unless that is the leader
	Birth      uint64        `json:"birth,omitzero"`  // its place in the order in which children joined their parents
	PGID       PID           `json:"pgid"`
	State      State         `json:"state"`
	Cause      WaitCause     `json:"cause,omitzero"`      // how a zombie ended
	Code       int32         `json:"code,omitzero"`       // its exit code or signal
	Stopped    Signal        `json:"stopped,omitzero"`    // what stopped it
	Unreported WaitCause     `json:"unreported,omitzero"` // the stop or continue that no wait has been told of
	Threads    []ThreadImage `json:"threads,omitempty"`   // the live ones, oldest first
	Home
	Attributes
	Lineage []AncestorImage `json:"lineage,omitempty"` // who forked it, who forked that one, …

	data any // for Clone
}

// Attributes are what is the process's own, besides its place in the table.
type Attributes struct {
	HadThreads     bool   `json:"had_threads,omitzero"`     // without a live thread it can only exit
	LeaderExited   bool   `json:"leader_exited,omitzero"`   // the thread of its own number has exited
	Subreaper      bool   `json:"subreaper,omitzero"`       // PR_SET_CHILD_SUBREAPER
	BelowSubreaper bool   `json:"below_subreaper,omitzero"` // an ancestor was one at some time
	Forked         bool   `json:"forked,omitzero"`          // has not exec'd since its fork
	NoChildWait    bool   `json:"no_child_wait,omitzero"`   // SA_NOCLDWAIT
	NoChildStop    bool   `json:"no_child_stop,omitzero"`   // SA_NOCLDSTOP
	Terminal       bool   `json:"terminal,omitzero"`        // its session's terminal is its own too
	ParentExeced   bool   `json:"parent_execed,omitzero"`   // its parent has called exec since the fork, so it sends SIGCHLD
	ExitSignal     Signal `json:"exit_signal"`              // what its parent is sent when it ends
	Waits          bool   `json:"waits,omitzero"`           // an init that has exited, and waits until its namespace is empty

	Ignored      SignalSet     `json:"ignored,omitzero"` // dispositions; sets of signals: bit n-1 is signal n
	Caught       SignalSet     `json:"caught,omitzero"`
	Resets       SignalSet     `json:"resets,omitzero"`         // SA_RESETHAND
	Defers       SignalSet     `json:"defers,omitzero"`         // caught without SA_NODEFER
	HandlerMasks []HandlerMask `json:"handler_masks,omitempty"` // those that are not empty, ascending
	Pending      SignalSet     `json:"pending,omitzero"`        // what the process shares
	Queue        []SigInfo     `json:"queue,omitempty"`         // what is known of it, in order of coming
	ChosenThread uint64        `json:"chosen_thread,omitzero"`  // unique id of the thread that was given the last one

	Self        ThreadAttributes `json:"self,omitzero"` // of a process without threads; the mask of a leader that exited
	Credentials Credentials      `json:"credentials,omitzero"`

	VforkOf       PID    `json:"vfork_of,omitzero"`        // the process that it holds by vfork
	VforkThreadID uint64 `json:"vfork_thread_id,omitzero"` // unique id of the held thread; 0: the process as a whole

	User         time.Duration `json:"user_ns,omitzero"` // its own usage
	System       time.Duration `json:"system_ns,omitzero"`
	WaitedUser   time.Duration `json:"waited_user_ns,omitzero"` // that of children it waited for
	WaitedSystem time.Duration `json:"waited_system_ns,omitzero"`
}

// ThreadImage is a live thread at one moment.
type ThreadImage struct {
	TID PID    `json:"tid"`
	ID  uint64 `json:"id"`
	ThreadAttributes
	Numbers []PID `json:"numbers,omitempty"` // in its process's namespace and those above, from level 1 on

	data any
}

// ThreadAttributes are what is the thread's own.
type ThreadAttributes struct {
	Mask        SignalSet `json:"mask,omitzero"`
	Pending     SignalSet `json:"pending,omitzero"` // sent to this thread alone
	Queue       []SigInfo `json:"queue,omitempty"`
	Woken       bool      `json:"woken,omitzero"` // it was chosen for a signal that it has not taken
	ParentDeath Signal    `json:"parent_death,omitzero"`
	Below       uint64    `json:"below,omitzero"`   // the namespace of its children to come, if it is not its own
	HeldBy      uint64    `json:"held_by,omitzero"` // unique id of the vfork child that holds it
}

// HandlerMask is what a signal's handler blocks (sa_mask).
type HandlerMask struct {
	Signal Signal    `json:"signal"`
	Mask   SignalSet `json:"mask"`
}

// GroupImage is a process group at one moment.
type GroupImage struct {
	PGID    PID    `json:"pgid"`
	ID      uint64 `json:"id"`
	SID     PID    `json:"sid"`
	Founder uint64 `json:"founder,omitzero"` // unique id of the process whose number it took
	Members []PID  `json:"members"`          // in the order of joining
	Home
}

// SessionImage is a session at one moment.
type SessionImage struct {
	SID    PID    `json:"sid"`
	ID     uint64 `json:"id"`
	Groups []PID  `json:"groups"` // oldest first
	Home
	TerminalImage

	data any // of the terminal
}

// TerminalImage is a session's terminal at one moment.
type TerminalImage struct {
	Terminal   uint64 `json:"terminal,omitzero"`   // its unique id
	Foreground PID    `json:"foreground,omitzero"` // the group in its foreground
	Vacant     bool   `json:"vacant,omitzero"`     // what that number meant is gone
	HungUp     PID    `json:"hung_up,omitzero"`    // the foreground of the terminal that was lost by a hang-up
	HungVacant bool   `json:"hung_vacant,omitzero"`
}

func (v *Session) terminalImage() (m TerminalImage) {
	if v.terminal != nil {
		m.Terminal = v.terminal.id
		if u := v.terminal.foreground; u != nil {
			m.Foreground, m.Vacant = u.n, u.over
		}
	}
	if u := v.hungUp; u != nil {
		m.HungUp, m.HungVacant = u.n, u.over
	}
	return m
}

// attributes returns the attributes of a process as they are.
func (s *state) attributes(r *row) Attributes {
	a := r.flags.attributes()
	if r.extra != nil {
		a.add(r.extra, r.flags)
	}
	return a
}

// attributes returns those that flags tell.
func (f flags) attributes() Attributes {
	return Attributes{
		HadThreads:     f&flagHadThreads != 0,
		LeaderExited:   f&flagLeaderGone != 0,
		Subreaper:      f&flagSubreaper != 0,
		BelowSubreaper: f&flagBelowSubreaper != 0,
		Forked:         f&flagForked != 0,
		NoChildWait:    f&flagNoChildWait != 0,
		NoChildStop:    f&flagNoChildStop != 0,
		Terminal:       f&flagTerminal != 0,
		ParentExeced:   f&flagParentExeced != 0,
		ExitSignal:     SIGCHLD,
		Waits:          f&flagLast != 0,
	}
}

// add sets those that are not in the flags.
func (a *Attributes) add(x *extra, f flags) {
	if f&flagOtherExit != 0 {
		a.ExitSignal = x.exitSignal
	}
	a.User, a.System = x.usage.User, x.usage.System
	a.WaitedUser, a.WaitedSystem = x.waited.User, x.waited.System
	if hold := x.vforker; hold != nil {
		a.VforkOf = hold.process.pid
		if hold.thread != nil {
			a.VforkThreadID = hold.thread.id
		}
	}
	a.Credentials = x.creds
	if does := x.actions; does != nil {
		a.Ignored, a.Caught, a.Resets, a.Defers = does.ignored, does.caught, does.resets, does.defers
		for sig := SIGHUP; does.masks != nil && sig <= SIGRTMAX; sig++ {
			if mask := does.masks[sig-1]; mask != 0 {
				a.HandlerMasks = append(a.HandlerMasks, HandlerMask{sig, mask})
			}
		}
	}
	if g := x.signals; g != nil {
		a.Pending, a.Queue = g.shared.image()
		a.Self = g.self.attributes()
		a.Self.ParentDeath = g.parentDeath
		if g.target != nil {
			a.ChosenThread = g.target.id
		}
	}
	a.Self.HeldBy, a.Self.Below = x.hold.childID(), idOf(x.below)
}

func (set *pendingSet) image() (SignalSet, []SigInfo) {
	return set.bits, append([]SigInfo(nil), set.queue...)
}

func (own *threadSignals) attributes() (a ThreadAttributes) {
	a.Mask, a.Woken = own.mask, own.woken
	a.Pending, a.Queue = own.pending.image()
	return a
}

func (hold *vforkHold) childID() uint64 {
	if hold == nil {
		return 0
	}
	return hold.child.id
}

// attributes returns the attributes of a thread as they are.
func (h *Thread) attributes() (a ThreadAttributes) {
	if h.extra != nil {
		a = h.extra.signals.attributes()
		a.ParentDeath = h.extra.parentDeath
		a.Below = idOf(h.extra.below)
		a.HeldBy = h.extra.hold.childID()
	}
	return a
}
