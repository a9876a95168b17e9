package axprocess

import (
	"reflect"

	"axprocess/internal/slab"
)

// This file is about who appends which event. Each hook is one line where the
// change is made, and one branch in a table that keeps no events.
//
// What is not structure (attributes.go) is only noted as touched, and told once,
// as it is at the end of the operation.
//
// Invariant: a snapshot, with the events that come after it applied, is the later
// snapshot; the property test in replica_test.go finds a change without a hook.

// touch is a process whose attributes may have changed.
type touch struct {
	process *Process
	threads bool // those of its threads too
	why     string
}

// touched notes that attributes of a process may have changed.
func (s *state) touched(p *Process, why string) {
	if s.log != nil {
		s.log.touch(touch{p, false, why})
	}
}

// touchedAll notes that attributes of a process and of its threads may have.
func (s *state) touchedAll(p *Process, why string) {
	if s.log != nil {
		s.log.touch(touch{p, true, why})
	}
}

// touch: an operation touches one process several times in a row, if at all.
func (l *eventLog) touch(t touch) {
	if n := len(l.touched); n == 0 || l.touched[n-1].process != t.process {
		l.touched = append(l.touched, t)
	} else if last := &l.touched[n-1]; t.threads && !last.threads {
		last.threads = true
	}
}

// endLogged tells what has changed of what was touched, and publishes.
func (s *state) endLogged() chan struct{} {
	l := s.log
	for _, t := range l.touched {
		if r := s.row(t.process); r != nil {
			s.tellChanged(r, &t)
		}
	}
	if len(l.touched) > 0 {
		clear(l.touched)
		if l.touched = l.touched[:0]; cap(l.touched) > 64 {
			l.touched = nil
		}
	}
	return l.publish()
}

func (s *state) tellChanged(r *row, t *touch) {
	p := t.process
	a := s.attributes(r)
	if x := r.extra; x == nil || x.told == nil || !reflect.DeepEqual(*x.told, a) {
		if x != nil {
			x.told = &a
		}
		s.log.add(&Event{Kind: EventChanged, PID: p.pid, ID: p.id, Attributes: &a, Reason: t.why})
	}
	if !t.threads {
		return
	}
	for h := r.firstThread; h != nil; h = h.next {
		if h.extra == nil {
			continue
		}
		a := h.attributes()
		if told := h.extra.told; told == nil && a.isPlain() || told != nil && reflect.DeepEqual(*told, a) {
			continue
		}
		h.extra.told = &a
		s.log.add(&Event{Kind: EventThreadChanged, PID: p.pid, ID: p.id, TID: h.TID(), ThreadID: h.id, ThreadAttributes: &a, Reason: t.why})
	}
}

func (a *ThreadAttributes) isPlain() bool {
	return a.Mask == 0 && a.Pending == 0 && !a.Woken && a.ParentDeath == 0 && a.Below == 0 && a.HeldBy == 0 && len(a.Queue) == 0
}

func (s *state) logBorn(at slab.Index, want PID, asked []setNumber, forker *Process) {
	if s.log != nil {
		s.born(at, want, asked, forker)
	}
}

func (s *state) born(at slab.Index, want PID, asked []setNumber, forker *Process) {
	r := s.rows.At(at)
	p := r.process
	g := p.group.Load()
	e := Event{Kind: EventForked, PID: p.pid, ID: p.id, PGID: g.pgid, SID: g.session.sid, Chosen: want == NextPID, Init: p == s.init}
	if ns := s.nested(r); ns != nil {
		e.Home, e.Asked = ns.home(r.number), ns.asked(asked)
	}
	s.fillParent(&e, r)
	if forker != nil && forker.id != e.ParentID {
		e.Forker, e.ForkerID = forker.pid, forker.id
	}
	if plain := p == s.init || r.flags == flagForked; !plain || r.extra != nil {
		a := s.attributes(r)
		e.Attributes = &a
		if r.extra != nil {
			r.extra.told = &a
		}
	}
	s.log.add(&e)
}

// plainAttributes are those of a process that is just forked, or of an init.
func plainAttributes(forked bool) Attributes { return Attributes{Forked: forked, ExitSignal: SIGCHLD} }

// fillParent sets whose child a process is.
func (s *state) fillParent(e *Event, r *row) {
	if r.parent == 0 {
		return
	}
	parent := s.rows.At(r.parent).process
	e.Parent, e.ParentID = parent.pid, parent.id
	if r.owner != nil {
		e.Owner = r.owner.TID()
	}
}

