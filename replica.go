package axprocess

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// This file is about following a table from outside: a snapshot, and the events
// after it applied one by one.
//
// Invariant: with the events to m applied, Snapshot is what the table's own
// Snapshot was whose Seq is m.

// Replica is a table as its events tell it. It is for one goroutine at a time.
type Replica struct {
	head      Snapshot // without its lists
	processes map[PID]*replicaProcess
	groups    map[PID]*replicaGroup
	sessions  map[PID]*replicaSession
	spaces    map[uint64]NamespaceImage
	order     uint64 // the last place given in a group or a session
}

// What a replica keeps beside the image: places in lists, instead of the lists.
type replicaProcess struct {
	ProcessImage
	joined uint64 // place among the members of its group
}

type replicaGroup struct {
	GroupImage
	opened uint64 // place among the groups of its session
}

type replicaSession struct{ SessionImage }

// ReplicaError says which event doesn't fit what the replica has.
type ReplicaError struct {
	Event  Event
	Reason string
}

// Error names the event and the reason.
func (e *ReplicaError) Error() string {
	return fmt.Sprintf("event %d (%s) does not apply: %s", e.Event.Seq, e.Event, e.Reason)
}

// NewReplica begins with a snapshot, which it does not change.
func NewReplica(from *Snapshot) *Replica {
	r := &Replica{
		head:      *from,
		processes: make(map[PID]*replicaProcess, len(from.Processes)),
		groups:    make(map[PID]*replicaGroup, len(from.Groups)),
		sessions:  make(map[PID]*replicaSession, len(from.Sessions)),
		spaces:    make(map[uint64]NamespaceImage, len(from.Namespaces)),
	}
	r.head.Processes, r.head.Groups, r.head.Sessions, r.head.Namespaces = nil, nil, nil, nil
	for _, m := range from.Namespaces {
		r.spaces[m.ID] = m
	}
	for _, m := range from.Processes {
		r.enter(m)
	}
	for _, m := range from.Groups {
		g := &replicaGroup{GroupImage: m}
		g.Members = nil
		r.groups[m.PGID] = g
		for _, pid := range m.Members {
			if p := r.processes[pid]; p != nil {
				p.joined = r.place()
			}
		}
	}
	for _, m := range from.Sessions {
		v := &replicaSession{m}
		v.Groups = nil
		r.sessions[m.SID] = v
		for _, pgid := range m.Groups {
			if g := r.groups[pgid]; g != nil {
				g.opened = r.place()
			}
		}
	}
	return r
}

func (r *Replica) enter(m ProcessImage) *replicaProcess {
	p := &replicaProcess{ProcessImage: m}
	p.Threads = slices.Clone(m.Threads)
	r.processes[m.PID] = p
	return p
}

func (r *Replica) place() uint64 {
	r.order++
	return r.order
}

// Seq returns the number of the last event that was applied.
func (r *Replica) Seq() uint64 { return r.head.Seq }

// At returns the time of the last event that was applied.
func (r *Replica) At() time.Time { return r.head.At }

// Apply applies the event that comes next. *ReplicaError if it is another one, or
// does not fit; then the replica is as it was, and good for nothing more. O(1),
// O(threads of the process) for a thread.
func (r *Replica) Apply(e Event) error {
	if e.Seq != r.head.Seq+1 {
		return &ReplicaError{e, fmt.Sprintf("the next one is %d", r.head.Seq+1)}
	}
	if reason := r.apply(&e); reason != "" {
		return &ReplicaError{e, reason}
	}
	r.head.Seq, r.head.At = e.Seq, e.At
	r.head.LastID = max(r.head.LastID, e.newestID())
	return nil
}

// newestID is the unique id that the event's operation gave, if it gave one.
func (e *Event) newestID() uint64 {
	id := max(e.ID, e.ThreadID, e.GroupID, e.SessionID)
	if e.Process != nil {
		for _, h := range e.Process.Threads {
			id = max(id, h.ID)
		}
	}
	if e.Terminal != nil {
		id = max(id, e.Terminal.Terminal)
	}
	return id
}