// logImported tells of processes that were entered, each with all that it is.
func (s *state) logImported(fresh []*Process) {
	if s.log == nil {
		return
	}
	for _, p := range fresh {
		var c cut
		c.add(s, p.at, s.rows.At(p.at))
		image := c.image(0, func(at slab.Index) PID { return s.rows.At(at).process.pid })
		s.log.add(&Event{Kind: EventImported, PID: p.pid, ID: p.id, Init: p == s.init, Process: &image})
	}
}

func (s *state) logThread(kind EventKind, h *Thread, chosen bool) {
	if s.log != nil {
		s.threadEvent(kind, h, chosen)
	}
}

func (s *state) threadEvent(kind EventKind, h *Thread, chosen bool) {
	p := h.process
	e := Event{Kind: kind, PID: p.pid, ID: p.id, TID: h.TID(), ThreadID: h.id, Chosen: chosen}
	if kind == EventThreadExited {
		e.Code = p.code
		s.log.add(&e)
		return
	}
	if ns := s.nested(s.row(p)); ns != nil {
		e.Home = ns.home(h.number)
	}
	if h.extra != nil {
		a := h.attributes()
		e.ThreadAttributes, h.extra.told = &a, &a
	}
	s.log.add(&e)
}

func (s *state) logRenumbered(h *Thread, from PID) {
	if s.log != nil {
		p := h.process
		s.log.add(&Event{Kind: EventRenumbered, PID: p.pid, ID: p.id, TID: h.TID(), ThreadID: h.id, From: from})
	}
}

func (s *state) logProcess(kind EventKind, p *Process, reason string) {
	if s.log != nil {
		s.log.add(&Event{Kind: kind, PID: p.pid, ID: p.id, Reason: reason})
	}
}

func (s *state) logSession(kind EventKind, v *Session) {
	if s.log != nil {
		s.log.add(&Event{Kind: kind, SID: v.sid, SessionID: v.id})
	}
}

// logTerminal tells what a session's terminal now is.
func (s *state) logTerminal(v *Session, reason string) {
	if s.log != nil {
		m := v.terminalImage()
		s.log.add(&Event{Kind: EventTerminal, SID: v.sid, SessionID: v.id, Terminal: &m, Reason: reason})
	}
}

func (s *state) logTerminalMade(term *Terminal) {
	if s.log != nil {
		s.log.add(&Event{Kind: EventTerminalMade, ID: term.id})
	}
}

// logVacated tells that a number which some foreground means is given back.
func (s *state) logVacated(n PID) {
	if s.log != nil {
		s.log.add(&Event{Kind: EventVacated, PGID: n})
	}
}

func (s *state) logGroup(kind EventKind, g *ProcessGroup, reason string) {
	if s.log != nil {
		s.log.add(&Event{Kind: kind, PGID: g.pgid, GroupID: g.id, SID: g.session.sid, Founder: g.founder, Reason: reason})
	}
}

func (s *state) logMoved(p *Process, from, to *ProcessGroup) {
	if s.log != nil {
		s.log.add(&Event{Kind: EventMoved, PID: p.pid, ID: p.id, From: from.pgid, PGID: to.pgid, SID: to.session.sid})
	}
}

func (s *state) logStopped(p *Process, sig Signal) {
	if s.log != nil {
		s.log.add(&Event{Kind: EventStopped, PID: p.pid, ID: p.id, Signal: sig})
	}
}

func (s *state) logEnd(kind EventKind, p *Process, cause WaitCause) {
	if s.log != nil {
		s.log.add(&Event{Kind: kind, PID: p.pid, ID: p.id, Cause: cause, Code: p.code})
	}
}

// logAdopted tells that a child has a new parent, or a new thread of it.
func (s *state) logAdopted(kind EventKind, r *row, from *Process, reason string) {
	if s.log != nil {
		s.adoptedEvent(kind, r, from, reason)
	}
}

func (s *state) adoptedEvent(kind EventKind, r *row, from *Process, reason string) {
	e := Event{Kind: kind, PID: r.process.pid, ID: r.process.id, Reason: reason}
	if from != nil {
		e.From, e.FromID = from.pid, from.id
	}
	s.fillParent(&e, r)
	s.log.add(&e)
}

// reaperReason says by which rule the orphans of an exit go where they go.
func (s *state) reaperReason(to slab.Index) string {
	if s.rows.At(to).process == s.init {
		return "parent exited, no subreaper above"
	}
	return "parent exited, to the nearest subreaper above"
}

func (s *state) logSignal(m *posted, h *Thread, a Action) {
	if s.log == nil {
		return
	}
	e := Event{Kind: EventSignalled, PID: m.to.pid, ID: m.to.id, Signal: m.info.Signal, Action: a, Reason: m.reason}
	if h != nil {
		e.TID, e.ThreadID = h.TID(), h.id
	}
	s.log.add(&e)
}