func (r *Replica) apply(e *Event) string {
	switch e.Kind {
	case EventForked, EventImported:
		return r.born(e)
	case EventTerminalMade, EventSignalled: // who was signalled may be gone by it
		return ""
	case EventNamespaceMade, EventNamespaceClosed, EventNumbersSpent:
		return r.space(e)
	case EventSessionMade, EventSessionEnded, EventTerminal, EventVacated:
		return r.session(e)
	case EventGroupMade, EventGroupEnded, EventOrphaned:
		return r.group(e)
	}
	p := r.processes[e.PID]
	if p == nil || p.ID != e.ID {
		return fmt.Sprintf("there is no process %d with id %d", e.PID, e.ID)
	}
	switch e.Kind {
	case EventThreadStarted, EventThreadExited, EventRenumbered, EventThreadChanged:
		return r.thread(p, e)
	case EventReparented, EventPassedOn, EventOwned:
		return r.adopted(p, e)
	case EventMoved:
		p.PGID, p.joined = e.PGID, r.place()
	case EventChanged:
		if e.Attributes == nil {
			return "it has no attributes"
		}
		p.Attributes = *e.Attributes
	case EventExeced:
	case EventFreed:
		delete(r.processes, e.PID)
	default:
		return p.turn(e)
	}
	return ""
}

// turn applies what happens to a process's state.
func (p *replicaProcess) turn(e *Event) string {
	switch e.Kind {
	case EventStopped:
		p.Stopped, p.Unreported = e.Signal, Stopped
	case EventContinued:
		p.Stopped, p.Unreported = 0, Continued
	case EventReported:
		p.Unreported = 0
	case EventExiting:
		p.State, p.Cause, p.Code, p.Stopped, p.Unreported = Exiting, e.Cause, e.Code, 0, 0
	case EventExited:
		p.State, p.Cause, p.Code, p.Stopped, p.Unreported = Zombie, e.Cause, e.Code, 0, 0
		p.Subreaper = false
	default:
		return "this kind of event is unknown"
	}
	return ""
}

func (r *Replica) born(e *Event) string {
	if r.processes[e.PID] != nil {
		return fmt.Sprintf("there is a process %d", e.PID)
	}
	var m ProcessImage
	switch {
	case e.Kind == EventForked:
		m = ProcessImage{PID: e.PID, ID: e.ID, Parent: e.Parent, Owner: e.Owner, PGID: e.PGID, State: Running, Home: e.Home, Attributes: plainAttributes(e.Parent != 0)}
		if e.Attributes != nil {
			m.Attributes = *e.Attributes
		}
		if e.Parent != 0 {
			m.Birth = r.head.Births + 1
			m.Lineage = r.lineage(e)
		}
	case e.Process == nil || e.Process.PID != e.PID || e.Process.ID != e.ID:
		return "it has no process"
	default:
		m = *e.Process
		if g := r.groups[m.PID]; g != nil && g.Founder == 0 {
			g.Founder = m.ID
		}
	}
	r.enter(m).joined = r.place()
	r.head.Births = max(r.head.Births, m.Birth)
	r.chose(e, e.PID)
	if e.Init {
		r.head.Init = m.PID
	}
	return ""
}

// lineage is row.descend.
func (r *Replica) lineage(e *Event) []AncestorImage {
	if r.head.LineageDepth == 0 {
		return nil
	}
	by := AncestorImage{PID: e.Parent, ID: e.ParentID}
	if e.ForkerID != 0 {
		by = AncestorImage{PID: e.Forker, ID: e.ForkerID}
	}
	line := []AncestorImage{by}
	if p := r.processes[by.PID]; p != nil && p.ID == by.ID {
		line = append(line, p.Lineage[:min(len(p.Lineage), r.head.LineageDepth-1)]...)
	}
	return line
}

func (r *Replica) thread(p *replicaProcess, e *Event) string {
	if e.Kind == EventThreadStarted {
		h := ThreadImage{TID: e.TID, ID: e.ThreadID, Numbers: e.Numbers}
		if e.ThreadAttributes != nil {
			h.ThreadAttributes = *e.ThreadAttributes
		}
		p.Threads = append(p.Threads, h)
		p.HadThreads = true
		if e.TID != e.PID { // a leader has its process's numbers
			r.chose(e, e.TID)
		}
		return ""
	}
	at := slices.IndexFunc(p.Threads, func(h ThreadImage) bool { return h.ID == e.ThreadID })
	if at < 0 {
		return fmt.Sprintf("process %d has no thread with id %d", e.PID, e.ThreadID)
	}
	switch e.Kind {
	case EventThreadExited:
		p.LeaderExited = p.LeaderExited || e.TID == p.PID
		p.Code = e.Code
		p.Threads = slices.Delete(p.Threads, at, at+1)
	case EventRenumbered:
		p.Threads[at].TID, p.Threads[at].Numbers = e.TID, p.Numbers
		p.LeaderExited = false
	case EventThreadChanged:
		if e.ThreadAttributes == nil {
			return "it has no attributes"
		}
		p.Threads[at].ThreadAttributes = *e.ThreadAttributes
	}
	return ""
}

func (r *Replica) adopted(p *replicaProcess, e *Event) string {
	p.Parent, p.Owner = e.Parent, e.Owner
	if e.Kind != EventOwned {
		r.head.Births++
		p.Birth = r.head.Births
	}
	if e.Kind == EventReparented {
		p.ExitSignal, p.ParentExeced = SIGCHLD, false
	}
	return ""
}

func (r *Replica) group(e *Event) string {
	g := r.groups[e.PGID]
	switch {
	case e.Kind == EventGroupMade && g != nil:
		return fmt.Sprintf("there is a group %d", e.PGID)
	case e.Kind == EventGroupMade:
		r.groups[e.PGID] = &replicaGroup{GroupImage{PGID: e.PGID, ID: e.GroupID, SID: e.SID, Founder: e.Founder, Home: r.homeOf(e.PGID)}, r.place()}
	case g == nil || g.ID != e.GroupID:
		return fmt.Sprintf("there is no group %d with id %d", e.PGID, e.GroupID)
	case e.Kind == EventGroupEnded:
		delete(r.groups, e.PGID)
	}
	return ""
}

func (r *Replica) session(e *Event) string {
	if e.Kind == EventVacated {
		for _, v := range r.sessions {
			v.Vacant = v.Vacant || v.Foreground == e.PGID
			v.HungVacant = v.HungVacant || v.HungUp == e.PGID
		}
		return ""
	}
	v := r.sessions[e.SID]
	switch {
	case e.Kind == EventSessionMade && v != nil:
		return fmt.Sprintf("there is a session %d", e.SID)
	case e.Kind == EventSessionMade:
		r.sessions[e.SID] = &replicaSession{SessionImage{SID: e.SID, ID: e.SessionID, Home: r.homeOf(e.SID)}}
	case v == nil || v.ID != e.SessionID:
		return fmt.Sprintf("there is no session %d with id %d", e.SID, e.SessionID)
	case e.Kind == EventSessionEnded:
		delete(r.sessions, e.SID)
	case e.Terminal == nil:
		return "it has no terminal"
	default:
		v.TerminalImage = *e.Terminal
	}
	return ""
}

// Snapshot returns the table as it was after the last event that was applied,
// without data. O(all of it).
func (r *Replica) Snapshot() *Snapshot {
	snap := r.head
	for _, p := range r.processes {
		m := p.ProcessImage
		m.Threads = slices.Clone(m.Threads)
		snap.Processes = append(snap.Processes, m)
	}
	slices.SortFunc(snap.Processes, func(a, b ProcessImage) int { return cmp.Compare(a.PID, b.PID) })
	r.listMembers(&snap)
	r.listGroups(&snap)
	r.listSpaces(&snap)
	return &snap
}

func (r *Replica) listMembers(snap *Snapshot) {
	members := make([]*replicaProcess, 0, len(r.processes))
	for _, p := range r.processes {
		members = append(members, p)
	}
	slices.SortFunc(members, func(a, b *replicaProcess) int {
		return cmp.Or(cmp.Compare(a.PGID, b.PGID), cmp.Compare(a.joined, b.joined))
	})
	for _, g := range r.groups {
		snap.Groups = append(snap.Groups, g.GroupImage)
	}
	slices.SortFunc(snap.Groups, func(a, b GroupImage) int { return cmp.Compare(a.PGID, b.PGID) })
	for i := range snap.Groups {
		for len(members) > 0 && members[0].PGID == snap.Groups[i].PGID {
			snap.Groups[i].Members = append(snap.Groups[i].Members, members[0].PID)
			members = members[1:]
		}
	}
}

func (r *Replica) listGroups(snap *Snapshot) {
	groups := make([]*replicaGroup, 0, len(r.groups))
	for _, g := range r.groups {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b *replicaGroup) int {
		return cmp.Or(cmp.Compare(a.SID, b.SID), cmp.Compare(a.opened, b.opened))
	})
	for _, v := range r.sessions {
		snap.Sessions = append(snap.Sessions, v.SessionImage)
	}
	slices.SortFunc(snap.Sessions, func(a, b SessionImage) int { return cmp.Compare(a.SID, b.SID) })
	for i := range snap.Sessions {
		for len(groups) > 0 && groups[0].SID == snap.Sessions[i].SID {
			snap.Sessions[i].Groups = append(snap.Sessions[i].Groups, groups[0].PGID)
			groups = groups[1:]
		}
	}
}
